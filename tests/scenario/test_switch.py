"""`redisteer switch` and `auto`: the operator's choice, and how long it holds."""

import json
import signal
from datetime import datetime, timezone

import pytest

import lab

SHORT = """
    health   { interval = 200ms  fast_interval = 50ms  timeout = 200ms }
    failback { grace = 500ms  check = 100ms }
"""


@pytest.fixture
def pair(start_redis):
    return start_redis("east"), start_redis("west")


@pytest.fixture
def config(pair, write_config, redisteer):
    """Published, and checked by nobody."""
    path = write_config(lab.service("cache", ["redis.test"],
                                    {server.name: server.address for server in pair}, SHORT))
    assert redisteer("reload", config=path).returncode == 0
    return path


@pytest.fixture
def monitor(config, start_program, preload, redisteer):
    preload.way = "run"
    process = start_program([lab.REDISTEER, "monitor"], env=preload.environment(config))
    lab.wait_for(lambda: all(endpoint["health"] == "healthy" for endpoint in
                             lab.status(redisteer, config, "cache")["endpoints"]), "first checks")
    return process


def used(redisteer, config):
    return redisteer("endpoint", "cache", config=config).stdout.strip()


def wait_used(redisteer, config, server):
    lab.wait_for(lambda: used(redisteer, config) == server.address, f"{server.name} to be used")


def test_new_connections_go_where_the_operator_says(pair, config, preload, redisteer):
    _, west = pair
    ask = [lab.PYTHON, "-c", "import redis; print(redis.Redis('redis.test').get('name').decode())"]
    assert preload.run(ask, config).stdout == "east\n"
    result = redisteer("switch", "cache", "west", config=config)
    assert result.returncode == 0, result.stderr
    assert preload.run(ask, config).stdout == "west\n"
    service = lab.status(redisteer, config, "cache")
    assert (service["mode"], service["mode_until"], service["active"]) == ("manual", None, "west")
    assert service["last_switch"]["reason"] == "manual"
    event, = lab.events(redisteer, config, "switch")
    assert (event["from"], event["to"], event["reason"]) == ("east", "west", "manual")
    assert used(redisteer, config) == west.address


def test_auto_ends_it(pair, config, redisteer):
    east, _ = pair
    redisteer("switch", "cache", "west", config=config)
    result = redisteer("auto", "cache", config=config)
    assert result.returncode == 0, result.stderr
    service = lab.status(redisteer, config, "cache")
    assert (service["mode"], service["mode_until"], service["active"]) == ("auto", None, "east")
    assert used(redisteer, config) == east.address
    assert "already auto" in redisteer("auto", "cache", config=config).stdout


def test_it_ends_when_its_time_is_up(pair, config, monitor, redisteer):
    east, west = pair
    before = datetime.now(timezone.utc)
    assert redisteer("switch", "--for", "1s", "cache", "west", config=config).returncode == 0
    service = lab.status(redisteer, config, "cache")
    until = datetime.fromisoformat(service["mode_until"].replace("Z", "+00:00"))
    assert 0.9 < (until - before).total_seconds() < 3
    wait_used(redisteer, config, west)
    wait_used(redisteer, config, east)
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["active"] == "east",
                 "the way back, which no program asked for")
    assert lab.status(redisteer, config, "cache")["mode"] == "auto"
    assert lab.events(redisteer, config, "failback")[-1]["to"] == "east"


def test_a_target_that_does_not_answer_is_refused(pair, config, redisteer):
    _, west = pair
    west.kill()
    result = redisteer("switch", "cache", "west", config=config)
    assert result.returncode == 1
    assert "connection refused" in result.stderr and "--force" in result.stderr
    service = lab.status(redisteer, config, "cache")
    assert (service["mode"], service["active"]) == ("auto", "east")


def test_force_asks_nobody(pair, config, redisteer):
    _, west = pair
    west.kill()
    assert redisteer("switch", "--force", "cache", "west", config=config).returncode == 0
    assert lab.status(redisteer, config, "cache")["active"] == "west"


def test_a_held_endpoint_that_fails_is_left_and_taken_up_again(pair, config, monitor, redisteer):
    east, west = pair
    redisteer("switch", "cache", "west", config=config)
    wait_used(redisteer, config, west)
    west.process.send_signal(signal.SIGSTOP)
    wait_used(redisteer, config, east)
    assert lab.status(redisteer, config, "cache")["mode"] == "manual"
    west.process.send_signal(signal.SIGCONT)
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["active"] == "west", "west again")
    moves = [(event["type"], event["to"], event["reason"])
             for event in lab.events(redisteer, config)
             if event["type"] in ("switch", "failover", "failback")]
    assert moves == [("switch", "west", "manual"), ("failover", "east", "health-check"),
                     ("switch", "west", "manual")]


