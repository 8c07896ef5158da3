"""The operator changes his mind; running programs follow."""

import pytest

import lab


@pytest.fixture
def home(start_redis):
    return start_redis("home", host="127.0.0.9")


@pytest.fixture
def east(start_redis):
    return start_redis("east")


def connects(redisteer, config, endpoint="east"):
    return lab.status(redisteer, config, "cache")["by_name"][endpoint]["connects"]["ok"]


def test_off_and_on_reach_a_running_program(home, east, launch, write_config, start_asker,
                                            redisteer):
    config = write_config(lab.service("cache", [home.address], {"east": east.address}))
    ask = start_asker(launch, config)
    assert ask(home.host, home.port) == "east"

    assert redisteer("off", "cache", config=config).returncode == 0
    assert ask(home.host, home.port) == "home"
    assert lab.status(redisteer, config, "cache")["mode"] == "off"

    assert redisteer("on", "cache", config=config).returncode == 0
    assert ask(home.host, home.port) == "east"
    assert lab.status(redisteer, config, "cache")["mode"] == "auto"


def test_observe_changes_nothing(home, east, launch, write_config, start_asker, redisteer):
    config = write_config(lab.service("cache", [home.address], {"east": east.address}))
    ask = start_asker(launch, config)
    assert ask(home.host, home.port) == "east"
    assert redisteer("observe", "cache", config=config).returncode == 0
    assert ask(home.host, home.port) == "home"
    assert lab.status(redisteer, config, "cache")["mode"] == "observe"


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_the_mode_of_the_file(mode, home, east, launch, write_config, start_asker, redisteer):
    config = write_config(lab.service("cache", [home.address], {"east": east.address},
                                      f"mode = {mode}"))
    ask = start_asker(launch, config)
    assert ask(home.host, home.port) == "home"
    assert redisteer("on", "cache", config=config).returncode == 0
    assert ask(home.host, home.port) == "east"


def test_a_running_program_follows_a_reload(start_redis, launch, write_config, start_asker,
                                            redisteer):
    east, west, south = start_redis("east"), start_redis("west"), start_redis("south")
    config = write_config(lab.service("cache", ["redis.test"], {
        "east": east.address, "west": west.address}, lab.SLOW))
    ask = start_asker(launch, config)
    assert ask("redis.test", 6379) == "east"

    write_config(lab.service("cache", ["redis.test", "other.test"], {
        "south": south.address, "west": west.address}, lab.SLOW))
    result = redisteer("reload", config=config)
    assert result.returncode == 0, result.stderr
    assert ask("redis.test", 6379) == "south"
    assert ask("other.test", 6379) == "south"
    names = [endpoint["name"] for endpoint in lab.status(redisteer, config, "cache")["endpoints"]]
    assert names == ["south", "west"]


def test_a_broken_file_keeps_the_old_settings(start_redis, preload, write_config, start_asker,
                                              redisteer):
    east = start_redis("east")
    config = write_config(lab.service("cache", ["redis.test"], {"east": east.address}))
    ask = start_asker(preload, config)
    assert ask("redis.test", 6379) == "east"
    write_config("service cache { endpoint")
    assert redisteer("reload", config=config).returncode == 2
    assert ask("redis.test", 6379) == "east"


def test_counters_survive_a_reload(start_redis, preload, write_config, start_asker, redisteer):
    east, west = start_redis("east"), start_redis("west")
    config = write_config(lab.service("cache", ["redis.test"], {"east": east.address}))
    ask = start_asker(preload, config)
    assert [ask("redis.test", 6379) for _ in range(3)] == ["east"] * 3
    write_config(lab.service("cache", ["redis.test"], {"east": east.address,
                                                       "west": west.address}))
    assert redisteer("reload", config=config).returncode == 0
    assert connects(redisteer, config) == 3
