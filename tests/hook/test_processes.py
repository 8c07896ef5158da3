"""Processes that fork, share memory, execute others, become daemons, or close every descriptor."""

import os
import shutil
import subprocess

import pytest

from hooks import LIBRARY, PROGRAMS, SKIPPED, conditions, need_library, need_root, need_tool

everywhere = conditions("steered", "guarded", "alone", "no_file", "disabled")


@conditions("steered", "alone", "no_file")
def test_fork_while_other_threads_connect(world, condition):
    world.same_as_kernel("processes", "fork_while_other_threads_connect", condition, seconds=240)


@everywhere
def test_children_of_children_connect(world, condition):
    world.same_as_kernel("processes", "children_of_children_connect", condition)


@everywhere
@pytest.mark.parametrize("case", [
    "vfork_child_connects",
    "vfork_child_is_the_first_to_connect",
    "clone_child_in_the_same_memory_connects",
    "clone_child_with_the_same_descriptors_connects",
    "raw_fork_child_connects",
    "spawned_child_connects",
])
def test_vfork_spawn_and_clone_leave_the_parent_intact(world, case, condition):
    world.same_as_kernel("processes", case, condition)


@conditions("steered", "no_file", "disabled")
def test_clone_vm_child_is_the_first_to_connect(world, condition):
    """Not `alone`: what shares memory without waiting may find the parent in mid publication."""
    world.same_as_kernel("processes", "clone_child_in_the_same_memory_is_the_first_to_connect",
                         condition)


@everywhere
def test_daemon_with_two_forks_that_closes_everything(world, condition):
    world.same_as_kernel("processes", "daemon_with_two_forks", condition, output=True)


@everywhere
@pytest.mark.parametrize("case", ["close_range_of_everything", "closefrom_everything",
                                  "loop_that_closes_everything"])
def test_programs_that_close_every_descriptor(world, case, condition):
    world.same_as_kernel("processes", case, condition)


@everywhere
def test_started_with_standard_descriptors_closed(world, condition):
    closed = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
    world.same_as_kernel("processes", "standard_descriptors_closed", condition, prefix=closed,
                         output=True)


@everywhere
def test_chain_of_fifty_executed_programs(world, condition):
    world.same_as_kernel("processes", "chain_of_executed_programs", condition)


@everywhere
def test_program_executed_without_preload(world, condition):
    world.same_as_kernel("processes", "executed_program_without_the_library", condition)


@everywhere
def test_no_new_privileges_and_undumpable_programs(world, condition):
    world.same_as_kernel("processes", "program_with_no_new_privileges", condition)
    world.same_as_kernel("processes", "program_that_may_not_be_dumped", condition)


@everywhere
def test_eight_descriptors_are_enough(world, condition):
    world.same_as_kernel("processes", "eight_descriptors_are_enough", condition)


@pytest.mark.parametrize("spare", range(9))
def test_complaints_about_a_bad_file_never_reach_the_programs_stderr(world, spare):
    """Whatever number the publishing child still gets for its own stderr."""
    world.same_as_kernel("processes", "first_connection_with_few_descriptors_to_spare",
                         "broken_file", HOOK_SPARE=str(spare))


@conditions("steered", "alone", "no_file")
def test_no_child_is_started_under_a_seccomp_filter_of_the_programs_own(world, condition):
    """So where nothing is published yet, nothing is steered."""
    mode = "steered" if condition == "steered" else "kernel"
    result = world.run("processes", "first_connection_under_a_seccomp_filter", condition,
                       HOOK_MODE=mode)
    assert result.passed().stdout == "connect 0\nresult: pass\n"


@conditions("steered", "alone")
def test_relative_configuration_is_where_the_program_was_started(world, condition):
    world.same_as_kernel("processes", "first_connection_after_a_change_of_directory", condition,
                         REDISTEER_CONFIG=os.path.join("..", world.config.name))


@pytest.fixture
def secure_program(world, tmp_path):
    """A program that is linked with the library, so that even the secure loader loads it."""
    need_root()
    need_tool("setpriv")
    compiler = need_tool("cc")
    need_library()
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and directory != directory.parent:
            directory.chmod(directory.stat().st_mode | 0o055)
    library = shutil.copy(LIBRARY, tmp_path / LIBRARY.name)
    here = os.path.dirname(__file__)
    built = tmp_path / "secure"
    subprocess.run([compiler, "-D_GNU_SOURCE", f"{here}/quiet.c", f"{here}/hook_test.c", "-o", built,
                    "-Wl,--no-as-needed", library, f"-Wl,-rpath,{tmp_path}", "-pthread"], check=True)
    return built


def run_as_nobody(world, program, **extra):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    return world.run("quiet", "one_connection", "steered", binary=program, prefix=nobody,
                     REDISTEER_LOG=f"debug:{program}.log", LD_PRELOAD=None, **extra)


def test_linked_program_without_privileges_is_steered(world, secure_program):
    """The base line of the two tests below: here the library is at work."""
    result = world.run("quiet", "one_connection", "steered", binary=secure_program, LD_PRELOAD=None)
    result.passed()


def test_setuid_program_trusts_no_environment(world, secure_program):
    secure_program.chmod(0o4755)
    run_as_nobody(world, secure_program, HOOK_MODE="kernel").passed()
    assert not os.path.exists(f"{secure_program}.log")


def test_program_with_file_capabilities_trusts_no_environment(world, secure_program):
    setcap = shutil.which("setcap", path="/usr/sbin:/sbin:/usr/bin")
    if setcap is None:
        pytest.skip(SKIPPED + "setcap is not installed")
    secure_program.chmod(0o755)
    done = subprocess.run([setcap, "cap_net_bind_service=ep", secure_program], capture_output=True)
    if done.returncode != 0:
        pytest.skip(SKIPPED + f"no file capabilities here: {done.stderr.decode()}")
    run_as_nobody(world, secure_program, HOOK_MODE="kernel").passed()
    assert not os.path.exists(f"{secure_program}.log")


def test_setuid_program_under_preload_is_untouched(world, tmp_path):
    """Not linked with it: the loader itself drops LD_PRELOAD, without a word."""
    need_root()
    need_tool("setpriv")
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and directory != directory.parent:
            directory.chmod(directory.stat().st_mode | 0o055)
    program = shutil.copy(PROGRAMS / "quiet", tmp_path / "program")
    os.chmod(program, 0o4755)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    result = world.run("quiet", "one_connection", "steered", binary=program, prefix=nobody,
                       HOOK_MODE="kernel")
    assert result.passed().stderr == ""
