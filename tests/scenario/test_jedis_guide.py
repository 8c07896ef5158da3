"""config/examples/jedis-guide.conf does what the guide's example does, with connects as its calls."""

import errno
import time

import pytest

import lab
from test_guard import frozen, start_holder  # noqa: F401
from test_monitor import moment, wait_event, wait_health

EXAMPLE = lab.ROOT / "config" / "examples" / "jedis-guide.conf"
ADDRESSES = {"east": "redis-east.example.com:14000", "west": "redis-west.example.com:14000"}


@pytest.fixture
def pair(start_redis):
    return start_redis("east"), start_redis("west")


@pytest.fixture
def config_of(write_config):
    """config_of(pair, front) -> the example with these servers."""

    def write(servers, front=""):
        text = EXAMPLE.read_text()
        for server in servers:
            assert text.count(ADDRESSES[server.name]) == 1
            text = text.replace(ADDRESSES[server.name], server.address)
        return write_config(front + text.replace("{ redis.internal }", "{ redis.test }"))

    return write


@pytest.fixture
def call(start_program, preload):
    """call(config): one call, a blocking connect() by name; "ok" or the error's number."""
    programs = {}

    def once(config):
        if config not in programs:
            programs[config] = start_program(
                [lab.BUILT_CLIENTS / "on_command", "redis.test", "6379"],
                env=preload.environment(config), stdin=-1)
        program = programs[config]
        program.stdin.write("x")
        program.stdin.flush()
        return program.stdout.readline().strip()

    return once


def breaker(redisteer, config):
    return lab.status(redisteer, config, "cache")["by_name"]["east"]["breaker"]


def test_the_example_is_good(redisteer):
    result = redisteer("check", EXAMPLE)
    assert result.returncode == 0, result.stderr
    for line in ("weight = 1.0", "weight = 0.5", "probe = echo", "window = 10\n", "min_calls = 1\n",
                 "failure_rate = 50%", "attempts = 3", "wait = 500ms", "backoff = 2.0",
                 "check = 1s", "grace = 10s", "close_connections = true"):
        assert line in result.stdout, line


def test_five_failures_in_any_ten_calls_open_the_breaker(pair, config_of, call, redisteer):
    """Nobody checks health here: the breaker alone. Good calls lie between the failed ones."""
    east, _ = pair
    config = config_of(pair, "monitor = external\n")
    for _ in range(10):
        assert call(config) == "ok"
    failures = 0
    for down in (True, False, True, True, False, True):
        east.kill() if down else east.start()
        assert call(config) == "ok"  # when east refuses, west takes it
        failures += down
        assert breaker(redisteer, config) == "closed", failures
        if not down:
            assert lab.status(redisteer, config, "cache")["active"] == "east"
    assert failures == 4 and east.process.poll() is not None
    assert call(config) == "ok"
    assert breaker(redisteer, config) == "open"
    assert lab.status(redisteer, config, "cache")["active"] == "west"
    event, = lab.events(redisteer, config, "breaker")
    lab.figure(f"the fifth failure: {event['detail'] or event['reason']}")
    east_calls = lab.status(redisteer, config, "cache")["by_name"]["east"]["connects"]
    assert (east_calls["ok"], east_calls["refused"]) == (12, 5)


def test_the_third_attempt_waits_half_a_second(pair, config_of, call):
    """A second endpoint is asked at once; with both down, the pause comes before the next round."""
    east, west = pair
    config = config_of(pair, "monitor = external\n")
    assert call(config) == "ok"
    east.kill()
    west.kill()
    begun = time.monotonic()
    assert call(config) == str(errno.ECONNREFUSED)
    took = time.monotonic() - begun
    lab.figure(f"both down: three attempts took {took:.3f} s")
    assert 0.5 <= took < 1.5


def test_fast_failover_and_the_way_home(pair, config_of, preload, start_holder, redisteer):
    """Blocked connections are shut; home after 10 s of grace, looked at each second."""
    east, west = pair
    config = config_of(pair)
    holder = start_holder(preload, config)
    assert holder.server() == "east"
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert "cmdstat_echo" in west.command("INFO", "commandstats")
    with frozen(east) as stopped:
        woken, _ = holder.shut()
        assert holder.server() == "west"
    failover = wait_event(redisteer, config, "failover", "the failover", to="west")
    assert failover["reason"] == "health-check"
    failback = wait_event(redisteer, config, "failback", "the way home", to="east")
    back, _ = holder.shut()
    assert holder.server() == "east"
    unhealthy = [event for event in lab.events(redisteer, config, "health")
                 if event["endpoint"] == "east" and event["to"] == "unhealthy"]
    away = moment(failback["time"]) - moment(unhealthy[-1]["time"])
    lab.figure(f"woken {woken - stopped:.2f} s after the freeze; home {away:.2f} s after the verdict, "
               f"woken {back - moment(failback['time']):.3f} s after that")
    assert woken - stopped < 4
    assert 9.9 <= away < 13
