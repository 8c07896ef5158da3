"""Fixtures of the scenario tests. Servers, clients and waiting are in lab.py."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import lab

# A shell that starts the tests in the background has SIGINT ignored, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_test_hangs():
    """A program that never answers fails its test instead of stopping all of them."""
    def late(*_):
        raise AssertionError("the test takes too long")

    previous = signal.signal(signal.SIGALRM, late)
    signal.alarm(int(lab.PATIENCE * 6))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def runtime_dir():
    """A private runtime directory on tmpfs; its segments go with it."""
    path = Path(tempfile.mkdtemp(prefix="redisteer-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def write_config(tmp_path):
    """write_config(text, name="redisteer.conf") -> path of a file that only we can write."""

    def write(text, name="redisteer.conf"):
        path = tmp_path / name
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.rename(path)
        return path

    return write


@pytest.fixture
def redisteer(runtime_dir):
    """redisteer("status", "--json", config=path, …) -> CompletedProcess, in the private directory."""

    def run(*arguments, config=None, env=None, timeout=30, **options):
        environment = lab.plain_environment()
        environment["REDISTEER_RUNTIME_DIR"] = str(runtime_dir)
        if config is not None:
            environment["REDISTEER_CONFIG"] = str(config)
        environment.update(env or {})
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([str(lab.REDISTEER), *map(str, arguments)], env=environment,
                              capture_output=True, text=True, timeout=timeout, **options)

    return run


@pytest.fixture
def good_config(write_config):
    """A file with the service `cache`: east is preferred to west, nothing listens there."""
    return write_config("""service cache {
    match = { redis.internal, 10.9.9.9:6380 }
    endpoint east { address = 127.0.0.1:7001 }
    endpoint west { address = 127.0.0.1:7002  weight = 0.25  zone = z2 }
}
""")


@pytest.fixture
def published(redisteer, good_config):
    """The same, published."""
    assert redisteer("reload", config=good_config).returncode == 0
    return good_config


@pytest.fixture
def start_redis(tmp_path):
    """start_redis("east") -> lab.Redis on a free port of 127.0.0.1, with the key `name` set."""
    servers = []

    def start(name, host="127.0.0.1", **options):
        server = lab.Redis(name, tmp_path, host=host, **options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(params=["preload", "run"])
def launch(request, runtime_dir):
    """
    How a program comes under redisteer: launch(argv, config) -> (argv, env), once with LD_PRELOAD
    alone and once by `redisteer run`.
    """
    return lab.Launcher(request.param, runtime_dir)


@pytest.fixture
def preload(runtime_dir):
    """The same with LD_PRELOAD alone, for tests in which the way in makes no difference."""
    return lab.Launcher("preload", runtime_dir)


@pytest.fixture
def start_program():
    """start_program(argv, env=…) -> Popen with text pipes; what is left at the end is killed."""
    programs = []

    def start(argv, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        program = subprocess.Popen([str(a) for a in argv], text=True, **options)
        programs.append(program)
        return program

    yield start
    for program in programs:
        if program.poll() is None:
            program.kill()
        program.wait()
        for pipe in (program.stdin, program.stdout, program.stderr):
            if pipe:
                pipe.close()


@pytest.fixture
def start_asker(start_program):
    """start_asker(launcher, config) -> ask(host, port, way="name"), in one running program."""

    def start(launcher, config, **more):
        program = start_program(launcher.argv([lab.PYTHON, lab.CLIENTS / "asker.py"]),
                                env=launcher.environment(config, **more), stdin=subprocess.PIPE)

        def ask(host, port, way="name"):
            program.stdin.write(f"{way} {host} {port}\n")
            program.stdin.flush()
            line = program.stdout.readline()
            if not line:
                raise AssertionError("the program ended: " + program.stderr.read())
            return line.strip()

        return ask

    return start


@pytest.fixture
def all_down(redisteer, write_config):
    """A file whose service `cache` has lost both endpoints: their breakers are open for minutes."""
    east, west = lab.free_ports(2)
    config = write_config(lab.service("cache", ["redis.internal"], {
        "east": f"127.0.0.1:{east}", "west": f"127.0.0.1:{west}"}, lab.SLOW))
    refused = "import socket; socket.socket().connect_ex(('redis.internal', 6379))"
    for _ in range(4):
        assert redisteer("run", lab.PYTHON, "-c", refused, config=config).returncode == 0
    return config
