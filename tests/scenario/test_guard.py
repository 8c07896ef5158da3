"""The guard: connections to an endpoint that is down are shut, so that any client wakes up."""

import os
import re
import signal
import socket
import statistics
import subprocess
import time
from contextlib import contextmanager

import pytest

import lab
from test_failover import WRITERS, Writer
from test_monitor import clients_of, config_of, moment, pair, wait_event, wait_health  # noqa: F401
from test_namespace import far  # noqa: F401

DEFAULT = ""
FAST = """
    health   { interval = 100ms  fast_interval = 100ms  timeout = 100ms }
"""
# Home again at once, so that one test can lose an endpoint several times.
NO_GRACE = """
    failback { grace = 0s  check = 100ms  existing = close }
    breaker  { open = 100ms  open_backoff = 1.0 }
"""
# Clients of which none has a timeout. redis-cli is fed through a pipe; it repeats commands itself.
CLIENTS = {
    **{name: WRITERS[name][0] for name in ("redis-py", "hiredis", "node")},
    "redis-cli": lambda: ["/bin/bash", lab.CLIENTS / "redis_cli_pipe.sh"],
}


class Holder:
    """A clients/holder: blocked in a read (or in writes) until its connection is shut."""

    def __init__(self, start_program, launch, config, *arguments):
        argv = launch.argv([lab.BUILT_CLIENTS / "holder", "redis.test", "6379", *arguments])
        self.program = start_program(argv, env=launch.environment(config))

    @property
    def pid(self):
        return self.program.pid

    def server(self):
        """Connected: the name of its server."""
        return self.line("server")[0]

    def shut(self):
        """Shut: when, in seconds of the wall clock, and with which errno."""
        micros, error = self.line("shut")
        return int(micros) / 1e6, int(error)

    def line(self, kind):
        text = self.program.stdout.readline()
        assert text, f"ended: {self.program.wait()}"
        word, *rest = text.split()
        assert word == kind, text
        return rest

    def is_silent(self):
        """It has nothing to say: its connection is still there."""
        import select
        return not select.select([self.program.stdout], [], [], 0)[0]


@pytest.fixture
def start_holder(start_program):
    def start(launch, config, *arguments):
        return Holder(start_program, launch, config, *arguments)

    return start


@contextmanager
def frozen(server):
    """SIGSTOP: the kernel goes on accepting connections and data, and nobody answers."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield time.time()
    finally:
        server.process.send_signal(signal.SIGCONT)


def checks(redisteer, config, name):
    found = lab.status(redisteer, config, "cache")["by_name"][name]
    return found["checks_ok"] + found["checks_failed"]


def wait_checks(redisteer, config, name, count):
    """So many checks later: the time in which something that must not happen would have happened."""
    before = checks(redisteer, config, name)
    lab.wait_for(lambda: checks(redisteer, config, name) >= before + count, f"checks of {name}")


# ---- frozen ----

@pytest.mark.parametrize("options, worst", [(DEFAULT, 4.0), (FAST, 1.5)], ids=["default", "100ms"])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_blocked_on_a_frozen_server_goes_on(name, options, worst, pair, launch, config_of,
                                                     start_program, redisteer):
    """No timeout anywhere in the client: only the shut connection can wake it."""
    east, west = pair
    config = config_of(pair, options + NO_GRACE)
    argv = launch.argv([*CLIENTS[name](), "redis.test", "6379"])
    writer = Writer(start_program(argv, env=launch.environment(config)))
    writer.until("server east")
    gaps = []
    for _ in range(1 if options == DEFAULT else 3):
        wait_health(redisteer, config, east="healthy", west="healthy")
        with frozen(east):
            stopped = time.monotonic()
            writer.until("server west")
            gaps.append(time.monotonic() - stopped)
        writer.until("server east")
    west.command("SET", "name", "stop")
    east.command("SET", "name", "stop")
    writer.summary()
    lab.figure(f"{name} ({launch.way}, {'defaults' if options == DEFAULT else '100ms'}): frozen "
               f"server, gap median {statistics.median(gaps):.3f} s, worst {max(gaps):.3f} s")
    assert max(gaps) < worst
    assert len(writer.errors) <= 2 * 2 * len(gaps), writer.errors


@pytest.mark.parametrize("name", ["redis-py", "hiredis"])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_client_whose_packets_are_dropped_goes_on(name, far, start_redis, preload, config_of,
                                                    start_program, redisteer):
    """east's answers vanish on the way: no refusal, no reset, nothing."""
    east, west = far.start("east"), start_redis("west")
    config = config_of([east, west], FAST)
    writer = Writer(start_program([*CLIENTS[name](), "redis.test", "6379"],
                                  env=preload.environment(config)))
    writer.until("server east")
    wait_health(redisteer, config, east="healthy", west="healthy")
    stopped = time.monotonic()
    far.drop(True)
    writer.until("server west")
    gap = time.monotonic() - stopped
    west.command("SET", "name", "stop")
    writer.summary()
    lab.figure(f"{name}: packets dropped, gap {gap:.3f} s (100ms)")
    assert gap < 1.5


