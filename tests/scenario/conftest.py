"""Fixtures of the scenario tests. Servers, clients and waiting are in lab.py."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import lab


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
        for pipe in (program.stdout, program.stderr):
            if pipe:
                pipe.close()
