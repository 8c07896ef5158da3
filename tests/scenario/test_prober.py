"""The health checks of the programs themselves: one leading thread, whatever becomes of its process."""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

import lab
from test_guard import frozen, start_holder, wait_checks  # noqa: F401
from test_monitor import (clients_of, config_of, endpoint, leader, moment, pair,  # noqa: F401
                          wait_event, wait_health)

# Checks each 200 ms, so that a test takes seconds.
SHORT = """
    health   { interval = 200ms  fast_interval = 50ms  timeout = 200ms }
    failback { grace = 1s  check = 100ms }
"""
LEASE = 1.0  # seconds; who waits for it looks three times as often


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def calls(server, command):
    found = re.search(rf"cmdstat_{command}:calls=(\d+)", server.command("INFO", "commandstats"))
    return int(found[1]) if found else 0


def probes(server):
    """The connections that ask for nothing but PING."""
    return [line for line in clients_of(server) if "cmd=ping" in line]


def by_pid(holders, pid):
    return next(holder for holder in holders if holder.pid == pid)


def never_unhealthy(redisteer, config):
    return [event for event in lab.events(redisteer, config, "health")
            if event["to"] != "healthy"] == []


def test_the_first_steered_call_starts_the_checks(pair, launch, config_of, start_holder, redisteer):
    config = config_of(pair, "health { interval = 1h }")
    holder = start_holder(launch, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert leader(redisteer, config) == {"pid": holder.pid, "kind": "thread"}


def test_many_processes_make_one_prober(pair, preload, config_of, start_holder, redisteer):
    """One connection and one stream of checks per endpoint, however many processes there are."""
    east, west = pair
    config = config_of(pair, SHORT)
    holders = [start_holder(preload, config) for _ in range(200)]
    assert {holder.server() for holder in holders} == {"east"}
    wait_health(redisteer, config, east="healthy", west="healthy")
    wait_checks(redisteer, config, "east", 3)
    assert len(clients_of(east)) == 200 + 1 and len(clients_of(west)) == 1
    assert len(probes(east)) == 1
    begun, asked, counted = time.monotonic(), calls(east, "ping"), checks_ok(redisteer, config)
    wait_checks(redisteer, config, "east", 10)
    asked, counted = calls(east, "ping") - asked, checks_ok(redisteer, config) - counted
    took = time.monotonic() - begun
    lab.figure(f"200 processes: {asked} PINGs in {took:.2f} s, interval 200 ms; {counted} checks counted")
    assert asked <= took / 0.2 * 1.1 + 2


def checks_ok(redisteer, config):
    return endpoint(redisteer, config, "east")["checks_ok"]


# ---- the leader goes ----

@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_leader_that_is_gone_is_replaced(end, pair, preload, config_of, start_holder, redisteer):
    config = config_of(pair, SHORT)
    holders = [start_holder(preload, config) for _ in range(200)]
    assert {holder.server() for holder in holders} == {"east"}
    wait_health(redisteer, config, east="healthy", west="healthy")
    wait_checks(redisteer, config, "east", 3)
    before, counted = leader(redisteer, config)["pid"], checks_ok(redisteer, config)
    by_pid(holders, before).program.send_signal(end)
    ended = time.monotonic()
    lab.wait_for(lambda: (leader(redisteer, config) or {"pid": before})["pid"] != before,
                 "another leader")
    took = time.monotonic() - ended
    assert leader(redisteer, config)["kind"] == "thread"
    lab.figure(f"leader gone by {end.name}: another one after {took:.3f} s")
    assert took < LEASE + 1.5
    assert checks_ok(redisteer, config) >= counted
    wait_checks(redisteer, config, "east", 3)
    if end == signal.SIGSTOP:
        by_pid(holders, before).program.send_signal(signal.SIGCONT)
        wait_checks(redisteer, config, "east", 5)
        assert leader(redisteer, config)["pid"] != before
    assert never_unhealthy(redisteer, config)
    assert all(holder.is_silent() for holder in holders if holder.pid != before)


def test_leaders_may_be_killed_one_after_the_other(pair, preload, config_of, start_holder,
                                                   redisteer):
    config = config_of(pair, SHORT)
    holders = [start_holder(preload, config) for _ in range(6)]
    assert {holder.server() for holder in holders} == {"east"}
    wait_health(redisteer, config, east="healthy", west="healthy")
    gone, times = set(), []
    while len(gone) < 5:
        pid = lab.wait_for(lambda: (found := leader(redisteer, config)) and found["pid"] not in gone
                           and found["pid"], "a leader that lives")
        if gone:
            times.append(time.monotonic() - killed)
        gone.add(pid)
        by_pid(holders, pid).program.kill()
        killed = time.monotonic()
    wait_checks(redisteer, config, "east", 3)
    lab.figure(f"leaders killed one after the other: replaced after "
               f"{', '.join(f'{took:.3f}' for took in times)} s")
    assert max(times) < 2 * LEASE + 1.5
    assert never_unhealthy(redisteer, config)


def test_a_leader_that_execs_is_replaced(pair, preload, config_of, start_holder, start_program,
                                         redisteer):
    config = config_of(pair, SHORT)
    program = start_program([lab.PYTHON, "-c", """
import os, socket, sys
made = socket.create_connection(('redis.test', 6379))
print('connected', flush=True)
sys.stdin.readline()
os.execv('/bin/cat', ['cat'])
"""], env=preload.environment(config), stdin=subprocess.PIPE)
    assert program.stdout.readline() == "connected\n"
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert leader(redisteer, config)["pid"] == program.pid
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    program.stdin.write("\n")
    program.stdin.flush()
    lab.wait_for(lambda: (leader(redisteer, config) or {"pid": 0})["pid"] == holder.pid,
                 "the other process to lead")
    wait_checks(redisteer, config, "east", 3)
    assert Path(f"/proc/{program.pid}/comm").read_text() == "cat\n" and threads(program.pid) == 1
    assert never_unhealthy(redisteer, config)


def test_a_stopped_and_resumed_prober_gives_no_false_verdict(pair, launch, config_of, start_holder,
                                                             redisteer):
    """Its only process is stopped for 10 s: what it finds late, it does not hold against anybody."""
    config = config_of(pair, SHORT)
    holder = start_holder(launch, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    holder.program.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    lab.wait_for(lambda: time.monotonic() > stopped + 10, "10 s to pass")
    holder.program.send_signal(signal.SIGCONT)
    wait_health(redisteer, config, east="healthy", west="healthy")
    wait_checks(redisteer, config, "east", 5)
    # UNKNOWN meanwhile is right: nobody checked.
    assert [event for event in lab.events(redisteer, config, "health")
            if event["to"] == "unhealthy"] == []
    assert holder.is_silent()


@pytest.mark.parametrize("down", [False, True])
def test_a_program_ends_at_once_while_probing(down, pair, launch, config_of, start_program,
                                              redisteer):
    """Nobody waits for the threads; `down`: a check is under way, its answer never comes."""
    east, _ = pair
    config = config_of(pair, "health { interval = 200ms  timeout = 5s }")
    program = start_program(launch.argv([lab.PYTHON, "-c", """
import socket, sys, time
made = socket.create_connection(('redis.test', 6379))
print('connected', flush=True)
sys.stdin.readline()
print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
"""]), env=launch.environment(config), stdin=subprocess.PIPE)
    assert program.stdout.readline() == "connected\n", program.stderr.read()
    wait_health(redisteer, config, east="healthy", west="healthy")
    if down:
        asked = checks_ok(redisteer, config)
        east.process.send_signal(signal.SIGSTOP)
        lab.wait_for(lambda: unread(east) > 0, "a check to be under way")
        assert checks_ok(redisteer, config) <= asked + 1
    program.stdin.write("\n")
    program.stdin.flush()
    began = float(program.stdout.readline())
    assert program.wait(lab.PATIENCE) == 0
    took = time.clock_gettime(time.CLOCK_MONOTONIC) - began
    lab.figure(f"exit while probing ({launch.way}, {'under way' if down else 'idle'}): "
               f"{took * 1000:.0f} ms, Python's own included")
    assert took < 0.3


def unread(server):
    """Bytes that wait for a stopped server, by the kernel's table."""
    port = f":{server.port:04X}"
    waiting = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(port) and fields[3] == "01":
            waiting += int(fields[4].split(":")[1], 16)
    return waiting


# ---- switched off, or left to others ----

def test_nothing_is_checked_where_checks_are_off(pair, launch, config_of, start_holder, redisteer):
    east, west = pair
    config = config_of(pair, "health { enabled = false }")
    holders = [start_holder(launch, config) for _ in range(3)]
    assert {holder.server() for holder in holders} == {"east"}
    start = lab.status(redisteer, config, "cache")
    assert {entry["health"] for entry in start["endpoints"]} == {"unknown"}
    assert len(clients_of(east)) == 3 and clients_of(west) == []
    assert calls(east, "ping") <= 5  # those with which the test waited for the server


def test_programs_do_not_check_where_only_the_monitor_may(pair, preload, config_of, start_holder,
                                                          redisteer):
    east, _ = pair
    config = config_of(pair, SHORT, front="monitor = external\n")
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    lab.wait_for(lambda: threads(holder.pid) == 2, "the guard, which is there without a prober")
    assert start_holder(preload, config).server() == "east"
    assert leader(redisteer, config) is None
    assert threads(holder.pid) == 2


def test_programs_obey_an_external_monitor(pair, preload, config_of, start_holder, start_program,
                                           redisteer):
    """The guard of a program acts on the verdicts of `redisteer monitor`."""
    east, _ = pair
    config = config_of(pair, SHORT, front="monitor = external\n")
    monitor = start_program([lab.REDISTEER, "monitor"],
                            env=preload.environment(config, LD_PRELOAD=""))
    wait_health(redisteer, config, east="healthy", west="healthy")
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    assert leader(redisteer, config) == {"pid": monitor.pid, "kind": "process"}
    with frozen(east):
        holder.shut()
        assert holder.server() == "west"


def test_a_monitor_takes_over_from_a_thread_and_gives_back(pair, preload, config_of, start_holder,
                                                           start_program, redisteer):
    config = config_of(pair, SHORT)
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert leader(redisteer, config)["pid"] == holder.pid
    monitor = start_program([lab.REDISTEER, "monitor"],
                            env=preload.environment(config, LD_PRELOAD=""))
    lab.wait_for(lambda: leader(redisteer, config) == {"pid": monitor.pid, "kind": "process"},
                 "the monitor to lead")
    wait_checks(redisteer, config, "east", 3)
    monitor.send_signal(signal.SIGTERM)
    assert monitor.wait(lab.PATIENCE) == 0
    lab.wait_for(lambda: (leader(redisteer, config) or {"pid": 0})["pid"] == holder.pid,
                 "the thread to lead again")
    assert never_unhealthy(redisteer, config)


# ---- the file ----

def test_a_changed_file_is_noticed_by_the_leading_program(pair, launch, config_of, start_holder,
                                                          redisteer):
    config = config_of(pair, "health { interval = 500ms }")
    holder = start_holder(launch, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    config_of(pair, "health { interval = 50ms }")
    changed = time.monotonic()
    lab.wait_for(lambda: not lab.status(redisteer, config)["config_changed"], "the new settings")
    lab.figure(f"changed file ({launch.way}): in force after {time.monotonic() - changed:.2f} s")
    counted, begun = checks_ok(redisteer, config), time.monotonic()
    wait_checks(redisteer, config, "east", 10)
    assert time.monotonic() - begun < 4  # ten checks took 5 s before
    assert checks_ok(redisteer, config) >= counted + 10


def test_a_bad_file_keeps_the_settings_and_is_told(pair, launch, config_of, start_holder, redisteer):
    config = config_of(pair, SHORT)
    holder = start_holder(launch, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    config_of(pair, "nonsense = 1")
    event = wait_event(redisteer, config, "config", "the event", reason="bad file")
    assert "line 3" in event["detail"] or "nonsense" in event["detail"]
    wait_checks(redisteer, config, "east", 5)
    assert holder.is_silent()
    config_of(pair, SHORT.replace("200ms", "100ms"))
    lab.wait_for(lambda: not lab.status(redisteer, config)["config_changed"], "the good file")
    assert json.loads(redisteer("status", "--json", config=config).stdout)["leader"]["pid"] \
        == holder.pid


# ---- publishing again ----

class Pings:
    """When a server was asked for PING, by its own clock: MONITOR."""

    def __init__(self, server):
        self.connection = socket.create_connection((server.host, server.port), timeout=lab.PATIENCE)
        self.stream = self.connection.makefile("rb")
        assert lab.resp(self.connection, "MONITOR") == "OK"

    def until(self, condition):
        """The times of the PINGs from now on until condition() is true."""
        times = []
        while not condition():
            line = self.stream.readline().decode()
            if '"PING"' in line or '"ping"' in line:
                times.append(float(line[1:].split()[0]))
        return times

    def close(self):
        self.stream.close()
        self.connection.close()


@contextlib.contextmanager
def publishing_held_up(runtime_dir):
    """No publisher gets on meanwhile."""
    [lock] = runtime_dir.glob("*.lock")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


SUBREAPER = """
import ctypes, runpy, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # orphans come to this program
runpy.run_path(sys.argv[1])
"""


@pytest.fixture(params=["orphans go to init", "orphans come back"])
def checking_program(request, pair, config_of, preload, start_program, redisteer):
    """A program that checks, and its file."""
    config = config_of(pair, SHORT)
    asker = lab.CLIENTS / "asker.py"
    argv = [asker] if request.param == "orphans go to init" else ["-c", SUBREAPER, asker]
    program = start_program(preload.argv([lab.PYTHON, *argv]), env=preload.environment(config),
                            stdin=subprocess.PIPE)
    program.stdin.write("name redis.test 6379\n")
    program.stdin.flush()
    assert program.stdout.readline() == "east\n"
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert leader(redisteer, config)["pid"] == program.pid
    return program, config


def children_of(*pids):
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) in pids:
                found.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            pass
    return found


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def longest_gap(times):
    return max(after - before for before, after in zip(times, times[1:]))


def change_in_use(program, pair, config_of, redisteer, config):
    """The file changes while the program makes connections, until it is in force."""
    def in_force():
        program.stdin.write("name redis.test 6379\n")
        program.stdin.flush()
        assert program.stdout.readline() == "east\n"
        return lab.status(redisteer, config)["config_changed"] is False

    config_of(pair, SHORT.replace("grace = 1s", "grace = 9s"))
    lab.wait_for(in_force, "the file to be published")


def address_space(pid):
    """VmSize, in KiB."""
    return int(re.search(r"VmSize:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def test_a_changed_file_takes_no_arena_of_address_space(checking_program, pair, config_of, redisteer):
    """libc sets aside 64 MiB for a thread of ours that allocates: the prober must not start another thread."""
    program, config = checking_program
    before = address_space(program.pid)
    change_in_use(program, pair, config_of, redisteer, config)
    assert address_space(program.pid) - before < 16 * 1024


def test_checks_go_on_while_a_child_publishes(checking_program, pair, config_of, redisteer, runtime_dir):
    """However long that takes; it is not killed, nothing is left of it, and what it does comes into force."""
    program, config = checking_program
    change_in_use(program, pair, config_of, redisteer, config)  # the thread that waits for children is there
    gaps = []
    for grace in (2, 3, 4):  # a busy machine spoils a round, not all of them
        with contextlib.closing(Pings(pair[0])) as pings:
            with publishing_held_up(runtime_dir):
                config_of(pair, SHORT.replace("grace = 1s", f"grace = {grace}s").replace("200ms", "50ms", 1))
                held_until = time.monotonic() + 2
                gaps.append(longest_gap(pings.until(lambda: time.monotonic() > held_until)))
        # Tried again it would be after 10 s.
        lab.wait_for(lambda: lab.status(redisteer, config)["config_changed"] is False, "the file to be published",
                     timeout=lab.PATIENCE / 4)
    lab.figure(f"longest time without a check while a child publishes: {min(gaps) * 1000:.0f} ms")
    assert min(gaps) < 0.4
    lab.wait_for(lambda: children_of(program.pid) == [], "the child to be gone")
    assert leader(redisteer, config)["pid"] == program.pid


@pytest.mark.parametrize("checking_program", ["orphans come back"], indirect=True)
def test_nothing_is_left_of_a_program_that_is_killed_while_a_child_publishes(checking_program, pair, config_of,
                                                                            runtime_dir):
    program, _ = checking_program

    def family():
        children = children_of(program.pid)
        return children and len(children_of(*children)) > 0 and children + children_of(*children)

    with publishing_held_up(runtime_dir):
        config_of(pair, SHORT.replace("200ms", "50ms", 1))
        started = lab.wait_for(family, "the child that publishes")
        program.kill()
        program.wait()
        # It would be given 5 s.
        lab.wait_for(lambda: not any(map(runs, started)), "both to be gone", timeout=3)
