"""
What redisteer costs, measured against its budgets (scripts/bench). Every comparison is made within one
run and takes turns (A B A B), so that a machine that changes its speed changes both; a difference is
the median of the differences of the pairs. Ranges are shown: a figure without its noise says little.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenario"))
import lab  # noqa: E402
import sentinels  # noqa: E402

TOOLS = lab.BUILD / "tests" / "bench"
NAME = "redis.bench"
ALIAS = "127.0.0.9"      # an address that the configuration matches
ELSEWHERE = "127.0.0.8"  # one that it does not
MEASURES = []            # in the order of the table


def measure(*words):
    """Registers a function that returns rows; `words` select it on the command line."""
    def register(function):
        MEASURES.append((words, function))
        return function
    return register


class Row:
    def __init__(self, what, unit, values, budget=None, worst=None, figure=None, note=""):
        self.what, self.unit, self.budget, self.worst, self.note = what, unit, budget, worst, note
        self.values = sorted(values)
        self.figure = statistics.median(self.values) if figure is None else figure

    @property
    def missed(self):
        return ((self.budget is not None and self.figure > self.budget)
                or (self.worst is not None and self.values[-1] > self.worst))

    def __str__(self):
        budget = "" if self.budget is None else f"<= {self.budget:g}"
        if self.worst is not None:
            budget += f", worst {self.worst:g}"
        verdict = "" if not budget else "MISSED" if self.missed else "ok"
        spread = f"{number(self.values[0])}..{number(self.values[-1])}"
        return (f"{self.what:50} {number(self.figure):>9} {self.unit:5} {spread:>19}  "
                f"{budget:18} {verdict:7}{self.note}")


def number(value):
    return f"{value:.3f}" if abs(value) < 10 and value != int(value) else f"{value:,.0f}"


class Bench:
    """Two Redis servers, a configuration in force, and programs run with and without the library."""

    def __init__(self, quick):
        self.quick = quick
        self.directory = Path(tempfile.mkdtemp(prefix="redisteer-bench-", dir="/dev/shm"))
        self.launcher = lab.Launcher("preload", self.directory)
        self.east = lab.Redis("east", self.directory).start()
        self.west = lab.Redis("west", self.directory).start()
        self.listener_port = lab.free_port()
        self.config = self.write("redisteer.conf", lab.service(
            "cache", [NAME, f"{ALIAS}:{self.east.port}"],
            {"east": self.east.address, "west": self.west.address}) + lab.service(
            "calls", [f"{ALIAS}:7"], {"here": f"127.0.0.1:{self.listener_port}",
                                      "there": f"127.0.0.1:{lab.free_port()}"},
            # Well, and left alone: the listener does nothing but accept.
            "health { probe = tcp  interval = 10m }"))
        # Published beforehand: the first connection of a host is not what is measured.
        try:
            subprocess.run([lab.REDISTEER, "run", "--", "/bin/true"], check=True,
                           env=self.launcher.environment(self.config, LD_PRELOAD=""))
        except subprocess.CalledProcessError:
            self.close()
            raise

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def close(self):
        self.east.stop()
        self.west.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def status(self, config):
        """`status --json` of the service `cache`, its endpoints by name; None: not published yet."""
        environment = {**lab.plain_environment(), "REDISTEER_RUNTIME_DIR": str(self.directory),
                       "REDISTEER_CONFIG": str(config)}
        result = subprocess.run([lab.REDISTEER, "status", "--json"], env=environment,
                                capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            return None
        whole = json.loads(result.stdout)
        return {"leader": whole["leader"],
                **{entry["name"]: entry for entry in whole["services"][0]["endpoints"]}}

    def wait_healthy(self, config, *names):
        lab.wait_for(lambda: (found := self.status(config))
                     and all(found[name]["health"] == "healthy" for name in names),
                     f"{names} to be healthy")

    def environment(self, preloaded):
        environment = (self.launcher.environment(self.config) if preloaded
                       else lab.plain_environment())
        environment["LISTEN"] = str(self.listener_port)
        return environment

    def run(self, argv, preloaded):
        result = subprocess.run([str(word) for word in argv], env=self.environment(preloaded),
                                capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            raise RuntimeError(f"{argv}: {result.returncode} {result.stderr.strip()[-300:]}")
        return result

    def calls(self, *arguments, preloaded):
        """On one CPU: what moving to another costs comes and goes, and is a multiple of what we measure."""
        one = str(max(os.sched_getaffinity(0)))
        return float(self.run(["taskset", "-c", one, TOOLS / "calls", *arguments], preloaded).stdout)

    def pairs(self, count, plain, under):
        """(plain, under) measured in turns, the first of a pair changing."""
        found = []
        for turn in range(max(3, count // 4) if self.quick else count):
            if turn % 2:
                second = under()
                found.append((plain(), second))
            else:
                found.append((plain(), under()))
        return found

    def instructions(self, mode, arguments, count, preloaded):
        """Instructions per call, by callgrind: the difference between COUNT and 2 x COUNT calls."""
        def total(calls):
            out = self.directory / "callgrind.out"
            result = self.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                               TOOLS / "calls", mode, *arguments, calls], preloaded)
            return int(re.search(r"Collected : (\d+)", result.stderr).group(1))
        return (total(2 * count) - total(count)) / count

    def system_calls(self, argv, preloaded):
        """Lines of strace for a program; raw numbers for socket options."""
        out = self.directory / "strace.out"
        environment = ["-E", f"LD_PRELOAD={lab.LIBRARY}"] if preloaded else []
        subprocess.run(["strace", "-o", out, "-e", "raw=getsockopt,setsockopt", *environment,
                        *map(str, argv)], check=True, stdout=subprocess.DEVNULL,
                       env={**self.environment(preloaded), "LD_PRELOAD": ""})
        return out.read_text().splitlines()


@measure("unmatched", "connect")
def unmatched(bench):
    count = 50_000 if bench.quick else 300_000
    arguments = ("bare", ELSEWHERE, "9", count)
    pairs = bench.pairs(40, lambda: bench.calls(*arguments, preloaded=False),
                        lambda: bench.calls(*arguments, preloaded=True))
    added = [under - plain for plain, under in pairs]
    instructions = (bench.instructions("bare", (ELSEWHERE, "9"), 10_000, True)
                    - bench.instructions("bare", (ELSEWHERE, "9"), 10_000, False))
    return [Row("connect(), unmatched: added", "ns", added, budget=15),
            Row("connect(), unmatched: added", "instr", [instructions], budget=120)]


@measure("steered", "connect")
def steered(bench):
    """Steered and straight connections take turns within one process: both pay for its threads."""
    count = 2_000 if bench.quick else 4_000
    through = ("pair", ALIAS, "7", count)

    def added(*options):
        return [bench.calls(*through, *options, preloaded=True)
                for _ in range(5 if bench.quick else 41)]  # where it is loaded changes what it costs

    # The library's system calls by themselves, made by the program: what is left is user space.
    extra, options = steps_of_a_steered_connect(bench)
    rows = [Row("connect(), steered: added in all", "ns", added(), budget=2000),
            Row("connect(), steered: added in user space", "ns", added(*options), budget=300)]
    instructions = (bench.instructions("tcp", (ALIAS, "7"), 1_000, True)
                    - bench.instructions("tcp", ("127.0.0.1", bench.listener_port), 1_000, False))
    rows.append(Row("connect(), steered: added", "instr", [instructions]))
    rows.append(Row("connect(), steered: added system calls", "", [extra], budget=10))
    rows.append(Row("  one getsockopt() of this kernel", "ns", [
        bench.calls("option", 100_000, preloaded=False) for _ in range(9)]))
    return rows


def steps_of_a_steered_connect(bench):
    """How many system calls are added, and the socket options among them as `calls tcp` takes them."""
    plain = ["tcp", "127.0.0.1", bench.listener_port]
    through = ["tcp", ALIAS, "7"]

    def total(arguments, count, preloaded):
        return len(bench.system_calls([TOOLS / "calls", *arguments, count], preloaded))

    extra = ((total(through, 200, True) - total(through, 100, True))
             - (total(plain, 200, False) - total(plain, 100, False))) / 100
    lines = bench.system_calls([TOOLS / "calls", *through, 200], True)
    last = max(i for i, line in enumerate(lines) if line.startswith("accept("))
    first = max(i for i in range(last) if lines[i].startswith("socket("))
    options = []
    for line in lines[first + 1:last]:
        found = re.match(r"([gs])etsockopt\(0x\w+, (0x\w+), (0x\w+)", line)
        if line.startswith("connect("):
            options.append("then")
        elif line.startswith("getpid("):
            options += ["p", "0", "0"]
        elif found:
            options += [found[1], str(int(found[2], 0)), str(int(found[3], 0))]
    return extra, options


@measure("lookup", "getaddrinfo")
def lookup(bench):
    count = 20_000 if bench.quick else 50_000
    pairs = bench.pairs(24,
                        lambda: bench.calls("lookup", "127.0.0.1", "6379", count, preloaded=False),
                        lambda: bench.calls("lookup", NAME, "6379", count, preloaded=True))
    return [Row("getaddrinfo() of a steered name: in all", "ns", [b for _, b in pairs], budget=1000),
            Row("  of a number, without the library", "ns", [a for a, _ in pairs])]


@measure("start", "spawn")
def start(bench):
    times = []
    for _ in range(3 if bench.quick else 9):
        plain, under = map(float, bench.run([TOOLS / "spawn", "300", lab.LIBRARY, "/bin/true"],
                                            False).stdout.split())
        times.append((under - plain) / 1000)
    return [Row("start of a program that opens no connection: added", "ms", times, budget=0.15)]


@measure("memory", "footprint")
def footprint(bench):
    def command(address, seconds):
        return [TOOLS / "footprint", address, str(bench.east.port), str(seconds)]

    def one(preloaded):
        return [int(word) for word in
                bench.run(command(ALIAS if preloaded else "127.0.0.1", 1), preloaded).stdout.split()]

    def added(count):
        return [[b - a for a, b in zip(*pair)]
                for pair in bench.pairs(count, lambda: one(False), lambda: one(True))]

    # The first process that steers checks for the whole host, the second stands by; the others…
    leader = added(4)
    two = [subprocess.Popen(command(ALIAS, 60), env=bench.environment(True), stdout=subprocess.DEVNULL)
           for _ in range(2)]
    try:
        time.sleep(1)
        others = added(8)
    finally:
        for process in two:
            process.kill()
            process.wait()
    return [Row(what, unit, [found[i] for found in values], budget=budget)
            for what, unit, values, i, budget in [
                ("private memory of a process that steers: added", "KiB", others, 0, 128),
                ("its address space: added", "KiB", others, 1, 2048),
                ("its threads: added", "", others, 2, None),
                ("private memory of the one that also checks: added", "KiB", leader, 0, None),
                ("its address space: added", "KiB", leader, 1, 2048)]]


@measure("data", "throughput")
def data_path(bench):
    # Short and many: a host that slows down for seconds is to meet both of a pair.
    requests = "50000"

    def benchmark(host, preloaded):
        argv = ["redis-benchmark", "-h", host, "-p", str(bench.east.port), "-n", requests, "-c", "20",
                "-t", "set,get", "--csv"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        output = bench.run(argv, preloaded).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
        speeds = [float(line.split(",")[1].strip('"')) for line in output.splitlines()[1:]]
        return cpu, sum(speeds)

    def plain():
        return benchmark("127.0.0.1", False)

    pairs = bench.pairs(80, plain, lambda: benchmark(ALIAS, True))
    noise = bench.pairs(40, plain, plain)
    return [Row("data path: CPU time per request, ratio", "", [b[0] / a[0] for a, b in pairs],
                budget=1.02),
            Row("  the same, direct against direct (noise)", "", [b[0] / a[0] for a, b in noise]),
            Row("data path: throughput, ratio", "", [b[1] / a[1] for a, b in pairs]),
            Row("  the same, direct against direct (noise)", "", [b[1] / a[1] for a, b in noise])]


@measure("kill", "gap")
def kill_gap(bench):
    """redis-py writes without pause; its endpoint is killed; how long between two successes."""
    gaps, errors = [], []
    config = bench.write("gap.conf", lab.service("cache", [NAME], {
        "east": bench.east.address, "west": bench.west.address}, lab.SLOW))
    for turn in range(3 if bench.quick else 10):
        instance = f"gap{turn}"  # each time with closed breakers
        program = subprocess.Popen(
            [lab.PYTHON, lab.CLIENTS / "redis_py_writer.py", NAME, "6379"], text=True,
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env=bench.launcher.environment(config, REDISTEER_INSTANCE=instance))
        try:
            while program.stdout.readline() != "server east\n":
                assert program.poll() is None, "the writer ended"
            settle = time.monotonic() + 1  # so that its start is not the longest gap
            while time.monotonic() < settle:
                bench.west.command("PING")
            bench.east.kill()
            while "server west" not in program.stdout.readline():
                assert program.poll() is None, "the writer ended"
            bench.west.command("SET", "name", "stop")
            summary = dict(line.split() for line in program.communicate(timeout=30)[0].splitlines()
                           if line.split()[0] in ("errors", "gap_us"))
        finally:
            program.kill()
            program.wait()
        gaps.append(int(summary["gap_us"]) / 1000)
        errors.append(int(summary["errors"]))
        bench.west.command("SET", "name", "west")
        bench.east.start()
    return [Row("kill -9 under redis-py: longest gap", "ms", gaps, budget=5, worst=10),
            Row("kill -9 under redis-py: errors", "", errors, budget=1)]


HOME_AT_ONCE = """
    failback { grace = 0s  check = 100ms  existing = close }
    breaker  { open = 100ms  open_backoff = 1.0 }