def test_a_process_that_only_writes_is_woken_without_a_signal(pair, launch, config_of, start_holder,
                                                              redisteer):
    """Its buffers are full and it never reads; SIGPIPE would end it."""
    east, _ = pair
    config = config_of(pair, FAST + NO_GRACE)
    holder = start_holder(launch, config, "blind")
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    with frozen(east) as stopped:
        when, error = holder.shut()
        assert error != 0
        assert holder.server() == "west"
    lab.figure(f"blocked writer ({launch.way}): woken {when - stopped:.3f} s after the stop")
    assert holder.program.poll() is None


def test_a_verdict_shuts_the_connections_of_all_processes(pair, preload, config_of, start_holder,
                                                          redisteer):
    east, _ = pair
    config = config_of(pair, FAST)
    holders = [start_holder(preload, config) for _ in range(40)]
    assert {holder.server() for holder in holders} == {"east"}
    wait_health(redisteer, config, east="healthy", west="healthy")
    with frozen(east):
        times = [holder.shut()[0] for holder in holders]
        assert {holder.server() for holder in holders} == {"west"}
    verdict = moment(wait_event(redisteer, config, "health", "the verdict", endpoint="east",
                                to="unhealthy")["time"])
    lab.figure(f"40 processes: shut {(min(times) - verdict) * 1000:.1f} to "
               f"{(max(times) - verdict) * 1000:.1f} ms after the verdict, "
               f"{(max(times) - min(times)) * 1000:.1f} ms from first to last")
    assert max(times) - verdict < 1
    shut = wait_event(redisteer, config, "shut", "the event", endpoint="east")
    assert re.search(r"connection", shut["detail"])


def test_a_stopped_program_keeps_the_verdict_from_nobody(pair, preload, config_of, start_holder,
                                                         redisteer):
    """Its guard is woken as others are, and does nothing with the news until it is resumed."""
    east, _ = pair
    config = config_of(pair, FAST)
    holders = [start_holder(preload, config) for _ in range(16)]
    assert {holder.server() for holder in holders} == {"east"}
    wait_health(redisteer, config, east="healthy", west="healthy")
    wait_checks(redisteer, config, "east", 40)  # nothing to see: the guards go to sleep
    led_by = lab.status(redisteer, config)["leader"]["pid"]
    stopped = [holder for holder in holders if holder.program.pid != led_by][:12]
    with frozen(east):
        for holder in stopped:
            holder.program.send_signal(signal.SIGSTOP)
        try:
            for holder in holders:
                if holder not in stopped:
                    holder.shut()
            assert all(holder.is_silent() for holder in stopped)
        finally:
            for holder in stopped:
                holder.program.send_signal(signal.SIGCONT)
        for holder in stopped:
            holder.shut()
        assert {holder.server() for holder in holders} == {"west"}


def test_connections_stay_where_the_file_says_so(pair, preload, config_of, start_holder, redisteer):
    east, _ = pair
    config = config_of(pair, FAST + "failover { close_connections = false }")
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    with frozen(east):
        wait_event(redisteer, config, "failover", "the failover", to="west")
        wait_checks(redisteer, config, "east", 5)
        assert holder.is_silent()
        assert start_holder(preload, config).server() == "west"


