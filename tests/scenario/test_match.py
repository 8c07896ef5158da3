"""What is steered: names, addresses, ports, and the three ways to answer look-ups."""

import ipaddress

import pytest

import lab


@pytest.fixture
def home(start_redis):
    """Where the program's own address leads without redisteer."""
    return start_redis("home", host="127.0.0.9")


@pytest.fixture
def east(start_redis):
    return start_redis("east")


def config_for(write_config, match, endpoint, options=""):
    return write_config(lab.service("cache", match, {"east": endpoint.address}, options))


@pytest.mark.parametrize("host", ["redis.test", "REDIS.Test", "redis.test.", "Redis.TEST."])
def test_a_name_in_any_spelling(host, east, launch, write_config, start_asker):
    ask = start_asker(launch, config_for(write_config, ["redis.test"], east))
    assert ask(host, 6379) == "east"


def test_a_name_looked_up_without_a_port(east, launch, write_config, start_asker):
    ask = start_asker(launch, config_for(write_config, ["redis.test"], east))
    assert ask("redis.test", 6379, "portless") == "east"


def test_a_name_with_a_port_of_its_own(east, launch, write_config, start_asker):
    ask = start_asker(launch, config_for(write_config, ["redis.test:7777"], east))
    assert ask("redis.test", 7777) == "east"
    assert ask("redis.test", 7777, "portless") == "east"


def test_another_port_of_a_name_is_left_alone(home, east, launch, write_config, start_asker):
    """localhost:7777 is ours; another port of localhost leads where it always did."""
    port = lab.free_port()
    ask = start_asker(launch, config_for(write_config, [f"localhost:{port}"], east))
    assert ask("localhost", port) == "east"
    assert ask("localhost", lab.free_port()) == "error ECONNREFUSED"


def test_every_port_of_a_name(east, launch, write_config, start_asker):
    ask = start_asker(launch, config_for(write_config, ["redis.test:*"], east))
    assert [ask("redis.test", port) for port in (1, 6379, 65535)] == ["east"] * 3
    assert ask("redis.test", 4321, "portless") == "east"


def test_an_address(home, east, launch, write_config, start_asker):
    ask = start_asker(launch, config_for(write_config, [home.address], east))
    assert ask(home.host, home.port, "v4") == "east"
    assert ask(home.host, home.port, "mapped") == "east"
    assert ask(home.host, home.port, "name") == "east"


def test_every_port_of_an_address(home, east, launch, write_config, start_asker):
    ask = start_asker(launch, config_for(write_config, [f"{home.host}:*"], east))
    assert [ask(home.host, port, "v4") for port in (1, home.port, 65535)] == ["east"] * 3


def test_another_port_of_an_address_is_left_alone(home, east, launch, write_config, start_asker):
    other = lab.free_port(home.host)
    ask = start_asker(launch, config_for(write_config, [f"{home.host}:{other}"], east))
    assert ask(home.host, other, "v4") == "east"
    assert ask(home.host, home.port, "v4") == "home"


def test_an_ipv6_address_leads_to_an_ipv4_endpoint(east, launch, write_config, start_asker):
    port = lab.free_port("::1")
    ask = start_asker(launch, config_for(write_config, [f"[::1]:{port}"], east))
    assert ask("::1", port, "v6") == "east"


def test_a_name_leads_to_an_ipv6_endpoint(start_redis, launch, write_config, start_asker):
    six = start_redis("six", host="::1")
    ask = start_asker(launch, config_for(write_config, ["redis.test"], six))
    assert ask("redis.test", 6379) == "six"
    assert ask("redis.test", 6379, "portless") == "six"


def test_an_ipv4_socket_skips_an_ipv6_endpoint(home, start_redis, east, launch, write_config,
                                               start_asker):
    six = start_redis("six", host="::1")
    config = write_config(lab.service("cache", [home.address],
                                      {"six": six.address, "east": east.address}))
    ask = start_asker(launch, config)
    assert ask(home.host, home.port, "v4") == "east"
    assert ask(home.host, home.port, "mapped") == "six"


def test_member_look_ups_give_the_active_endpoints_address(start_redis, launch, write_config,
                                                          start_asker):
    other = start_redis("other", host="127.0.0.7")
    ask = start_asker(launch, config_for(write_config, ["redis.test"], other, "resolve = member"))
    assert ask("redis.test", 6379, "lookup") == "127.0.0.7"
    assert ask("redis.test", 6379) == "other"


def test_virtual_look_ups_give_the_service_an_address_of_its_own(start_redis, launch, write_config,
                                                                start_asker):
    """Two services share both endpoints; the name alone says which one is meant."""
    east, west = start_redis("east"), start_redis("west")
    config = write_config(
        lab.service("one", ["one.test"], {"east": east.address, "west": west.address},
                    "resolve = virtual")
        + lab.service("two", ["two.test"], {"west": west.address, "east": east.address},
                      "resolve = virtual"))
    ask = start_asker(launch, config)
    addresses = {ask("one.test", 6379, "lookup"), ask("two.test", 6379, "lookup")}
    assert len(addresses) == 2
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)
    assert not addresses & {east.host}
    assert (ask("one.test", 6379), ask("two.test", 6379)) == ("east", "west")
    assert (ask("one.test", 6379, "portless"), ask("two.test", 6379, "portless")) == (
        "east", "west")


def test_real_look_ups_are_left_alone(start_redis, east, launch, write_config, start_asker):
    home = start_redis("home")
    ask = start_asker(launch, config_for(
        write_config, [f"localhost:{home.port}", home.address], east, "resolve = real"))
    assert ask("localhost", home.port, "lookup") in ("127.0.0.1", "::1")
    assert ask(home.host, home.port, "v4") == "east"


def test_what_is_not_listed_is_left_alone(home, east, launch, write_config, start_asker):
    ask = start_asker(launch, config_for(write_config, ["redis.test"], east))
    assert ask(home.host, home.port, "v4") == "home"
    assert ask(east.host, east.port, "v4") == "east"


def test_only_and_skip_choose_the_programs(home, east, preload, write_config):
    """`programs` goes by base name: redis-cli is not steered, everybody else is."""
    text = lab.service("cache", [home.address], {"east": east.address})
    ask = ["redis-cli", "-h", home.host, "-p", home.port, "GET", "name"]
    config = write_config(text)
    assert preload.run(ask, config).stdout == "east\n"
    config = write_config("programs { skip = { redis-cli } }\n" + text, "skip.conf")
    assert preload.run(ask, config).stdout == "home\n"
    config = write_config("programs { only = { redis-cli } }\n" + text, "only.conf")
    assert preload.run(ask, config).stdout == "east\n"
    config = write_config("programs { only = { somebody-else } }\n" + text, "other.conf")
    assert preload.run(ask, config).stdout == "home\n"
