"""The active endpoint dies under a real client; the client goes on with the next one."""

import time

import pytest

import lab

# Name: how to start it, and how many refusals a kill may show it: none to a client whose connect()
# blocks, one to a client that connects without blocking.
WRITERS = {
    "redis-py": (lambda: [lab.PYTHON, lab.CLIENTS / "redis_py_writer.py"], 0),
    "redis-py-timeout": (lambda: [lab.PYTHON, lab.CLIENTS / "redis_py_writer.py"], 1),
    "asyncio": (lambda: [lab.PYTHON, lab.CLIENTS / "asyncio_writer.py"], 1),
    "hiredis": (lambda: [lab.BUILT_CLIENTS / "hiredis_writer"], 1),
    "redis-cli": (lambda: ["/bin/bash", lab.CLIENTS / "redis_cli_writer.sh"], 1),
    "bash": (lambda: ["/bin/bash", lab.CLIENTS / "bash_writer.sh"], 0),
    "node": (lambda: [lab.need("node"), lab.CLIENTS / "node_writer.js"], 1),
    "java": (lambda: [lab.need("java"), lab.CLIENTS / "Writer.java"], 0),
}


@pytest.fixture
def pair(start_redis):
    return start_redis("east"), start_redis("west")


def two_endpoints(pair, options=lab.SLOW):
    east, west = pair
    return lab.service("cache", ["redis.test"], {"east": east.address, "west": west.address},
                       options)


class Writer:
    """A writer of tests/scenario/clients that has been started; reads what it says."""

    def __init__(self, program):
        self.program = program
        self.said = []

    def read(self):
        line = self.program.stdout.readline().rstrip("\n")
        self.said.append(line)
        if not line:
            raise AssertionError(f"ended early: {self.said} {self.program.stderr.read()}")
        assert len(self.errors) < 100, self.said[-3:]
        return line

    def until_lasting(self, wanted):
        """
        The connection to `wanted` has lasted a while: a client that connects anew within moments is
        not told from one that does so all the time, and may lose a second connection to a dying server.
        """
        self.until(wanted)
        connected = time.monotonic()
        lab.wait_for(lambda: time.monotonic() - connected > 0.6, "a lasting connection")

    def until(self, wanted):
        while self.read() != wanted:
            pass

    def summary(self):
        """The figures at the end, by name."""
        rest, errors = self.program.communicate(timeout=lab.PATIENCE)
        self.said += rest.splitlines()
        assert self.program.returncode == 0, errors
        words = [line.split() for line in self.said]
        return {word[0]: int(word[1]) for word in words if word[0] in ("writes", "errors", "gap_us")}

    @property
    def errors(self):
        return [line for line in self.said if line.startswith("error ")]

    def check_errors(self, refusals):
        """One error: the connection that died. A non-blocking client may be refused once more."""
        assert len(self.errors) <= 1 + refusals, self.errors


def start_writer(start_program, launch, name, config, *arguments):
    argv = launch.argv([*WRITERS[name][0](), "redis.test", "6379", *arguments])
    if name == "redis-py-timeout":
        argv.append("5")
    return Writer(start_program(argv, env=launch.environment(config)))


@pytest.mark.parametrize("name", WRITERS)
def test_a_client_goes_on_with_the_next_endpoint(name, pair, launch, write_config, start_program):
    east, west = pair
    config = write_config(two_endpoints(pair))
    writer = start_writer(start_program, launch, name, config)
    writer.until_lasting("server east")

    east.kill()
    writer.until("server west")
    west.command("SET", "name", "stop")
    figures = writer.summary()

    writer.check_errors(WRITERS[name][1])
    assert figures["gap_us"] < 5_000_000
    lab.figure(f"{name} ({launch.way}): longest gap {figures['gap_us'] / 1000:.1f} ms, "
               f"{figures['errors']} error(s)")


