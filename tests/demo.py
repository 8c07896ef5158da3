"""
The demonstration behind scripts/demo: two Redis servers, one program that writes without pause and has
no timeout; the active server is frozen and thawed, then killed and brought back. Prints one line per
second and a summary; exit status 0 when both failovers and both ways home were seen.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "scenario"))
import lab  # noqa: E402

CONFIG = """service cache {{
    match = {{ redis.demo }}                 # the name that the program uses; no DNS knows it
    endpoint east {{ address = {east}  weight = 1.0 }}
    endpoint west {{ address = {west}  weight = 0.5 }}
    breaker  {{ open = 2s  open_backoff = 1.0 }}
    failback {{ grace = 3s  spread = 0s }}   # short, so that you need not wait a minute
}}
"""

# The program: nothing in it knows of redisteer. It opens a connection without any timeout, writes for
# a fifth of a second, opens the next one, as many a web request does; and it goes on after an error.
PROGRAM = r"""
import sys, time
import redis

writes = errors = 0
last = 0.0
gap = 0.0
server = ""
while True:
    client = redis.Redis("redis.demo", 6379, decode_responses=True)
    until = time.monotonic() + 0.2
    try:
        while time.monotonic() < until:
            client.set("counter", writes)
            name = client.get("name")
            now = time.monotonic()
            pause = now - last if last else 0.0
            gap = max(gap, pause)
            last = now
            writes += 1
            if name != server:
                server = name
                print("moved", name, writes, errors, "%.1f" % (pause * 1000), flush=True)
    except redis.RedisError as error:
        errors += 1
        print("error", str(error).replace("\n", " "), flush=True)
    print("now", server, writes, errors, "%.1f" % (gap * 1000), flush=True)
    gap = 0.0
"""


class Demo:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.launcher = lab.Launcher("preload", self.directory)
        self.east = lab.Redis("east", directory)
        self.west = lab.Redis("west", directory)
        self.config = self.directory / "redisteer.conf"
        self.program = None
        self.start = time.monotonic()
        self.server = ""
        self.writes = self.shown_writes = self.errors = 0
        self.gap_ms = 0.0
        self.move_ms = 0.0      # between the last success here and the first one there
        self.told = []          # what the program reported since the last line on the screen

    def say(self, text):
        print(f"{time.monotonic() - self.start:5.1f} s  {text}", flush=True)

    def begin(self):
        self.east.start()
        self.west.start()
        self.config.write_text(CONFIG.format(east=self.east.address, west=self.west.address))
        self.config.chmod(0o600)
        self.program = subprocess.Popen(
            [lab.PYTHON, "-u", "-c", PROGRAM], env=self.launcher.environment(self.config),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        # Lines are read as they come, without waiting for the next.
        os.set_blocking(self.program.stdout.fileno(), False)
        self.rest = b""

    def end(self):
        if self.program:
            self.program.kill()
            self.program.wait()
            self.program.stdout.close()
        self.east.stop()
        self.west.stop()

    def listen(self):
        """Takes in what the program said meanwhile."""
        if self.program.poll() is not None:
            raise AssertionError("the program ended")
        self.rest += self.program.stdout.read() or b""
        *lines, self.rest = self.rest.split(b"\n")
        for line in lines:
            kind, *words = line.decode().split()
            if kind == "error":
                self.told.append(" ".join(words))
                self.errors += 1
            else:
                self.server, self.writes = words[0], int(words[1])
                if kind == "moved":
                    self.move_ms = float(words[3])
                self.gap_ms = max(self.gap_ms, float(words[3]))

    def ask(self, *words):
        """What a redisteer command prints."""
        return subprocess.run([lab.REDISTEER, *words], capture_output=True, text=True, check=True,
                              env=self.launcher.environment(self.config, LD_PRELOAD="")).stdout

    def status(self):
        return json.loads(self.ask("status", "--json"))["services"][0]

    def events(self):
        return [json.loads(line) for line in self.ask("events", "--json").splitlines()]

    def line(self):
        """One line of the table; the state that it shows."""
        self.listen()
        state = self.status()
        east, west = (f"{endpoint['health']}, {endpoint['breaker']}"
                      for endpoint in state["endpoints"])
        self.say(f"{state['active'] or '-':6}{east:22}{west:22}{self.server or '-':6}"
                 f"{self.writes - self.shown_writes:7}{self.gap_ms:9.1f} ms")
        for text in self.told:
            print(f"{'':12}the program saw: {text}", flush=True)
        self.shown_writes, self.told, self.gap_ms = self.writes, [], 0.0
        return state

    def watch(self, server, at_least, at_most):
        """
        A line per second, until `server` is active and written to, for `at_least` and `at_most`
        seconds. How long the program paused between the other server and this one, in ms.
        """
        for second in range(1, at_most + 1):
            end = time.monotonic() + 1
            while time.monotonic() < end:
                time.sleep(0.02)
                self.listen()
            if self.line()["active"] == self.server == server and second >= at_least:
                return self.move_ms
        raise AssertionError(f"{server} was not used within {at_most} s")


def move(demo, what, act, server, at_least, at_most):
    """Does something to east and watches where that leads: (pause in ms, errors) of the program."""
    demo.say(f"------- {what}")
    errors = demo.errors
    act()
    gap = demo.watch(server, at_least, at_most)
    return gap, demo.errors - errors


def signalled(server, number):
    return lambda: server.process.send_signal(number)


def show(demo):
    demo.begin()
    print(f"""Two Redis servers: east ({demo.east.address}) is preferred to west ({demo.west.address}).
