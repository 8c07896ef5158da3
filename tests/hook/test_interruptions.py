"""Other threads and signals in the middle of a steered connect(), or of the very first one."""

import pytest

from hooks import conditions


def patient_settings(world, tmp_path, retry):
    variables = world.own_settings(tmp_path, f"""
service cache {{
    match = {{ "127.0.0.12:{world.stuck}" }}
    endpoint stuck {{ address = "127.0.0.3:{world.stuck}"  weight = 1.0 }}
    endpoint west  {{ address = "127.0.0.1:{world.west}"   weight = 0.5 }}
    connect {{ timeout = 1500ms  user_timeout = 8s }}
    retry {{ errors = {{ {retry} }} }}
}}
service late {{
    match = {{ "127.0.0.4:{world.stuck}" }}
    endpoint late {{ address = "127.0.0.4:{world.stuck}" }}
    connect {{ timeout = 5s  user_timeout = 8s }}
}}
""")
    world.publish(variables["REDISTEER_RUNTIME_DIR"], variables["REDISTEER_CONFIG"])
    return {**variables, "HOOK_LATE": f"127.0.0.4:{world.stuck}"}


@pytest.fixture
def patient(world, tmp_path):
    """The first endpoint never answers, the second does; a program may itself listen at `late`."""
    return patient_settings(world, tmp_path, "refused, timeout")


@pytest.fixture
def pausing(world, tmp_path):
    """All endpoints refuse; they are tried twice, a second apart."""
    return world.own_settings(tmp_path, f"""
service cache {{
    match = {{ "127.0.0.11:{world.home}" }}
    endpoint one {{ address = "127.0.0.2:{world.dead}"  weight = 1.0 }}
    endpoint two {{ address = "127.0.0.3:{world.dead}"  weight = 0.5 }}
    breaker {{ enabled = false }}
    retry {{ attempts = 4  wait = 1s  jitter = 0% }}
}}
""")


@pytest.fixture
def nameless(world, tmp_path):
    """The first endpoint's name is one that a silent name server does not resolve."""
    return world.own_settings(tmp_path, f"""
service cache {{
    match = {{ "127.0.0.9:{world.home}" }}
    endpoint east {{ address = "east.silent.test:{world.east}"  weight = 1.0 }}
    endpoint west {{ address = "127.0.0.1:{world.west}"  weight = 0.5 }}
}}
""")


def connects(world, variables):
    return [endpoint["connects"] for endpoint in world.endpoints("cache", variables).values()]


@pytest.mark.parametrize("outcome", ["failing", "succeeding"])
def test_descriptor_that_another_thread_reused_is_not_touched(world, patient, outcome):
    case = f"number_of_a_{outcome}_connect_is_somebody_elses"
    world.run("interruptions", case, "alone", **patient).passed()


def test_descriptor_that_another_thread_reused_is_not_touched_by_the_last_attempt(world, tmp_path):
    """No other endpoint follows a timeout here."""
    world.run("interruptions", "number_of_a_failing_connect_is_somebody_elses", "alone",
              **patient_settings(world, tmp_path, "refused")).passed()


def test_shutdown_by_another_thread_ends_connect_and_counts_nothing(world, patient):
    world.same_as_kernel("interruptions", "shutdown_by_another_thread_ends_connect", "alone",
                         **patient)
    assert [sum(each.values()) for each in connects(world, patient)] == [0, 0]


@pytest.mark.parametrize("case", ["first_connect_in_a_cancelled_thread",
                                  "jump_out_of_the_first_connect"])
def test_first_connect_that_never_ends_harms_no_other_thread(world, nameless, case):
    world.same_as_kernel("interruptions", case, "alone", prefix=world.silent_names(), **nameless)


@conditions("steered", "guarded", "alone", "no_file", "disabled")
def test_thread_that_blocks_a_signal_delays_steering_in_no_other(world, condition):
    world.same_as_kernel("interruptions", "first_connect_in_a_thread_that_blocks_a_handled_signal",
                         condition)


def test_interrupted_connect_that_is_called_again_goes_on_to_the_next_endpoint(world, patient):
    world.run("interruptions", "interrupted_connect_is_called_again", "alone", **patient).passed()
    stuck, west = connects(world, patient)
    assert (stuck["timeout"], west["ok"]) == (1, 1)


@pytest.mark.parametrize("case", ["restarting_signal_does_not_shorten_a_pause",
                                  "signal_ends_a_pause"])
def test_pause_between_attempts_and_signals(world, pausing, case):
    world.publish(pausing["REDISTEER_RUNTIME_DIR"], pausing["REDISTEER_CONFIG"])
    world.run("interruptions", case, "alone", **pausing).passed()
