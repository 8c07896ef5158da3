"""LD_PRELOAD alone: the first program has the file published, and only once."""

import fcntl
import os
import subprocess
import time

import pytest

import lab


@pytest.fixture
def home(start_redis):
    """A server at the programs' own address, so that an unsteered connection succeeds too."""
    return start_redis("home", host="127.0.0.9")


def segments(runtime_dir):
    """The segments in a runtime directory: the files that start with the magic bytes."""
    return [path for path in runtime_dir.iterdir()
            if path.is_file() and path.read_bytes()[:7] == b"rdsteer"]


def test_a_thousand_programs_that_start_at_once_publish_once(home, start_redis, preload,
                                                             write_config, redisteer, runtime_dir):
    east = start_redis("east")
    config = write_config(lab.service("cache", [home.address], {"east": east.address}))
    # The starter itself runs without the library: it would publish before its children start.
    environment = lab.plain_environment()
    result = subprocess.run(
        [lab.BUILT_CLIENTS / "many_starts", "1000", "/usr/bin/env",
         *(f"{key}={value}" for key, value in preload.environment(config).items()
           if key.startswith(("LD_", "REDISTEER_"))),
         str(lab.BUILT_CLIENTS / "one_connect"), home.host, str(home.port)],
        env=environment, capture_output=True, text=True, timeout=120)

    assert (result.stdout, result.stderr) == ("failed 0\n", "")
    # On a starved host the programs go on after half a second, and publishing ends after them.
    lab.wait_for(lambda: segments(runtime_dir), "the segment")
    assert len(segments(runtime_dir)) == 1
    assert len(lab.events(redisteer, config, "config")) == 1


@pytest.mark.skipif(os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC,
                    reason="in a container its child would be a stranger to the first process")
def test_a_slow_publication_is_not_given_up(home, start_redis, preload, write_config, redisteer,
                                            runtime_dir, start_asker):
    """The first call goes on unsteered; its child goes on, too, and later calls are steered."""
    east = start_redis("east")
    config = write_config(lab.service("cache", [home.address], {"east": east.address}))
    assert redisteer("run", "/bin/true", config=config).returncode == 0  # for the lock's name
    [lock] = runtime_dir.glob("*.lock")
    [segment] = segments(runtime_dir)
    segment.unlink()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ask = start_asker(preload, config)
        assert ask(home.host, home.port) == "home"
        assert segments(runtime_dir) == []
    lab.wait_for(lambda: ask(home.host, home.port) == "east", "the program to be steered")
    assert len(lab.events(redisteer, config, "config")) == 1


def test_the_first_program_is_steered_already(home, start_redis, preload, write_config):
    east = start_redis("east")
    config = write_config(lab.service("cache", [home.address], {"east": east.address}))
    ask = ["redis-cli", "-h", home.host, "-p", home.port, "GET", "name"]
    assert preload.run(ask, config).stdout == "east\n"


def test_a_broken_file_is_tried_once_until_it_changes(home, start_redis, preload, write_config,
                                                      runtime_dir, tmp_path):
    east = start_redis("east")
    config = write_config("service cache {")
    ask = ["redis-cli", "-h", home.host, "-p", home.port, "GET", "name"]
    for _ in range(3):
        assert preload.run(ask, config).stdout == "home\n"
    assert segments(runtime_dir) == []
    write_config(lab.service("cache", [home.address], {"east": east.address}))
    assert preload.run(ask, config).stdout == "east\n"


def test_the_publisher_is_no_child_of_the_program(home, start_redis, preload, write_config):
    """No SIGCHLD, nothing for wait(), no descriptor more than before."""
    east = start_redis("east")
    config = write_config(lab.service("cache", [home.address], {"east": east.address}))
    program = f"""
import os, signal, socket
children = []
signal.signal(signal.SIGCHLD, lambda *_: children.append(1))
before = sorted(os.listdir("/proc/self/fd"))
with socket.create_connection(("{home.host}", {home.port})) as connection:
    print(connection.getpeername()[1] == {east.port})
try:
    os.waitpid(-1, os.WNOHANG)
    children.append("wait")
except ChildProcessError:
    pass
print(children, sorted(os.listdir("/proc/self/fd")) == before)
"""
    result = preload.run([lab.PYTHON, "-c", program], config)
    assert (result.stdout, result.stderr) == ("True\n[] True\n", "")


def test_a_name_that_does_not_resolve_is_looked_up_now_and_then(home, start_redis, preload, write_config, tmp_path):
    """By a program that starts, but not by each of them: once in 10 s."""
    east, log = start_redis("east"), tmp_path / "looked.log"
    config = write_config(lab.service("cache", [home.address], {"east": east.address, "lost": "lost.invalid:6379"}))

    def look_ups():
        assert preload.run([lab.BUILT_CLIENTS / "one_connect", home.host, home.port], config, log).returncode == 0
        return log.read_text().count("lost.invalid does not resolve")

    lab.wait_for(lambda: look_ups() == 1, "the name to be looked up")  # its child may outlast the first program
    lab.wait_for(lambda: look_ups() == 2, "the name to be looked up again", pause=0.5)
    began = time.monotonic()
    while time.monotonic() < began + 3:
        assert look_ups() == 2
