"""`redisteer monitor` with real servers: what it finds, how soon, and what it leaves alone."""

import fcntl
import json
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

import lab

# Short times, so that a test takes seconds: checks each 200 ms, failed ones each 50 ms.
SHORT = """
    health   { interval = 200ms  fast_interval = 50ms  timeout = 200ms }
    failback { grace = 1s  check = 100ms }
"""


@pytest.fixture
def pair(start_redis):
    return start_redis("east"), start_redis("west")


@pytest.fixture
def config_of(write_config):
    """config_of(pair, options) -> file with the service `cache`, east before west."""

    def write(servers, options=SHORT, front="", **more):
        endpoints = {server.name: server.address for server in servers}
        return write_config(front + lab.service("cache", ["redis.test"], endpoints, options), **more)

    return write


@pytest.fixture
def start_monitor(start_program, preload):
    """start_monitor(config) -> Popen of a `redisteer monitor` that has begun."""
    preload.way = "run"  # no LD_PRELOAD

    def start(config, *arguments, **options):
        return start_program([lab.REDISTEER, "monitor", *arguments],
                             env=preload.environment(config), **options)

    return start


def endpoint(redisteer, config, name):
    return lab.status(redisteer, config, "cache")["by_name"][name]


def wait_health(redisteer, config, **wanted):
    """Waits until each endpoint named has that health; returns the seconds it took."""
    started = time.monotonic()

    def reached():
        found = lab.status(redisteer, config, "cache")["by_name"]
        return all(found[name]["health"] == health for name, health in wanted.items())

    wait_published(redisteer, config)
    lab.wait_for(reached, f"health {wanted}")
    return time.monotonic() - started


def wait_published(redisteer, config):
    lab.wait_for(lambda: redisteer("status", "--json", config=config).returncode == 0,
                 "the monitor to publish")


def wait_event(redisteer, config, kind, what, **wanted):
    def found():
        return next((event for event in lab.events(redisteer, config, kind)
                     if all(event[key] == value for key, value in wanted.items())), None)

    return lab.wait_for(found, what)


def leader(redisteer, config):
    return lab.status(redisteer, config)["leader"]


def clients_of(server):
    """Connections to the server, our own question apart."""
    return [line for line in server.command("CLIENT", "LIST").splitlines() if "cmd=client" not in line]


def test_a_new_endpoint_is_checked_at_once(pair, config_of, start_monitor, redisteer):
    config = config_of(pair, "health { interval = 1h }")
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    status = lab.status(redisteer, config)
    assert status["leader"] == {"pid": monitor.pid, "kind": "process"}
    east = endpoint(redisteer, config, "east")
    assert east["checks_ok"] == 1 and east["checks_failed"] == 0
    assert east["rtt_us"] > 0 and east["rtt_p50_us"] > 0 and east["rtt_p99_us"] > 0
    assert east["role"] is None


def test_a_frozen_server_is_left_in_the_time_its_rules_say(pair, config_of, start_monitor,
                                                           redisteer):
    """interval + fast_interval + timeout at most, give or take what asking takes."""
    east, _ = pair
    config = config_of(pair, "health { interval = 500ms  fast_interval = 100ms  timeout = 300ms }")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    stopped = time.time()
    east.process.send_signal(signal.SIGSTOP)
    event = wait_event(redisteer, config, "health", "east to be unhealthy", endpoint="east",
                       to="unhealthy")
    took = moment(event["time"]) - stopped
    lab.figure(f"SIGSTOP to verdict: {took * 1000:.0f} ms (500 ms, 100 ms, 300 ms)")
    assert 0.4 <= took < 0.9 * 1.05 + 0.5
    assert event["reason"] == "no answer in time"
    assert lab.status(redisteer, config, "cache")["active"] == "west"
    assert endpoint(redisteer, config, "east")["last_error"] == "no answer in time"


def moment(text):
    from datetime import datetime
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_the_way_home_takes_grace_and_a_check(pair, config_of, start_monitor, redisteer):
    east, _ = pair
    config = config_of(pair)
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.process.send_signal(signal.SIGSTOP)
    failover = wait_event(redisteer, config, "failover", "the failover", to="west")
    assert failover["reason"] == "health-check"
    east.process.send_signal(signal.SIGCONT)
    wait_health(redisteer, config, east="healthy")
    failback = wait_event(redisteer, config, "failback", "the way home", to="east")
    assert failback["reason"] == "failback"
    away = moment(failback["time"]) - moment(failover["time"])
    lab.figure(f"away for {away:.2f} s, grace 1 s, failback.check 100 ms")
    assert 1.0 <= away < 3


