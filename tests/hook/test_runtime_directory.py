"""Runtime directories and segments that cannot be used: the program works, and the log says why.

The configuration file is taken away after publishing where a repair by a new publication is not
what the test is about. Then nothing can be steered, and the connection must go where it went
without the library.
"""

import os
import random
import re
import shutil
import struct
import subprocess

import pytest

from hooks import LIBRARY, PROGRAMS, SKIPPED, need_library, need_root, need_tool

ABI_AT = 8  # after the magic, see the head of the segment
HEAD_SIZE = 4096


def connect(world, tmp_path, *, runtime, mode="kernel", program="quiet", case="one_connection",
            config=None, **options):
    """Runs a program with a log; returns the log."""
    log = tmp_path / "log"
    variables = {"REDISTEER_RUNTIME_DIR": str(runtime), "REDISTEER_LOG": f"debug:{log}",
                 "HOOK_MODE": mode, "REDISTEER_CONFIG": str(config or world.config),
                 **options.pop("variables", {})}
    kernel = world.run(program, case, "kernel", **options)
    result = world.run(program, case, "steered", **options, **variables)
    assert result.passed().stdout == kernel.stdout
    assert result.stderr == kernel.stderr
    return log.read_text() if log.exists() else ""


@pytest.fixture
def private_config(world, tmp_path):
    """A copy of the configuration that a test may take away or spoil."""
    path = tmp_path / "private.conf"
    shutil.copy(world.config, path)
    path.chmod(0o600)
    return path


@pytest.fixture
def published(world, private_config):
    """A runtime directory with a segment, whose configuration file is gone."""
    runtime = world.runtime()
    world.publish(runtime, private_config)
    private_config.unlink()
    return runtime


def attach(world, tmp_path, runtime, private_config, mode="kernel", **options):
    return connect(world, tmp_path, runtime=runtime, config=private_config, mode=mode, **options)


def says(log, *words):
    """The log is a file of lines, one of which has all these words."""
    assert log, "the log is empty"
    lines = [line.lower() for line in log.splitlines()]
    assert any(all(word in line for word in words) for line in lines), log


# ---- the base line ----

def test_published_segment_is_enough(world, tmp_path, published, private_config):
    """Without its file a segment still steers: or the tests below would prove nothing."""
    attach(world, tmp_path, published, private_config, mode="steered")


def test_log_is_a_file_and_nothing_else(world, tmp_path, published, private_config):
    log = attach(world, tmp_path, published, private_config, mode="steered")
    assert log.endswith("\n") and all(len(line) <= 500 for line in log.splitlines())


# ---- directories ----

def test_runtime_directory_is_missing(world, tmp_path):
    """It may be made; where that cannot be, nothing is steered."""
    connect(world, tmp_path, runtime=world.runtime() / "to-be-made", mode="either")
    (tmp_path / "log").unlink(missing_ok=True)
    says(connect(world, tmp_path, runtime=world.memory / "there-is-none" / "below"), "directory")


def test_runtime_directory_is_a_file(world, tmp_path):
    path = world.memory / f"file-{tmp_path.name}"
    path.write_text("x")
    says(connect(world, tmp_path, runtime=path), "directory")


