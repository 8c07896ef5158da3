"""
Discovery by DNS with a real name server (dnsmasq) and real Redis servers: names of endpoints, dns = true
and SRV, followed by `redisteer monitor`; what is known survives every failure of the name server.
"""

import concurrent.futures
import os
import re
import time

import pytest

import lab
from name_server import NameServer
from sentinels import MASTER, Liar
from test_attend import FIRST_NAMESPACE, monitors, wait_leader
from test_monitor import moment, start_monitor, wait_event, wait_published  # noqa: F401

pytestmark = pytest.mark.skipif(not (lab.BUILT_CLIENTS / "ask_dns").exists(), reason="built without c-ares")

QUICK = """
    health   { interval = 100ms  fast_interval = 50ms  timeout = 500ms }
    failback { grace = 0s  check = 50ms }
"""


@pytest.fixture
def names(tmp_path):
    """A name server, not started yet."""
    server = NameServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def servers(start_redis):
    """Three servers on one port: 127.0.0.2, 127.0.0.3, 127.0.0.4."""
    east = start_redis("east", host="127.0.0.2")
    return east, *(start_redis(name, host=host, port=east.port)
                   for name, host in (("west", "127.0.0.3"), ("south", "127.0.0.4")))


@pytest.fixture
def config_of(write_config, names):
    """config_of(address, discover) -> a file whose service `cache` has the endpoint `one` there."""

    def write(address, discover="", options=QUICK, front=""):
        endpoints = {"one": address} if address else {}
        return write_config(front + lab.service("cache", ["redis.internal"], endpoints,
                                                f"discover {{ {discover} }} {options}"))

    return write


@pytest.fixture
def start(names, start_monitor, start_asker, preload, redisteer):  # noqa: F811
    """start(config) -> ask of a running program, once the monitor has published."""
    environment = {}

    def begin(config):
        environment.update(names.environment)
        preload_environment = preload.environment

        def with_names(*arguments, **more):
            return preload_environment(*arguments, **{**environment, **more})

        preload.environment = with_names
        monitor = start_monitor(config)
        wait_published(redisteer, config)
        preload.way = "preload"
        ask = start_asker(preload, config)
        ask.monitor = monitor
        return ask

    return begin


@pytest.fixture
def begin(names, servers, config_of, start):
    """begin(discover) -> ask, config: one.test, the address of east (and others), is the endpoint's name."""

    def run(discover, *others, ttl=None):
        names.addresses["one.test"] = [server.host for server in (servers[0], *others)]
        names.ttl = ttl or names.ttl
        names.start()
        config = config_of(f"one.test:{servers[0].port}", discover)
        return start(config), config

    return run


def cache(redisteer, config):
    return lab.status(redisteer, config, "cache")


def addresses(redisteer, config):
    return sorted(address for endpoint in cache(redisteer, config)["endpoints"]
                  for address in endpoint["addresses"])


def wait_addresses(redisteer, config, *wanted, timeout=None):
    lab.wait_for(lambda: addresses(redisteer, config) == sorted(wanted), f"addresses {wanted}", timeout)


def wait_healthy(redisteer, config, count):
    lab.wait_for(lambda: [endpoint["health"] for endpoint in cache(redisteer, config)["endpoints"]]
                 == ["healthy"] * count, f"{count} healthy endpoints")


def wait_own_answer(redisteer, config):
    """The monitor has been told by the name server what the publisher had been told before."""
    def answered():
        discovery = cache(redisteer, config).get("discovery") or {"sources": []}
        return [source for source in discovery["sources"] if source["last_success"]]

    return lab.wait_for(answered, "an answer of its own")


def follow(ask, wanted, address, port):
    """Seconds until a program that connects to an address that it has cached reaches `wanted`."""
    began = time.monotonic()
    lab.wait_for(lambda: ask(address, port, way="v4") == wanted, f"the program to reach {wanted}")
    return time.monotonic() - began


# ---- names of endpoints ----


def test_an_a_record_moves_and_a_cached_address_follows(names, servers, begin, redisteer):
    """Within refresh and one connect, both servers being well all the time."""
    east, west, _ = servers
    ask, config = begin("refresh = 1s", ttl=3600)
    wait_healthy(redisteer, config, 1)
    cached = ask("redis.internal", 6379, way="lookup")
    assert cached == east.host
    assert ask(cached, east.port, way="v4") == "east"
    took = []
    for target in (west, east) * 3:
        names.change("one.test", target.host)
        took.append(follow(ask, target.name, cached, east.port))
    assert max(took) < 1.3, "refresh, and what a busy machine takes"
    lab.figure(f"cached address follows an A record, refresh 1 s, n = {len(took)}: "
               f"median {sorted(took)[len(took) // 2]:.2f} s, worst {max(took):.2f} s")
    event = wait_event(redisteer, config, "discovery", "the move to be told", reason="addresses",
                       to=f"{west.host}:{east.port}")
    assert event["from"] == "one.test" and event["service"] == "cache"


