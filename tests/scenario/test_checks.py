"""Checks and expressions of checks, in the library's thread and in `redisteer monitor`."""

import re
import signal

import pytest

import lab
from test_guard import start_holder  # noqa: F401
from test_monitor import (config_of, endpoint, leader, pair, start_monitor, wait_event,  # noqa: F401
                          wait_health)

QUICK = "interval = 100ms  fast_interval = 50ms  timeout = 500ms"
HOME = "failback { grace = 0s  check = 50ms  probe = PROBE }"

CHECKS = """
check ready { type = command  command = { EXISTS, "drain me" }  expect = 0 }
check load  { type = command  command = { LLEN, jobs }  expect = 0-2 }
check named { type = command  command = { GET, name }  expect = "e?st*" }
check data  { type = key  key = canary  value = 42 }
check held  { type = role }
check disk  { type = write }
"""


@pytest.fixture(params=["thread", "monitor"])
def prober(request, start_monitor, start_holder, preload):  # noqa: F811
    """prober(config): whoever checks, as a thread of a program or as `redisteer monitor`."""

    def start(config):
        if request.param == "monitor":
            start_monitor(config)
        else:
            preload.way = "preload"
            start_holder(preload, config)

    return start


def last_error(redisteer, config, name):
    return endpoint(redisteer, config, name)["last_error"]


def count(server, command, what="calls"):
    found = re.search(rf"cmdstat_{command}:(?:.*,)?{what}=(\d+)", server.command("INFO", "commandstats"))
    return int(found[1]) if found else 0


def write(config_of, pair, probe, more="", **options):  # noqa: F811
    return config_of(pair, f"health {{ probe = {probe}  {QUICK}  {more} }}", front=CHECKS, **options)


# How to make a check of east fail, its text, and how to make it pass again.
TROUBLES = {
    "ready": (["SET", "drain me", "1"], "not the expected answer", ["DEL", "drain me"]),
    "load": (["RPUSH", "jobs", "a", "b", "c"], "not the expected answer", ["LPOP", "jobs"]),
    "named": (["SET", "name", "west"], "not the expected answer", ["SET", "name", "east"]),
    "data": (["SET", "canary", "43"], "the key has another value", ["SET", "canary", "42"]),
    "data gone": (["DEL", "canary"], "the key is not there", ["SET", "canary", "42"]),
    "held": (["REPLICAOF", "127.0.0.1", "1"], "replica whose link to its master is down",
             ["REPLICAOF", "NO", "ONE"]),
    "disk": (["CONFIG", "SET", "min-replicas-to-write", "3"], "refuses writes: too few replicas",
             ["CONFIG", "SET", "min-replicas-to-write", "0"]),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_check_block_decides_on_its_own(trouble, pair, config_of, prober, redisteer):  # noqa: F811
    east, west = pair
    for server in pair:
        server.command("SET", "canary", "42")
    west.command("SET", "name", "east")
    config = write(config_of, pair, trouble.split()[0])
    breaks, text, mends = TROUBLES[trouble]
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.command(*breaks)
    event = wait_event(redisteer, config, "health", "east to be unhealthy", endpoint="east",
                       to="unhealthy")
    assert event["reason"] == text
    assert last_error(redisteer, config, "east") == text
    assert lab.status(redisteer, config, "cache")["active"] == "west"
    history = redisteer("status", "--history", config=config).stdout
    assert text in history
    east.command(*mends)
    wait_health(redisteer, config, east="healthy", west="healthy")


def test_the_role_that_the_service_needs(pair, config_of, prober, redisteer):  # noqa: F811
    east, west = pair
    config = write(config_of, pair, "ping", "role = master")
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert endpoint(redisteer, config, "east")["role"] == "master"
    east.command("REPLICAOF", west.host, west.port)
    event = wait_event(redisteer, config, "health", "east to be unhealthy", endpoint="east",
                       to="unhealthy")
    assert event["reason"] == "is a replica, a master is wanted"
    assert endpoint(redisteer, config, "east")["role"] == "replica"
    east.command("REPLICAOF", "NO", "ONE")
    wait_health(redisteer, config, east="healthy", west="healthy")


def test_an_active_replica_is_told_though_no_role_is_asked_for(pair, config_of, prober,  # noqa: F811
                                                               redisteer):
    """It answers PING, so it is healthy, and stays active; its operator hears of it, once."""
    east, west = pair
    config = write(config_of, pair, "ping")
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["role"] == "master", "its role")
    east.command("REPLICAOF", west.host, west.port)
    event = wait_event(redisteer, config, "check", "the warning", endpoint="east")
    assert (event["reason"], event["detail"]) == (
        "replica", "the active endpoint is a replica: it takes no writes")
    assert endpoint(redisteer, config, "east")["role"] == "replica"
    assert endpoint(redisteer, config, "east")["health"] == "healthy"
    asked = count(east, "role")
    lab.wait_for(lambda: count(east, "role") > asked, "its role to be asked for again")
    assert count(east, "role") < count(east, "ping") / 10
    assert len(lab.events(redisteer, config, "check")) == 1


