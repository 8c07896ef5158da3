"""`monitor = auto`: `redisteer monitor` is started when the settings need it, and ends with its users."""

import os
import shutil
import signal
import threading

import pytest

import lab
from test_monitor import endpoint, leader, pair, start_monitor, wait_event, wait_health  # noqa: F401

FIRST_NAMESPACE = "pid:[4026531836]"

pytestmark = pytest.mark.skipif(os.readlink("/proc/self/ns/pid") != FIRST_NAMESPACE,
                                reason="in a pid namespace of its own no monitor is started")


@pytest.fixture
def config_of(pair, write_config, tmp_path):  # noqa: F811
    """A file in which east and west are checked by a program, so by the monitor alone."""
    script = tmp_path / "check.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)

    def write(front="", options=""):
        endpoints = {server.name: server.address for server in pair}
        return write_config(front + f"check mine {{ type = exec  command = {script}  interval = 100ms }}\n"
                            + lab.service("cache", ["redis.test"], endpoints,
                                          f"""health {{ interval = 100ms  fast_interval = 50ms
                                                       timeout = 500ms  probe = "all(ping, mine)" }}
                                              failback {{ grace = 0s  check = 50ms }}  {options}"""))

    return write


def monitors(runtime_dir):
    """Processes of `redisteer attend` for this directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                words = stream.read().split(b"\0")
        except OSError:
            continue
        if b"attend" in words and os.fsencode(str(runtime_dir)) in words:
            found.append(int(pid))
    return found


@pytest.fixture(autouse=True)
def no_monitor_is_left(runtime_dir):
    yield
    for pid in monitors(runtime_dir):
        os.kill(pid, signal.SIGKILL)
    lab.wait_for(lambda: not monitors(runtime_dir), "the monitors to be gone")


class Watchful:
    """clients/watchful.py: what it said, in a thread that reads it."""

    def __init__(self, program):
        self.program, self.lines = program, []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.program.stdout:
                self.lines.append(line.strip())
        except ValueError:
            pass  # the pipe was closed at the end of the test

    def found(self):
        return [line for line in self.lines if line.startswith("FOUND")]

    def answers(self):
        return [line for line in self.lines if not line.startswith("FOUND")]

    def wait_answers(self, count=5):
        wanted = len(self.answers()) + count
        lab.wait_for(lambda: len(self.answers()) >= wanted, "answers")


@pytest.fixture
def start_watchful(start_program, preload):
    def start(config, argv=()):
        return Watchful(start_program([*argv, lab.PYTHON, lab.CLIENTS / "watchful.py", "redis.test",
                                       "6379"], env=preload.environment(config)))
    return start


def wait_leader(redisteer, config, kind="process", other_than=None):
    def led():
        found = leader(redisteer, config)
        return found and found["kind"] == kind and found["pid"] != other_than and found["pid"]

    lab.wait_for(lambda: redisteer("status", "--json", config=config).returncode == 0, "a segment")
    return lab.wait_for(led, f"a {kind} to lead")


def test_a_monitor_is_started_and_ends_with_its_users(config_of, start_watchful, redisteer,
                                                      runtime_dir):
    config = config_of()
    programs = [start_watchful(config) for _ in range(5)]
    pid = wait_leader(redisteer, config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    for program in programs:
        program.wait_answers()
    assert monitors(runtime_dir) == [pid], "once for all"
    assert os.getsid(pid) not in [os.getsid(program.program.pid) for program in programs]
    assert os.readlink(f"/proc/{pid}/fd/1") == "/dev/null"
    with open(f"/proc/{pid}/status") as stream:
        parent = int(next(line for line in stream if line.startswith("PPid")).split()[1])
    assert parent not in [program.program.pid for program in programs]
    for program in programs[1:]:
        program.program.kill()
        program.program.wait()
    programs[0].wait_answers(200)
    assert monitors(runtime_dir) == [pid], "one user is left"
    assert [program.found() for program in programs] == [[]] * 5
    programs[0].program.kill()
    programs[0].program.wait()
    lab.wait_for(lambda: not monitors(runtime_dir), "the monitor to end")


def test_a_monitor_ends_with_its_users_though_the_files_are_gone(config_of, start_watchful, redisteer,
                                                                 runtime_dir):
    config = config_of()
    program = start_watchful(config)
    pid = wait_leader(redisteer, config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    shutil.rmtree(runtime_dir)  # before it has looked for users, perhaps
    program.wait_answers(400)
    assert monitors(runtime_dir) == [pid], "the program uses it still"
    program.program.kill()
    program.program.wait()
    lab.wait_for(lambda: not monitors(runtime_dir), "the monitor to end")


def test_nothing_heavy_no_monitor(pair, write_config, start_watchful, redisteer,  # noqa: F811
                                  runtime_dir):
    config = write_config(lab.service("cache", ["redis.test"],
                                      {server.name: server.address for server in pair}, lab.QUICK))
    program = start_watchful(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    program.wait_answers(50)
    assert leader(redisteer, config)["kind"] == "thread"
    assert monitors(runtime_dir) == []


def test_monitor_process_is_started_for_light_checks_too(pair, write_config,  # noqa: F811
                                                         start_watchful, redisteer):
    config = write_config("monitor = process\n"
                          + lab.service("cache", ["redis.test"],
                                        {server.name: server.address for server in pair}))
    program = start_watchful(config)
    wait_leader(redisteer, config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert program.found() == []


def test_monitor_external_is_nobody_elses_business(config_of, start_watchful, redisteer,
                                                   runtime_dir):
    config = config_of(front="monitor = external\n")
    program = start_watchful(config)
    program.wait_answers(50)
    assert monitors(runtime_dir) == []
    east = endpoint(redisteer, config, "east")
    assert east["health"] == "unknown" and east["eligible"]
    assert east["last_error"] == "needs `redisteer monitor`, which does not run"


def test_a_monitor_of_the_operator_is_enough(config_of, start_monitor, start_watchful,  # noqa: F811
                                             redisteer, runtime_dir, preload):
    config = config_of()
    monitor = start_monitor(config)
    preload.way = "preload"
    wait_health(redisteer, config, east="healthy", west="healthy")
    program = start_watchful(config)
    program.wait_answers(100)
    assert monitors(runtime_dir) == [] and leader(redisteer, config)["pid"] == monitor.pid


def test_killed_20_times_under_load(config_of, start_watchful, redisteer, runtime_dir):
    """Connections keep being steered, and each time it is back."""
    config = config_of()
    programs = [start_watchful(config) for _ in range(3)]
    wait_leader(redisteer, config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    last = None
    for _ in range(20):
        pid = wait_leader(redisteer, config, other_than=last)
        os.kill(pid, signal.SIGKILL)
        last = pid
        for program in programs:
            program.wait_answers(3)
    wait_leader(redisteer, config, other_than=last)
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert len(monitors(runtime_dir)) == 1
    for program in programs:
        assert set(program.answers()) == {"east"}, "steered all the time"
        assert program.found() == []
    assert lab.events(redisteer, config, "failover") == []
    lab.figure(f"20 kills: {sum(len(program.answers()) for program in programs)} answers, all from east")


def test_without_it_the_breaker_works_alone(config_of, start_watchful, redisteer, pair):  # noqa: F811
    """Nobody may start one, and east dies."""
    east, _ = pair
    config = config_of(front="monitor = external\n", options="breaker { open = 1m  open_max = 1m }")
    program = start_watchful(config)
    program.wait_answers(20)
    east.kill()
    lab.wait_for(lambda: program.answers()[-1:] == ["west"], "west to answer")
    event = wait_event(redisteer, config, "failover", "the failover", to="west")
    assert event["reason"] == "breaker"
    program.wait_answers(20)
    assert set(program.answers()) == {"east", "west"}, "no call failed"
    assert endpoint(redisteer, config, "west")["health"] == "unknown"
    assert program.found() == []


def test_as_process_1_of_a_container_there_is_none(config_of, start_watchful, redisteer,
                                                   runtime_dir):
    """Nor a zombie: who would have to reap it?"""
    unshare = lab.need("unshare")
    config = config_of()
    program = start_watchful(config, [unshare, "--pid", "--fork", "--mount-proc"])
    program.wait_answers(100)
    assert set(program.answers()) == {"east"} and program.found() == []
    assert monitors(runtime_dir) == []
    east = endpoint(redisteer, config, "east")
    assert east["health"] == "unknown" and east["eligible"]
    assert east["last_error"] == "needs `redisteer monitor`, which does not run"
    assert "needs `redisteer monitor`" in redisteer("status", config=config).stdout


def test_as_child_subreaper_there_is_none(config_of, start_watchful, redisteer, runtime_dir):
    config = config_of()
    reaper = ("import ctypes, os, sys; "
              "assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0; "  # PR_SET_CHILD_SUBREAPER
              "sys.argv = sys.argv[1:]; exec(open(sys.argv[0]).read())")
    program = start_watchful(config, [lab.PYTHON, "-c", reaper, lab.CLIENTS / "watchful.py",
                                      "redis.test", "6379", "--"])
    program.wait_answers(100)
    assert set(program.answers()) == {"east"} and program.found() == []
    assert monitors(runtime_dir) == []
