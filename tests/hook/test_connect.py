"""connect(): answers, addresses, families and options are the kernel's in every condition."""

import pytest

from hooks import cases_of, conditions


@pytest.mark.parametrize("program", ["errors", "families", "progress", "options"])
def test_connect_from_another_librarys_constructor(world, program):
    """Each case runs in a constructor that precedes redisteer's, then again in the program."""
    for case in cases_of(program):
        if "skip: " not in world.run(program, case, "kernel").stdout:
            world.same_as_kernel(program, case, "constructor")


def check_all(world, condition, program, *cases):
    for case in cases:
        world.same_as_kernel(program, case, condition)


# Every condition but the constructor's, which has its own test above.
everywhere = conditions("steered", "guarded", "alone", "no_file", "broken_file", "disabled")


@everywhere
def test_epoll_registered_before_non_blocking_connect(world, condition):
    check_all(world, condition, "progress", "epoll_registered_before_connect_level_triggered",
              "epoll_registered_before_connect_edge_triggered",
              "epoll_before_connect_to_a_dead_endpoint")


@everywhere
def test_select_and_poll_after_non_blocking_connect(world, condition):
    check_all(world, condition, "progress", "poll_after_connect", "select_after_connect",
              "blocking_mode_and_flags_are_left_alone")


@everywhere
def test_io_uring_poll_armed_before_connect(world, condition):
    check_all(world, condition, "progress", "io_uring_poll_armed_before_connect")


@everywhere
def test_second_and_third_connect_on_one_socket(world, condition):
    check_all(world, condition, "progress", "connect_again_as_a_status_question",
              "connect_again_while_in_progress", "connect_again_after_a_refusal",
              "connect_again_to_another_address")
    check_all(world, condition, "options", "second_blocking_connect_on_a_connected_socket")


def test_second_connect_is_not_a_new_connection(world):
    """The status question of hiredis counts once."""
    before = world.connects_of("cache", "east")
    world.run("progress", "connect_again_as_a_status_question").passed()
    assert world.connects_of("cache", "east") == before + 1


@everywhere
def test_v4_mapped_destination_on_an_ipv6_socket(world, condition):
    check_all(world, condition, "families", "v4_mapped_destination_on_an_ipv6_socket",
              "v4_mapped_destination_with_an_ipv6_endpoint")


@everywhere
def test_v6only_socket_keeps_to_ipv6(world, condition):
    check_all(world, condition, "families", "v6only_socket_keeps_to_ipv6")


@everywhere
def test_ipv4_socket_with_ipv6_endpoints_only(world, condition):
    check_all(world, condition, "families", "ipv4_socket_and_endpoints_of_ipv6_only")


@everywhere
def test_ipv4_ipv6_and_unmatched_destinations(world, condition):
    check_all(world, condition, "families", "ipv4_destination", "ipv6_destination",
              "unmatched_destination")


@everywhere
def test_unspecified_family_disconnects(world, condition):
    check_all(world, condition, "families", "unspecified_family_disconnects")


@everywhere
def test_unix_netlink_and_udp_sockets_are_untouched(world, condition):
    check_all(world, condition, "families", "unix_sockets",
              "unix_sockets_shorter_than_an_ip_address", "netlink_sockets",
              "udp_sockets_to_a_matched_address", "other_kinds_of_ip_sockets")


@everywhere
def test_vsock_sockets_are_untouched(world, condition):
    check_all(world, condition, "families", "vsock_sockets")


@everywhere
def test_multipath_tcp_sockets(world, condition):
    check_all(world, condition, "families", "multipath_tcp_sockets")


@everywhere
def test_short_oversize_and_negative_address_lengths(world, condition):
    check_all(world, condition, "errors", "address_lengths", "address_lengths_of_ipv6",
              "wild_pointer_where_the_kernel_does_not_look")


@everywhere
def test_unmapped_and_cut_off_addresses_give_efault(world, condition):
    check_all(world, condition, "errors", "wild_pointer_gives_efault",
              "address_that_ends_where_memory_ends", "address_at_an_odd_place")


@everywhere
def test_bad_descriptors_and_descriptors_that_are_no_sockets(world, condition):
    check_all(world, condition, "errors", "descriptors_that_are_no_sockets",
              "socket_that_listens", "families_that_do_not_fit_the_socket")


@everywhere
def test_callers_address_is_unchanged_and_may_be_read_only(world, condition):
    check_all(world, condition, "errors", "callers_address_in_read_only_memory",
              "callers_address_is_unchanged")


@everywhere
def test_errno_is_untouched_on_success_and_the_kernels_on_failure(world, condition):
    check_all(world, condition, "errors", "refused_call_keeps_the_kernels_errno",
              "getsockopt_as_the_kernel_answers", "so_error_of_a_refusal_is_told_once")


@everywhere
def test_dead_endpoint_is_passed_within_one_blocking_connect(world, condition):
    check_all(world, condition, "options",
              "blocking_connect_to_a_dead_endpoint_goes_on_to_the_next", "all_endpoints_refuse")


@everywhere
def test_bound_source_address_and_device_are_kept(world, condition):
    check_all(world, condition, "options", "bound_source_address_and_port_are_kept",
              "bound_device_is_kept")


@everywhere
def test_options_and_timeouts_of_the_program_are_kept(world, condition):
    check_all(world, condition, "options", "options_that_the_program_set_are_kept",
              "send_timeout_is_the_programs", "unmatched_sockets_get_no_options",
              "steered_sockets_get_keepalive_and_user_timeout",
              "options_set_after_connect_are_kept")


@everywhere
def test_descriptors_are_numbered_as_ever(world, condition):
    check_all(world, condition, "options", "descriptors_are_numbered_as_ever",
              "thousands_of_connections_leave_nothing_open")
