"""strategy = command: the operator's selector program ranks the endpoints, run by `redisteer monitor`."""

import json
import os
import signal
import time

import pytest

import lab
from test_heavy_checks import children_with
from test_monitor import start_monitor, wait_event, wait_health, wait_published  # noqa: F401

QUICK = """
    health   { interval = 100ms  fast_interval = 50ms  timeout = 500ms }
    failback { grace = 0s  check = 50ms }
"""
# Notes each run and what it was told, then does what the file `act` says.
SCRIPT = """#!/bin/sh
now=$(date +%s.%N)
env >{home}/env.new && mv {home}/env.new {home}/env
cat >{home}/told.new && mv {home}/told.new {home}/told
echo $now >>{home}/runs
. {home}/act
"""


class Selector:
    def __init__(self, home):
        self.home = home
        self.path = home / "select.sh"
        self.path.write_text(SCRIPT.format(home=home))
        self.path.chmod(0o755)

    def act(self, text):
        """What it does from now on, in shell."""
        fresh = self.home / "act.new"
        fresh.write_text(text + "\n")
        fresh.rename(self.home / "act")

    def rank(self, *names):
        self.act("".join(f"echo '{name}'\n" for name in names))

    def runs(self):
        try:
            return [float(line) for line in (self.home / "runs").read_text().split()]
        except FileNotFoundError:
            return []

    def told(self):
        return json.loads((self.home / "told").read_text())


@pytest.fixture
def trio(start_redis):
    return [start_redis(name) for name in ("east", "west", "south")]


@pytest.fixture
def selector(tmp_path):
    home = tmp_path / "selector"
    home.mkdir()
    return Selector(home)


@pytest.fixture
def config_of(trio, selector, write_config):
    """config_of(options, weight of east) -> file of a service whose endpoints the selector ranks."""

    def write(options="", weight=1, front="", arguments=()):
        endpoints = {server.name: (server.address, weight if server.name == "east" else 1)
                     for server in trio}
        words = ", ".join(map(str, (selector.path, *arguments)))
        return write_config(front + lab.service(
            "cache", ["redis.test"], endpoints,
            f"strategy = command\n    selector = {{ {words} }}\n{QUICK}{options}"))

    return write


def active(redisteer, config):
    return lab.status(redisteer, config, "cache")["active"]


def wait_active(redisteer, config, name):
    wait_published(redisteer, config)
    lab.wait_for(lambda: active(redisteer, config) == name, f"{name} to be the active one")


def wait_all_healthy(redisteer, config):
    wait_health(redisteer, config, east="healthy", west="healthy", south="healthy")


def wait_quiet(selector):
    """Until it has been told the last change, and no other follows."""
    lab.wait_for(lambda: selector.runs() and time.time() - selector.runs()[-1] > 2.5,
                 "the selector to rest")


def failures(redisteer, config):
    return [event["detail"] for event in lab.events(redisteer, config, "check")
            if event["reason"] == "selector failed"]


def test_connections_go_where_the_selector_says(config_of, selector, start_monitor,  # noqa: F811
                                                redisteer, preload, start_asker):
    selector.rank("south", "west", "east")
    config = config_of()
    start_monitor(config)
    wait_active(redisteer, config, "south")
    preload.way = "preload"
    ask = start_asker(preload, config)
    assert ask("redis.test", 6379) == "south"
    assert lab.status(redisteer, config, "cache")["strategy"] == "command"


def test_a_change_of_health_asks_again(config_of, selector, trio, start_monitor,  # noqa: F811
                                       redisteer):
    selector.rank("south", "west", "east")
    config = config_of()
    start_monitor(config)
    wait_all_healthy(redisteer, config)
    wait_active(redisteer, config, "south")
    wait_quiet(selector)
    selector.rank("east", "south", "west")
    runs = len(selector.runs())
    trio[1].kill()  # west, which is not in use
    wait_active(redisteer, config, "east")
    assert len(selector.runs()) > runs
    event = wait_event(redisteer, config, "failback", "the event", to="east")
    assert event["detail"] == "east: preferred by the selector"
    trio[0].kill()
    wait_active(redisteer, config, "south")  # the next of the last ranks, whoever is asked


