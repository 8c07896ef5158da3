"""What one program finds out, all others of the host know."""

import subprocess

import pytest

import lab

PROGRAMS = 50


@pytest.fixture
def crowd(start_program):
    """crowd(launcher, config) -> 50 running programs that connect when they are told to."""

    def start(launcher, config):
        argv = launcher.argv([lab.BUILT_CLIENTS / "on_command", "redis.test", "6379"])
        return [start_program(argv, env=launcher.environment(config), stdin=subprocess.PIPE)
                for _ in range(PROGRAMS)]

    return start


def connect(programs, times=1):
    """Each program connects `times` times, all programs at once; what they saw."""
    for program in programs:
        program.stdin.write("." * times)
        program.stdin.flush()
    return [program.stdout.readline().strip() for program in programs for _ in range(times)]


def test_one_programs_refusals_open_the_breaker_for_all(start_redis, write_config, launch, crowd,
                                                        redisteer):
    east, west = start_redis("east"), start_redis("west")
    config = write_config(lab.service("cache", ["redis.test"], {
        "east": east.address, "west": west.address}, lab.SLOW))
    programs = crowd(launch, config)
    assert connect(programs) == ["ok"] * PROGRAMS
    before = lab.status(redisteer, config, "cache")["by_name"]
    assert before["east"]["connects"]["ok"] == PROGRAMS

    east.kill()
    assert connect(programs[:1], times=3) == ["ok"] * 3  # refused by east, then west: in one call
    opened = lab.status(redisteer, config, "cache")["by_name"]
    assert opened["east"]["breaker"] == "open"
    assert opened["east"]["connects"]["refused"] == 2    # breaker { refused = 2 }

    assert connect(programs[1:], times=10) == ["ok"] * 10 * (PROGRAMS - 1)
    after = lab.status(redisteer, config, "cache")["by_name"]
    assert after["east"]["connects"]["refused"] == 2     # nobody else paid
    assert after["east"]["connects"]["ok"] == PROGRAMS
    assert after["west"]["connects"]["ok"] == 3 + 10 * (PROGRAMS - 1)


def test_one_programs_trial_closes_the_breaker_for_all(start_redis, write_config, preload, crowd,
                                                       redisteer):
    east, west = start_redis("east"), start_redis("west")
    config = write_config(lab.service("cache", ["redis.test"], {
        "east": east.address, "west": west.address}, """
            breaker  { open = 300ms  open_backoff = 1.0 }
            failback { grace = 0s }
            health   { enabled = false }
        """))
    programs = crowd(preload, config)
    east.kill()
    assert connect(programs[:1], times=3) == ["ok"] * 3
    east.start()

    def closed():
        assert connect(programs[:1]) == ["ok"]
        return lab.status(redisteer, config, "cache")["by_name"]["east"]["breaker"] == "closed"

    lab.wait_for(closed, "the breaker to close")
    assert connect(programs[:1]) == ["ok"]  # the service is back on east with this one at latest
    before = lab.status(redisteer, config, "cache")["by_name"]["east"]["connects"]
    assert connect(programs[1:]) == ["ok"] * (PROGRAMS - 1)
    after = lab.status(redisteer, config, "cache")["by_name"]["east"]["connects"]
    assert after["ok"] - before["ok"] == PROGRAMS - 1
    assert after["refused"] == before["refused"]
