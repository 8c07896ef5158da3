"""Stack of steered calls: measured, bounded, and small enough for a signal handler's."""

import pytest

from hooks import conditions

# The loader's lazy binding needs more stack than the calls themselves.
NOW = {"LD_BIND_NOW": "1"}


@pytest.mark.parametrize("log", [False, True], ids=["quiet", "logging"])
@conditions("steered", "alone")
def test_connect_needs_little_stack(world, tmp_path, condition, log):
    more = {"REDISTEER_LOG": f"debug:{tmp_path / 'log'}"} if log else {}
    result = world.run("stack", "connect_needs_little_stack", condition, **NOW, **more)
    print(result.passed().stdout)


def test_look_up_needs_little_more_stack_than_without(world):
    result = world.run("stack", "look_up_needs_little_more_stack_than_without",
                       prefix=world.own_hosts(), **NOW)
    print(result.passed().stdout)


@conditions("steered", "alone", "no_file", "disabled")
def test_handler_on_a_small_stack_connects(world, condition):
    world.same_as_kernel("stack", "handler_on_a_small_stack_connects", condition)
