"""What the shared state learns of connections: nothing twice, nothing that did not happen."""

import pytest

from hooks import LIBRARY, PROGRAMS, conditions, wait_until

BREAKER_OPEN_MS = 1000


@pytest.fixture
def easily_slow(world, tmp_path):
    """A breaker that any few slow calls open."""
    return world.own_settings(tmp_path, f"""
service cache {{
    match = {{ "127.0.0.9:{world.home}" }}
    endpoint east {{ address = "127.0.0.1:{world.east}"  weight = 1.0 }}
    endpoint west {{ address = "127.0.0.1:{world.west}"  weight = 0.5 }}
    breaker {{ slow_call = 50ms  slow_rate = 50%  min_calls = 2 }}
}}
""")


@pytest.fixture
def observed(world, tmp_path):
    return world.own_settings(tmp_path, f"""
service cache {{
    mode = observe
    match = {{ "127.0.0.9:{world.home}" }}
    endpoint east {{ address = "127.0.0.1:{world.east}" }}
}}
""")


@pytest.fixture
def limping(world, tmp_path):
    """The better endpoint refuses, and the breaker counts it."""
    return world.own_settings(tmp_path, f"""
service limping {{
    match = {{ "127.0.0.10:{world.home}" }}
    endpoint dead {{ address = "127.0.0.2:{world.dead}"  weight = 1.0 }}
    endpoint west {{ address = "127.0.0.2:{world.west}"  weight = 0.5 }}
    breaker {{ refused = 2  open = {BREAKER_OPEN_MS}ms }}
    health {{ enabled = false }}
}}
""")


@pytest.mark.parametrize("case", ["success_that_is_asked_for_late_is_not_slow",
                                  "success_that_a_second_connect_finds_late_is_not_slow"])
def test_success_that_is_learned_late_is_no_slow_call(world, easily_slow, case):
    world.same_as_kernel("counts", case, "alone", **easily_slow)
    east = world.endpoints("cache", easily_slow)["east"]
    assert (east["breaker"], east["connects"]["ok"]) == ("closed", 9)


@conditions("steered", "guarded", "alone", "no_file", "disabled")
def test_connect_after_an_abandoned_one_is_steered(world, condition):
    world.same_as_kernel("counts", "connect_after_one_that_was_abandoned", condition)


def test_observing_counts_each_connection_once(world, tmp_path, observed):
    log = tmp_path / "log"
    world.same_as_kernel("counts", "one_connection_in_many_calls", "alone", HOOK_MODE="kernel",
                         REDISTEER_LOG=f"info:{log}", **observed)
    assert log.read_text().count("a connection would go to east") == 1, log.read_text()


@pytest.mark.parametrize("order", ["before", "after"])
def test_program_with_a_shifted_clock_does_not_spoil_the_breaker(world, limping, order):
    """It opens the breaker; for everybody else that is a matter of a second, not of a year."""
    world.publish(limping["REDISTEER_RUNTIME_DIR"], limping["REDISTEER_CONFIG"])
    clock = PROGRAMS / "shifted_clock.so"
    both = f"{clock}:{LIBRARY}" if order == "before" else f"{LIBRARY}:{clock}"
    world.run("counts", "three_connections", "alone", LD_PRELOAD=both,
              HOOK_SHIFT=str(365 * 86400), **limping).passed()
    dead = world.endpoints("limping", limping)["dead"]
    assert dead["connects"]["refused"] == 2
    assert dead["breaker_ms"] <= BREAKER_OPEN_MS and dead["since_ms"] < 60_000
    wait_until(lambda: world.endpoints("limping", limping)["dead"]["breaker"] != "open",
               "the end of the open breaker", seconds=5)
    world.run("counts", "three_connections", "alone", **limping).passed()
    dead = world.endpoints("limping", limping)["dead"]
    assert dead["connects"]["refused"] == 3
