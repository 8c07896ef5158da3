"""
The first look-up or connection of a program where nobody has checked lately: it waits for the first checks
where the service's endpoints must be masters or replicas, and for nothing else.
"""

import re

import pytest

import lab
from sentinels import Group, service
from test_guard import frozen

ONCE = """
import ctypes, os, socket, struct, sys
if "SUBREAPER" in os.environ:
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # orphans come to this program
for _ in range(2):
    connection = socket.socket()
    if "SNDTIMEO_US" in os.environ:
        limit = struct.pack("ll", 0, int(os.environ["SNDTIMEO_US"]))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    if "NONBLOCKING" in os.environ:
        connection.setblocking(False)
    connection.connect_ex((sys.argv[1], 6379))
"""
NAME, ADDRESS = "redis.test", "127.0.0.9"
MASTERS = "health { role = master }"


@pytest.fixture
def waits(preload, redisteer, tmp_path):
    """
    waits(config, to) -> of a program that connects twice, to a name, which it looks up, or an address: how
    long it waited for checks, in ms, and whether in vain; one pair for each wait.
    """
    log = tmp_path / "waits.log"

    def connect(config, to=NAME, **variables):
        # A busy machine may take longer to publish than a program waits.
        assert redisteer("reload", config=config).returncode == 0
        log.write_text("")
        result = preload.run([lab.PYTHON, "-c", ONCE, to], config, log, env=variables)
        assert (result.returncode, result.stderr) == (0, "")
        return [(int(found[1]) / 1000, bool(found[2])) for found in
                re.finditer(r"waited (\d+) us for the first checks(, in vain)?", log.read_text())]

    return connect


@pytest.fixture
def one_wait(waits, write_config):
    """
    one_wait(text, to) -> as waits(). On a busy machine the checks may be over before the program comes to wait,
    or may take too long: that spoils a try, not all of them.
    """
    def attempt(text, to, **variables):
        for tries in range(5):
            found = waits(write_config(text, f"{tries}.conf"), to, **variables)
            if found and not found[0][1]:
                break
        return found

    return attempt


@pytest.mark.parametrize("to", [NAME, ADDRESS])
@pytest.mark.parametrize("strategy", ["priority", "round-robin"])
def test_checks_are_waited_for_once(to, strategy, start_redis, one_wait):
    east, west = start_redis("east"), start_redis("west")
    text = lab.service("cache", [NAME, ADDRESS], {"east": east.address, "west": west.address},
                       f"{MASTERS}  strategy = {strategy}")
    [(waited_ms, in_vain)] = one_wait(text, to)
    lab.figure(f"waited {waited_ms:.1f} ms for the first checks")
    assert not in_vain


@pytest.mark.parametrize("to, times", [(NAME, 1), (ADDRESS, 0)])
def test_a_program_whose_sockets_do_not_block_waits_in_its_look_up(to, times, start_redis, one_wait):
    east = start_redis("east")
    text = lab.service("cache", [NAME, ADDRESS], {"east": east.address}, MASTERS)
    assert len(one_wait(text, to, NONBLOCKING="1")) == times


def test_no_role_no_wait(start_redis, write_config, waits):
    east = start_redis("east")
    assert waits(write_config(lab.service("cache", [NAME], {"east": east.address}))) == []


def test_nobody_waits_for_checks_that_nobody_makes(start_redis, write_config, waits):
    """monitor = external, and no monitor runs: what is known is all that there will be."""
    east = start_redis("east")
    config = write_config("monitor = external\n" + lab.service(
        "cache", [NAME], {"east": east.address}, MASTERS))
    assert waits(config) == []


def test_nobody_waits_where_only_a_monitor_may_check(start_redis, write_config, waits):
    """monitor = process, and none can be started."""
    east = start_redis("east")
    config = write_config("monitor = process\n" + lab.service(
        "cache", [NAME], {"east": east.address}, MASTERS))
    assert waits(config, SUBREAPER="1") == []


def test_nobody_waits_for_a_thread_that_has_given_up(start_redis, write_config, waits):
    """As on Linux before 5.9, which gives a thread no descriptors of its own."""
    east = start_redis("east")
    config = write_config(lab.service("cache", [NAME], {"east": east.address}, MASTERS))
    old_kernel = lab.BUILT_CLIENTS / "libold_kernel.so"
    found = waits(config, LD_PRELOAD=f"{old_kernel}:{lab.LIBRARY}")
    assert [in_vain for _, in_vain in found] in ([], [False])


@pytest.mark.parametrize("to", [NAME, ADDRESS])
def test_nobody_waits_for_what_a_thread_cannot_check(to, start_redis, write_config, waits):
    east, west = start_redis("east"), start_redis("west")
    encrypted = f"""
        endpoint east {{ address = "{east.address}"  tls {{ enabled = true }} }}
        endpoint west {{ address = "{west.address}"  tls {{ enabled = true }} }}
    """
    config = write_config(lab.service("cache", [NAME, ADDRESS], {}, MASTERS + encrypted))
    assert waits(config, to, SUBREAPER="1") == []  # that starts no monitor


def test_nobody_waits_for_sentinels_that_are_no_longer_asked(start_redis, tmp_path, write_config, waits):
    lab.need("redis-sentinel")
    group = Group(start_redis, tmp_path)
    try:
        config = write_config(service(group.sentinels))
        waits(config)  # from now on it is known when they last agreed
        write_config(lab.service("cache", [NAME], {"east": group.master.address}, MASTERS))
        assert [in_vain for _, in_vain in waits(config)] in ([], [False])
    finally:
        group.stop()


@pytest.fixture
def mute(start_redis, write_config):
    """The only server is frozen: the kernel takes the connection, and no check is answered."""
    east = start_redis("east")
    config = write_config(lab.service("cache", [NAME, ADDRESS], {"east": east.address},
                                      "health { role = master  timeout = 30s }"))
    with frozen(east):
        yield config


@pytest.mark.parametrize("to", [NAME, ADDRESS])
def test_a_wait_for_checks_has_an_end(to, mute, waits):
    [(waited_ms, in_vain)] = waits(mute, to)  # the second connection does not wait
    lab.figure(f"waited {waited_ms:.0f} ms in vain")
    assert in_vain and waited_ms >= 300


def test_a_program_that_bounds_its_connect_waits_no_longer(mute, waits):
    found = [waits(mute, ADDRESS, SNDTIMEO_US="100000") for _ in range(3)]  # a busy machine spoils one, not all of them
    shortest_ms = min(waited[0][0] for waited in found)
    lab.figure(f"SO_SNDTIMEO 100 ms: waited {shortest_ms:.0f} ms")
    assert 50 <= shortest_ms < 300
