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


class FarRedis(lab.Redis):
    """A Redis in another network namespace."""

    def __init__(self, name, directory, host, namespace):
        super().__init__(name, directory, host=host, port=7000 + len(name))
        self.prefix = ["ip", "netns", "exec", namespace]


@pytest.fixture
def far(tmp_path):
    """far(name) -> a running Redis behind the veth pair."""
    tag = f"rs{os.getpid()}"
    third = os.getpid() % 250 + 1
    near, distant = f"10.213.{third}.1", f"10.213.{third}.2"

    def ip(*words):
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    servers = []
    try:
        ip("netns", "add", tag)
        ip("link", "add", tag, "type", "veth", "peer", "name", "eth0", "netns", tag)
        ip("address", "add", f"{near}/30", "dev", tag)
        ip("link", "set", tag, "up")
        ip("-n", tag, "address", "add", f"{distant}/30", "dev", "eth0")
        ip("-n", tag, "link", "set", "eth0", "up")
        ip("-n", tag, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "del", tag], capture_output=True)
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")

    def start(name):
        server = FarRedis(name, tmp_path, distant, tag)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()
    subprocess.run(["ip", "link", "del", tag], capture_output=True)
    subprocess.run(["ip", "netns", "del", tag], capture_output=True)


@pytest.mark.parametrize("name", ["redis-py", "redis-py-timeout", "asyncio", "hiredis", "node"])
def test_a_client_goes_on_when_the_refusal_arrives_later(name, far, preload, write_config,
                                                         start_program):
    east, west = far("east"), far("western")
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