def test_nothing_is_shut_when_there_is_nowhere_to_go(pair, preload, config_of, start_holder,
                                                     redisteer):
    east, west = pair
    config = config_of(pair, FAST)
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    with frozen(west):
        wait_health(redisteer, config, west="unhealthy")
        with frozen(east):
            wait_health(redisteer, config, east="unhealthy")
            wait_checks(redisteer, config, "east", 5)
            assert holder.is_silent()


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_a_service_that_is_not_steered_is_left_alone(mode, pair, preload, config_of, start_holder,
                                                     redisteer):
    east, _ = pair
    config = config_of(pair, FAST)
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert redisteer(mode, "cache", config=config).returncode == 0
    with frozen(east):
        wait_health(redisteer, config, east="unhealthy")
        wait_checks(redisteer, config, "east", 5)
        assert holder.is_silent()


# ---- the way home ----

SHORT_GRACE = """
    health { interval = 100ms  fast_interval = 50ms  timeout = 100ms }
    breaker { open = 100ms  open_backoff = 1.0 }
"""


class Pool:
    """A clients/pool.py with some idle connections."""

    def __init__(self, start_program, launch, config, count):
        self.program = start_program(
            launch.argv([lab.PYTHON, lab.CLIENTS / "pool.py", "redis.test", "6379", count]),
            env=launch.environment(config), stdin=subprocess.PIPE)

    def say(self, text):
        self.program.stdin.write(text + "\n")
        self.program.stdin.flush()

    def answer(self):
        line = self.program.stdout.readline()
        assert line, self.program.stderr.read()
        return line.strip()

    def names(self):
        self.say("names")
        return self.answer().split()


def lose_and_regain(redisteer, config, east, pool=None):
    """
    east fails until the host, and the pool if there is one, have left it, and is well again; returns
    the failover's event.
    """
    with frozen(east):
        failover = wait_event(redisteer, config, "failover", "the failover", to="west")
        if pool:
            lab.wait_for(lambda: set(pool.names()) == {"west"}, "the pool to be with west")
    wait_health(redisteer, config, east="healthy")
    return failover


def home(redisteer, config):
    return wait_event(redisteer, config, "failback", "the way home", to="east")


@pytest.mark.parametrize("spread", ["0s", "1s"])
def test_idle_connections_of_a_pool_move_home(spread, pair, launch, config_of, start_program,
                                              redisteer):
    east, west = pair
    config = config_of(pair, SHORT_GRACE
                       + f"failback {{ grace = 1s  check = 100ms  existing = idle  spread = {spread} }}")
    pool = Pool(start_program, launch, config, 5)
    assert pool.names() == ["east"] * 5
    wait_health(redisteer, config, east="healthy", west="healthy")
    lose_and_regain(redisteer, config, east, pool)
    back = moment(home(redisteer, config)["time"])
    lab.wait_for(lambda: len([line for line in clients_of(west) if "cmd=get" in line]) == 0,
                 "the idle connections to west to be closed")
    lab.figure(f"5 idle connections, spread {spread} ({launch.way}): closed "
               f"{time.time() - back:.2f} s after the way home")
    assert pool.names() == ["east"] * 5


def busy_at_west_while_the_host_goes_home(pair, launch, config_of, start_program, redisteer, stay):
    """
    A pool with one connection to west that was never quiet for a second until the host had gone home to
    east, and for `stay` seconds more; it must have stayed. A machine that does not let the pool run for
    so long proves nothing, and has another try.
    """
    east, _ = pair
    config = config_of(pair, SHORT_GRACE
                       + "failback { grace = 1s  check = 100ms  existing = idle  spread = 0s }")
    for tries in range(1, 6):
        pool = Pool(start_program, launch, config, 1)
        assert pool.names() == ["east"]
        wait_health(redisteer, config, east="healthy", west="healthy")
        with frozen(east):
            lab.wait_for(lambda: pool.names() == ["west"], "the pool to be with west")
            pool.say("begin")
        lab.wait_for(lambda: len(lab.events(redisteer, config, "failback")) >= tries, "the way home")
        time.sleep(stay)
        pool.say("end")
        *names, idle = pool.answer().split()
        if names == ["west"]:
            lab.figure(f"never quiet for more than {float(idle):.3f} s")
            return pool
        assert float(idle) > 0.9, "a connection in use was closed"
        pool.program.kill()
    raise AssertionError("this machine is too busy")


