"""
Random kills, stops, delays and changes of role under every strategy. No connection goes to an
endpoint that has been known down for longer than a check takes while another is eligible; clients
see few errors for a fault, and none without one.

CHAOS_SECONDS is how long each strategy is tried, CHAOS_SEED repeats what a run that failed did.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenario"))
import lab  # noqa: E402

from judge import UNSOUND, Connection, Fault, Judge, moment  # noqa: E402

RECORDER = lab.BUILD / "tests" / "chaos" / "recorder"
SECONDS = float(os.environ.get("CHAOS_SECONDS", "12"))
CALM = 1.5  # s without a fault, nor one to recover from, before and after

# What a strategy takes besides its name.
STRATEGIES = {
    "priority": "",
    "first": "",
    "round-robin": "",
    "random": "",
    "weighted": "",
    "latency": "",
    "least-connections": "",
    "command": 'selector = { "/usr/bin/shuf", "-e", east, west, south }',
}

# The same three servers as three services: whoever answers, the master, the replicas.
ROLES = {"any": "any", "writes": "master", "reads": "replica"}
ALIAS = "127.0.0.9"
FIRST_PORT = 6381
THREADS = 2  # of each service's client
INTERVAL, TIMEOUT = 0.1, 0.25
BOUND = INTERVAL + TIMEOUT
STALL = 0.15  # s without an answer that nobody ordered
SETTLE = 2.0  # s after a fault until replicas have their master, and checks have seen it
# A fault costs each thread the request that it waits for, and perhaps one more that it made before
# anybody knew of it.
MOST_ERRORS = 2 * THREADS * len(ROLES)

OPTIONS = """
    resolve  = virtual
    strategy = {strategy}
    {more}
    health   {{ interval = 100ms  fast_interval = 50ms  timeout = 250ms  role = {role} }}
    breaker  {{ open = 1500ms  open_max = 3s }}
    failback {{ grace = 300ms  check = 50ms }}