def test_a_time_to_live_shorter_than_refresh_counts(names, servers, begin, redisteer):
    east, west, _ = servers
    ask, config = begin("refresh = 1h", ttl=1)
    assert ask("redis.internal", 6379) == "east"
    lab.wait_for(lambda: names.asked("one.test") >= 4, "the name to be asked for again")
    names.change("one.test", west.host)
    took = follow(ask, "west", east.host, east.port)
    assert took < 1.5
    lab.figure(f"followed after {took:.2f} s with a time to live of 1 s and refresh = 1h")


def test_a_failure_has_the_name_asked_for_at_once(names, servers, begin, redisteer):
    east, west, _ = servers
    ask, config = begin("refresh = 1h", ttl=3600)
    wait_healthy(redisteer, config, 1)
    assert ask("redis.internal", 6379) == "east"
    [source] = wait_own_answer(redisteer, config)
    names.change("one.test", west.host)
    # A name is not asked for more than once a second.
    asked = moment(source["last_success"])
    lab.wait_for(lambda: time.time() > asked + 1.2, "the name to be due")
    assert ask(east.host, east.port, way="v4") == "east", "nothing has happened yet"
    began = time.monotonic()
    east.kill()
    lab.wait_for(lambda: ask(east.host, east.port, way="v4") == "west", "the name to be followed")
    took = time.monotonic() - began
    assert took < 1
    lab.figure(f"name followed {took * 1000:.0f} ms after its server was killed, refresh = 1h")


def test_a_record_that_moves_a_while_after_the_failure_is_found(names, servers, begin, redisteer):
    east, west, _ = servers
    ask, config = begin("refresh = 1h", ttl=3600)
    wait_healthy(redisteer, config, 1)
    assert ask("redis.internal", 6379) == "east"
    east.kill()
    lab.wait_for(lambda: names.asked("one.test") >= 8, "more questions")  # 2 each: A and AAAA
    names.change("one.test", west.host)
    assert follow(ask, "west", east.host, east.port) < 10


def test_who_waits_goes_where_the_name_has_moved_to_meanwhile(names, servers, config_of, start, redisteer):
    """Not where earlier connections of the same program went, whose address it remembers."""
    east, west, _ = servers
    names.addresses["one.test"] = [east.host]
    names.start()
    config = config_of(f"one.test:{east.port}", "refresh = 1s",
                       QUICK + "when_all_down = wait:60s  breaker { refused = 1 }")
    ask = start(config)
    wait_healthy(redisteer, config, 1)
    cached = ask("redis.internal", 6379, way="lookup")
    assert [ask(cached, east.port, way="v4") for _ in range(2)] == ["east", "east"]
    east.kill()
    lab.wait_for(lambda: cache(redisteer, config)["endpoints"][0]["health"] == "unhealthy", "the death to be seen")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, cached, east.port, way="v4")
        time.sleep(0.5)
        assert not answer.done(), "it waits"
        names.change("one.test", west.host)
        assert answer.result(timeout=90) == "west"


# ---- each failure of the name server ----


def trouble(names, kind):
    if kind == "NXDOMAIN":
        names.addresses, names.services = {}, {}
        names.restart()
    elif kind == "SERVFAIL":
        names.addresses = {}
        names.failing = ["one.test", "_redis._tcp.one.test"]
        names.services = {}
        names.restart()
    elif kind == "empty":
        names.addresses = {}
        names.empty = ["one.test", "_redis._tcp.one.test"]
        names.services = {}
        names.restart()
    elif kind == "silence":
        names.freeze()
    else:
        names.kill()