def test_a_dead_server_is_noticed_by_the_end_of_the_probe_connection(pair, config_of, start_monitor,
                                                                     redisteer):
    """The next check would come in an hour."""
    east, _ = pair
    config = config_of(pair, "health { interval = 1h  fast_interval = 100ms }")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    killed = time.time()
    east.kill()
    event = wait_event(redisteer, config, "health", "east to be unhealthy", endpoint="east",
                       to="unhealthy")
    took = moment(event["time"]) - killed
    lab.figure(f"kill -9 to verdict, hourly checks: {took * 1000:.0f} ms")
    assert event["reason"] == "connection refused"
    assert took < 2


def test_a_closed_probe_connection_is_no_verdict(pair, config_of, start_monitor, redisteer):
    east, _ = pair
    config = config_of(pair, "health { interval = 1h  fast_interval = 50ms  fall = 1 }")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    before = clients_of(east)
    assert east.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") == "1"
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] >= 2, "another check")
    after = clients_of(east)
    assert len(after) == 1 and after != before
    assert endpoint(redisteer, config, "east")["checks_failed"] == 0
    assert [event["to"] for event in lab.events(redisteer, config, "health")
            if event["endpoint"] == "east"] == ["healthy"]


def test_a_monitor_that_was_stopped_gives_no_false_verdict(pair, config_of, start_monitor,
                                                           redisteer):
    config = config_of(pair)
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    monitor.send_signal(signal.SIGSTOP)
    silent = time.monotonic() + 3
    lab.wait_for(lambda: time.monotonic() > silent, "three seconds")
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    monitor.send_signal(signal.SIGCONT)
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] >= checks + 3,
                 "checks to go on")
    assert endpoint(redisteer, config, "east")["checks_failed"] == 0
    assert endpoint(redisteer, config, "west")["checks_failed"] == 0
    assert lab.events(redisteer, config, "failover") == []


def unread(server):
    """Bytes that the server has not read yet, from all its connections."""
    with open("/proc/net/tcp", encoding="ascii") as stream:
        rows = [line.split() for line in stream.readlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows
               if row[1].endswith(f":{server.port:04X}") and row[3] == "01")


def test_a_check_that_was_under_way_meanwhile_is_void(pair, config_of, start_monitor, redisteer):
    """Its time has passed when the monitor wakes, and nobody had read an answer."""
    east, _ = pair
    config = config_of(pair, "health { interval = 100ms  timeout = 2s  fall = 1 }")
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.process.send_signal(signal.SIGSTOP)
    lab.wait_for(lambda: unread(east) > 0, "a check to be under way")
    monitor.send_signal(signal.SIGSTOP)
    silent = time.monotonic() + 3
    lab.wait_for(lambda: time.monotonic() > silent, "three seconds")
    checks = endpoint(redisteer, config, "west")["checks_ok"]
    monitor.send_signal(signal.SIGCONT)
    lab.wait_for(lambda: endpoint(redisteer, config, "west")["checks_ok"] > checks,
                 "the monitor to go on")
    east.process.send_signal(signal.SIGCONT)
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] >= checks + 3,
                 "checks to go on")
    assert endpoint(redisteer, config, "east")["checks_failed"] == 0


def test_a_monitor_without_descriptors_gives_no_verdict(start_redis, config_of, start_monitor,
                                                        redisteer):
    servers = [start_redis(name) for name in ("east", "west", "north")]
    config = config_of(servers)
    assert redisteer("reload", config=config).returncode == 0
    few = 5  # two besides stdin, stdout and stderr
    monitor = start_monitor(config, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (few, few)))
    for line in monitor.stderr:
        if "Too many open files" in line:
            break
    assert " error: cannot check; trying again in 10 s" in line
    assert leader(redisteer, config) is None
    for name in ("east", "west", "north"):
        assert endpoint(redisteer, config, name)["checks_failed"] == 0
    monitor.send_signal(signal.SIGTERM)
    assert monitor.wait(lab.PATIENCE) == 0