def test_the_failover_is_told_with_its_reason(pair, preload, write_config, start_program,
                                              redisteer):
    east, west = pair
    config = write_config(two_endpoints(pair))
    writer = start_writer(start_program, preload, "redis-py", config)
    writer.until("server east")
    assert lab.status(redisteer, config, "cache")["active"] == "east"

    east.kill()
    writer.until("server west")
    # The refusals of one program open the breaker; the second comes with the next new connection.
    for _ in range(3):
        preload.run([lab.PYTHON, "-c", CONNECT_ONCE], config)

    state = lab.status(redisteer, config, "cache")
    assert state["active"] == "west"
    assert state["by_name"]["east"]["breaker"] == "open"
    assert state["by_name"]["east"]["eligible"] is False
    assert state["last_switch"]["from"] == "east" and state["last_switch"]["to"] == "west"
    assert state["last_switch"]["reason"] == "breaker"
    moved = lab.events(redisteer, config, "failover")
    assert [(event["from"], event["to"], event["reason"]) for event in moved] == [
        ("east", "west", "breaker")]
    west.command("SET", "name", "stop")
    writer.summary()


CONNECT_ONCE = "import socket; socket.create_connection(('redis.test', 6379)).close()"

RECONNECT = """
import redis, sys
while True:
    try:
        client = redis.Redis('redis.test', 6379)
        name = client.get('name').decode()
        client.close()
    except redis.RedisError:
        continue
    print(name, flush=True)
    if name == 'stop':
        break
"""


def test_a_recovered_endpoint_is_used_again(pair, launch, write_config, start_program, redisteer):
    """open = 1s, grace = 1s: through half-open, by connections of the programs themselves."""
    east, west = pair
    config = write_config(two_endpoints(pair, """
        breaker  { open = 1s  open_backoff = 1.0 }
        failback { grace = 1s }
        health   { enabled = false }
    """))
    program = start_program(launch.argv([lab.PYTHON, "-c", RECONNECT]),
                            env=launch.environment(config))

    def until(name):
        for line in program.stdout:
            if line.strip() == name:
                return
        raise AssertionError(program.stderr.read())

    until("east")
    east.kill()
    until("west")
    east.start()
    until("east")

    state = lab.wait_for(
        lambda: (now := lab.status(redisteer, config, "cache"))["active"] == "east" and now,
        "east to be active again")
    assert state["by_name"]["east"]["breaker"] == "closed"
    assert state["last_switch"]["reason"] == "failback"
    changes = [event["to"] for event in lab.events(redisteer, config, "breaker")]
    assert changes[0] == "open" and changes[-1] == "closed"
    east.command("SET", "name", "stop")
    program.communicate(timeout=lab.PATIENCE)  # reads on: a full pipe would hold the program up
    assert program.returncode == 0


def test_an_endpoint_in_grace_is_not_used(pair, preload, write_config, redisteer):
    """east works again at once, but its grace period lasts: new connections stay with west."""
    east, west = pair
    config = write_config(two_endpoints(pair, """
        breaker  { open = 100ms  open_backoff = 1.0 }
        failback { grace = 10m }
    """))
    east.kill()
    ask = [lab.PYTHON, "-c", "import redis; print(redis.Redis('redis.test').get('name').decode())"]
    for _ in range(3):
        assert preload.run(ask, config).stdout == "west\n"
    east.start()
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["by_name"]["east"]["breaker"]
                 != "open", "the breaker's time to be up")
    assert [preload.run(ask, config).stdout for _ in range(3)] == ["west\n"] * 3
    assert lab.status(redisteer, config, "cache")["by_name"]["east"]["grace_ms"] > 0


def test_an_endpoint_that_leaves_the_file_is_left(pair, preload, write_config, start_program,
                                                  redisteer):
    """Its connections are shut, though it is well: the settings do not know it any more."""
    east, west = pair
    config = write_config(two_endpoints(pair, ""))
    writer = start_writer(start_program, preload, "redis-py", config)
    writer.until_lasting("server east")

    write_config(lab.service("cache", ["redis.test"], {"west": west.address}, ""))
    assert redisteer("reload", config=config).returncode == 0
    writer.until("server west")
    west.command("SET", "name", "stop")
    writer.summary()
    assert len(writer.errors) <= 1, writer.errors