"""
PACES = {
    "defaults": ("", 1.2, 1.7),
    "100ms": ("    health { interval = 100ms  fast_interval = 100ms  timeout = 100ms }", 0.25, 0.35),
}
BLOCKED_CLIENTS = {
    "redis-py": [lab.PYTHON, lab.CLIENTS / "redis_py_writer.py"],
    "hiredis": [lab.BUILT_CLIENTS / "hiredis_writer"],
    "redis-cli": ["/bin/bash", lab.CLIENTS / "redis_cli_pipe.sh"],
    "node": ["node", lab.CLIENTS / "node_writer.js"],
}


@measure("frozen", "gap")
def frozen_gap(bench):
    """A client without any timeout writes without pause; its endpoint falls silent."""
    def stop(silent):
        bench.east.process.send_signal(signal.SIGSTOP if silent else signal.SIGCONT)

    rows = silent_gaps(bench, "SIGSTOP", bench.east, stop)
    if os.geteuid() != 0 or not shutil.which("ip"):
        print("packets dropped: not measured, needs root and ip(8)")
        return rows
    network = lab.FarNetwork(bench.directory)
    try:
        return rows + silent_gaps(bench, "packets dropped", network.start("east"), network.drop)
    finally:
        network.close()


def silent_gaps(bench, what, east, silence):
    rows = []
    for pace, (options, budget, worst) in PACES.items():
        for client, argv in BLOCKED_CLIENTS.items():
            if not shutil.which(argv[0]):
                print(f"{what}, {pace}, {client}: not installed")
                continue
            name = f"{what}-{pace}-{client}".replace(" ", "-")
            config = bench.write(f"{name}.conf", lab.service("cache", [NAME], {
                "east": east.address, "west": bench.west.address}, options + HOME_AT_ONCE))
            gaps = gaps_of(bench, config, argv, silence, 3 if bench.quick else 10)
            rows.append(Row(f"{what}, {pace}, {client}: gap", "s", gaps, budget, worst))
    return rows


def gaps_of(bench, config, argv, silence, count):
    """Seconds from each silence to the first answer of the other endpoint."""
    gaps = []
    # A session of its own, with which those end that it starts itself.
    program = subprocess.Popen([*argv, NAME, "6379"], text=True, stdout=subprocess.PIPE,
                               stdin=subprocess.DEVNULL, start_new_session=True,
                               env=bench.launcher.environment(config))

    def until(server):
        while (line := program.stdout.readline()) != f"server {server}\n":
            assert line, "the writer ended"

    try:
        until("east")
        for _ in range(count):
            bench.wait_healthy(config, "east", "west")
            # At any moment between two checks.
            settled = time.monotonic() + 1 + random.random()
            lab.wait_for(lambda settled=settled: time.monotonic() > settled, "the moment")
            begun = time.monotonic()
            silence(True)
            try:
                until("west")
                gaps.append(time.monotonic() - begun)
            finally:
                silence(False)
            until("east")
    finally:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
    return gaps


QUICK_CHECKS = """
    health   { interval = 100ms  fast_interval = 50ms  timeout = 100ms }
