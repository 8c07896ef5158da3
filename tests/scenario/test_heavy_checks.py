"""Checks that only `redisteer monitor` makes: other programs, HTTP, and Redis Enterprise's lag."""

import os
import re
import signal
import socket
import threading
import time

import pytest

import lab
from certificates import Authority
from test_monitor import (endpoint, pair, start_monitor, wait_event, wait_health,  # noqa: F401
                          wait_published)
from web_server import Cluster, WebServer

QUICK = "interval = 100ms  fast_interval = 50ms  timeout = 2s"


@pytest.fixture
def start_web():
    servers = []

    def start(answer, **options):
        servers.append(WebServer(answer, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def config_of(pair, write_config):  # noqa: F811
    """config_of(check options, health options) -> file with the check `mine`, asked of each endpoint."""

    def write(check, health="probe = mine", more=""):
        endpoints = {server.name: server.address for server in pair}
        return write_config(f"check mine {{ interval = 100ms  {check} }}\n"
                            + lab.service("cache", ["redis.test"], endpoints,
                                          f"health {{ {QUICK}  {health} }}\n{more}"))

    return write


def last_error(redisteer, config, name="east"):
    return endpoint(redisteer, config, name)["last_error"]


def expect_unhealthy(redisteer, config, text, name="east"):
    wait_published(redisteer, config)
    event = wait_event(redisteer, config, "health", f"{name} to be unhealthy", endpoint=name,
                       to="unhealthy")
    assert event["reason"] == text
    assert last_error(redisteer, config, name) == text
    assert text in redisteer("status", "--history", config=config).stdout


def expect_unknown(redisteer, config, text):
    wait_published(redisteer, config)
    lab.wait_for(lambda: last_error(redisteer, config) == text, f"the reason: {text}")
    assert endpoint(redisteer, config, "east")["health"] == "unknown"
    assert lab.events(redisteer, config, "health") == []


# ---- exec ----

@pytest.fixture
def script(tmp_path):
    """script(text) -> path of a shell script."""

    def write(text, name="check.sh"):
        path = tmp_path / name
        fresh = path.with_suffix(".new")
        fresh.write_text("#!/bin/sh\n" + text)
        fresh.chmod(0o755)
        fresh.rename(path)
        return path

    return write


def test_a_program_says_how_the_endpoint_is(config_of, script, start_monitor, redisteer):  # noqa: F811
    config = config_of(f"type = exec  command = {script('exit 0')}")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    script('[ "$REDISTEER_ENDPOINT" = west ]')
    expect_unhealthy(redisteer, config, "the program says: not healthy")
    assert endpoint(redisteer, config, "west")["health"] == "healthy"
    script("exit 0")
    wait_health(redisteer, config, east="healthy")


@pytest.mark.parametrize("text, reason", [
    ("exit 2", "the program could not tell"),
    ("exit 127", "the program could not tell"),
    ("kill -SEGV $$", "the program was ended by a signal"),
    ("while :; do echo too much; done", "the program said too much and was ended"),
])
def test_a_program_that_cannot_tell_gives_no_verdict(text, reason, config_of, script,  # noqa: F811
                                                     start_monitor, redisteer):
    config = config_of(f"type = exec  command = {script(text)}")
    start_monitor(config)
    expect_unknown(redisteer, config, reason)


def test_a_program_that_is_not_there_gives_no_verdict(config_of, start_monitor,  # noqa: F811
                                                      redisteer):
    config = config_of("type = exec  command = /nonexistent/program")
    start_monitor(config)
    expect_unknown(redisteer, config, "the program cannot be started")


def test_it_becomes_unknown_when_the_program_stops_telling(config_of, script,  # noqa: F811
                                                           start_monitor, redisteer):
    config = config_of(f"type = exec  command = {script('exit 0')}  timeout = 500ms",
                       'probe = "all(ping, mine)"')
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    script("exit 3")
    wait_health(redisteer, config, east="unknown", west="unknown")
    assert last_error(redisteer, config) == "the program could not tell"


def test_what_the_program_is_told(config_of, script, start_monitor, redisteer, pair,  # noqa: F811
                                  tmp_path):
    log = tmp_path / "told"
    config = config_of(f'type = exec  command = {{ {script(f"(env; echo args $@; pwd; ls -l /proc/$$/fd; cat) >{log}.part.$REDISTEER_ENDPOINT; mv {log}.part.$REDISTEER_ENDPOINT {log}.$REDISTEER_ENDPOINT")}, --fast, "a b" }}')
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    text = (tmp_path / "told.east").read_text()
    east, _ = pair
    for line in ["REDISTEER_SERVICE=cache", "REDISTEER_ENDPOINT=east", "REDISTEER_HOST=127.0.0.1",
                 f"REDISTEER_PORT={east.port}", "REDISTEER_ADDRESS=127.0.0.1",
                 "REDISTEER_ADDRESSES=127.0.0.1", "args --fast a b", "/"]:
        assert line in text.splitlines(), line
    descriptors = re.findall(r" (\d+) -> (\S+)", text)
    assert {int(number) for number, _ in descriptors} <= {0, 1, 2, 10, 255}, descriptors
    assert not re.search(r"socket:|eventfd", text)


def children_with(text):
    """Processes whose command line has this text."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                if text.encode() in stream.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def test_a_program_that_hangs_is_ended_with_all_its_children(config_of, script,  # noqa: F811
                                                             start_monitor, redisteer):
    mark = f"31{os.getpid()}.5"
    config = config_of(f"type = exec  timeout = 300ms  command = "
                       f"{script(f'sleep {mark} & sleep {mark}')}")
    start_monitor(config)
    expect_unhealthy(redisteer, config, "the program took too long and was ended")
    lab.wait_for(lambda: len(children_with(mark)) <= 8, "no heap of programs")
    script("exit 0")
    wait_health(redisteer, config, east="healthy", west="healthy")
    lab.wait_for(lambda: not children_with(mark), "all of them to be gone")


def test_what_a_program_leaves_behind_is_ended(config_of, script, start_monitor,  # noqa: F811
                                               redisteer):
    mark = f"32{os.getpid()}.5"
    config = config_of(f"type = exec  command = {script(f'sleep {mark} & exit 0')}")
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    monitor.terminate()
    monitor.wait()
    lab.wait_for(lambda: not children_with(mark), "all of them to be gone")


def test_a_monitor_that_is_killed_takes_its_programs_along(config_of, script,  # noqa: F811
                                                           start_monitor, redisteer):
    mark = f"33{os.getpid()}.5"
    config = config_of(f"type = exec  timeout = 1m  command = {script(f'exec sleep {mark}')}")
    monitor = start_monitor(config)
    lab.wait_for(lambda: children_with(f"sleep\0{mark}"), "the program")
    monitor.kill()
    lab.wait_for(lambda: not children_with(f"sleep\0{mark}"), "the program to be gone")


def test_slow_programs_delay_no_other_check(config_of, script, start_monitor,  # noqa: F811
                                            redisteer, pair):
    """East answers PING each 100 ms while its program takes seconds."""
    east, _ = pair
    config = config_of(f"type = exec  timeout = 30s  command = {script('sleep 20')}",
                       'probe = "any(ping, mine)"')
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    started, checks = time.monotonic(), endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] >= checks + 20, "checks")
    took = time.monotonic() - started
    lab.figure(f"20 PINGs each 100 ms beside a slow program: {took:.2f} s")
    assert took < 5


# ---- http ----

def answering(state):
    return lambda request: (state["status"], state["body"], state.get("headers", {}))


@pytest.mark.parametrize("options, bad, text", [
    ("", {"status": 503}, "HTTP: not the expected status"),
    ("", {"status": 302, "headers": {"Location": "/elsewhere"}}, "HTTP: not the expected status"),
    ("status = 404", {"status": 200}, "HTTP: not the expected status"),
    ("", {"status": 401}, "HTTP: user name or password are refused"),
    ("body = 'is ready'", {"body": b"is not"}, "HTTP: the expected text is not in the body"),
    ("body = 'is ready'", {"body": b"x" * 200000}, "HTTP: the body is over 64 KiB"),
])
def test_http(options, bad, text, config_of, start_web, start_monitor, redisteer):  # noqa: F811
    state = {"status": 404 if "404" in options else 200, "body": b"redis is ready, thanks"}
    web = start_web(answering(state))
    config = config_of(f"type = http  url = '{web.url('/redis?dc=eu')}'  {options}")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    good = dict(state)
    state.update(bad)
    expect_unhealthy(redisteer, config, text)
    assert {request["raw"] for request in web.requests} == {"/redis?dc=eu"}, "no redirect is followed"
    state.clear()
    state.update(good)
    wait_health(redisteer, config, east="healthy", west="healthy")
    if "64 KiB" not in text:  # what is not read to its end cannot be used again
        assert web.connections <= 2, "connections are kept"


def test_http_asks_once_for_all_endpoints(config_of, start_web, start_monitor,  # noqa: F811
                                          redisteer):
    web = start_web(lambda request: (200, b""))
    config = config_of(f"type = http  url = '{web.url()}'  interval = 1h".replace(
        "interval = 1h", "timeout = 3s"))
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    asked, checks = len(web.requests), endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] >= checks + 10, "checks")
    assert len(web.requests) - asked <= 14


def test_http_user_and_password(config_of, start_web, start_monitor, redisteer,  # noqa: F811
                                tmp_path, runtime_dir):
    from web_server import basic
    secret = tmp_path / "secret"
    secret.write_text("right-Secret\n")
    secret.chmod(0o600)
    web = start_web(lambda request: (200 if request["headers"].get("Authorization")
                                     == basic("me", "right-Secret") else 401, b""))
    config = config_of(f"type = http  url = '{web.url()}'  username = me  password_file = {secret}")
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    secret.write_text("wrong-Secret\n")
    expect_unhealthy(redisteer, config, "HTTP: user name or password are refused")
    secret.write_text("right-Secret\n")
    wait_health(redisteer, config, east="healthy", west="healthy")
    # In the companion of the segment that only we may read, and nowhere else.
    for path in runtime_dir.rglob("*"):
        if path.is_file() and b"right-Secret" in path.read_bytes():
            assert "secret" in path.name and path.stat().st_mode & 0o77 == 0
    said = "".join(redisteer(*words, config=config).stdout
                   for words in (["status", "--json"], ["events", "--json"], ["check"]))
    assert "right-Secret" not in said
    assert b"right-Secret" not in open(f"/proc/{monitor.pid}/cmdline", "rb").read()
    assert b"right-Secret" not in open(f"/proc/{monitor.pid}/environ", "rb").read()


def test_http_server_that_is_not_there(config_of, start_monitor, redisteer):  # noqa: F811
    config = config_of(f"type = http  url = 'http://127.0.0.1:{lab.free_port()}/'")
    start_monitor(config)
    expect_unhealthy(redisteer, config, "HTTP: connection refused")


def test_http_host_without_an_address(config_of, start_monitor, redisteer):  # noqa: F811
    config = config_of("type = http  url = 'http://nosuch.invalid/'  timeout = 20s")
    start_monitor(config)
    expect_unhealthy(redisteer, config, "HTTP: the host name has no address")


def test_http_of_a_server_that_speaks_something_else(config_of, start_monitor,  # noqa: F811
                                                     redisteer, pair):
    east, _ = pair
    config = config_of(f"type = http  url = 'http://{east.address}/'")
    start_monitor(config)
    expect_unhealthy(redisteer, config, "HTTP: not an HTTP answer")


def test_http_without_an_answer(config_of, start_monitor, redisteer):  # noqa: F811
    """The loop goes on checking meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        config = config_of(f"type = http  url = 'http://127.0.0.1:{port}/'  timeout = 300ms",
                           'probe = "all(ping, mine)"')
        start_monitor(config)
        expect_unhealthy(redisteer, config, "HTTP: no answer in time")


# ---- https ----

def test_https(config_of, authority, start_web, start_monitor, redisteer):  # noqa: F811
    web = start_web(lambda request: (200, b""),
                    certificate=authority.sign("web", ips=["127.0.0.1"]))
    config = config_of(f"type = http  url = '{web.url()}'  tls {{ ca = {authority.cert} }}")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")


@pytest.mark.parametrize("how, text", [
    ("expired", "TLS: the server's certificate has expired"),
    ("name", "TLS: the server's certificate is for another name"),
    ("ca", "TLS: the server's certificate is of an unknown CA"),
    ("client", "TLS: the server wants a client certificate"),
])
def test_https_that_goes_wrong(how, text, config_of, authority, start_web,  # noqa: F811
                               start_monitor, redisteer):
    certificate = authority.sign("web", ips=["127.0.0.2" if how == "name" else "127.0.0.1"],
                                 expired=how == "expired")
    web = start_web(lambda request: (200, b""), certificate=certificate,
                    clients_of=authority.cert if how == "client" else None)
    ca = "" if how == "ca" else f"ca = {authority.cert}"
    config = config_of(f"type = http  url = '{web.url()}'  tls {{ {ca} }}")
    start_monitor(config)
    expect_unhealthy(redisteer, config, text)


def test_https_with_a_client_certificate(config_of, authority, start_web,  # noqa: F811
                                         start_monitor, redisteer):
    web = start_web(lambda request: (200, b""), clients_of=authority.cert,
                    certificate=authority.sign("web", ips=["127.0.0.1"]))
    cert, key = authority.sign("client", names=["client.test"])
    config = config_of(f"type = http  url = '{web.url()}'  "
                       f"tls {{ ca = {authority.cert}  cert = {cert}  key = {key} }}")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")


def test_https_of_a_server_that_speaks_no_tls(config_of, start_web, start_monitor,  # noqa: F811
                                              redisteer):
    web = start_web(lambda request: (200, b""))
    config = config_of(f"type = http  url = '{web.url().replace('http:', 'https:')}'")
    start_monitor(config)
    expect_unhealthy(redisteer, config, "does not speak TLS")


# ---- lag ----

@pytest.fixture
def cluster(pair):  # noqa: F811
    """Two databases behind one name: only the port tells them apart."""
    east, west = pair
    cluster = Cluster()
    cluster.add(1, "other.test", east.port)
    cluster.add(7, "LocalHost", west.port, addr=["10.0.0.7"])
    cluster.add(5, "localhost", east.port, addr=["10.0.0.5"])
    return cluster


@pytest.fixture
def lagging(cluster, start_web, authority, write_config, pair, start_monitor,  # noqa: F811
            redisteer, tmp_path):
    """lagging(options) -> file; east has failed and is well again, and lag gates the way home."""
    secret = tmp_path / "rest.pw"
    secret.write_text("s3cret-rest\n")
    secret.chmod(0o600)
    east, west = pair

    def start(options="", ahead=lambda: None, host="localhost"):
        web = start_web(cluster.answer, certificate=authority.sign("web", ips=["127.0.0.1"]))
        config = write_config(f"""
check crdb {{ type = lag  url = "{web.url()}/"  username = rest  password_file = {secret}
              interval = 100ms  tls {{ ca = {authority.cert} }}  {options} }}
""" + lab.service("cache", ["redis.test"], {"east": f"{host}:{east.port}", "west": f"{host}:{west.port}"},
                  f"""health {{ {QUICK} }}
                      failback {{ probe = crdb  grace = 0s  check = 50ms }}"""))
        ahead()
        start_monitor(config)
        wait_health(redisteer, config, east="healthy", west="healthy")
        return config, web

    return start


def leave_east(redisteer, config, east):
    east.process.send_signal(signal.SIGSTOP)
    wait_event(redisteer, config, "failover", "the failover", to="west")
    east.process.send_signal(signal.SIGCONT)
    wait_health(redisteer, config, east="healthy")


def stays_away(redisteer, config):
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > checks + 8, "checks")
    assert lab.events(redisteer, config, "failback") == []
    assert lab.status(redisteer, config, "cache")["active"] == "west"


@pytest.mark.parametrize("status, code, text", [
    (503, "no_quorum", "lag: no quorum"),
    (404, "db_not_found", "lag: the cluster does not know the database any more"),
    (503, "bdb_unavailable", "lag: the database is unavailable"),
    (503, "bdb_unavailable_shard_unreachable", "lag: a shard is unreachable"),
    (503, "bdb_unavailable_port_unbound", "lag: the database's port is not bound"),
    (503, "bdb_unavailable_shard_unreachable_port_unbound",
     "lag: a shard is unreachable and the port is not bound"),
    (503, "bdb_endpoint_unavailable", "lag: the endpoint is unavailable"),
    (503, b"{}", "lag: too far behind, or unavailable"),
    (400, b"{}", "lag: the cluster calls the question malformed"),
    (500, b"oops", "HTTP: not the expected status"),
])
def test_lag_gates_failback_and_says_why(status, code, text, lagging, cluster, redisteer,
                                         pair):  # noqa: F811
    east, _ = pair
    config, _ = lagging()
    wait_event(redisteer, config, "check", "the gate to open", endpoint="east",
               detail="failback.probe holds")
    cluster.trouble[5] = (status, code)
    wait_event(redisteer, config, "check", "the gate to close", endpoint="east", reason=text,
               detail="failback.probe does not hold")
    assert lab.status(redisteer, config, "cache")["active"] == "east", "lag evicts nobody"
    leave_east(redisteer, config, east)
    stays_away(redisteer, config)
    assert last_error(redisteer, config) == text
    cluster.trouble.clear()
    wait_event(redisteer, config, "failback", "the way home", to="east")


def test_lag_asks_as_the_api_documents(lagging, cluster, redisteer, pair):  # noqa: F811
    """The endpoint's own availability, with the tolerance; the id is looked up once."""
    east, west = pair
    config, web = lagging("tolerance = 250ms")
    lab.wait_for(lambda: len(web.requests) > 20, "requests")
    paths = {request["raw"] for request in web.requests}
    assert paths == {
        "/v1/bdbs?fields=uid,endpoints",
        "/v1/local/bdbs/5/endpoint/availability?extend_check=lag&availability_lag_tolerance_ms=250",
        "/v1/local/bdbs/7/endpoint/availability?extend_check=lag&availability_lag_tolerance_ms=250"}
    assert cluster.looked_up == 2, "once for each endpoint"
    cluster.trouble[5] = (503, "no_quorum")
    wait_event(redisteer, config, "check", "the gate to close", endpoint="east",
               reason="lag: no quorum")
    lab.wait_for(lambda: cluster.looked_up > 3, "another look after an error")


@pytest.mark.parametrize("behind, tolerance, holds", [(400, "300ms", False), (400, "500ms", True)])
def test_lag_tolerance(behind, tolerance, holds, lagging, cluster, redisteer, pair):  # noqa: F811
    east, _ = pair
    config, _ = lagging(f"tolerance = {tolerance}", ahead=lambda: cluster.lag_ms.update({5: behind}))
    leave_east(redisteer, config, east)
    if holds:
        wait_event(redisteer, config, "failback", "the way home", to="east")
    else:
        stays_away(redisteer, config)
        assert last_error(redisteer, config) == "lag: too far behind, or unavailable"


def test_without_extended_only_availability_counts(lagging, cluster, redisteer, pair):  # noqa: F811
    east, _ = pair
    config, web = lagging("extended = false", ahead=lambda: cluster.lag_ms.update({5: 10 ** 6}))
    leave_east(redisteer, config, east)
    wait_event(redisteer, config, "failback", "the way home", to="east")
    assert "/v1/local/bdbs/5/endpoint/availability" in {request["raw"] for request in web.requests}


def test_a_database_is_found_by_an_address_too(lagging, cluster, redisteer, pair):  # noqa: F811
    east, west = pair
    cluster.databases.clear()
    cluster.add(3, "a.test", west.port, addr=["127.0.0.1"])
    cluster.add(4, "a.test", east.port, addr=["10.0.0.4", "127.0.0.1"])
    config, web = lagging(host="127.0.0.1")
    wait_event(redisteer, config, "check", "the gate to open", endpoint="east",
               detail="failback.probe holds")
    assert any(request["path"].startswith("/v1/local/bdbs/4/") for request in web.requests)


@pytest.mark.parametrize("how, text", [
    ("unknown", "lag: the cluster has no database at this host and port"),
    ("password", "HTTP: user name or password are refused"),
    ("json", "lag: the answer is not what the REST API documents"),
])
def test_lag_that_cannot_be_asked(how, text, lagging, cluster, redisteer):
    def spoil():
        if how == "unknown":
            del cluster.databases[2]
        elif how == "password":
            cluster.authorization = "Basic other"
        else:
            cluster.databases = {"not": "a list"}

    config, _ = lagging(ahead=spoil)
    wait_event(redisteer, config, "check", "the gate to be closed", endpoint="east", reason=text)
    assert lab.status(redisteer, config, "cache")["active"] in ("east", None)
    assert endpoint(redisteer, config, "east")["health"] == "healthy"


def test_lag_cannot_be_a_health_check(redisteer, write_config):
    config = write_config("""check crdb { type = lag  url = https://127.0.0.1:9443 }
service cache { match = { r }  endpoint e { address = x }
    health { probe = "all(ping, crdb)" } }
""")
    result = redisteer("check", config=config)
    assert result.returncode == 2
    assert (f"{config}:3: health.probe cannot be a lag check: lag gates failback only "
            "(failback.probe): 'all(ping, crdb)'") in result.stderr
