"""Whatever is wrong around it, the program works; REDISTEER_LOG says why it is not steered."""

import os

import pytest

import lab

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def home(start_redis):
    return start_redis("home", host="127.0.0.9")


@pytest.fixture
def east(start_redis):
    return start_redis("east")


@pytest.fixture
def config(home, east, write_config):
    return write_config(lab.service("cache", [home.address], {"east": east.address}))


@pytest.fixture
def ask(home):
    """ask(launcher, config, …) -> (what a redis-cli run prints, what the library logged)."""
    def run(launcher, config, wrapper=(), **options):
        log = launcher.runtime_dir.parent / f"{launcher.runtime_dir.name}.log"
        program = [*wrapper, "redis-cli", "-h", home.host, "-p", home.port, "GET", "name"]
        try:
            result = launcher.run(program, config, log=log, **options)
            assert result.stderr == "" and result.returncode == 0, result
            return result.stdout.strip(), log.read_text() if log.exists() else ""
        finally:
            log.unlink(missing_ok=True)

    return run


def published(redisteer, config, runtime_dir):
    """Publishes; the path of the segment."""
    result = redisteer("run", "--", "/bin/true", config=config)
    assert result.returncode == 0, result.stderr
    found = [path for path in runtime_dir.iterdir()
             if path.is_file() and path.read_bytes()[:7] == b"rdsteer"]
    assert len(found) == 1
    return found[0]


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGES = {
    "magic": lambda path: overwrite(path, 0, b"nothing!"),
    "other ABI": lambda path: overwrite(path, 8, b"\xff\0\0\0"),
    "other size": lambda path: overwrite(path, 16, b"\xff" * 8),
    "other boot": lambda path: overwrite(path, 24, b"\x5a" * 16),
    "wild offsets": lambda path: overwrite(path, 80, b"\xff" * 56),
    "truncated": lambda path: os.truncate(path, 100),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "banks of noise": lambda path: overwrite(path, 4096, os.urandom(60_000)),
    "writable by all": lambda path: path.chmod(0o666),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a symbolic link": lambda path: (path.rename(path.with_suffix(".old")),
                                     path.symlink_to(path.with_suffix(".old"))),
    "a fifo": lambda path: (path.unlink(), os.mkfifo(path, 0o600)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_segment_harms_no_program(damage, config, ask, preload, redisteer, runtime_dir):
    path = published(redisteer, config, runtime_dir)
    DAMAGES[damage](path)
    answer, log = ask(preload, config)
    # Steered when the publishing child could put things right, left alone when not.
    assert answer in ("home", "east")
    assert answer == "east" or log


@ROOT
def test_a_segment_of_somebody_else_is_not_used(config, ask, preload, redisteer, runtime_dir):
    path = published(redisteer, config, runtime_dir)
    os.chown(path, 65534, 65534)
    answer, log = ask(preload, config)
    assert answer == "home"
    assert str(path.name) in log or "owner" in log or "belongs" in log


@ROOT
def test_a_runtime_directory_of_somebody_else_is_not_used(config, ask, preload, runtime_dir):
    os.chown(runtime_dir, 65534, 65534)
    answer, log = ask(preload, config)
    assert answer == "home" and log
    assert list(runtime_dir.iterdir()) == []


def test_a_missing_runtime_directory(config, ask, preload, runtime_dir):
    runtime_dir.rmdir()
    answer, log = ask(preload, config)
    assert answer in ("home", "east")
    assert answer == "east" or log


def test_a_missing_segment_while_the_program_runs(home, config, preload, redisteer, runtime_dir,
                                                  start_asker):
    """Somebody deletes the file: what is mapped stays good, and a new program publishes anew."""
    path = published(redisteer, config, runtime_dir)
    running = start_asker(preload, config)
    assert running(home.host, home.port) == "east"
    path.unlink()
    assert running(home.host, home.port) == "east"
    assert start_asker(preload, config)(home.host, home.port) == "east"


@ROOT
@pytest.mark.parametrize("options", ["size=32k", "ro"])
def test_a_full_or_read_only_runtime_directory(options, config, ask, preload, runtime_dir):
    mount = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
             f'unset LD_PRELOAD; mount -t tmpfs -o mode=700,{options} none {runtime_dir} && '
             'LD_PRELOAD=$1; export LD_PRELOAD; shift; exec "$@"', "sh", str(lab.LIBRARY)]
    answer, log = ask(preload, config, wrapper=mount)
    assert answer == "home"
    assert log