def in_own_mounts(script):
    """A prefix: a private mount namespace, prepared by a script."""
    need_root()
    command = ["unshare", "-m", "sh", "-c", script + ' && exec "$@"', "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        pytest.skip(SKIPPED + "no private mount namespace here")
    return command


def test_runtime_directory_is_read_only(world, tmp_path, published):
    empty = world.runtime()
    mounts = in_own_mounts(f"mount --bind {empty} {empty} && mount -o remount,bind,ro {empty}")
    assert connect(world, tmp_path, runtime=empty, prefix=mounts)


def test_segment_on_a_read_only_mount_steers_without_reporting(world, tmp_path, published,
                                                              private_config):
    mounts = in_own_mounts(f"mount --bind {published} {published}"
                           f" && mount -o remount,bind,ro {published}")
    attach(world, tmp_path, published, private_config, mode="steered", prefix=mounts)


@pytest.mark.parametrize("room", ["size=4k", "size=64k", "nr_inodes=2", "size=64k,nr_inodes=3"])
def test_runtime_directory_is_full(world, tmp_path, room):
    """No SIGBUS: what does not fit is not published."""
    empty = world.runtime()
    mounts = in_own_mounts(f"mount -t tmpfs -o mode=700,{room} tmpfs {empty}")
    says(connect(world, tmp_path, runtime=empty, prefix=mounts), "room")


def test_runtime_directory_is_filled_by_others(world, tmp_path):
    empty = world.runtime()
    mounts = in_own_mounts(f"mount -t tmpfs -o mode=700,size=4m tmpfs {empty}"
                           f" && ! dd if=/dev/zero of={empty}/ballast bs=4k 2>/dev/null")
    says(connect(world, tmp_path, runtime=empty, prefix=mounts), "room")


def test_runtime_directory_is_not_on_tmpfs(world, tmp_path):
    need_library()
    on_disk = tmp_path / "runtime"
    on_disk.mkdir(mode=0o700)
    if subprocess.run(["stat", "-f", "-c", "%T", on_disk], capture_output=True,
                      text=True).stdout.strip() == "tmpfs":
        pytest.skip(SKIPPED + "the temporary directory is on tmpfs")
    says(connect(world, tmp_path, runtime=on_disk), "tmpfs")


def test_runtime_directory_belongs_to_another_user(world, tmp_path):
    need_root()
    foreign = world.runtime()
    os.chown(foreign, 65533, 65533)
    log = connect(world, tmp_path, runtime=foreign)
    says(log, "directory")


def test_runtime_directory_that_others_may_write(world, tmp_path):
    open_to_all = world.runtime()
    open_to_all.chmod(0o777)
    says(connect(world, tmp_path, runtime=open_to_all), "directory")


def test_program_of_another_user_cannot_use_the_segment(world, tmp_path, published, private_config):
    """0700: the directory is closed to it. Its program works, and no file of ours is touched."""
    need_root()
    need_tool("setpriv")
    world.memory.chmod(0o755)
    before = sorted(published.iterdir())
    result = world.run("quiet", "one_connection", "steered", HOOK_MODE="kernel",
                       prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
                       binary=reachable(PROGRAMS / "quiet", tmp_path),
                       LD_PRELOAD=reachable(LIBRARY, tmp_path),
                       REDISTEER_RUNTIME_DIR=str(published), REDISTEER_CONFIG=str(private_config))
    assert result.passed().stderr == ""
    assert sorted(published.iterdir()) == before


def reachable(path, tmp_path):
    """A copy that every user can read and run."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and directory != directory.parent:
            directory.chmod(directory.stat().st_mode | 0o055)
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    copy.chmod(0o755)
    return copy


# ---- segments ----

def test_segment_is_missing_and_so_is_the_file(world, tmp_path):
    log = connect(world, tmp_path, runtime=world.runtime(), config=tmp_path / "none.conf")
    assert log


def test_segment_is_a_symbolic_link(world, tmp_path, published, private_config):
    [segment] = world.segments(published)
    target = segment.with_name("elsewhere")
    segment.rename(target)
    segment.symlink_to(target)
    assert attach(world, tmp_path, published, private_config)
    assert segment.is_symlink() and target.exists()


def test_segment_is_a_fifo_a_directory_or_a_device(world, tmp_path, published, private_config):
    """Opening must not wait, whatever lies there."""
    [segment] = world.segments(published)
    segment.unlink()
    os.mkfifo(segment, 0o600)
    assert attach(world, tmp_path, published, private_config, seconds=10)
    segment.unlink()
    segment.mkdir(mode=0o700)
    assert attach(world, tmp_path, published, private_config, seconds=10)
    if os.geteuid() == 0:
        segment.rmdir()
        os.mknod(segment, 0o600 | 0o020000, os.makedev(1, 5))
        assert attach(world, tmp_path, published, private_config, seconds=10)


def test_segment_belongs_to_another_user(world, tmp_path, published, private_config):
    need_root()
    [segment] = world.segments(published)
    os.chown(segment, 65533, 65533)
    says(attach(world, tmp_path, published, private_config), "someone else")


@pytest.mark.parametrize("mode", [0o666, 0o622, 0o660])
def test_segment_that_others_may_write(world, tmp_path, published, private_config, mode):
    [segment] = world.segments(published)
    segment.chmod(mode)
    assert attach(world, tmp_path, published, private_config)


def spoil(segment, offset, data):
    with open(segment, "r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize("data,offset", [
    (b"\0" * HEAD_SIZE, 0),
    (b"\xff" * HEAD_SIZE, 0),
    (b"notours", 0),
    (b"\xff" * 8, 16),
], ids=["zeros", "ones", "magic", "size"])
def test_segment_with_a_corrupt_head(world, tmp_path, published, private_config, data, offset):
    [segment] = world.segments(published)
    spoil(segment, offset, data)
    assert attach(world, tmp_path, published, private_config)


@pytest.mark.parametrize("size", [0, 1, 100, HEAD_SIZE - 1, HEAD_SIZE, 65536, -1])
def test_segment_truncated_before_attaching(world, tmp_path, published, private_config, size):
    [segment] = world.segments(published)
    os.truncate(segment, size if size >= 0 else segment.stat().st_size - 1)
    assert attach(world, tmp_path, published, private_config)


def test_segment_of_another_abi(world, tmp_path, published, private_config):
    [segment] = world.segments(published)
    spoil(segment, ABI_AT, struct.pack("=I", 99))
    says(attach(world, tmp_path, published, private_config), "version")


def test_segment_of_another_boot(world, tmp_path, published, private_config):
    [segment] = world.segments(published)
    spoil(segment, 24, b"\x5a" * 16)
    says(attach(world, tmp_path, published, private_config), "boot")


def test_unusable_segment_is_published_anew_when_the_file_is_there(world, tmp_path, private_config):
    """Steered again or not: both are right. The next program is steered."""
    runtime = world.runtime()
    world.publish(runtime, private_config)
    [segment] = world.segments(runtime)
    spoil(segment, 0, b"\0" * HEAD_SIZE)
    attach(world, tmp_path, runtime, private_config, mode="either")
    world.publish(runtime, private_config)
    attach(world, tmp_path, runtime, private_config, mode="steered")


def test_segment_with_any_byte_wrong_never_crashes_a_program(world, tmp_path, published,
                                                            private_config):
    """Where the connection goes is open: the settings may say anything. It ends, and not by a signal."""
    [segment] = world.segments(published)
    whole = segment.read_bytes()
    chance = random.Random(20240229)
    settings = min(len(whole), 64 * 1024)
    variables = {"REDISTEER_RUNTIME_DIR": str(published), "REDISTEER_CONFIG": str(private_config)}
    for round_number in range(300):
        spoiled = bytearray(whole)
        for _ in range(chance.choice([1, 1, 3, 20])):
            at = chance.randrange(settings if round_number % 4 else len(whole))
            width = chance.choice([1, 4, 8])
            value = chance.choice([b"\0" * 8, b"\xff" * 8, b"\x7f" * 8, chance.randbytes(8)])
            spoiled[at:at + width] = value[:min(width, len(whole) - at)]
        spoil(segment, 0, bytes(spoiled))
        result = world.run("quiet", "one_attempt", "steered", seconds=20, **variables)
        assert result.status == 0 and result.stderr == "", (round_number, result)
        spoil(segment, 0, whole)


# ---- namespaces and limits ----

def test_network_namespaces_do_not_share_a_segment(world, tmp_path, published, private_config):
    """A segment is of one namespace: in another there is none, and nobody listens there."""
    need_root()
    alone = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip(SKIPPED + "no private network namespace here")
    log = attach(world, tmp_path, published, private_config, case="one_attempt", prefix=alone)
    assert log
    assert "steer" not in re.sub(r"redisteer", "", log.lower()) or "no segment" in log.lower()


def test_eight_descriptors_and_no_segment_yet(world, tmp_path):
    limited = ["prlimit", "--nofile=8:8"]
    need_tool("prlimit")
    connect(world, tmp_path, runtime=world.runtime(), mode="either", wrap=limited)


def test_no_descriptor_to_spare(world, tmp_path, published, private_config):
    """One for the connection, none for the segment: the connection comes first."""
    need_tool("prlimit")
    attach(world, tmp_path, published, private_config, mode="either", program="processes",
           case="eight_descriptors_are_enough")


def test_no_processes_to_spare(world, tmp_path):
    """The child that publishes cannot be started."""
    need_root()
    need_tool("setpriv")
    need_tool("prlimit")
    limited = ["setpriv", "--reuid=54321", "--clear-groups", "prlimit", "--nproc=1:1"]
    world.memory.chmod(0o755)
    own = world.runtime()
    os.chown(own, 54321, -1)
    result = world.run("quiet", "one_connection", "steered", HOOK_MODE="either", wrap=limited,
                       binary=reachable(PROGRAMS / "quiet", tmp_path),
                       LD_PRELOAD=reachable(LIBRARY, tmp_path), REDISTEER_RUNTIME_DIR=str(own))
    result.passed()


def test_log_that_cannot_be_written_is_no_harm(world, tmp_path, published, private_config):
    for log in ("debug:/nonexistent/log", "debug:/", "debug:/dev/full", "debug:", "nonsense:/tmp/x",
                "debug:relative"):
        attach(world, tmp_path, published, private_config, mode="steered",
               variables={"REDISTEER_LOG": log})