REASONS = {
    "NXDOMAIN": "the name does not exist (NXDOMAIN)",
    "SERVFAIL": "the name server cannot tell (SERVFAIL)",
    "empty": "the answer is empty",
    "silence": "no name server answered in time",
    "dead": "no name server can be reached",
}


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("source", ["name", "dns", "srv"])
def test_the_last_good_answer_stays_and_the_reason_is_told(names, servers, config_of, start, redisteer,
                                                           kind, source):
    east, west, _ = servers
    names.addresses["one.test"] = [east.host, west.host]
    names.services["_redis._tcp.one.test"] = [("one.test", east.port, 0, 0)]
    names.start()
    name = "_redis._tcp.one.test" if source == "srv" else "one.test"
    discover = {"name": "", "dns": "dns = true", "srv": f"srv = {name}"}[source]
    config = config_of(None if source == "srv" else f"one.test:{east.port}", f"refresh = 1s {discover}")
    ask = start(config)
    wait_addresses(redisteer, config, east.host, west.host)
    wait_healthy(redisteer, config, 2 if source == "dns" else 1)
    wait_own_answer(redisteer, config)
    trouble(names, kind)
    event = wait_event(redisteer, config, "discovery", f"{kind} to be told", reason=REASONS[kind])
    assert event["from"] == name
    assert event["detail"] == "what is known of it stays in use"
    # While a question is under way there is no next try.
    [shown] = lab.wait_for(lambda: [source for source in cache(redisteer, config)["discovery"]["sources"]
                                    if source["next_try"]], "the next try to be known")
    assert (shown["type"], shown["address"]) == ("srv" if source == "srv" else "dns", name)
    assert not shown["well"] and shown["last_error"] == REASONS[kind]
    assert shown["last_success"] < shown["last_error_time"] < shown["next_try"]
    assert REASONS[kind] in redisteer("status", config=config).stdout
    assert addresses(redisteer, config) == [east.host, west.host]
    assert ask("redis.internal", 6379) in ("east", "west")
    assert redisteer("reload", config=config, env=names.environment).returncode == 0
    assert addresses(redisteer, config) == [east.host, west.host], "another publisher keeps them too"
    if kind == "silence":
        names.freeze(False)
        wait_event(redisteer, config, "discovery", "the end to be told", reason="the name resolves")


def test_a_dead_name_server_changes_nothing_for_running_programs(names, servers, begin, redisteer):
    east, west, _ = servers
    ask, config = begin("dns = true  refresh = 1s", west, ttl=1)
    wait_healthy(redisteer, config, 2)
    names.kill()
    sequence = max(event["seq"] for event in lab.events(redisteer, config))
    wait_event(redisteer, config, "discovery", "it to be noticed", reason=REASONS["dead"])
    answers = {ask("redis.internal", 6379) for _ in range(100)}
    assert answers in ({"east"}, {"west"})
    later = [event["type"] for event in lab.events(redisteer, config) if event["seq"] > sequence]
    assert set(later) <= {"discovery", "check"}, "no switch, no health, no settings"
    first = answers.pop()
    (east if first == "east" else west).kill()
    lab.wait_for(lambda: ask("redis.internal", 6379) == ("west" if first == "east" else "east"),
                 "failover to work without the name server")


def test_a_bad_file_keeps_no_name_from_being_followed(names, servers, begin, redisteer):
    """The last good settings are published; the mistake is told once."""
    east, west, _ = servers
    ask, config = begin("refresh = 1s")
    assert ask("redis.internal", 6379) == "east"
    wait_own_answer(redisteer, config)
    config.write_text("service cache {")
    wait_event(redisteer, config, "config", "the mistake to be told", reason="bad file")
    for target in (west, east):
        names.change("one.test", target.host)
        follow(ask, target.name, east.host, east.port)
    assert len([event for event in lab.events(redisteer, config, "config")
                if event["reason"] == "bad file"]) == 1


def monitor_leads(redisteer, config, monitor):
    lab.wait_for(lambda: (found := lab.status(redisteer, config)["leader"]) and found["pid"] == monitor.pid,
                 "the monitor to lead")


def test_a_monitor_that_leads_again_publishes_nothing_old(names, servers, begin, start_monitor,  # noqa: F811
                                                          redisteer):
    """It was stopped while the name moved, and another monitor published that."""
    east, west, _ = servers
    ask, config = begin("refresh = 1h", ttl=3600)
    assert ask("redis.internal", 6379) == "east"
    wait_own_answer(redisteer, config)
    first = ask.monitor
    monitor_leads(redisteer, config, first)
    first.send_signal(lab.signal.SIGSTOP)
    names.change("one.test", west.host)
    second = start_monitor(config)
    monitor_leads(redisteer, config, second)
    wait_addresses(redisteer, config, west.host)
    first.send_signal(lab.signal.SIGCONT)
    second.kill()
    second.wait()
    monitor_leads(redisteer, config, first)
    sequence = max(event["seq"] for event in lab.events(redisteer, config))
    config.write_text(config.read_text().replace("interval = 100ms", "interval = 110ms"))
    lab.wait_for(lambda: [event for event in lab.events(redisteer, config, "config")
                          if event["seq"] > sequence], "the file to be published")
    assert addresses(redisteer, config) == [west.host]
    assert ask(east.host, east.port, way="v4") == "west"