"""


class Host:
    """The programs of one configuration, all ended at the end; each configuration is an instance."""

    def __init__(self, bench, name, options=QUICK_CHECKS, front=""):
        self.bench = bench
        self.config = bench.write(f"{name}.conf", front + lab.service("cache", [NAME], {
            "east": bench.east.address, "west": bench.west.address}, options))
        self.programs = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.programs:
            program.kill()
        for program in self.programs:
            program.wait()
        self.bench.east.process.send_signal(signal.SIGCONT)
        # The next one's first check would otherwise find it busy with the end of thousands.
        lab.wait_for(lambda: self.connections() == 1, "east to be rid of its clients")

    def start(self, *argv, preloaded=True, **options):
        environment = self.bench.launcher.environment(self.config)
        if not preloaded:
            del environment["LD_PRELOAD"]
        program = subprocess.Popen([str(word) for word in argv], text=True, env=environment,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        self.programs.append(program)
        return program

    def hold(self, count):
        """Programs that are blocked in a read, each with one connection to east."""
        holders = [self.start(lab.BUILT_CLIENTS / "holder", NAME, "6379") for _ in range(count)]
        for holder in holders:
            line = holder.stdout.readline()
            assert line == "server east\n", line
        self.bench.wait_healthy(self.config, "east", "west")
        return holders

    def connections(self):
        return len(self.bench.east.command("CLIENT", "LIST").splitlines())

    def leader(self):
        return (self.bench.status(self.config) or {"leader": None})["leader"]

    def last_event(self, pause=0.005, **wanted):
        """When that happened last, in seconds of the wall clock."""
        def found():
            output = subprocess.run([lab.REDISTEER, "events", "--json"], text=True,
                                    capture_output=True, stdin=subprocess.DEVNULL,
                                    env=self.bench.launcher.environment(self.config, LD_PRELOAD="")
                                    ).stdout
            return [event for event in map(json.loads, output.splitlines())
                    if all(event[key] == value for key, value in wanted.items())]

        text = lab.wait_for(found, str(wanted), pause=pause)[-1]["time"]
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

    def verdict(self):
        # Seldom: asking must not compete with what follows from it.
        return self.last_event(type="health", endpoint="east", to="unhealthy", pause=0.5)

    def led_since(self):
        return self.last_event(type="leader")


def wait_seconds(seconds):
    until = time.monotonic() + seconds
    lab.wait_for(lambda: time.monotonic() > until, "the time")


@measure("shut", "verdict")
def shut_processes(bench):
    """A verdict reaches 200 processes; their times are the clients' own, the verdict's in whole ms."""
    crowds, holders = [], []
    for turn in range(2 if bench.quick else 7):
        with Host(bench, f"shut{turn}") as host:
            programs = [host.start(TOOLS / "crowd", NAME, "6379", 1) for _ in range(200)]
            assert {program.stdout.readline() for program in programs} == {"ready\n"}
            crowds.append(last_shut(bench, host, programs))
        with Host(bench, f"shut-anew{turn}") as host:
            holders.append(last_shut(bench, host, host.hold(200)))
    return [Row("a verdict: the last of 200 processes is shut", "ms", crowds, budget=10),
            Row("  while those before it connect anew and ask", "ms", holders)]


def last_shut(bench, host, programs):
    bench.wait_healthy(host.config, "east", "west")
    wait_seconds(3)  # the guards go to sleep
    bench.east.process.send_signal(signal.SIGSTOP)
    verdict = host.verdict()
    wait_seconds(0.5)  # reading what they say must not compete with them
    times = [int(program.stdout.readline().split()[1]) / 1000 for program in programs]
    return max(times) - verdict * 1000


def run_ns(pid, task):
    return int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])


def guard_share(pid):
    """Percent of a core that the threads besides the program's own take."""
    def total():
        return sum(run_ns(pid, task) for task in os.listdir(f"/proc/{pid}/task")
                   if task != str(pid))

    before, begun = total(), time.monotonic()
    wait_seconds(5)
    return 100 * (total() - before) / 1e9 / (time.monotonic() - begun)