def test_the_target_is_checked_at_once(pair, config, write_config, monitor, redisteer):
    """An old verdict would keep it from being used for an hour."""
    write_config(lab.service("cache", ["redis.test"], {server.name: server.address
                                                       for server in pair},
                             "health { interval = 1h }"))
    lab.wait_for(lambda: not lab.status(redisteer, config)["config_changed"], "the new interval")
    checks = lab.status(redisteer, config, "cache")["by_name"]["west"]["checks_ok"]
    assert redisteer("switch", "cache", "west", config=config).returncode == 0
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["by_name"]["west"]["checks_ok"]
                 > checks, "a check")


def test_a_held_endpoint_does_not_fail_back(pair, config, monitor, redisteer):
    """east is better, well, and out of grace all the time."""
    _, west = pair
    redisteer("switch", "cache", "west", config=config)
    checks = lab.status(redisteer, config, "cache")["by_name"]["east"]["checks_ok"]
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["by_name"]["east"]["checks_ok"]
                 > checks + 5, "some checks")
    assert used(redisteer, config) == west.address


def test_a_switch_closes_the_breaker_and_ends_grace(pair, write_config, preload, redisteer):
    east, west = pair
    config = write_config(lab.service("cache", ["redis.test"],
                                      {"east": east.address, "west": west.address},
                                      lab.SLOW))
    port = east.port
    east.kill()
    ask = [lab.PYTHON, "-c", "import redis; print(redis.Redis('redis.test').get('name').decode())"]
    for _ in range(3):
        preload.run(ask, config)
    before = lab.status(redisteer, config, "cache")["by_name"]["east"]
    assert before["breaker"] == "open" and before["grace_ms"] > 0
    east.start()
    assert east.port == port
    assert redisteer("switch", "cache", "east", config=config).returncode == 0
    after = lab.status(redisteer, config, "cache")["by_name"]["east"]
    assert after["breaker"] == "closed" and after["grace_ms"] == 0
    assert preload.run(ask, config).stdout == "east\n"


def test_the_held_endpoint_may_leave_the_file(pair, config, write_config, redisteer):
    east, _ = pair
    redisteer("switch", "cache", "west", config=config)
    write_config(lab.service("cache", ["redis.test"], {"east": east.address}, SHORT))
    assert redisteer("reload", config=config).returncode == 0
    assert used(redisteer, config) == east.address


@pytest.mark.parametrize("word, mode", [("off", "off"), ("observe", "observe")])
def test_a_service_that_is_not_steered_is_not_switched(word, mode, config, redisteer):
    redisteer(word, "cache", config=config)
    result = redisteer("switch", "cache", "west", config=config)
    assert result.returncode == 1 and "redisteer on cache" in result.stderr
    assert lab.status(redisteer, config, "cache")["mode"] == mode


def test_on_ends_a_switch(config, redisteer):
    redisteer("switch", "cache", "west", config=config)
    assert redisteer("on", "cache", config=config).returncode == 0
    assert lab.status(redisteer, config, "cache")["mode"] == "auto"


@pytest.mark.parametrize("arguments, text", [
    (["cache", "wset"], "did you mean 'west'?"),
    (["cahce", "west"], "did you mean 'cache'?"),
    (["--for", "soon", "cache", "west"], "not a duration"),
    (["--for", "0s", "cache", "west"], "not a duration"),
    (["cache"], "switch needs"),
])
def test_wrong_usage_is_said(arguments, text, config, redisteer):
    result = redisteer("switch", *arguments, config=config)
    assert result.returncode == 2 and text in result.stderr
    assert lab.status(redisteer, config, "cache")["mode"] == "auto"


def test_a_switch_survives_a_reload(pair, config, write_config, redisteer):
    _, west = pair
    redisteer("switch", "cache", "west", config=config)
    write_config(lab.service("cache", ["redis.test", "redis.other"],
                             {server.name: server.address for server in pair}, SHORT))
    assert redisteer("reload", config=config).returncode == 0
    assert used(redisteer, config) == west.address
    assert lab.status(redisteer, config, "cache")["mode"] == "manual"


def test_the_history_of_checks_is_shown(pair, config, monitor, redisteer):
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["by_name"]["east"]["checks_ok"] > 3,
                 "checks")
    text = redisteer("status", "--history", config=config).stdout
    assert "last checks of east:" in text and "check passed" in text
    whole = json.loads(redisteer("status", "--json", "--history", config=config).stdout)
    history = whole["services"][0]["endpoints"][0]["history"]
    assert len(history) > 3
    assert all(entry["passed"] and entry["rtt_us"] > 0 for entry in history)
    times = [entry["time"] for entry in history]
    assert times == sorted(times, reverse=True)
    assert "history" not in lab.status(redisteer, config, "cache")["by_name"]["east"]
