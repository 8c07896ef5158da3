"""No endpoint is eligible: when_all_down = try | refuse | wait."""

import subprocess
import time

import lab


def all_down(start_redis, write_config, policy, breaker="open = 10m  open_max = 10m"):
    """Two endpoints, both dead; a configuration with that policy."""
    east, west = start_redis("east"), start_redis("west")
    east.kill()
    west.kill()
    return east, west, write_config(lab.service("cache", ["redis.test"], {
        "east": east.address, "west": west.address}, f"""
            when_all_down = {policy}
            breaker  {{ {breaker} }}
            failback {{ grace = 0s }}
            health   {{ enabled = false }}
        """))


def open_both(ask, redisteer, config):
    """Connects until both breakers are open."""
    def both_open():
        assert ask("redis.test", 6379) == "error ECONNREFUSED"
        endpoints = lab.status(redisteer, config, "cache")["endpoints"]
        return all(endpoint["breaker"] == "open" for endpoint in endpoints)
    lab.wait_for(both_open, "both breakers to open")


def test_try_goes_on_trying_although_the_breakers_are_open(start_redis, write_config, launch,
                                                           start_asker, redisteer):
    east, west, config = all_down(start_redis, write_config, "try")
    ask = start_asker(launch, config)
    open_both(ask, redisteer, config)
    west.start()
    assert ask("redis.test", 6379) == "west"


def test_refuse_answers_without_an_attempt(start_redis, write_config, launch, start_asker,
                                           redisteer):
    east, west, config = all_down(start_redis, write_config, "refuse")
    ask = start_asker(launch, config)
    open_both(ask, redisteer, config)
    east.start()
    before = lab.status(redisteer, config, "cache")["by_name"]
    assert ask("redis.test", 6379) == "error ECONNREFUSED"
    after = lab.status(redisteer, config, "cache")["by_name"]
    assert [after[name]["connects"] for name in after] == [
        before[name]["connects"] for name in before]


def test_wait_holds_a_blocking_connect_until_an_endpoint_is_back(start_redis, write_config, launch,
                                                                start_program, redisteer):
    east, west, config = all_down(start_redis, write_config, "wait:1m",
                                  "open = 300ms  open_backoff = 1.0")
    program = start_program(launch.argv([lab.PYTHON, lab.CLIENTS / "asker.py"]),
                            env=launch.environment(config), stdin=subprocess.PIPE)
    program.stdin.write("name redis.test 6379\n" * 3)
    program.stdin.flush()
    # Two refusals of each endpoint open both breakers; the third call is the one that waits.
    assert [program.stdout.readline() for _ in range(2)] == ["error ECONNREFUSED\n"] * 2
    endpoints = lab.status(redisteer, config, "cache")["endpoints"]
    assert [endpoint["breaker"] == "closed" for endpoint in endpoints] == [False, False]
    west.start()
    assert program.stdout.readline() == "west\n"


def test_wait_ends_when_its_time_is_up(start_redis, write_config, preload, start_asker, redisteer):
    east, west, config = all_down(start_redis, write_config, "wait:1s")
    ask = start_asker(preload, config)
    open_both(ask, redisteer, config)
    start = time.monotonic()
    assert ask("redis.test", 6379) == "error ECONNREFUSED"
    assert 0.9 < time.monotonic() - start < 5


def test_a_non_blocking_connect_never_waits(start_redis, write_config, preload, redisteer):
    east, west, config = all_down(start_redis, write_config, "wait:1m")
    program = """
import errno, select, socket, time
for _ in range(6):
    address = socket.getaddrinfo("redis.test", 6379, type=socket.SOCK_STREAM)[0]
    one = socket.socket(address[0], address[1])
    one.setblocking(False)
    start = time.monotonic()
    error = one.connect_ex(address[4])
    assert time.monotonic() - start < 1, "it waited"
    if error == errno.EINPROGRESS:
        select.select([], [one], [], 10)
        error = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    print(errno.errorcode[error])
    one.close()
"""
    result = preload.run([lab.PYTHON, "-c", program], config)
    assert (result.stdout, result.stderr) == ("ECONNREFUSED\n" * 6, "")