@measure("crowd", "sockets")
def crowd(bench):
    """One process with as many sockets as one Redis takes; another process checks."""
    count = 9_000
    idle, busy, shut, span = [], [], [], []
    for turn in range(1 if bench.quick else 3):
        with Host(bench, f"crowd{turn}", front="monitor = external\n") as host:
            host.start(lab.REDISTEER, "monitor", preloaded=False, stderr=subprocess.DEVNULL)
            bench.wait_healthy(host.config, "east", "west")
            program = host.start(TOOLS / "crowd", NAME, "6379", count)
            assert program.stdout.readline() == "ready\n"
            assert host.connections() > count
            wait_seconds(4)  # the guard goes to sleep
            idle.append(guard_share(program.pid))
            program.stdin.write("b")
            program.stdin.flush()
            busy.append(guard_share(program.pid))
            bench.east.process.send_signal(signal.SIGSTOP)
            first, last = map(int, program.stdout.readline().split()[1:])
            shut.append(last / 1000 - host.verdict() * 1000)
            span.append((last - first) / 1000)
    return [Row(f"guard of {count:,} idle sockets: of a core", "%", idle, budget=2),
            Row(f"  one of the {count:,} busy", "%", busy, budget=2),
            Row(f"a verdict: the last of {count:,} sockets is shut", "ms", shut),
            Row("  from the first of them to the last", "ms", span)]


