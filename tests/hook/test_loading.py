"""How the library gets into a process: symbols, allocators, modules, other libcs, sanitizers."""

import os
import pathlib
import re
import subprocess

import pytest

from hooks import (LIBRARY, MEMCHECK_SUPPRESSIONS, PROGRAMS, SKIPPED, cases_of, complaints, conditions,
                   need_library, need_tool)

HOOKS = {"connect", "__connect", "getaddrinfo", "gethostbyname", "gethostbyname2",
         "gethostbyname_r", "gethostbyname2_r", "getaddrinfo_a", "getsockopt", "sendto", "sendmsg"}
MUSL = sorted(pathlib.Path("/usr/lib").glob("*-linux-musl/libc.so"))
OLDEST_GLIBC = (2, 17)
everywhere = conditions("steered", "alone", "no_file", "disabled")


def read(tool, *arguments):
    need_library()
    return subprocess.run([need_tool(tool), *arguments], check=True, capture_output=True,
                          text=True).stdout


def dynamic_symbols(path):
    """(name, binding, defined, version) of each dynamic symbol."""
    text = read("readelf", "--wide", "--dyn-syms", path)
    pattern = r"^\s*\d+:\s+\S+\s+\d+\s+\S+\s+(GLOBAL|WEAK)\s+\S+\s+(\S+)\s+([^\s@]+)(@\S+)?"
    return [(name, binding, section != "UND", version or "")
            for binding, section, name, version in re.findall(pattern, text, re.MULTILINE)]


# ---- the file ----

def test_needs_libc_alone():
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", read("readelf", "--wide", "--dynamic", LIBRARY))
    assert needed == ["libc.so.6"]


def test_exports_the_hooks_and_nothing_else():
    assert {name for name, _, defined, _ in dynamic_symbols(LIBRARY) if defined} == HOOKS


def test_hooks_have_no_version_of_their_own():
    """glibc ignores a hook under a version node that is not its own."""
    assert [symbol for symbol in dynamic_symbols(LIBRARY) if symbol[2] and symbol[3]] == []


def test_undefined_symbols_are_weak_or_in_musl_too():
    if not MUSL:
        pytest.skip(SKIPPED + "musl is not installed")
    musl = {name for name, _, defined, _ in dynamic_symbols(MUSL[0]) if defined}
    missing = [name for name, binding, defined, _ in dynamic_symbols(LIBRARY)
               if not defined and binding != "WEAK" and name not in musl]
    assert missing == []


def test_needs_no_newer_glibc_than_the_oldest_supported():
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", read("readelf", "--wide", "--version-info", LIBRARY))
    assert max((int(major), int(minor)) for major, minor in versions) <= OLDEST_GLIBC


def test_has_no_thread_local_segment():
    assert not re.search(r"^\s+TLS\s", read("readelf", "--wide", "--segments", LIBRARY), re.MULTILINE)


def test_is_bound_at_load_and_stays_loaded():
    flags = read("readelf", "--wide", "--dynamic", LIBRARY)
    assert re.search(r"FLAGS\b.*BIND_NOW|\(BIND_NOW\)", flags)
    assert re.search(r"FLAGS_1\b.*\bNOW\b", flags)
    assert re.search(r"FLAGS_1\b.*\bNODELETE\b", flags)


def test_stack_is_not_executable():
    assert re.search(r"GNU_STACK\s.*\sRW\s", read("readelf", "--wide", "--segments", LIBRARY))


# ---- modules and names ----

@everywhere
@pytest.mark.parametrize("case", ["module_opened_locally", "module_opened_with_deep_binding"])
def test_module_opened_locally_or_with_deep_binding(world, case, condition):
    world.same_as_kernel("loading", case, condition)


@everywhere
def test_connect_by_pointer_and_by_alias(world, condition):
    world.same_as_kernel("loading", "functions_found_by_name", condition)


@everywhere
def test_program_with_a_connect_of_its_own(world, condition):
    """It calls __connect(), and is called once for each of its calls."""
    world.same_as_kernel("own_connect", "connect_as_a_call_of_its_alias", condition)


@everywhere
def test_library_cannot_be_unloaded(world, condition):
    world.same_as_kernel("loading", "library_cannot_be_unloaded", condition)


def test_library_opened_late_changes_nothing(world):
    kernel = world.run("loading", "plain_connection", "kernel").passed()
    late = world.run("loading", "library_opened_late_changes_nothing", "steered", LD_PRELOAD=None)
    assert late.passed().stdout.startswith(kernel.stdout.splitlines()[0])


# ---- allocators ----

def allocator(name):
    if name == "greedy":
        return PROGRAMS / "greedy_allocator.so"
    found = list(pathlib.Path("/usr/lib").glob(f"*/lib{name}.so.*"))
    if not found:
        pytest.skip(SKIPPED + f"lib{name} is not installed")
    return sorted(found)[0]


