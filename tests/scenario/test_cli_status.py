"""redisteer status: the fields that scripts rely on, and what people see."""

import json
import os
import pty
import re
import signal
import socket
import subprocess

import lab

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

WHOLE = ["schema", "version", "time", "instance", "config", "config_changed", "leader", "services"]
SERVICE = ["name", "strategy", "mode", "mode_until", "active", "switches", "last_switch",
           "endpoints"]
ENDPOINT = ["name", "address", "addresses", "source", "weight", "zone", "role", "health", "breaker",
            "admin", "eligible", "why_not", "grace_ms", "breaker_ms", "since_ms", "rtt_us",
            "rtt_p50_us", "rtt_p99_us", "checks_ok", "checks_failed", "last_error", "connections",
            "connects"]
CONNECTS = ["ok", "refused", "timeout", "reset", "unreachable"]


def test_json_has_exactly_the_promised_fields(redisteer, published):
    whole = lab.status(redisteer, published)
    assert list(whole) == WHOLE
    for service in whole["services"]:
        assert list(service) == SERVICE
        for endpoint in service["endpoints"]:
            assert list(endpoint) == ENDPOINT
            assert list(endpoint["connects"]) == CONNECTS


def test_json_of_a_service_that_nobody_has_used(redisteer, published):
    whole = lab.status(redisteer, published)
    assert (whole["schema"], whole["config"]) == (1, str(published))
    assert (whole["config_changed"], whole["leader"]) == (False, None)
    assert TIME.fullmatch(whole["time"])
    service = whole["services"][0]
    assert service["strategy"] == "priority"
    assert (service["mode"], service["mode_until"]) == ("auto", None)
    assert (service["active"], service["switches"], service["last_switch"]) == ("east", 0, None)
    east, west = service["endpoints"]
    since = east.pop("since_ms")
    assert 0 <= since < lab.PATIENCE * 1000
    assert east == {
        "name": "east", "address": "127.0.0.1:7001", "addresses": ["127.0.0.1"], "source": "file",
        "weight": 1.0, "zone": "", "role": None, "health": "unknown", "breaker": "closed",
        "admin": "ready", "eligible": True, "why_not": None, "grace_ms": 0, "breaker_ms": 0,
        "rtt_us": None, "rtt_p50_us": None, "rtt_p99_us": None, "checks_ok": 0, "checks_failed": 0,
        "last_error": None, "connections": 0, "connects": dict.fromkeys(CONNECTS, 0)}
    assert (west["weight"], west["zone"]) == (0.25, "z2")


def test_a_changed_or_missing_file_shows_as_changed(redisteer, published):
    os.utime(published, ns=(1, 1))
    assert lab.status(redisteer, published)["config_changed"] is True
    assert "the file has changed" in redisteer("status", config=published).stdout
    published.unlink()
    assert lab.status(redisteer, published)["config_changed"] is True


def test_established_connections_are_counted_at_the_client_end(redisteer, write_config):
    listeners = [socket.create_server(("127.0.0.1", 0)),
                 socket.create_server(("::1", 0), family=socket.AF_INET6)]
    east, west = (listener.getsockname()[1] for listener in listeners)
    config = write_config(lab.service("cache", ["redis.internal"], {
        "east": f"127.0.0.1:{east}", "west": f"[::1]:{west}"}))
    redisteer("reload", config=config)
    mapped = socket.socket(socket.AF_INET6)
    mapped.connect(("::ffff:127.0.0.1", east))
    clients = [socket.create_connection(("127.0.0.1", east)), mapped,
               socket.create_connection(("::1", west))]
    counted = lab.status(redisteer, config, "cache")["by_name"]
    assert (counted["east"]["connections"], counted["west"]["connections"]) == (2, 1)
    for one in clients + listeners:
        one.close()


def test_check_is_0_while_every_service_has_an_eligible_endpoint(redisteer, published):
    assert redisteer("status", "--check", config=published).returncode == 0


def test_check_is_1_and_names_the_service_when_nothing_is_eligible(redisteer, all_down):
    result = redisteer("status", "--check", config=all_down)
    assert result.returncode == 1
    assert result.stderr == "redisteer: no endpoint is eligible: 'cache'\n"


