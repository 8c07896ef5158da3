"""Names of endpoints and of ports: without an address, with several, shared, and silence."""

import re

import pytest


@pytest.fixture
def nameless(world, tmp_path):
    """A service whose first endpoint's name no name server tells of."""
    return world.own_settings(tmp_path, f"""
service cache {{
    match = {{ "127.0.0.9:{world.home}" }}
    endpoint east {{ address = "east.silent.test:{world.east}"  weight = 1.0 }}
    endpoint west {{ address = "127.0.0.1:{world.west}"  weight = 0.5 }}
}}
""")


def test_silent_name_server_does_not_delay_the_other_endpoints(world, nameless):
    """The first connection of the first process is steered: the rest was published in time."""
    world.same_as_kernel("names", "first_connect_while_the_name_server_is_silent", "alone",
                         prefix=world.silent_names(), **nameless)
    east = world.endpoints("cache", nameless)["east"]
    assert east["addresses"] == []


def test_asynchronous_look_up_of_another_port_does_not_wait(world, tmp_path):
    """Not even when the name, with this port, is none of the library's business."""
    variables = world.own_settings(tmp_path, f"""
service cache {{
    match = {{ "127.0.0.9:{world.home}", "redis.silent.test:{world.home}" }}
    endpoint west {{ address = "127.0.0.1:{world.west}" }}
}}
""")
    world.same_as_kernel("names", "asynchronous_look_up_of_another_port_does_not_wait", "alone",
                         prefix=world.silent_names(), **variables)


def test_one_host_name_is_two_services_by_the_name_of_the_port(world, tmp_path):
    variables = world.own_settings(tmp_path, f"""
service pages {{
    match = {{ "redis.test:80" }}
    endpoint east {{ address = "127.0.0.1:{world.east}" }}
}}
service secrets {{
    match = {{ "redis.test:443" }}
    endpoint west {{ address = "127.0.0.2:{world.west}" }}
}}
""")
    result = world.run("names", "ports_by_name_and_by_number", "alone", prefix=world.own_hosts(),
                       **variables).passed()
    answers = dict(re.findall(r"^(\S+): (127\S+ port .*)$", result.stdout, re.MULTILINE))
    east, west = "127.0.0.1 port east", "127.0.0.2 port west"
    assert answers == {"http": east, "80": east, "https": west, "443": west,
                       "ftp": "127.0.0.9 port nobody we know"}
    assert set(re.findall(r"^canonical: (.*)$", result.stdout, re.MULTILINE)) == {
        "none", "redis.test"}


@pytest.fixture
def crowded(world, tmp_path):
    """One endpoint with three addresses; at the first nobody listens, the others never answer."""
    return world.own_settings(tmp_path, f"""
service cache {{
    match = {{ "127.0.0.9:{world.home}" }}
    endpoint crowd {{ address = "crowd.test:{world.stuck}" }}
    connect {{ timeout = 1500ms  user_timeout = 8s }}
    retry {{ attempts = 1 }}
}}
""")


def test_addresses_of_an_endpoint_together_stay_within_the_timeout(world, crowded):
    world.run("names", "addresses_that_never_answer", "alone", prefix=world.own_hosts(),
              **crowded).passed()
    assert len(world.endpoints("cache", crowded)["crowd"]["addresses"]) == 3


def test_address_that_refuses_late_is_not_followed_by_another(world, crowded):
    world.run("interruptions", "server_that_goes_away_under_connect", "alone",
              prefix=world.own_hosts(), HOOK_CROWD=f"127.0.0.2:{world.stuck}", **crowded).passed()