def test_a_request_under_way_is_finished_first(pair, preload, config_of, start_program, redisteer):
    """BLPOP keeps the connection waiting for most of a second; its answer arrives."""
    _, west = pair
    pool = busy_at_west_while_the_host_goes_home(pair, preload, config_of, start_program, redisteer, 0)
    pool.say("wait 0.7")
    assert pool.answer() == "None"
    assert "cmdstat_blpop:calls=1," in west.command("INFO", "commandstats")


def test_a_busy_connection_stays_until_it_is_quiet(pair, preload, config_of, start_program,
                                                   redisteer):
    _, west = pair
    pool = busy_at_west_while_the_host_goes_home(pair, preload, config_of, start_program, redisteer, 2)
    lab.wait_for(lambda: not [line for line in clients_of(west) if "cmd=get" in line],
                 "the connection to be closed, now that it is quiet")
    assert pool.names() == ["east"]


@pytest.mark.parametrize("existing", ["keep", "close"])
def test_existing_connections_after_the_way_home(existing, pair, preload, config_of, start_holder,
                                                 redisteer):
    east, _ = pair
    config = config_of(pair, SHORT_GRACE + f"failback {{ grace = 1s  check = 100ms  spread = 0s  "
                                           f"existing = {existing} }}")
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    lose_and_regain(redisteer, config, east)
    holder.shut()
    assert holder.server() == "west"
    home(redisteer, config)
    if existing == "close":
        holder.shut()
        assert holder.server() == "east"
    else:
        wait_checks(redisteer, config, "east", 15)
        assert holder.is_silent()


def test_an_old_connection_is_closed_when_it_is_quiet(pair, launch, config_of, start_program,
                                                      redisteer):
    """connect.max_age: not while it is used, however old; and not a young one, however quiet."""
    east, _ = pair
    config = config_of(pair, FAST + "connect { max_age = 4s }")
    pool = Pool(start_program, launch, config, 1)
    assert pool.names() == ["east"]
    begun = time.monotonic()

    def connections():
        return [re.search(r"\bid=(\d+)", line)[1] for line in clients_of(east) if "cmd=get" in line]

    first = connections()
    assert len(first) == 1
    lab.wait_for(lambda: time.monotonic() > begun + 2.5, "it to be quiet, and young")
    while time.monotonic() < begun + 6:
        assert connections() == first
        assert pool.names() == ["east"]
    used = time.monotonic()
    lab.wait_for(lambda: connections() == [], "the old connection to be closed")
    lab.figure(f"max_age 4 s ({launch.way}): closed {time.monotonic() - used:.2f} s after its last use")
    assert pool.names() == ["east"]
    second = connections()
    assert second and second != first
    lab.wait_for(lambda: connections() == [], "the next one, which nobody uses, to be closed")


def test_a_flapping_endpoint_moves_the_host_once(pair, preload, config_of, start_program, redisteer):
    """Stopped and woken every 2 s for 30 s, grace 10 s; then well for good."""
    east, _ = pair
    config = config_of(pair, """
        health   { interval = 200ms  fast_interval = 50ms  timeout = 200ms }
        failback { grace = 10s  check = 500ms  existing = idle  spread = 0s }
    """)
    pool = Pool(start_program, preload, config, 3)
    assert pool.names() == ["east"] * 3
    wait_health(redisteer, config, east="healthy", west="healthy")
    begun = time.monotonic()
    for tick in range(15):
        lab.wait_for(lambda tick=tick: time.monotonic() >= begun + 2 * tick, "the next flap")
        east.process.send_signal(signal.SIGCONT if tick % 2 else signal.SIGSTOP)
    east.process.send_signal(signal.SIGCONT)
    for_good = time.time()
    last = wait_event(redisteer, config, "failback", "the way home", to="east")
    moves = [(event["type"], event["to"]) for event in lab.events(redisteer, config)
             if event["type"] in ("failover", "failback")]
    assert moves == [("failover", "west"), ("failback", "east")], lab.events(redisteer, config)
    unhealthy = [moment(event["time"]) for event in lab.events(redisteer, config, "health")
                 if event["endpoint"] == "east" and event["to"] == "unhealthy"]
    away = moment(last["time"]) - unhealthy[-1]
    lab.figure(f"flapping for 30 s: one move away, home {away:.2f} s after the last failure, "
               f"{moment(last['time']) - for_good:.2f} s after it was well for good")
    assert 9.9 <= away < 10 + 0.5 + 1.5
    assert len(unhealthy) >= 2
    lab.wait_for(lambda: pool.names() == ["east"] * 3, "the pool to be home")