def test_open_breakers_show_with_time_left_and_last_error(redisteer, all_down):
    for endpoint in lab.status(redisteer, all_down, "cache")["endpoints"]:
        assert (endpoint["breaker"], endpoint["eligible"]) == ("open", False)
        assert endpoint["why_not"] == "breaker open"
        assert 0 < endpoint["breaker_ms"] <= 660_000  # jitter: 10 %
        assert 0 < endpoint["grace_ms"] <= 60_000
        assert endpoint["connects"]["refused"] >= 2
        assert endpoint["last_error"] == "Connection refused"
    text = redisteer("status", config=all_down).stdout
    assert "nothing is eligible: connections are tried in the configured order" in text
    assert re.search(r" open, \d+m left +1 +no: breaker open .* Connection refused, \d+m?s ago",
                     text)


def test_the_last_switch_is_told(redisteer, all_down):
    service = lab.status(redisteer, all_down, "cache")
    last = service["last_switch"]
    assert service["switches"] == 1
    assert list(last) == ["time", "from", "to", "reason"]
    assert TIME.fullmatch(last["time"])
    assert (last["from"], last["to"], last["reason"]) == ("east", "west", "breaker")
    assert re.search(r"last switch \d+m?s ago: east -> west \(breaker\)",
                     redisteer("status", config=all_down).stdout)


def test_text_names_service_endpoints_and_state(redisteer, published):
    result = redisteer("status", config=published)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert str(published) in lines[0]
    assert any(re.match(r"cache +active east +mode auto ", line) for line in lines)
    assert any(re.match(r" +\* east +127\.0\.0\.1:7001 +unknown +closed +1 +yes ", line)
               for line in lines)
    assert any(re.match(r" +west +127\.0\.0\.1:7002 +unknown +closed +0\.25 +yes ", line)
               for line in lines)


def test_text_without_a_terminal_has_no_escapes(redisteer, published):
    assert "\033" not in redisteer("status", config=published).stdout


def on_terminal(arguments, environment, until=None, interrupt=False):
    """Everything a command writes to a terminal of its own, and its exit status."""
    master, slave = pty.openpty()
    program = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    seen = b""
    while True:
        try:
            seen += os.read(master, 65536)
        except OSError:  # EIO: the program has closed its end
            break
        if interrupt and until in seen:
            program.send_signal(signal.SIGINT)
            interrupt = False
    os.close(master)
    return seen.decode(), program.wait(timeout=lab.PATIENCE)


def terminal_environment(runtime_dir, **more):
    return lab.plain_environment() | {
        "REDISTEER_RUNTIME_DIR": str(runtime_dir), "TERM": "xterm"} | more


def test_colours_are_for_terminals_unless_no_color(published, runtime_dir):
    command = [lab.REDISTEER, "status", "-c", published]
    colours, _ = on_terminal(command, terminal_environment(runtime_dir, NO_COLOR=""))
    assert "\033[32myes" in colours
    plain, _ = on_terminal(command, terminal_environment(runtime_dir, NO_COLOR="1"))
    assert "\033" not in plain


def test_watch_refreshes_in_place_and_gives_the_terminal_back(published, runtime_dir):
    home = b"\033[H"
    seen, status = on_terminal([lab.REDISTEER, "status", "--watch", "-c", published],
                               terminal_environment(runtime_dir), until=home, interrupt=True)
    assert status == 0
    assert seen.startswith("\033[?1049h\033[?25l")
    assert seen.endswith("\033[?25h\033[?1049l")


def test_watch_ends_cleanly_when_its_reader_goes(published, runtime_dir):
    program = subprocess.Popen([lab.REDISTEER, "status", "--watch", "--json", "-c", published],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=terminal_environment(runtime_dir))
    assert json.loads(program.stdout.readline())["schema"] == 1
    program.stdout.close()
    assert program.wait(timeout=lab.PATIENCE) == 0
    assert program.stderr.read() == ""
    program.stderr.close()