def test_eight_descriptors(config, ask, launch):
    assert ask(launch, config, wrapper=["prlimit", "--nofile=8", "--"])[0] == "east"


def test_no_memory_to_speak_of(config, ask, launch):
    """An address-space limit that leaves redis-cli itself just enough."""
    assert ask(launch, config, wrapper=["prlimit", f"--as={64 << 20}", "--"])[0] in ("east", "home")


def test_closed_standard_descriptors(home, east, config, launch):
    shell = f"exec redis-cli -h {home.host} -p {home.port} SET closed yes <&- >&- 2>&-"
    result = launch.run(["/bin/sh", "-c", shell], config)
    assert (result.stdout, result.stderr) == ("", "")
    assert east.command("GET", "closed") == "yes"


CHILDREN = {
    "fork": "pid = os.fork()\nif pid == 0: ask(); os._exit(0)\nos.waitpid(pid, 0)",
    "double fork": """
pid = os.fork()
if pid == 0:
    os.setsid()
    second = os.fork()
    if second == 0:
        ask()
        os._exit(0)
    os.waitpid(second, 0)
    os._exit(0)
os.waitpid(pid, 0)""",
    "vfork": "print(subprocess.run(CLI, capture_output=True, text=True).stdout, end='')",
    "exec": "sys.stdout.flush(); os.execvp(CLI[0], CLI)",
    "daemon": """
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.dup2(writer, 100)
    os.closerange(0, 100)
    os.closerange(101, 1024)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 1); os.dup2(null, 2)
    os.write(100, name())
    os._exit(0)
os.close(writer)
print(os.read(reader, 100).decode())""",
}


@pytest.mark.parametrize("before", ["", "ask()"], ids=["first in the child", "parent before"])
@pytest.mark.parametrize("way", CHILDREN)
def test_children_are_steered_too(way, before, home, config, launch):
    program = f"""
import os, socket, subprocess, sys
CLI = ["redis-cli", "-h", "{home.host}", "-p", "{home.port}", "GET", "name"]
def name():
    with socket.create_connection(("{home.host}", {home.port})) as connection:
        connection.sendall(b"GET name\\r\\n")
        return connection.recv(100).split()[1]
def ask():
    print(name().decode(), flush=True)
{before}
{CHILDREN[way]}
"""
    result = launch.run([lab.PYTHON, "-c", program], config)
    assert result.stderr == "" and result.returncode == 0
    assert result.stdout.split() == ["east"] * (2 if before else 1)


def test_the_log_says_which_way_a_connection_took(home, config, ask, preload):
    answer, log = ask(preload, config)
    assert answer == "east"
    assert "cache" in log and "east" in log


def test_without_a_log_nothing_is_written_anywhere(config, ask, home, preload, tmp_path):
    before = sorted(tmp_path.iterdir())
    for text in ("service", ""):
        broken = tmp_path / "broken.conf"
        broken.write_text(text)
        result = preload.run(["redis-cli", "-h", home.host, "-p", home.port, "GET", "name"], broken)
        assert (result.stdout, result.stderr) == ("home\n", "")
        broken.unlink()
    assert sorted(tmp_path.iterdir()) == before


def test_disabled_by_the_environment(config, ask, preload):
    assert ask(preload, config, env={"REDISTEER_DISABLE": "1"})[0] == "home"


def test_a_relative_configuration_path(home, config, preload):
    result = preload.run(["redis-cli", "-h", home.host, "-p", home.port, "GET", "name"],
                         config.name, cwd=config.parent)
    assert result.returncode == 0 and result.stdout == "east\n"


def test_nothing_is_left_running(config, ask, preload, runtime_dir):
    """No process of ours outlives the program: nobody holds the runtime directory's files."""
    assert ask(preload, config)[0] == "east"

    def holders():
        found = []
        for maps in os.scandir("/proc"):
            if maps.name.isdigit() and int(maps.name) != os.getpid():
                try:
                    with open(f"/proc/{maps.name}/maps") as file:
                        if str(runtime_dir) in file.read():
                            found.append(maps.name)
                except OSError:
                    pass
        return found

    lab.wait_for(lambda: not holders(), "no process to hold the segment")