def test_other_settings_ask_again(config_of, selector, start_monitor, redisteer):  # noqa: F811
    selector.rank("south")
    config = config_of()
    start_monitor(config)
    wait_active(redisteer, config, "south")
    wait_quiet(selector)
    selector.rank("west")
    config_of(weight=7)
    wait_active(redisteer, config, "west")
    assert {one["name"]: one["weight"] for one in selector.told()["endpoints"]}["east"] == 7


def test_it_is_asked_at_most_once_a_second_and_not_without_need(
        config_of, selector, trio, start_monitor, redisteer):  # noqa: F811
    selector.rank("east")
    config = config_of()
    start_monitor(config)
    wait_all_healthy(redisteer, config)
    for _ in range(3):
        trio[2].kill()
        wait_health(redisteer, config, south="unhealthy")
        trio[2].start()
        wait_health(redisteer, config, south="healthy")
    trio[2].kill()  # what has changed and changed back within a second is no change
    lab.wait_for(lambda: len(selector.runs()) >= 2, "it to be asked again")
    wait_quiet(selector)
    runs = selector.runs()
    # The script writes the time a little after its start.
    gaps = [b - a for a, b in zip(runs, runs[1:])]
    assert min(gaps) > 0.7, gaps


def test_what_it_is_told(config_of, selector, trio, start_monitor, redisteer):  # noqa: F811
    selector.act(f'echo "$# $2" >{selector.home}/arguments; pwd >>{selector.home}/arguments\n'
                 "echo south east west")
    words = ("--fast", '"a b"')
    config = config_of(arguments=words)
    start_monitor(config)
    wait_all_healthy(redisteer, config)
    wait_active(redisteer, config, "south")
    config_of(weight=0.5, arguments=words)
    lab.wait_for(lambda: selector.told()["endpoints"][0]["weight"] == 0.5, "it to be asked again")
    told = selector.told()
    assert (told["schema"], told["service"], told["active"]) == (1, "cache", "south")
    assert [one["name"] for one in told["endpoints"]] == ["east", "west", "south"]
    east = told["endpoints"][0]
    assert east.pop("rtt_us") > 0
    assert east == {"name": "east", "address": trio[0].address, "weight": 0.5, "zone": "",
                    "health": "healthy", "breaker": "closed", "admin": "ready", "eligible": True,
                    "connections": east["connections"]}
    assert (selector.home / "arguments").read_text() == "2 a b\n/\n"
    environment = (selector.home / "env").read_text()
    assert "PATH=" in environment
    assert "REDISTEER_" not in environment and "LD_PRELOAD" not in environment


@pytest.mark.parametrize("act, words", [
    ("head -c 300 /dev/urandom | tr -d ' \\n\\t' | tr '\\000-\\377' 'x'", "unknown endpoint 'xxx"),
    ("printf '\\001\\377\\n'", "unknown endpoint '??'"),
    ("", "it named no endpoint"),
    ("echo west; exit 3", "it ended with exit status 3"),
    ("echo west; kill -SEGV $$", "it was ended by signal 11"),
    ("echo west; while :; do echo too much; done", "it said more than 65536 bytes"),
])
def test_a_selector_that_fails_changes_nothing(act, words, config_of, selector,  # noqa: F811
                                               start_monitor, redisteer):
    selector.rank("south", "east")
    config = config_of()
    start_monitor(config)
    wait_all_healthy(redisteer, config)
    wait_active(redisteer, config, "south")
    wait_quiet(selector)
    selector.act(act)
    config_of(weight=2)
    lab.wait_for(lambda: failures(redisteer, config), "the event")
    assert failures(redisteer, config)[0].startswith(words)
    assert active(redisteer, config) == "south"
    config_of(weight=3)
    lab.wait_for(lambda: selector.told()["endpoints"][0]["weight"] == 3, "it to be asked again")
    time.sleep(0.3)
    assert len(failures(redisteer, config)) == 1  # once per trouble
    assert active(redisteer, config) == "south"