def test_who_may_not_ask_for_the_role_asks_once(pair, config_of, prober, redisteer):  # noqa: F811
    east, _ = pair
    east.command("ACL", "SETUSER", "default", "-role")
    config = write(config_of, pair, "ping")
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    wait_many = count(east, "ping") + 80  # twice as long as between two questions
    lab.wait_for(lambda: count(east, "ping") >= wait_many, "many checks")
    assert "cmdstat_role:calls=0" in east.command("INFO", "commandstats")
    assert count(east, "role", "rejected_calls") == 1
    assert endpoint(redisteer, config, "east")["role"] is None


def test_a_replica_is_wanted(pair, config_of, prober, redisteer):  # noqa: F811
    east, west = pair
    east.command("REPLICAOF", west.host, west.port)
    config = write(config_of, pair, "ping", "role = replica")
    prober(config)
    wait_health(redisteer, config, east="healthy", west="unhealthy")
    assert last_error(redisteer, config, "west") == "is a master, a replica is wanted"


@pytest.mark.parametrize("op, health", [("all", "unhealthy"), ("any", "healthy"),
                                        ("majority", "healthy")])
def test_checks_add_up(op, health, pair, config_of, prober, redisteer):  # noqa: F811
    """One of three fails."""
    east, _ = pair
    config = write(config_of, pair, f'"{op}(ping, ready, disk)"')
    east.command("SET", "drain me", "1")
    prober(config)
    wait_health(redisteer, config, east=health, west="healthy")
    lab.wait_for(lambda: last_error(redisteer, config, "east") == "not the expected answer",
                 "the failing check to be told")
    checks = endpoint(redisteer, config, "east")["checks_failed"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_failed"] > checks + 3,
                 "more failed checks")
    assert endpoint(redisteer, config, "east")["health"] == health
    east.command("DEL", "drain me")
    wait_health(redisteer, config, east="healthy", west="healthy")


def test_the_majority_may_fail(pair, config_of, prober, redisteer):  # noqa: F811
    east, _ = pair
    config = write(config_of, pair, '"majority(ping, ready, disk)"')
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.command("SET", "drain me", "1")
    east.command("CONFIG", "SET", "min-replicas-to-write", "3")
    wait_health(redisteer, config, east="unhealthy", west="healthy")


def test_a_dead_server_is_one_verdict_for_all_its_checks(pair, config_of, prober,  # noqa: F811
                                                         redisteer):
    east, _ = pair
    config = write(config_of, pair, '"all(ping, ready, disk)"', "role = master")
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.kill()
    event = wait_event(redisteer, config, "health", "east to be unhealthy", endpoint="east",
                       to="unhealthy")
    assert event["reason"] == "connection refused"
    east.start()
    wait_health(redisteer, config, east="healthy", west="healthy")
    changes = [found["to"] for found in lab.events(redisteer, config, "health")
               if found["endpoint"] == "east"]
    assert changes == ["healthy", "unhealthy", "healthy"]