def test_of_several_monitors_one_checks_and_another_takes_over(pair, config_of, start_monitor,
                                                               redisteer):
    east, west = pair
    config = config_of(pair)
    monitors = {}
    for _ in range(3):
        monitor = start_monitor(config)
        monitors[monitor.pid] = monitor
    wait_health(redisteer, config, east="healthy", west="healthy")
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > checks + 5, "checks")
    assert len(clients_of(east)) == 1 and len(clients_of(west)) == 1

    first = leader(redisteer, config)["pid"]
    monitors[first].kill()
    killed = time.monotonic()
    second = lab.wait_for(
        lambda: (now := leader(redisteer, config)) and now["pid"] != first and now["pid"],
        "another leader")
    lab.figure(f"another monitor leads after {(time.monotonic() - killed) * 1000:.0f} ms")
    assert second in monitors
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > checks + 3, "checks")
    assert endpoint(redisteer, config, "east")["health"] == "healthy"
    assert len(clients_of(east)) == 1


def test_both_down_then_one_back_is_used(pair, config_of, start_monitor, redisteer):
    east, west = pair
    config = config_of(pair, SHORT.replace("interval = 200ms", "interval = 1s")
                       + "    when_all_down = refuse\n")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.kill()
    west.kill()
    wait_health(redisteer, config, east="unhealthy", west="unhealthy")
    assert redisteer("endpoint", "cache", config=config).returncode == 1
    west.start()
    started = time.time()
    event = wait_event(redisteer, config, "health", "west to be well", endpoint="west",
                       **{"from": "unhealthy", "to": "healthy"})
    took = moment(event["time"]) - started
    lab.figure(f"back to used: {took * 1000:.0f} ms after it answered first")
    assert took < 1
    used = redisteer("endpoint", "cache", config=config)
    assert (used.returncode, used.stdout.strip()) == (0, west.address)


def test_equal_endpoints_share_one_probe(start_redis, write_config, start_monitor, redisteer):
    """And its result is each one's."""
    server = start_redis("only")
    endpoints = {"here": server.address}
    config = write_config(
        lab.service("cache", ["redis.test"], endpoints, SHORT)
        + lab.service("queue", ["queue.test"], endpoints, SHORT + "    resolve = virtual\n"))
    start_monitor(config)
    wait_published(redisteer, config)
    for name in ("cache", "queue"):
        lab.wait_for(lambda name=name: lab.status(redisteer, config, name)["by_name"]["here"]
                     ["checks_ok"] > 3, "checks")
    assert len(clients_of(server)) == 1
    pings = int(re.search(r"cmdstat_ping:calls=(\d+)", server.command("INFO", "commandstats"))[1])
    counted = lab.status(redisteer, config, "cache")["by_name"]["here"]["checks_ok"]
    assert pings <= counted + 3  # and the one of this test


def test_checks_can_be_switched_off(pair, config_of, start_monitor, redisteer):
    east, west = pair
    config = config_of(pair, "health { enabled = false }")
    start_monitor(config)
    lab.wait_for(lambda: redisteer("status", "--json", config=config).returncode == 0
                 and leader(redisteer, config), "a leader")
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["active"], "a decision")
    assert endpoint(redisteer, config, "east")["health"] == "unknown"
    assert clients_of(east) == [] and clients_of(west) == []


@pytest.mark.parametrize("probe", ["tcp", "ping", "echo"])
def test_each_kind_of_check(probe, pair, config_of, start_monitor, redisteer):
    east, _ = pair
    config = config_of(pair, SHORT.replace("health   {", f"health {{ probe = {probe} "))
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    calls = east.command("INFO", "commandstats")
    assert ("cmdstat_echo" in calls) == (probe == "echo")
    east.kill()
    wait_health(redisteer, config, east="unhealthy")


def test_an_endpoint_may_have_its_own_rules(pair, write_config, start_monitor, redisteer):
    east, west = pair
    config = write_config(f"""service cache {{
        match = {{ redis.test }}
        health {{ interval = 100ms }}
        endpoint east {{ address = {east.address} }}
        endpoint west {{ address = {west.address}  weight = 0.5  health {{ interval = 1h }} }}
    }}
    """)
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > 5, "checks of east")
    assert endpoint(redisteer, config, "west")["checks_ok"] == 1


def test_several_probes_make_one_check(pair, config_of, start_monitor, redisteer):
    east, _ = pair
    config = config_of(pair, "health { interval = 1h  probes = 3  gap = 20ms }")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert endpoint(redisteer, config, "east")["checks_ok"] == 1
    calls = re.search(r"cmdstat_ping:calls=(\d+)", east.command("INFO", "commandstats"))
    assert int(calls[1]) == 3 + 1  # and the one of this test


# ---- the file ----