"""


class World:
    """Servers, clients and the records of what happened to them; all of it ends with the block."""

    def __init__(self, strategy, directory):
        self.strategy, self.directory = strategy, Path(directory)
        self.faults, self.stalls, self.samples = [], [], []
        self.over = threading.Event()

    def __enter__(self):
        self.stack = ExitStack()
        with self.stack:
            self._start()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.stack.close()

    def _start(self):
        runtime = tempfile.TemporaryDirectory(prefix="redisteer-chaos-", dir="/dev/shm")
        self.runtime = Path(self.stack.enter_context(runtime))
        self.launcher = lab.Launcher("preload", self.runtime)
        self.servers = []
        for name in ("east", "west", "south"):
            self.servers.append(lab.Redis(name, self.directory))
            self.stack.callback(self.servers[-1].stop)
            self.start_server(self.servers[-1])
        self.master = self.servers[0]
        for server in self.servers[1:]:
            server.command("REPLICAOF", "127.0.0.1", self.master.port)
        started = time.time()
        self.config = self.directory / "redisteer.conf"
        self.config.touch(mode=0o600)
        self.config.write_text("".join(
            lab.service(name, [f"{ALIAS}:{FIRST_PORT + i}"],
                        {server.name: server.address for server in self.servers},
                        OPTIONS.format(strategy=self.strategy, more=STRATEGIES[self.strategy],
                                       role=role))
            for i, (name, role) in enumerate(ROLES.items())))
        assert self.redisteer("reload").returncode == 0
        self.follower = self._program([lab.REDISTEER, "events", "--follow", "--json"], "events")
        self.clients = [self._program(
            self.launcher.argv([RECORDER, THREADS, 5000, ALIAS, FIRST_PORT + i]), service,
            preload=True) for i, service in enumerate(ROLES)]
        lab.wait_for(self._is_calm, "the checks to find out who is who")
        # Until then a connection may be made to a server of the wrong role, and cut.
        self.faults.append(Fault("start", {server.name for server in self.servers}, started,
                                 time.time()))

    def start_server(self, server):
        server.start()
        server.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")

    def _program(self, argv, output, preload=False):
        """One that ends when its input does or at SIGTERM, its output in a file."""
        environment = self.launcher.environment(self.config)
        if not preload:
            del environment["LD_PRELOAD"]
        with open(self.directory / output, "wb") as out, \
                open(self.directory / f"{output}.err", "wb") as err:
            program = subprocess.Popen([str(word) for word in argv], env=environment, stdout=out,
                                       stderr=err, stdin=subprocess.PIPE)
        self.stack.callback(self._end, program)
        return program

    @staticmethod
    def _end(program):
        if program.poll() is None:
            program.kill()
        program.wait()
        program.stdin.close()

    def redisteer(self, *words):
        environment = self.launcher.environment(self.config)
        del environment["LD_PRELOAD"]
        return subprocess.run([str(lab.REDISTEER), *words], env=environment, capture_output=True,
                              text=True, timeout=30, stdin=subprocess.DEVNULL)

    def status(self):
        """(service, endpoint) -> what `status --json` says of it."""
        result = self.redisteer("status", "--json")
        assert result.returncode == 0, result.stderr
        return {(service["name"], endpoint["name"]): endpoint
                for service in json.loads(result.stdout)["services"]
                for endpoint in service["endpoints"]}

    def _is_calm(self):
        """
        Every endpoint is what its role makes it, and no breaker is open. (It may be half-open:
        there are no trials of an endpoint that would not be used afterwards.)
        """
        fit = {"any": lambda server: True, "writes": lambda server: server is self.master,
               "reads": lambda server: server is not self.master}
        now = self.status()
        return all((now[service, server.name]["health"] == "healthy") == is_fit(server)
                   and (not is_fit(server) or now[service, server.name]["breaker"] != "open")
                   for service, is_fit in fit.items() for server in self.servers)

    def sample(self):
        """Reads the counters again and again: [(before, after, counts of attempts)]."""
        while not self.over.wait(0.2):
            before = time.time()
            counts = {key: sum(value for value in endpoint["connects"].values()
                               if isinstance(value, int))
                      for key, endpoint in self.status().items()}
            self.samples.append((before, time.time(), counts))

    def witness(self, server):
        """
        Asks a server directly, again and again: on a busy machine one may not get to answer though
        nobody has done anything to it. What was slow is in `stalls`.
        """
        while not self.over.wait(0.03):
            asked = time.time()
            with suppress(OSError), \
                    socket.create_connection((server.host, server.port), timeout=1) as connection:
                lab.resp(connection, "PING")
            if time.time() - asked > STALL:
                self.stalls.append(Fault("stall", {server.name}, asked, time.time()))

    def note_stalls(self):
        """Those that no fault explains are faults themselves."""
        made = list(self.faults)
        self.faults += [stall for stall in self.stalls if not any(
            fault.kind in UNSOUND and stall.endpoints == fault.endpoints
            and stall.begun <= fault.ended and fault.begun <= stall.ended for fault in made)]

    def finish(self):
        """Ends clients and the follower; what they have written."""
        self.over.set()
        for client in self.clients:
            client.stdin.close()
        for client in self.clients:
            assert client.wait(timeout=lab.PATIENCE) == 0
        newest = max((json.loads(line)["seq"] for line in
                      self.redisteer("events", "--json").stdout.splitlines()), default=0)
        lab.wait_for(lambda: self._events()[-1]["seq"] >= newest, "the follower to have all events")
        self.follower.terminate()
        assert self.follower.wait(timeout=lab.PATIENCE) == 0
        assert (self.directory / "events.err").read_text() == ""  # nothing lost
        connections = []
        for service in ROLES:
            assert (self.directory / f"{service}.err").read_text() == ""
            for line in (self.directory / service).read_text().splitlines():
                begun, connected, ended, port, outcome, said = line.split()
                connections.append(Connection(service, int(begun) / 1e6, int(connected) / 1e6,
                                              int(ended) / 1e6, int(port), outcome, int(said)))
        return self._events(), connections

    def _events(self):
        return [json.loads(line) for line in
                (self.directory / "events").read_text().splitlines(keepends=True)
                if line.endswith("\n")]

    def left_behind(self):
        """Command lines of processes that have our directory in them or in their environment."""
        found = []
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if not process.name.isdigit():
                    continue
                words = (process / "cmdline").read_bytes()
                if os.fsencode(self.runtime) in words + (process / "environ").read_bytes():
                    found.append(words)
        return found


class Chaos:
    """Makes faults, at most two servers at once, and takes each back when its time is up."""

    def __init__(self, world, rng):
        self.world, self.rng = world, rng
        self.due = []      # (time, what to do then)
        self.unsound = {}  # server -> (kind, since)
        self.master_lost = None

    def run(self, seconds):
        until = time.time() + seconds
        next_fault = 0
        while (now := time.time()) < until or self.due or self.unsound:
            for item in [item for item in self.due if item[0] <= now]:
                self.due.remove(item)
                item[1]()
            if self.world.master not in self.unsound:
                self.master_lost = None
            elif self.master_lost is None:
                self.master_lost = now + self.rng.uniform(0.1, 1)
            elif now >= self.master_lost:
                self.promote()
            if next_fault <= now < until:
                self.fault()
                next_fault = now + self.rng.uniform(0.2, 1.5)
            time.sleep(0.01)
        self.promote(self.world.master)  # whoever missed it follows now

    def fault(self):
        sound = [server for server in self.world.servers if server not in self.unsound]
        kind = self.rng.choice(["kill", "stop", "delay", "role"])
        if kind == "role":
            self.promote()
        elif len(sound) > 1:
            server = self.rng.choice(sound)
            self.unsound[server] = kind, time.time()
            # 50 ms to 3 s, as often short as long: some end before checks have seen them.
            getattr(self, kind)(server, 0.05 * 60 ** self.rng.random())

    def later(self, seconds, action, *arguments):
        self.due.append((time.time() + seconds, lambda: action(*arguments)))

    def kill(self, server, seconds):
        server.kill()
        self.later(seconds, self.mend, server, self.world.start_server)

    def stop(self, server, seconds):
        server.process.send_signal(signal.SIGSTOP)
        self.later(seconds, self.mend, server,
                   lambda server: server.process.send_signal(signal.SIGCONT))

    def delay(self, server, seconds):
        server.command("CLIENT", "PAUSE", int(seconds * 1000), "ALL")
        self.later(seconds, self.mend, server, lambda server: server.command("PING"))

    def mend(self, server, how):
        how(server)
        kind, since = self.unsound.pop(server)
        self.note(kind, [server], since)
        # Whoever supervises them sees a second master, or a follower of another one, a bit later.
        self.later(self.rng.uniform(0, 0.5), self.obey, server)

    def obey(self, server):
        """The server becomes what it should be."""
        since = time.time()
        if server in self.unsound:
            return
        if server is self.world.master:
            server.command("REPLICAOF", "NO", "ONE")
        else:
            server.command("REPLICAOF", "127.0.0.1", self.world.master.port)
        self.note("role", [server], since)

    def promote(self, server=None):
        sound = [each for each in self.world.servers if each not in self.unsound]
        others = [each for each in sound if each is not self.world.master]
        if not server and not others:
            return
        self.world.master = server or self.rng.choice(others)
        for each in [self.world.master, *(each for each in sound if each is not self.world.master)]:
            self.obey(each)

    def note(self, kind, servers, since):
        self.world.faults.append(
            Fault(kind, {server.name for server in servers}, since, time.time()))


@pytest.fixture(autouse=True)
def no_test_hangs():
    def late(*_):
        raise AssertionError("the test takes too long")

    previous = signal.signal(signal.SIGALRM, late)
    signal.alarm(int(SECONDS + lab.PATIENCE * 6))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def attempts_at_known_down(world, judge):
    """By the counters: attempts at an endpoint that was known down from one sample to the next."""
    found = []
    for (begun, _, before), (_, ended, after) in zip(world.samples, world.samples[1:]):
        for (service, name), count in after.items():
            if (count > before[service, name]
                    and judge.time_to_known_down(service, name, begun, ended) > BOUND):
                found.append((service, name, begun, ended, count - before[service, name]))
    return found


def steered_to_known_down(events, connections, judge):
    """[(how long it had been known down, what was steered there)], the longest first."""
    found = []
    for connection in connections:
        name = judge.name_of.get(connection.port)
        if name:
            took = judge.time_to_known_down(connection.service, name, connection.begun,
                                            connection.connected)
            if took:
                found.append((took, connection))
    for event in events:
        if event["type"] in ("failover", "failback") and event["to"] in judge.name_of.values():
            took = judge.time_to_known_down(event["service"], event["to"], moment(event["time"]))
            if took:
                found.append((took, event))
    return sorted(found, key=lambda each: -each[0])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_connection_is_steered_to_an_endpoint_known_down(strategy, tmp_path):
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 32))
    print(f"CHAOS_SEED={seed}")
    with World(strategy, tmp_path) as world:
        watchers = [threading.Thread(target=world.sample, daemon=True)]
        watchers += [threading.Thread(target=world.witness, args=[server], daemon=True)
                     for server in world.servers]
        for watcher in watchers:
            watcher.start()
        time.sleep(SETTLE + CALM)  # whoever connects at the end of it sees no error
        begun = time.time()
        Chaos(world, random.Random(seed)).run(SECONDS)
        ended = time.time()
        lab.wait_for(world._is_calm, "everything to be well again")
        time.sleep(SETTLE + CALM)
        events, connections = world.finish()
        for watcher in watchers:
            watcher.join()
        world.note_stalls()
        over = time.time()
        lab.wait_for(lambda: not world.left_behind(), "every process to be gone")

    (tmp_path / "faults").write_text("\n".join(map(str, world.faults)))
    judge = Judge(events, world.faults, {server.name: server.port for server in world.servers},
                  ROLES, BOUND, over)
    steered = steered_to_known_down(events, connections, judge)
    errors = [connection for connection in connections if connection.outcome != "answered"]
    per_fault = Counter(id(judge.cause(error)) for error in errors)
    kinds = Counter(fault.kind for fault in world.faults)
    latest = max((took for took, _ in steered), default=0)
    down = sum(spans.total() for several in judge.down_beside_another.values() for spans in several)
    lab.figure(f"{strategy}, seed {seed}, {ended - begun:.0f} s: {len(connections)} connections, "
               f"faults {dict(kinds)}, {len(events)} events, endpoints known down beside another "
               f"for {down:.0f} s")
    lab.figure(f"{strategy}: errors {dict(Counter(error.outcome for error in errors))} of services "
               f"{dict(Counter(error.service for error in errors))}, at most "
               f"{max(per_fault.values(), default=0)} for a fault (limit {MOST_ERRORS})")
    lab.figure(f"{strategy}: {len(steered)} steered to an endpoint known down, the latest "
               f"{latest * 1000:.0f} ms after that was known (limit {BOUND * 1000:.0f})")

    assert [each for each in steered if each[0] > BOUND] == []
    assert attempts_at_known_down(world, judge) == []
    assert judge.closed_early() == []
    assert [connection for connection in connections
            if connection.outcome == "answered" and connection.said != connection.port] == []
    assert [error for error in errors if error.outcome in ("late", "odd")] == []
    assert [error for error in errors if not judge.is_explained(error, SETTLE)] == []
    assert max(per_fault.values(), default=0) <= MOST_ERRORS
    # There was something to judge.
    assert len(connections) > 100 * SECONDS and len(world.samples) > SECONDS
    assert len(world.faults) > SECONDS / 2 and down > SECONDS