@measure("sentinel", "promotion")
def sentinel(bench):
    """redis-py knows the service's name alone; its master is killed, and Sentinels choose another."""
    if not shutil.which("redis-sentinel"):
        print("a master is killed: not measured, needs redis-sentinel")
        return []

    def start_redis(name):
        servers.append(lab.Redis(f"sentinel-{name}", bench.directory).start())
        return servers[-1]

    def start_program(argv, **options):
        programs.append(subprocess.Popen([str(word) for word in argv], text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options))
        return programs[-1]

    servers, programs, group = [], [], None
    try:
        group = sentinels.Group(start_redis, bench.directory)
        config = bench.write("sentinel.conf", sentinels.service(group.sentinels))
        writer = sentinels.Writer(start_program, bench.launcher, config)
        return promotions(group, writer, 3 if bench.quick else 5)
    finally:
        for program in programs:
            program.kill()
            program.wait()
        if group:
            group.stop()
        for server in servers:
            server.stop()


def promotions(group, writer, count):
    took, lost = [], []
    for _ in range(count):
        sentinels.settle(group)
        wait_seconds(1 + random.random())
        old = group.master
        old.kill()
        group.master, promoted = sentinels.await_promotion(group.replicas())
        took.append((writer.gap_over(promoted)[1] - promoted) * 1000)
        sentinels.start_quietly(old)
        lost.append(sentinels.writes_until_demotion(old))
    return [Row("Sentinel, kill -9: writable again after promotion", "ms", took,
                budget=300, worst=300),
            Row("  writes to the old master once it is back", "", lost, budget=0, worst=0)]