def test_a_changed_file_is_followed(pair, config_of, start_monitor, redisteer):
    config = config_of(pair, "health { interval = 1h }")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    config_of(pair, "health { interval = 50ms }")
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > 5, "the new interval")
    assert lab.status(redisteer, config)["config_changed"] is False


def test_unchanged_endpoints_keep_their_connection(start_redis, config_of, start_monitor, redisteer):
    servers = [start_redis(name) for name in ("east", "west", "north")]
    east = servers[0]
    config = config_of(servers[:2])
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    before = re.findall(r"\bid=(\d+)", "\n".join(clients_of(east)))
    config_of(servers)
    wait_event(redisteer, config, "health", "north to be well", endpoint="north", to="healthy")
    assert re.findall(r"\bid=(\d+)", "\n".join(clients_of(east))) == before
    config_of(servers[:2])
    lab.wait_for(lambda: clients_of(servers[2]) == [], "north to be let go")


def test_sighup_reads_the_file_again(pair, config_of, start_monitor, redisteer):
    config = config_of(pair, "health { interval = 1h }")
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    config_of(pair, "health { interval = 50ms }")
    monitor.send_signal(signal.SIGHUP)
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > 5, "the new interval")
    assert monitor.poll() is None


def test_what_could_not_be_published_is_published_later(pair, config_of, start_monitor, redisteer, runtime_dir):
    """Somebody else holds the lock for longer than a publisher waits."""
    config = config_of(pair, "health { interval = 1h }")
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    [lock] = runtime_dir.glob("*.lock")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        config_of(pair, "health { interval = 50ms }")
        said = monitor.stderr.readline()
        assert "publishing for more than 5 s" in said
    lab.wait_for(lambda: not lab.status(redisteer, config)["config_changed"], "the new settings")


@pytest.mark.parametrize("hint", ["noticed", "told"])
def test_a_bad_file_changes_nothing_and_is_told(hint, pair, config_of, start_monitor, redisteer):
    config = config_of(pair)
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    config_of(pair, "nonsense = 1")
    if hint == "told":
        monitor.send_signal(signal.SIGHUP)
    event = wait_event(redisteer, config, "config", "the event", reason="bad file")
    assert event["detail"].startswith("line 3: ")
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > checks + 3, "checks")
    monitor.send_signal(signal.SIGTERM)
    _, errors = monitor.communicate(timeout=lab.PATIENCE)
    assert monitor.returncode == 0
    assert f"{config}:3: unknown option" in errors


def test_a_bad_file_at_the_start_ends_it(write_config, start_monitor):
    config = write_config("service cache {\n  matsch = { a }\n}\n")
    monitor = start_monitor(config)
    _, errors = monitor.communicate(timeout=lab.PATIENCE)
    assert monitor.returncode == 2
    assert f"{config}:2: " in errors


def test_processes_only_and_external_are_accepted(pair, config_of, redisteer):
    for word in ("process", "external"):
        config = config_of(pair, front=f"monitor = {word}\n")
        assert redisteer("check", config, config=config).returncode == 0


# ---- the program ----

@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(stop, pair, config_of, start_monitor, redisteer):
    east, _ = pair
    config = config_of(pair)
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    monitor.send_signal(stop)
    assert monitor.wait(lab.PATIENCE) == 0
    assert leader(redisteer, config) is None
    assert clients_of(east) == []


@pytest.fixture
def detach(redisteer):
    """detach(config) -> CompletedProcess of `monitor --detach`; what it left running is ended."""
    configs = []

    def run(config):
        configs.append(config)
        return redisteer("monitor", "--detach", config=config)

    yield run
    for config in configs:
        result = redisteer("status", "--json", config=config)
        found = result.returncode == 0 and json.loads(result.stdout)["leader"]
        if found and found["kind"] == "process":
            subprocess.run(["kill", str(found["pid"])], check=True)
            lab.wait_for(lambda config=config: leader(redisteer, config) is None, "its end")


def test_detach_returns_when_it_leads(pair, config_of, detach, redisteer):
    config = config_of(pair)
    result = detach(config)
    assert result.returncode == 0, result.stderr
    first = leader(redisteer, config)
    assert first["kind"] == "process"
    again = detach(config)
    assert again.returncode == 0
    assert f"process {first['pid']}" in again.stderr
    assert leader(redisteer, config) == first


def test_detach_says_what_is_wrong(write_config, detach):
    config = write_config("service cache {\n  matsch = { a }\n}\n")
    result = detach(config)
    assert result.returncode == 2
    assert f"{config}:2: " in result.stderr