def test_a_selector_that_is_not_there_is_told_of(config_of, selector, start_monitor,  # noqa: F811
                                                 redisteer):
    selector.path.unlink()
    config = config_of()
    start_monitor(config)
    wait_published(redisteer, config)
    wait_event(redisteer, config, "check", "the event", reason="selector failed", service="cache",
               detail="it cannot be started: No such file or directory")
    wait_active(redisteer, config, "east")  # the order of the file


def test_a_selector_that_hangs_is_killed_and_delays_nothing(
        config_of, selector, trio, start_monitor, redisteer):  # noqa: F811
    selector.rank("south", "west")
    config = config_of()
    monitor = start_monitor(config)
    wait_all_healthy(redisteer, config)
    wait_active(redisteer, config, "south")
    wait_quiet(selector)
    mark = f"34{os.getpid()}.5"
    selector.act(f"trap '' TERM; sleep {mark} & sleep {mark}")
    trio[0].kill()
    lab.wait_for(lambda: len(children_with(f"sleep\0{mark}")) == 2, "it to hang")
    started = time.monotonic()
    trio[2].kill()  # while it hangs: the next of the last ranks
    wait_active(redisteer, config, "west")
    assert time.monotonic() - started < 2
    selector.rank("west")
    event = wait_event(redisteer, config, "check", "the event", reason="selector failed")
    assert event["detail"] == "it has not ended within 10 s"
    lab.wait_for(lambda: not children_with(f"sleep\0{mark}"), "all of it to be gone")
    assert active(redisteer, config) == "west"
    assert monitor.poll() is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_monitor_that_ends_takes_it_along(how, config_of, selector, start_monitor):  # noqa: F811
    mark = f"35{os.getpid()}.5"
    selector.act(f"exec sleep {mark}")
    monitor = start_monitor(config_of())
    lab.wait_for(lambda: children_with(f"sleep\0{mark}"), "it to run")
    monitor.send_signal(how)
    assert monitor.wait(timeout=lab.PATIENCE) in (0, -signal.SIGKILL)
    lab.wait_for(lambda: not children_with(f"sleep\0{mark}"), "it to be gone")


def test_names_that_are_no_endpoints_are_passed_over(config_of, selector, start_monitor,  # noqa: F811
                                                     redisteer):
    selector.rank("nowhere", "west", "west", "south")
    config = config_of()
    start_monitor(config)
    wait_active(redisteer, config, "west")
    wait_event(redisteer, config, "check", "the event", reason="selector",
               detail="unknown endpoint 'nowhere'")
    assert not failures(redisteer, config)


def test_the_last_ranks_stay_without_a_monitor(config_of, selector, trio, start_monitor,  # noqa: F811
                                               redisteer, preload, start_asker):
    selector.rank("south", "west", "east")
    config = config_of(front="monitor = external\n")
    monitor = start_monitor(config)
    wait_active(redisteer, config, "south")
    monitor.terminate()
    monitor.wait()
    trio[2].kill()
    preload.way = "preload"
    ask = start_asker(preload, config)
    assert {ask("redis.test", 6379) for _ in range(5)} == {"west"}


def test_the_monitor_is_started_for_it(config_of, selector, redisteer, preload, start_asker):
    if os.readlink("/proc/self/ns/pid") != "pid:[4026531836]":
        pytest.skip("in a pid namespace of its own no monitor is started")
    selector.rank("west")
    config = config_of()
    preload.way = "preload"
    ask = start_asker(preload, config)
    ask("redis.test", 6379)
    wait_active(redisteer, config, "west")
    assert ask("redis.test", 6379) == "west"