def test_both_down_then_one_back_is_used(pair, launch, config_of, start_holder, redisteer):
    east, west = pair
    config = config_of(pair, DEFAULT)
    holder = start_holder(launch, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    for server in pair:
        server.kill()
    wait_health(redisteer, config, east="unhealthy", west="unhealthy")
    holder.shut()
    started = time.monotonic()
    west.start()
    holder.line("server")  # its data are gone: it has no name
    took = time.monotonic() - started
    lab.figure(f"both down, one back ({launch.way}): used after {took:.3f} s, interval 1 s")
    assert took < 1 + 1.5


# ---- the program's own things ----

def test_the_table_of_descriptors_is_the_programs_alone(pair, launch, config_of, start_program,
                                                        redisteer):
    program = start_program(launch.argv([lab.PYTHON, "-c", """
import os, socket, sys
def table():
    found = {}
    for fd in os.listdir('/proc/self/fd'):
        try: found[fd] = os.readlink('/proc/self/fd/' + fd)
        except OSError: pass
    return found
before = table()
mine = socket.create_connection(('redis.test', 6379))
print('connected', flush=True)
sys.stdin.readline()
unknown = set()
for _ in range(2000):
    now = table()
    unknown |= {(fd, what) for fd, what in now.items() if before.get(fd) != what
                and int(fd) != mine.fileno() and '/proc/' not in what}
print(sorted(unknown), len(os.listdir('/proc/self/task')), flush=True)
""" ]), env=launch.environment(config := config_of(pair, FAST)), stdin=subprocess.PIPE)
    assert program.stdout.readline() == "connected\n", program.stderr.read()
    wait_health(redisteer, config, east="healthy", west="healthy")
    program.stdin.write("\n")
    program.stdin.flush()
    unknown, threads = program.stdout.readline().rsplit(" ", 1)
    assert unknown == "[]"
    assert int(threads) == 3  # the program's, the guard and the prober were there all the time


@pytest.mark.parametrize("how", ["fork", "daemon", "exec"])
def test_a_process_that_became_another_is_guarded_again(how, pair, launch, config_of, start_program,
                                                        redisteer, tmp_path):
    east, _ = pair
    config = config_of(pair, FAST)
    told = tmp_path / "told"
    start_program(launch.argv([lab.PYTHON, lab.CLIENTS / "wanderer.py", how, told, "redis.test",
                               "6379"]), env=launch.environment(config))

    def words():
        return told.read_text().split() if told.exists() else []

    lab.wait_for(lambda: words()[2:4] == ["server", "east"], "the other process to connect")
    try:
        wait_health(redisteer, config, east="healthy", west="healthy")
        with frozen(east):
            lab.wait_for(lambda: words()[4:7] == ["shut", "server", "west"], "it to be woken")
    finally:
        os.kill(int(words()[1]), signal.SIGKILL)


def test_the_guard_ends_no_attempt_but_the_one_it_judged(start_redis, preload, write_config,
                                                         start_program):
    """
    A socket whose first endpoint refuses goes on to the next one within connect(), while the guard
    shuts what is on its way to the first: it must not hit the connection that was made then.
    """
    west, flapping = start_redis("west"), lab.free_port()
    config = write_config(lab.service("cache", ["127.0.0.9:6379"], {
        "east": f"127.0.0.1:{flapping}", "west": west.address}, """
        breaker  { enabled = false }
        failback { grace = 0s  check = 10ms }
        health   { probe = tcp  interval = 20ms  fast_interval = 10ms  timeout = 20ms
                   fall = 1  rise = 1 }
    """))
    program = start_program([lab.BUILT_CLIENTS / "steady_asker", 4, 8, "127.0.0.9", 6379, west.port],
                            env=preload.environment(config))
    deadline = time.monotonic() + 30
    while program.poll() is None and time.monotonic() < deadline:
        with socket.create_server(("127.0.0.1", flapping), backlog=1000):
            time.sleep(0.03)  # for as long as a check or two take
        time.sleep(0.03)
    assert program.wait(timeout=20) == 0, program.stderr.read()
    counts = {word: int(count) for word, count in map(str.split, program.stdout)}
    lab.figure(f"east coming and going: {counts}")
    assert counts["asked"] > 1000
    assert counts["wrong"] == 0