@measure("lease", "leader")
def takeover(bench):
    """The process that checks for all is killed, or stopped; how long until another does."""
    rows = []
    for end, budget in ((signal.SIGKILL, 50), (signal.SIGSTOP, 1050)):
        took = []
        with Host(bench, f"lease-{end.name}") as host:
            holders = {holder.pid: holder for holder in host.hold(20)}
            for _ in range(3 if bench.quick else 8):
                pid = lab.wait_for(host.leader, "a leader")["pid"]
                wait_seconds(0.5 + random.random())
                ended = time.time()
                holders[pid].send_signal(end)
                lab.wait_for(lambda pid=pid: (host.leader() or {"pid": pid})["pid"] != pid,
                             "another leader")
                took.append((host.led_since() - ended) * 1000)
        rows.append(Row(f"{end.name} of the leading process: another leads", "ms", took,
                        budget=budget))
    return rows


@measure("probes", "stream")
def probe_streams(bench):
    """Connections and PINGs that the checks cost an endpoint, with one process and with many."""
    found = {}
    for count in (1, 200):
        with Host(bench, f"probes{count}") as host:
            host.hold(count)
            before = len(bench.east.command("CLIENT", "LIST").splitlines())
            pings, begun = pings_of(bench.east), time.monotonic()
            wait_seconds(3 if bench.quick else 10)
            found[count] = (before - count - 1,
                            (pings_of(bench.east) - pings) / (time.monotonic() - begun))
    return [Row(f"{what}: 200 processes / 1", "", [found[200][i] / found[1][i]], budget=budget,
                note=f" ({number(found[200][i])} / {number(found[1][i])})")
            for i, (what, budget) in enumerate([("probe connections to an endpoint", 1),
                                                ("checks per second of an endpoint", 1.05)])]


