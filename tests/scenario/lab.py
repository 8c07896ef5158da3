"""What scenario tests are made of: real Redis servers, ways to start a program, waiting."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("REDISTEER_BUILD", ROOT / "build")).resolve()
REDISTEER = BUILD / "redisteer"
LIBRARY = BUILD / "libredisteer.so"
CLIENTS = Path(__file__).resolve().parent / "clients"
BUILT_CLIENTS = BUILD / "tests" / "scenario"
PYTHON = "/usr/bin/python3"
PATIENCE = float(os.environ.get("REDISTEER_TEST_PATIENCE", "20"))  # seconds; slow machines need it


def plain_environment():
    """This process's environment without anything that redisteer or the loader reads."""
    return {key: value for key, value in os.environ.items()
            if not key.startswith(("REDISTEER_", "LD_", "XDG_CONFIG_HOME"))}


def wait_for(condition, what, timeout=None, pause=0.005):
    """Polls until condition() is true and returns its value; fails with `what` otherwise."""
    deadline = time.monotonic() + (timeout or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for: {what}")
        time.sleep(pause)


def free_port(host="127.0.0.1"):
    """A port that the kernel says is free at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def free_ports(count, host="127.0.0.1"):
    """Ports that are free and different from one another."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probes = [socket.socket(family, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((host, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Redis:
    """A redis-server of our own: no persistence, a private directory, the key `name` set."""

    def __init__(self, name, directory, host="127.0.0.1", port=None):
        self.name = name
        self.host = host
        self.port = port
        self.directory = Path(directory) / f"redis-{name}"
        self.directory.mkdir(exist_ok=True)
        self.prefix = []  # a command that starts it elsewhere
        self.process = None

    @property
    def address(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def start(self):
        """Starts on the same port as before, or on a free one; waits until it answers."""
        for _ in range(5):
            fixed = self.port is not None
            port = self.port if fixed else free_port(self.host)
            self.process = subprocess.Popen(
                [*self.prefix, "redis-server", "--port", str(port), "--bind", self.host, "--save", "",
                 "--protected-mode", "no", "--appendonly", "no",
                 "--tcp-backlog", "4096", "--dir", str(self.directory), "--logfile", "redis.log"],
                env=plain_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            self.port = port
            try:
                wait_for(self._answers, f"redis-server {self.name} to answer")
                self.command("SET", "name", self.name)
                return self
            except EOFError:
                if fixed:
                    raise
                self.port = None  # somebody took the port between asking and using it
        raise AssertionError(f"redis-server {self.name} does not start")

    def _answers(self):
        if self.process.poll() is not None:
            raise EOFError((self.directory / "redis.log").read_text()[-500:])
        try:
            return self.command("PING") == "PONG"
        except OSError:
            return False

    def command(self, *words):
        """One command on a connection of its own; the reply in redis-cli's words."""
        with socket.create_connection((self.host, self.port), timeout=PATIENCE) as connection:
            return resp(connection, *words)

    def kill(self):
        """SIGKILL: the kernel resets its connections, and refuses new ones from then on."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


class FarNetwork:
    """A network namespace behind a veth pair, for servers that are not on this host. Needs root."""

    def __init__(self, directory):
        self.directory = directory
        self.name = f"rs{os.getpid()}"
        third = os.getpid() % 250 + 1
        self.near, self.far = f"10.213.{third}.1", f"10.213.{third}.2"
        self.servers = []
        try:
            self.ip("netns", "add", self.name)
            self.ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0",
                    "netns", self.name)
            self.ip("address", "add", f"{self.near}/30", "dev", self.name)
            self.ip("link", "set", self.name, "up")
            self.ip("-n", self.name, "address", "add", f"{self.far}/30", "dev", "eth0")
            self.ip("-n", self.name, "link", "set", "eth0", "up")
            self.ip("-n", self.name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError:
            self.close()
            raise

    @staticmethod
    def ip(*words):
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def start(self, name):
        server = Redis(name, self.directory, host=self.far, port=7000 + len(name))
        server.prefix = ["ip", "netns", "exec", self.name]
        self.servers.append(server)
        return server.start()

    def drop(self, dropping):
        """Whether what comes from there vanishes on the way: no refusal, no reset, nothing."""
        self.ip("-n", self.name, "route", "add" if dropping else "del", "blackhole",
                f"{self.near}/32")

    def close(self):
        for server in self.servers:
            server.stop()
        subprocess.run(["ip", "link", "del", self.name], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


def resp(connection, *words):
    """Sends one command and reads one reply."""
    parts = [str(word).encode() for word in words]
    connection.sendall(b"*%d\r\n" % len(parts)
                       + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    with connection.makefile("rb") as stream:
        return read_reply(stream)


def read_reply(stream):
    """A string or an integer as text; None; of an array the list."""
    line = stream.readline().rstrip(b"\r\n")
    if not line:
        raise ConnectionError("the server closed the connection")
    if line[:1] == b"$":
        length = int(line[1:])
        return stream.read(length + 2)[:-2].decode() if length >= 0 else None
    if line[:1] == b"*":
        return [read_reply(stream) for _ in range(int(line[1:]))]
    return line[1:].decode()


class Launcher:
    """Brings programs under redisteer, by LD_PRELOAD alone or by `redisteer run`."""

    def __init__(self, way, runtime_dir):
        self.way = way
        self.runtime_dir = Path(runtime_dir)

    def environment(self, config=None, log=None, **more):
        environment = plain_environment()
        environment["REDISTEER_RUNTIME_DIR"] = str(self.runtime_dir)
        if config is not None:
            environment["REDISTEER_CONFIG"] = str(config)
        if log is not None:
            environment["REDISTEER_LOG"] = f"debug:{log}"
        if self.way == "preload":
            environment["LD_PRELOAD"] = str(LIBRARY)
        environment.update(more)
        return environment

    def argv(self, program):
        program = [str(word) for word in program]
        return program if self.way == "preload" else [str(REDISTEER), "run", "--", *program]

    def run(self, program, config=None, log=None, env=None, timeout=60, **options):
        """Runs to the end; CompletedProcess with text output."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.argv(program), timeout=timeout, capture_output=True, text=True,
                              env=self.environment(config, log, **(env or {})), **options)


def status(redisteer, config, service=None):
    """`status --json`, or one service of it with its endpoints by name under "by_name"."""
    result = redisteer("status", "--json", config=config)
    assert result.returncode == 0, result.stderr
    whole = json.loads(result.stdout)
    if service is None:
        return whole
    one = next(entry for entry in whole["services"] if entry["name"] == service)
    one["by_name"] = {endpoint["name"]: endpoint for endpoint in one["endpoints"]}
    return one


def events(redisteer, config, kind=None):
    """`events --json`, oldest first: all, or those of one type."""
    result = redisteer("events", "--json", config=config)
    assert result.returncode == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines() if line.strip()]
    return [event for event in found if kind is None or event["type"] == kind]


def service(name, match, endpoints, options=""):
    """The text of a service. `endpoints`: name -> address, or (address, weight), best first."""
    lines = [f"service {name} {{", f"    match = {{ {', '.join(map(quoted, match))} }}", options]
    weight = 1.0
    for endpoint, at in endpoints.items():
        address, endpoint_weight = at if isinstance(at, tuple) else (at, weight)
        lines.append(f"    endpoint {endpoint} {{ address = {quoted(address)}"
                     f"  weight = {endpoint_weight:g} }}")
        weight /= 2
    return "\n".join(lines + ["}", ""])


def quoted(address):
    """Addresses with brackets or a star must be in quotes."""
    return f'"{address}"' if set("[*") & set(address) else address


# A breaker that opens for the shortest time, and no grace: endpoints come back at once.
QUICK = """
    breaker  { open = 100ms  open_backoff = 1.0 }
    failback { grace = 0s }
"""
# A breaker that stays open for the whole test.
SLOW = """
    breaker  { open = 10m  open_max = 10m }
    health   { enabled = false }
"""


def need(program):
    """Path of an optional program; skips the test where it is not installed."""
    import pytest
    path = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    if not path:
        pytest.skip(f"{program} is not installed")
    return path


def figure(text):
    """A measured figure: shown by pytest -rP and kept in the JUnit file's output."""
    print(re.sub(r"\s+", " ", f"figure: {text}"))
