"""Cancellation, signals, jumps and the end of threads and processes inside connect()."""

import time

import pytest

from hooks import conditions

everywhere = conditions("steered", "guarded", "alone", "no_file", "disabled", "constructor")


@everywhere
@pytest.mark.parametrize("kind", ["deferred", "asynchronous"])
def test_thread_cancellation_inside_a_blocking_connect(world, kind, condition):
    world.same_as_kernel("threads", f"{kind}_cancellation_inside_connect", condition)


@everywhere
def test_connect_is_a_cancellation_point(world, condition):
    world.same_as_kernel("threads", "connect_is_a_cancellation_point", condition)
    world.same_as_kernel("threads", "disabled_cancellation_stays_disabled", condition)


@everywhere
def test_thread_data_destructors_connect(world, condition):
    world.same_as_kernel("threads", "destructors_of_thread_data_connect", condition)


@everywhere
def test_many_threads_and_small_stacks(world, condition):
    world.same_as_kernel("threads", "many_threads_connect", condition)
    world.same_as_kernel("threads", "thread_with_a_small_stack_connects", condition)


@everywhere
def test_eintr_and_sa_restart_inside_a_blocking_connect(world, condition):
    world.same_as_kernel("threads", "signal_interrupts_a_blocking_connect", condition)
    world.same_as_kernel("threads", "restarting_signal_does_not_interrupt_connect", condition)


@everywhere
def test_siglongjmp_out_of_a_blocking_connect(world, condition):
    world.same_as_kernel("threads", "jump_out_of_a_blocking_connect", condition)


@everywhere
def test_signal_handler_that_connects(world, condition):
    world.same_as_kernel("threads", "signal_handler_connects", condition)


@conditions("kernel", "steered", "alone", "disabled")
def test_exit_while_threads_connect_is_quick(world, condition):
    """The threads would wait for 30 s; the case itself takes a few milliseconds."""
    before = time.monotonic()
    world.run("threads", "exit_while_threads_connect", condition).passed()
    assert time.monotonic() - before < 5


@conditions("steered", "alone", "no_file", "disabled")
def test_exit_handlers_that_connect(world, condition):
    world.same_as_kernel("threads", "exit_handlers_connect", condition)