def test_what_happens_is_logged(pair, config_of, start_monitor, redisteer, tmp_path):
    east, _ = pair
    log = tmp_path / "monitor.log"
    config = config_of(pair, front=f"log {{ level = info  file = {log} }}\n")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy", west="healthy")
    east.kill()
    wanted = re.compile(r"^\S+Z redisteer\[\d+\] warn: cache failover east -> west \(health-check: ",
                        re.MULTILINE)
    lab.wait_for(lambda: log.exists() and wanted.search(log.read_text()), "the line")
    assert " info: cache/east health unknown -> healthy" in log.read_text()


# ---- passwords ----

PASSWORD = "pa55word-of-the-probe"


@pytest.mark.parametrize("way", ["password", "password_file"])
def test_a_password_is_used_and_shown_nowhere(way, start_redis, write_config, start_monitor,
                                              redisteer, tmp_path, runtime_dir):
    server = start_redis("east")
    server.command("ACL", "SETUSER", "prober", "on", f">{PASSWORD}", "+ping", "+hello")
    server.command("ACL", "SETUSER", "default", "resetpass", ">other")
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    value = PASSWORD if way == "password" else secret
    config = write_config(f"""log {{ level = debug }}
    service cache {{
        match = {{ redis.test }}
        {SHORT}
        endpoint east {{ address = {server.address}  username = prober  {way} = {value} }}
    }}
    """)
    monitor = start_monitor(config)
    wait_health(redisteer, config, east="healthy")
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > 3, "checks")
    with socket.create_connection((server.host, server.port), timeout=5) as connection:
        assert lab.resp(connection, "AUTH", "other") == "OK"
        users = lab.resp(connection, "CLIENT", "LIST")
        assert "user=prober" in users
    assert [event for event in lab.events(redisteer, config, "check")] == []

    secrets = [path for path in runtime_dir.iterdir() if path.name.endswith(".secrets")]
    assert len(secrets) == 1 and secrets[0].stat().st_mode & 0o777 == 0o600
    assert PASSWORD.encode() in secrets[0].read_bytes()
    shown = {path.name: path.read_bytes() for path in runtime_dir.iterdir() if path != secrets[0]}
    for name in ("environ", "cmdline"):
        with open(f"/proc/{monitor.pid}/{name}", "rb") as stream:
            shown[name] = stream.read()
    for command in (["status"], ["status", "--json", "--history"], ["events"], ["check", config]):
        result = redisteer(*command, config=config)
        shown[" ".join(map(str, command))] = (result.stdout + result.stderr).encode()
    monitor.send_signal(signal.SIGTERM)
    shown["the monitor's output"] = "".join(monitor.communicate(timeout=lab.PATIENCE)).encode()
    assert [name for name, text in shown.items() if PASSWORD.encode() in text] == []


def test_a_wrong_password_is_alive_and_told_once(start_redis, write_config, start_monitor, redisteer):
    server = start_redis("east")
    config = write_config(f"""service cache {{
        match = {{ redis.test }}
        {SHORT}
        endpoint east {{ address = {server.address}  username = nobody  password = wrong }}
    }}
    """)
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > 5, "checks")
    told = lab.events(redisteer, config, "check")
    assert len(told) == 1 and told[0]["endpoint"] == "east"


def test_a_password_that_changes_alone_is_noticed(start_redis, write_config, start_monitor,
                                                  redisteer, tmp_path):
    """The configuration file stays as it was: `reload` publishes the new content of password_file."""
    server = start_redis("east")
    server.command("ACL", "SETUSER", "prober", "on", f">{PASSWORD}", "+ping")
    secret = tmp_path / "password"
    secret.write_text("wrong")
    secret.chmod(0o600)
    config = write_config(f"""service cache {{
        match = {{ redis.test }}
        {SHORT}
        endpoint east {{ address = {server.address}  username = prober  password_file = {secret} }}
    }}
    """)
    start_monitor(config)
    lab.wait_for(lambda: redisteer("status", config=config).returncode == 0
                 and lab.events(redisteer, config, "check"), "the complaint")
    secret.write_text(PASSWORD)
    assert redisteer("reload", config=config).returncode == 0
    lab.wait_for(lambda: "user=prober" in server.command("CLIENT", "LIST"), "the new password")


def test_no_password_configured_and_one_wanted_is_alive(start_redis, config_of, start_monitor,
                                                        redisteer):
    server = start_redis("east")
    server.command("CONFIG", "SET", "requirepass", "x")
    config = config_of([server])
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")
    assert lab.events(redisteer, config, "check") == []
