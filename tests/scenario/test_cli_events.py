"""redisteer events: the fields that scripts rely on, --since and --follow."""

import json
import re
import signal
import subprocess

import pytest

import lab

EVENT = ["seq", "time", "type", "service", "endpoint", "from", "to", "reason", "detail"]


def follow(runtime_dir, config, *options):
    environment = lab.plain_environment() | {"REDISTEER_RUNTIME_DIR": str(runtime_dir)}
    return subprocess.Popen([lab.REDISTEER, "events", "--follow", "-c", config, *options],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment)


def finish(program):
    """Its exit status, and what it has said on stderr."""
    status = program.wait(timeout=lab.PATIENCE)
    said = program.stderr.read()
    program.stdout.close()
    program.stderr.close()
    return status, said


def test_json_has_exactly_the_promised_fields(redisteer, published):
    redisteer("off", "cache", config=published)
    first, second = lab.events(redisteer, published)
    assert list(first) == list(second) == EVENT
    assert (first["seq"], first["type"], first["service"]) == (1, "config", None)
    assert second.pop("time") >= first["time"]
    assert second.pop("detail").startswith("by user ")
    assert second == {"seq": 2, "type": "admin", "service": "cache", "endpoint": None,
                      "from": "auto", "to": "off", "reason": "manual"}


def test_text_is_a_line_an_event(redisteer, published):
    redisteer("off", "cache", config=published)
    lines = redisteer("events", config=published).stdout.splitlines()
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(time + r" - config \(new: 1 services, 2 endpoints\)", lines[0])
    assert re.fullmatch(time + r" cache admin auto -> off \(manual: by user \d+\)", lines[1])


def test_text_of_a_failover_names_both_endpoints_once(redisteer, all_down):
    lines = redisteer("events", config=all_down).stdout.splitlines()
    assert any(re.search(r"Z cache/east breaker closed -> open \(.+: open for \d+ms\)$", line)
               for line in lines)
    assert any(re.search(r"Z cache failover east -> west \(breaker: .+\)$", line)
               for line in lines)


@pytest.mark.parametrize("since, shown", [
    ("1h", 1), ("0s", 0), ("2000-01-01T00:00:00Z", 1), ("2999-01-01T00:00:00.5+02:00", 0)])
def test_since_takes_a_duration_or_a_time(redisteer, published, since, shown):
    result = redisteer("events", "--json", "--since", since, config=published)
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == shown


def test_since_the_time_of_an_event_shows_that_event(redisteer, published):
    redisteer("off", "cache", config=published)
    times = [event["time"] for event in lab.events(redisteer, published)]
    shifted = times[1].replace("Z", "+00:00")
    result = redisteer("events", "--json", "--since", shifted, config=published)
    assert json.loads(result.stdout.splitlines()[-1])["time"] == times[1]


@pytest.mark.parametrize("time", ["2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00",
                                  "10", "-10m", ""])
def test_since_refuses_what_is_no_time(redisteer, published, time):
    assert redisteer("events", "--since", time, config=published).returncode == 2


def test_follow_shows_an_event_as_it_happens(redisteer, published, runtime_dir):
    program = follow(runtime_dir, published, "--json")
    assert json.loads(program.stdout.readline())["type"] == "config"
    redisteer("observe", "cache", config=published)
    assert json.loads(program.stdout.readline())["to"] == "observe"
    program.send_signal(signal.SIGINT)
    assert finish(program) == (0, "")


def test_follow_ends_cleanly_on_sigterm(published, runtime_dir):
    program = follow(runtime_dir, published)
    program.stdout.readline()
    program.terminate()
    assert finish(program) == (0, "")


def test_follow_ends_cleanly_when_its_reader_goes(redisteer, published, runtime_dir):
    program = follow(runtime_dir, published)
    program.stdout.readline()
    program.stdout.close()
    redisteer("off", "cache", config=published)
    assert finish(program) == (0, "")


def test_follow_says_what_it_has_lost(redisteer, published, runtime_dir):
    program = follow(runtime_dir, published, "--json")
    program.stdout.readline()
    program.send_signal(signal.SIGSTOP)
    for _ in range(300):  # more than the ring holds
        redisteer("off", "cache", config=published)
        redisteer("on", "cache", config=published)
    program.send_signal(signal.SIGCONT)
    first = json.loads(program.stdout.readline())["seq"]
    program.terminate()
    program.stdout.read()
    status, said = finish(program)
    assert status == 0
    assert said == (f"redisteer: lost: events 2 to {first - 1} were overwritten before they could "
                    "be read\n")
    assert first == 601 - 511


def test_events_that_were_overwritten_before_the_start_are_no_loss(redisteer, published):
    for _ in range(260):
        redisteer("off", "cache", config=published)
        redisteer("on", "cache", config=published)
    result = redisteer("events", "--json", config=published)
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 512
