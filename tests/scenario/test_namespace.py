"""
The kill test across a veth pair: the servers live in a network namespace of their own, so the
refusal is a packet that arrives later instead of something connect() already sees.
"""

import os
import shutil
import subprocess

import pytest

import lab
from test_failover import WRITERS, Writer

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"),
                                reason="needs root and ip(8)")


@pytest.fixture
def far(tmp_path):
    """far.start(name) -> a running Redis behind the veth pair."""
    try:
        network = lab.FarNetwork(tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    yield network
    network.close()


@pytest.mark.parametrize("name", ["redis-py", "redis-py-timeout", "asyncio", "hiredis", "node"])
def test_a_client_goes_on_when_the_refusal_arrives_later(name, far, preload, write_config,
                                                         start_program):
    east, west = far.start("east"), far.start("western")
    config = write_config(lab.service("cache", ["redis.test"], {
        "east": east.address, "west": west.address}, lab.SLOW))
    argv = [*WRITERS[name][0](), "redis.test", "6379"] + ["5"] * (name == "redis-py-timeout")
    writer = Writer(start_program(argv, env=preload.environment(config)))
    writer.until_lasting("server east")

    east.kill()
    writer.until("server western")
    west.command("SET", "name", "stop")
    figures = writer.summary()

    writer.check_errors(WRITERS[name][1])
    assert figures["gap_us"] < 5_000_000
    lab.figure(f"{name} across veth: longest gap {figures['gap_us'] / 1000:.1f} ms, "
               f"{figures['errors']} error(s)")
