"""getaddrinfo() and its relatives: the whole matrix of hints, in every condition."""

import pytest

from hooks import MEMCHECK_SUPPRESSIONS, cases_of, complaints, conditions, need_tool

CASES = cases_of("lookups")
everywhere = conditions("steered", "alone", "no_file", "broken_file", "disabled", "constructor")


def cases(*words):
    chosen = [case for case in CASES if any(word in case for word in words)]
    assert chosen
    return pytest.mark.parametrize("case", chosen)


def same(world, case, condition):
    world.same_as_kernel("lookups", case, condition, prefix=world.own_hosts())


@everywhere
@cases("hint", "spelling", "canonical", "number", "service", "port")
def test_getaddrinfo_of_a_matched_name(world, case, condition):
    same(world, case, condition)


@everywhere
@cases("family", "ipv6_only", "resemble", "not_matched", "no_name", "length", "gave")
def test_getaddrinfo_of_other_names_and_families(world, case, condition):
    same(world, case, condition)


@everywhere
@cases("gethostbyname")
def test_gethostbyname(world, case, condition):
    same(world, case, condition)


@everywhere
@cases("reentrant")
def test_gethostbyname_r_with_too_small_buffers(world, case, condition):
    same(world, case, condition)


@everywhere
@cases("asynchronous")
def test_getaddrinfo_a_wait_nowait_and_cancel(world, case, condition):
    same(world, case, condition)


@everywhere
@cases("threads")
def test_look_ups_by_many_threads(world, case, condition):
    same(world, case, condition)


@pytest.mark.parametrize("case", [
    "matched_name_with_every_hint", "matched_name_for_its_canonical_name", "names_of_every_length",
    "no_name_at_all", "gethostbyname_and_gethostbyname2",
    "reentrant_forms_with_every_size_of_buffer", "asynchronous_look_up_that_waits",
    "asynchronous_look_up_without_notice", "connect_to_what_a_look_up_gave",
])
def test_freeaddrinfo_and_buffers_under_valgrind(world, case):
    valgrind = need_tool("valgrind")
    options = ["-q", "--error-exitcode=9", MEMCHECK_SUPPRESSIONS]
    if "asynchronous" in case:
        options.append("--run-libc-freeres=no")  # it stumbles over the resolver of libc's threads
    else:
        options += ["--leak-check=full", "--errors-for-leak-kinds=definite"]
    result = world.run("lookups", case, "steered", seconds=300, prefix=world.own_hosts(),
                       wrap=[valgrind, *options])
    assert complaints(result.passed().stderr) == ""


def test_every_case_is_run(world):
    """A case that matches no word above would be left out."""
    words = ("hint", "spelling", "canonical", "number", "service", "port", "family", "ipv6_only",
             "resemble", "not_matched", "no_name", "length", "gave", "gethostbyname", "reentrant",
             "asynchronous", "threads")
    assert all(any(word in case for word in words) for case in CASES)
