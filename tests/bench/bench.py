"""
What redisteer costs, measured against its budgets (scripts/bench). Every comparison is made within one
run and takes turns (A B A B), so that a machine that changes its speed changes both; a difference is
the median of the differences of the pairs. Ranges are shown: a figure without its noise says little.
"""

import argparse
import os
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenario"))
import lab  # noqa: E402

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
        subprocess.run([lab.REDISTEER, "run", "--", "/bin/true"], check=True,
                       env=self.launcher.environment(self.config, LD_PRELOAD=""))

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def close(self):
        self.east.stop()
        self.west.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

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
        return float(self.run([TOOLS / "calls", *arguments], preloaded).stdout)

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
    count = 2_000 if bench.quick else 10_000
    through = ("pair", ALIAS, "7", count)

    def added(*options):
        return [bench.calls(*through, *options, preloaded=True)
                for _ in range(5 if bench.quick else 15)]

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
    def one(preloaded):
        where = (ALIAS, bench.east.port) if preloaded else ("127.0.0.1", bench.east.port)
        return [int(word) for word in
                bench.run([TOOLS / "footprint", *where], preloaded).stdout.split()]
    pairs = bench.pairs(8, lambda: one(False), lambda: one(True))
    return [Row(what, unit, [b[i] - a[i] for a, b in pairs], budget=budget)
            for i, (what, unit, budget) in enumerate([
                ("private memory of a process that steers: added", "KiB", 128),
                ("its address space: added", "KiB", 2048),
                ("its threads: added", "", 0)])]


@measure("data", "throughput")
def data_path(bench):
    requests = "100000" if bench.quick else "200000"

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

    pairs = bench.pairs(20, plain, lambda: benchmark(ALIAS, True))
    noise = bench.pairs(8, plain, plain)
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