@pytest.mark.parametrize("name", ["jemalloc", "tcmalloc_minimal", "mimalloc", "greedy"])
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("program,case", [
    ("options", "blocking_connect_to_a_dead_endpoint_goes_on_to_the_next"),
    ("lookups", "connect_to_what_a_look_up_gave"),
    ("lookups", "asynchronous_look_up_that_waits"),
    ("threads", "many_threads_connect"),
    ("processes", "children_of_children_connect"),
])
def test_other_allocators_preloaded_before_and_after(world, name, order, program, case):
    library = allocator(name)
    prefix = world.own_hosts() if program == "lookups" else []
    kernel = world.run(program, case, "kernel", prefix=prefix, LD_PRELOAD=library)
    kernel.passed()
    both = f"{library}:{LIBRARY}" if order == "before" else f"{LIBRARY}:{library}"
    for condition in ("steered", "alone"):
        assert world.run(program, case, condition, prefix=prefix,
                         LD_PRELOAD=both).passed().stdout == kernel.stdout


# ---- another libc ----

def musl_client(world, *destinations, **extra):
    program = PROGRAMS / "musl_client"
    if not program.exists():
        pytest.skip(SKIPPED + "musl-gcc was not there when the tests were built")
    variables = {**os.environ, **extra}
    return subprocess.run([program, *map(str, destinations)], env=variables, capture_output=True,
                          text=True, timeout=30)


@conditions("steered", "alone", "no_file", "disabled")
def test_musl_program_starts_and_connects(world, condition):
    """Whether it is steered is left open; that it works is not."""
    destinations = ["127.0.0.9", world.home, "127.0.0.14", world.home, "localhost", world.dead]
    plain = musl_client(world, *destinations)
    assert "+PONG" in plain.stdout and plain.returncode == 0
    variables = {name: value for name, value in
                 world.environment(condition, "musl", "").items() if value is not None}
    shimmed = musl_client(world, *destinations, **variables)
    assert (shimmed.stdout, shimmed.returncode) == (plain.stdout, plain.returncode)
    names = {f"port {world.east}", f"port {world.west}", f"port {world.home}", "port 0"}
    assert all(line.split(": ")[1] in names for line in shimmed.stderr.splitlines()), shimmed.stderr


# ---- valgrind and sanitizers ----

@pytest.mark.parametrize("program,case", [
    *[("options", case) for case in cases_of("options") if "thousands" not in case],
    # Of a Unix socket's path valgrind reads what lies beyond its end, too.
    *[("families", case) for case in cases_of("families") if case != "unix_sockets"],
    *[("progress", case) for case in cases_of("progress") if "uring" not in case],
    ("fastopen", "blocking_send_opens_the_connection"),
    ("fastopen", "message_in_read_only_memory"),
    ("threads", "many_threads_connect"),
    ("processes", "children_of_children_connect"),
])
def test_memcheck_finds_nothing(world, program, case):
    valgrind = need_tool("valgrind")
    plain = world.run(program, case, "kernel", wrap=[valgrind, "-q"], seconds=120)
    if "result: skip" in plain.stdout:
        plain.passed()
    result = world.run(program, case, "steered", seconds=120,
                       wrap=[valgrind, "-q", "--error-exitcode=9", MEMCHECK_SUPPRESSIONS])
    assert complaints(result.passed().stderr) == complaints(plain.stderr)




def test_helgrind_finds_nothing(world):
    valgrind = need_tool("valgrind")
    suppressions = pathlib.Path(__file__).parent / "helgrind.supp"
    options = ["--tool=helgrind", "-q", "--error-exitcode=9", f"--suppressions={suppressions}"]
    plain = world.run("threads", "destructors_of_thread_data_connect", "kernel",
                      wrap=[valgrind, *options], seconds=120)
    if plain.status == 9:
        pytest.skip(SKIPPED + "helgrind complains without the library too")
    result = world.run("threads", "destructors_of_thread_data_connect", "steered",
                       wrap=[valgrind, *options], seconds=120)
    assert complaints(result.passed().stderr) == ""


@pytest.fixture(scope="module", params=["gcc", "clang"])
def address_sanitized(request, tmp_path_factory):
    """The program `options`, built with AddressSanitizer; and what must be preloaded first."""
    compiler = need_tool(request.param)
    here = pathlib.Path(__file__).parent
    program = tmp_path_factory.mktemp("asan") / f"options-{request.param}"
    done = subprocess.run([compiler, "-D_GNU_SOURCE", "-g", "-fsanitize=address", here / "options.c",
                           here / "hook_test.c", "-o", program, "-pthread"], capture_output=True,
                          text=True)
    if done.returncode != 0:
        pytest.skip(SKIPPED + f"{request.param} has no AddressSanitizer: {done.stderr[:200]}")
    runtime = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True,
                             text=True).stdout.strip()
    return request.param, program, runtime


@pytest.mark.parametrize("case", [case for case in cases_of("options") if "thousands" not in case])
def test_host_built_with_address_sanitizer(world, address_sanitized, case):
    name, program, runtime = address_sanitized
    kernel = world.run("options", case, "kernel", binary=program).passed()
    if name == "gcc":
        first = world.run("options", case, "steered", binary=program,
                          LD_PRELOAD=f"{runtime}:{LIBRARY}")
        assert first.passed().stdout == kernel.stdout
    after = world.run("options", case, "steered", binary=program,
                      ASAN_OPTIONS="verify_asan_link_order=0")
    assert after.passed().stdout == kernel.stdout