# ---- dns = true ----


def test_each_address_of_a_name_is_an_endpoint(names, servers, begin, redisteer):
    east, west, south = servers
    ask, config = begin("dns = true  refresh = 1s", west)
    wait_addresses(redisteer, config, east.host, west.host)
    wait_healthy(redisteer, config, 2)
    endpoints = cache(redisteer, config)["by_name"]
    assert set(endpoints) == {f"127.0.0.2-{east.port}", f"127.0.0.3-{east.port}"}
    assert {endpoint["source"] for endpoint in endpoints.values()} == {"dns"}
    assert {endpoint["address"] for endpoint in endpoints.values()} == {f"one.test:{east.port}"}
    assert ask("redis.internal", 6379) == "east"
    east.kill()
    lab.wait_for(lambda: ask("redis.internal", 6379) == "west", "the other address")
    names.change("one.test", west.host, south.host)
    wait_addresses(redisteer, config, west.host, south.host)
    west_endpoint = cache(redisteer, config)["by_name"][f"127.0.0.3-{east.port}"]
    assert west_endpoint["health"] == "healthy" and west_endpoint["checks_ok"] > 1, "its state is kept"
    west.kill()
    lab.wait_for(lambda: ask("redis.internal", 6379) == "south", "the new address")


def test_addresses_of_both_families_are_endpoints(names, start_redis, config_of, start, redisteer):
    six = start_redis("six", host="::1")
    four = start_redis("four", host="127.0.0.2", port=six.port)
    names.addresses["one.test"] = ["::1", four.host]
    names.start()
    config = config_of(f"one.test:{six.port}", "dns = true  refresh = 1s")
    ask = start(config)
    wait_addresses(redisteer, config, four.host, "::1")
    wait_healthy(redisteer, config, 2)
    four.kill()
    lab.wait_for(lambda: ask("redis.internal", 6379) == "six", "the IPv6 address")


def test_an_address_that_the_file_has_too_is_one_endpoint(names, servers, write_config, start, redisteer):
    east, west, _ = servers
    names.addresses["one.test"] = [east.host, west.host]
    names.start()
    config = write_config(lab.service("cache", ["redis.internal"], {
        "fixed": west.address, "one": f"one.test:{east.port}"}, "discover { dns = true }" + QUICK))
    start(config)
    lab.wait_for(lambda: len(cache(redisteer, config)["endpoints"]) == 2, "two endpoints")
    found = cache(redisteer, config)["by_name"]
    assert found["fixed"]["source"] == "file"
    assert found[f"127.0.0.2-{east.port}"]["source"] == "dns"


def test_an_address_that_has_gone_is_left(names, servers, begin, redisteer):
    """New connections go elsewhere, also those to its address."""
    east, west, _ = servers
    ask, config = begin("dns = true  refresh = 1s", west)
    wait_healthy(redisteer, config, 2)
    assert ask("redis.internal", 6379) == "east"
    names.change("one.test", west.host)
    wait_addresses(redisteer, config, west.host)
    assert ask("redis.internal", 6379) == "west"
    assert ask(east.host, east.port, way="v4") == "west", "the address as a program has cached it"


# ---- SRV ----


def test_srv_brings_endpoints_with_priority_and_weight(names, servers, config_of, start, redisteer):
    east, west, south = servers
    names.addresses.update({"east.test": [east.host], "west.test": [west.host], "south.test": [south.host]})
    names.services["_redis._tcp.x.test"] = [("south.test", east.port, 20, 100), ("west.test", east.port, 10, 60),
                                            ("east.test", east.port, 10, 30)]
    names.start()
    config = config_of(None, "srv = _redis._tcp.x.test  refresh = 1s")
    ask = start(config)
    wait_healthy(redisteer, config, 3)
    found = cache(redisteer, config)["by_name"]
    assert {name: endpoint["weight"] for name, endpoint in found.items()} == {
        f"west.test-{east.port}": 1.0, f"east.test-{east.port}": 0.5, f"south.test-{east.port}": 1.0}
    assert {endpoint["source"] for endpoint in found.values()} == {"srv"}
    assert ask("redis.internal", 6379) == "west", "the heaviest of the best priority"
    west.kill()
    lab.wait_for(lambda: ask("redis.internal", 6379) == "east", "the other of the best priority")
    east.kill()
    lab.wait_for(lambda: ask("redis.internal", 6379) == "south", "the lesser priority")