def pings_of(server):
    found = re.search(r"cmdstat_ping:calls=(\d+)", server.command("INFO", "commandstats"))
    return int(found[1]) if found else 0


@measure("idle", "wakeups")
def idle_wakeups(bench):
    """How often the threads of processes with one connection run while nothing happens."""
    # An hour, for which nobody has to wake up meanwhile.
    with Host(bench, "idle", options="connect { max_age = 1h }") as host:
        holders = host.hold(6)
        wait_seconds(5)  # the guards go to sleep
        before, begun = {holder.pid: wakeups(holder.pid) for holder in holders}, time.monotonic()
        wait_seconds(5 if bench.quick else 20)
        took, leader = time.monotonic() - begun, host.leader()["pid"]
        rates = {pid: (wakeups(pid) - count) / took for pid, count in before.items()}
    checking = rates.pop(leader)
    followers = sorted(rates.values())
    return [Row("wake-ups per second of an idle process", "", followers[:-1], worst=0, budget=0),
            Row("  of the deputy", "", followers[-1:], budget=1),
            Row("  of the one that checks two endpoints", "", [checking])]


def wakeups(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        text = Path(f"/proc/{pid}/task/{task}/status").read_text()
        total += sum(map(int, re.findall(r"voluntary_ctxt_switches:\s*(\d+)", text)))
    return total


@measure("exit")
def exits(bench):
    """A program in C ends while it checks a server that does not answer."""
    took = []
    with Host(bench, "exit", options="health { interval = 100ms  timeout = 5s }") as host:
        for _ in range(5 if bench.quick else 15):
            program = host.start(lab.BUILT_CLIENTS / "on_command", NAME, "6379")
            program.stdin.write("x")
            program.stdin.flush()
            assert program.stdout.readline() == "ok\n"
            lab.wait_for(lambda program=program: (host.leader() or {}).get("pid") == program.pid,
                         "it to lead")
            bench.east.process.send_signal(signal.SIGSTOP)
            wait_seconds(0.3)
            begun = time.monotonic()
            program.stdin.close()
            program.wait()
            took.append((time.monotonic() - begun) * 1000)
            bench.east.process.send_signal(signal.SIGCONT)
    return [Row("exit of a program while its check is under way", "ms", took, budget=50, worst=50)]


@measure("longest", "blocked")
def longest_connect(bench):
    """Three endpoints that swallow SYNs: a connect() takes attempts x connect.timeout at most."""
    full, fillers = [], []
    try:
        for _ in range(3):  # a listener with a full queue drops what comes
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            full.append(listener)
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
        config = bench.write("full.conf", lab.service("cache", [NAME], {
            f"e{i}": f"127.0.0.1:{listener.getsockname()[1]}" for i, listener in enumerate(full)},
            "retry { attempts = 3 }\n connect { timeout = 1s }"))
        program = ("import socket, time\nstart = time.monotonic()\n"
                   f"try: socket.create_connection(('{NAME}', 6379))\n"
                   "except OSError: pass\nprint(time.monotonic() - start)")
        took = [float(subprocess.run([lab.PYTHON, "-c", program], text=True, capture_output=True,
                                     env=bench.launcher.environment(config)).stdout)
                for _ in range(1 if bench.quick else 2)]
    finally:
        for each in full + fillers:
            each.close()
    return [Row("connect(), 3 endpoints silent, timeout 1 s", "s", took, budget=3.3)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: more noise")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a budget is missed")
    parser.add_argument("figures", nargs="*", help="words that select rows: unmatched steered lookup …")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    known = {word for words, _ in MEASURES for word in words}
    if set(options.figures) - known:
        parser.error("figures: " + " ".join(sorted(known)))

    bench = Bench(options.quick)
    missed = 0
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs, load {load:.1f}, {os.uname().release}")
    print(f"{'':50} {'figure':>9} {'':5} {'min..max':>19}  {'budget':18} verdict")
    try:
        for words, function in MEASURES:
            if options.figures and not set(words) & set(options.figures):
                continue
            for row in function(bench):
                print(row, flush=True)
                missed += row.missed
    finally:
        bench.close()
    print(f"{missed} budget(s) missed" if missed else "all budgets kept")
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
