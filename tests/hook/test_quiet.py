"""What the library leaves alone: threads, children, mappings, signals, namespaces."""

import pytest

from hooks import conditions, need_root, need_tool

everywhere = conditions("steered", "alone", "no_file", "broken_file", "disabled")


@everywhere
def test_program_without_connections_has_no_thread_segment_or_child(world, condition):
    world.same_as_kernel("quiet", "program_without_connections_has_nothing_of_ours", condition)


@everywhere
def test_program_that_connects_has_no_child(world, condition):
    world.same_as_kernel("quiet", "program_that_connects_has_no_child", condition)


@everywhere
def test_new_user_namespace_is_possible(world, condition):
    world.same_as_kernel("quiet", "new_user_namespace_is_possible", condition)


@everywhere
@pytest.mark.parametrize("case", [
    "first_call_is_not_heard_of",
    "first_call_while_children_are_ignored",
    "first_call_of_a_subreaper",
    "first_call_beside_a_child_of_the_program",
    "first_call_with_every_signal_blocked",
])
def test_publication_by_the_first_call_leaves_no_trace(world, case, condition):
    world.same_as_kernel("quiet", case, condition)


@everywhere
def test_publication_by_process_one(world, condition):
    need_root()
    unshare = need_tool("unshare")
    world.same_as_kernel("quiet", "one_connection", condition,
                         wrap=[unshare, "--pid", "--fork", "--kill-child"])
