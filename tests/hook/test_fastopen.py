"""Connections by sendto() and sendmsg(), with the kernel's defaults and with cookies in play."""

import subprocess

import pytest

from hooks import SKIPPED, World, cases_of, conditions, need_root

SYSCTL = "/proc/sys/net/ipv4/tcp_fastopen"
everywhere = conditions("steered", "guarded", "no_file", "disabled", "constructor")


@pytest.fixture(scope="module")
def eager_world(tmp_path_factory):
    """A network namespace where client and server send data with the SYN, without cookies."""
    need_root()
    script = f"ip link set lo up && echo 1543 > {SYSCTL} && echo ready && exec sleep 100000"
    holder = subprocess.Popen(["unshare", "-n", "sh", "-c", script], stdout=subprocess.PIPE)
    try:
        if holder.stdout.readline() != b"ready\n":
            pytest.skip(SKIPPED + "no network namespace with fast open here")
        there = World(tmp_path_factory.mktemp("eager"), ["nsenter", "-t", str(holder.pid), "-n"])
        try:
            yield there.start()
        finally:
            there.stop()
    finally:
        World.end(holder)


@everywhere
@pytest.mark.parametrize("case", cases_of("fastopen"))
def test_fastopen_send_and_sendmsg(world, case, condition):
    world.same_as_kernel("fastopen", case, condition)


@everywhere
@pytest.mark.parametrize("case", [
    "blocking_send_opens_the_connection",
    "connect_with_fastopen_connect",
    "send_without_fastopen_opens_nothing",
    "message_in_read_only_memory",
])
def test_fastopen_with_data_in_the_first_packet(eager_world, case, condition):
    eager_world.same_as_kernel("fastopen", case, condition)


def test_non_blocking_fastopen_with_data_in_the_first_packet(eager_world):
    eager_world.run("fastopen", "non_blocking_send_opens_the_connection").passed()