def test_weights_of_srv_are_shares(names, servers, config_of, start, redisteer):
    east, west, south = servers
    names.addresses.update({"east.test": [east.host], "west.test": [west.host], "south.test": [south.host]})
    names.services["_redis._tcp.x.test"] = [("east.test", east.port, 1, 75), ("west.test", east.port, 1, 25),
                                            ("south.test", east.port, 2, 1000)]
    names.start()
    config = config_of(None, "srv = _redis._tcp.x.test", QUICK + "strategy = weighted")
    ask = start(config)
    wait_healthy(redisteer, config, 3)
    answers = [ask("redis.internal", 6379) for _ in range(400)]
    assert answers.count("south") == 0, "a lesser priority gets nothing while a better one is well"
    assert 260 <= answers.count("east") <= 340
    lab.figure(f"SRV weights 75 and 25: {answers.count('east')} and {answers.count('west')} of 400")


def test_srv_records_and_their_addresses_change(names, servers, config_of, start, redisteer):
    east, west, south = servers
    names.addresses.update({"a.test": [east.host], "b.test": [south.host]})
    names.services["_redis._tcp.x.test"] = [("a.test", east.port, 1, 0)]
    names.ttl = 1
    names.start()
    config = config_of(None, "srv = _redis._tcp.x.test")
    ask = start(config)
    assert ask("redis.internal", 6379) == "east"
    names.change("a.test", west.host)
    assert follow(ask, "west", east.host, east.port) < 3
    names.services["_redis._tcp.x.test"] = [("b.test", east.port, 1, 0)]
    names.restart()
    assert follow(ask, "south", east.host, east.port) < 5
    assert list(cache(redisteer, config)["by_name"]) == [f"b.test-{east.port}"]


def test_servers_that_srv_names_may_want_a_password(names, servers, config_of, start, redisteer, tmp_path):
    east, _, _ = servers
    east.command("ACL", "SETUSER", "prober", "on", ">secret", "+@all", "~*")
    names.addresses["east.test"] = [east.host]
    names.services["_redis._tcp.x.test"] = [("east.test", east.port, 1, 1)]
    names.start()
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    config = config_of(None, f"srv = _redis._tcp.x.test  username = prober  password_file = {password}")
    start(config)
    wait_healthy(redisteer, config, 1)
    assert "user=prober" in east.command("CLIENT", "LIST")


# ---- names of Sentinels ----


@pytest.fixture
def sentinels(servers):
    """Two that speak Sentinel's protocol, each of another address on one port and with its own master."""
    first = Liar(servers[0], host="127.0.0.2")
    second = Liar(servers[1], host="127.0.0.3", port=first.port)
    yield first, second
    first.close()
    second.close()


@pytest.fixture
def sentinels_of(sentinels):
    """sentinels_of(refresh) -> what a service says that has one Sentinel, at sentinel.test."""
    return lambda refresh: (f"sentinels = {{ sentinel.test:{sentinels[0].port} }}  master_name = {MASTER}"
                            f"  refresh = {refresh}")


def master(redisteer, config):
    return cache(redisteer, config)["discovery"]["master"]


def sentinel_name(redisteer, config):
    """The name of the Sentinel as `status` has it."""
    return next((source for source in cache(redisteer, config)["discovery"]["sources"]
                 if (source["type"], source["address"]) == ("dns", "sentinel.test")), None)


@pytest.fixture
def heard(names, servers, sentinels_of, config_of, start, redisteer):
    """heard(refresh) -> the configuration file; east's Sentinel at sentinel.test has been heard."""
    def begin(refresh):
        names.addresses["sentinel.test"] = ["127.0.0.2"]
        names.start()
        config = config_of(None, sentinels_of(refresh))
        start(config)
        lab.wait_for(lambda: master(redisteer, config) == servers[0].address, "the Sentinel to be heard")
        return config
    return begin


def test_a_sentinel_whose_name_moves_is_followed(names, servers, heard, redisteer):
    _, west, _ = servers
    config = heard("1s")
    shown = lab.wait_for(lambda: sentinel_name(redisteer, config), "its name to be asked for")
    assert shown["well"] and shown["last_error"] is None
    names.change("sentinel.test", "127.0.0.3")
    lab.wait_for(lambda: master(redisteer, config) == west.address, "the name to be followed")