One ordinary redis-py program under LD_PRELOAD=libredisteer.so, without any timeout. It knows one name:
redis.demo:6379.

                 health and breaker of                       the program
    time   now   east                  west                  uses   writes  longest pause""")
    lab.wait_for(lambda: demo.listen() or demo.server == "east", "the program to write to east")
    demo.watch("east", 3, 5)

    frozen = move(demo, "kill -STOP of east: it still accepts, and never answers",
                  signalled(demo.east, signal.SIGSTOP), "west", 3, 6)
    thawed = move(demo, "kill -CONT of east", signalled(demo.east, signal.SIGCONT), "east", 3, 9)
    killed = move(demo, "kill -9 of east", demo.east.kill, "west", 3, 6)
    home = move(demo, "east is started again", demo.east.start, "east", 3, 10)

    moves = [(event["type"], event["from"], event["to"]) for event in demo.events()
             if event["type"] in ("failover", "failback")]
    if moves != [("failover", "east", "west"), ("failback", "west", "east")] * 2:
        raise AssertionError(f"other moves than expected: {moves}")
    if not demo.status()["endpoints"][0]["checks_failed"]:
        raise AssertionError("no health check failed")
    if frozen[1] > 2 or killed[1] > 2 or thawed[1] or home[1]:
        raise AssertionError(f"too many errors: {frozen[1]} at the freeze, {killed[1]} at the kill, "
                             f"{thawed[1]} and {home[1]} on the ways home")
    print(f"""
East frozen:   health checks found it and the blocked call was ended; the program paused for
               {frozen[0]:.0f} ms and saw {told(frozen[1])}.
East killed:   it paused for {killed[0]:.1f} ms and saw {told(killed[1])}.
Ways home:     when the checks had passed and the grace period was over; {thawed[0]:.1f} ms and {home[0]:.1f} ms,
               no error.
{demo.writes} writes. The program was not changed, not restarted, and talked to Redis directly.""")


def told(errors):
    return f"{errors} error{'s'[:errors != 1]}"


def main():
    directory = tempfile.mkdtemp(prefix="redisteer-demo-", dir="/dev/shm")
    demo = Demo(directory)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        show(demo)
        return 0
    except (AssertionError, OSError, subprocess.CalledProcessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        demo.end()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