def test_a_new_leader_takes_over_without_a_doubt(pair, config_of, start_monitor,  # noqa: F811
                                                 redisteer):
    """It knows nothing of single checks, and what they came to goes on."""
    config = write(config_of, pair, '"all(ping, ready)"')
    first = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    first.kill()
    first.wait()
    second = start_monitor(config)
    lab.wait_for(lambda: (leader(redisteer, config) or {}).get("pid") == second.pid, "the second")
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > checks + 6, "checks")
    assert [found["to"] for found in lab.events(redisteer, config, "health")] == ["healthy"] * 2


# ---- failback.probe ----

@pytest.fixture
def gated(pair, config_of):  # noqa: F811
    """gated(expression) -> file in which east must pass it before it is returned to."""
    def write_gated(expression):
        return config_of(pair, f"health {{ {QUICK} }}\n" + HOME.replace("PROBE", expression),
                         front=CHECKS)
    return write_gated


def away(redisteer, config, east):
    """East fails and is well again; connections are at west."""
    east.process.send_signal(signal.SIGSTOP)
    wait_event(redisteer, config, "failover", "the failover", to="west")
    east.process.send_signal(signal.SIGCONT)
    wait_health(redisteer, config, east="healthy")


def test_failback_waits_for_its_probe(pair, gated, prober, redisteer):  # noqa: F811
    east, _ = pair
    config = gated('"all(ready, data)"')
    for server in pair:
        server.command("SET", "canary", "42")
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.command("SET", "drain me", "1")
    wait_event(redisteer, config, "check", "the gate to close", endpoint="east",
               reason="not the expected answer", detail="failback.probe does not hold")
    assert lab.status(redisteer, config, "cache")["active"] == "east", "a gate evicts nobody"
    away(redisteer, config, east)
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > checks + 5, "checks")
    assert lab.status(redisteer, config, "cache")["active"] == "west"
    assert lab.events(redisteer, config, "failback") == []
    assert last_error(redisteer, config, "east") == "not the expected answer"
    east.command("DEL", "drain me")
    failback = wait_event(redisteer, config, "failback", "the way home", to="east")
    opened = wait_event(redisteer, config, "check", "the gate to open", endpoint="east",
                        detail="failback.probe holds")
    assert opened["seq"] < failback["seq"]


def test_a_closed_gate_does_not_keep_the_last_one_out(pair, gated, prober,  # noqa: F811
                                                      redisteer):
    east, west = pair
    config = gated("ready")
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.command("SET", "drain me", "1")
    away(redisteer, config, east)
    west.kill()
    wait_event(redisteer, config, "failover", "the failover to east", to="east")


def test_the_operator_may_pass_a_closed_gate(pair, gated, prober, redisteer):  # noqa: F811
    east, _ = pair
    config = gated("ready")
    prober(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.command("SET", "drain me", "1")
    away(redisteer, config, east)
    assert redisteer("switch", "cache", "east", config=config).returncode == 0
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["active"] == "east", "the switch")
    assert lab.events(redisteer, config, "failback") == []


def test_switching_asks_all_checks(pair, config_of, redisteer):  # noqa: F811
    east, _ = pair
    config = write(config_of, pair, '"all(ping, ready)"')
    assert redisteer("reload", config=config).returncode == 0
    assert redisteer("switch", "cache", "east", config=config).returncode == 0
    east.command("SET", "drain me", "1")
    refused = redisteer("switch", "cache", "east", config=config)
    assert refused.returncode == 1
    assert "not the expected answer" in refused.stderr


# ---- passwords ----

def test_a_changed_password_file_is_read_again(pair, write_config, prober, redisteer,  # noqa: F811
                                               tmp_path):
    east, _ = pair
    secret = tmp_path / "secret"
    secret.write_text("old\n")
    secret.chmod(0o600)
    config = write_config(f"""service cache {{
        match = {{ redis.test }}
        endpoint east {{ address = {east.address}  password_file = {secret} }}
        health {{ probe = held  {QUICK} }} }}
        check held {{ type = role }}""")
    east.command("CONFIG", "SET", "requirepass", "new")
    prober(config)
    wait_health(redisteer, config, east="unhealthy")
    assert last_error(redisteer, config, "east") == "wrong password"
    secret.write_text("new\n")
    wait_health(redisteer, config, east="healthy")