def test_a_sentinel_that_fails_has_its_name_asked_for(names, servers, sentinels, heard, redisteer):
    """No endpoint has failed, and refresh is far away."""
    _, west, _ = servers
    names.ttl = 3600
    config = heard("1h")
    lab.wait_for(lambda: sentinel_name(redisteer, config), "its name to be asked for")
    names.change("sentinel.test", "127.0.0.3")
    sentinels[0].close()
    lab.wait_for(lambda: master(redisteer, config) == west.address, "the name to be followed")


def test_a_sentinel_whose_name_is_gone_stays_where_it_was(names, sentinels, heard, redisteer):
    config = heard("1s")
    names.kill()
    wait_event(redisteer, config, "discovery", "it to be noticed", reason=REASONS["dead"])
    result = redisteer("reload", config=config, env=names.environment)
    assert result.returncode == 0 and "its last known address stays in use" in result.stderr
    asked = sentinels[0].asked
    lab.wait_for(lambda: sentinels[0].asked > asked + 1, "the Sentinel to be asked still")


# ---- the monitor that nobody started ----


@pytest.fixture
def resolv_conf(tmp_path, names):
    """A command that gives what it starts a /etc/resolv.conf with our name server alone in it."""
    if os.geteuid() != 0:
        pytest.skip("a mount namespace needs root")
    lab.need("unshare")
    names.host, names.port = f"127.0.53.{os.getpid() % 250 + 2}", 53
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver {names.host}\n")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
            f'mount --bind {path} /etc/resolv.conf && exec "$@"', "sh"]


@pytest.mark.skipif(os.readlink("/proc/self/ns/pid") != FIRST_NAMESPACE,
                    reason="in a pid namespace of its own no monitor is started")
@pytest.mark.parametrize("discover", ["", "dns = true", "srv = _redis._tcp.one.test"])
def test_it_works_for_a_program_alone(names, servers, config_of, resolv_conf, preload, start_program,
                                       redisteer, runtime_dir, discover):
    """
    LD_PRELOAD alone, the host's own resolv.conf, monitor = auto: nobody has started anything. A name is
    followed by the program's thread, which has it published anew; for the rest a monitor is started.
    """
    east, west, _ = servers
    names.addresses["one.test"] = [east.host]
    names.services["_redis._tcp.one.test"] = [("one.test", east.port, 1, 1)]
    names.start()
    config = config_of(None if "srv" in discover else f"one.test:{east.port}", f"{discover}  refresh = 2s")
    program = start_program([*resolv_conf, lab.PYTHON, lab.CLIENTS / "asker.py"],
                            env=preload.environment(config), stdin=lab.subprocess.PIPE)

    def ask(host, port, way="name"):
        program.stdin.write(f"{way} {host} {port}\n")
        program.stdin.flush()
        return program.stdout.readline().strip()

    try:
        assert ask("redis.internal", 6379) == "east"
        if discover:
            assert wait_leader(redisteer, config) in monitors(runtime_dir)
        else:
            wait_leader(redisteer, config, "thread")
        names.change("one.test", west.host)
        took = follow(ask, "west", east.host, east.port)
        assert took < 3
        lab.figure(f"LD_PRELOAD alone, monitor = auto, {discover or 'a name'}, refresh = 2s: followed after {took:.2f} s")
    finally:
        program.kill()  # it would start another monitor
        program.wait()
        for pid in monitors(runtime_dir):
            os.kill(pid, 15)
        lab.wait_for(lambda: not monitors(runtime_dir), "the monitor to end")


# ---- settings ----


def test_what_the_file_says_is_printed_and_checked(redisteer, write_config):
    text = 'service a {{ match = {{ r }} discover {{ srv = {srv}  dns = yes }} }}\n'
    good = redisteer("check", write_config(text.format(srv="_redis._tcp.Example.com")))
    assert good.returncode == 0, good.stderr
    assert re.search(r'srv = "_redis._tcp.example.com"\n *dns = true', good.stdout)
    for srv in ("redis", "a.b:6379", "10.0.0.1"):
        bad = redisteer("check", write_config(text.format(srv=srv)))
        assert bad.returncode == 2
        assert "discover.srv must be a name such as _redis._tcp.example.com" in bad.stderr
    thread = redisteer("check", write_config("monitor = thread\n" + text.format(srv="_a._b.c")))
    assert thread.returncode == 2
    assert "dns and srv need `redisteer monitor`, which monitor = thread excludes" in thread.stderr
