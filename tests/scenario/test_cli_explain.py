"""redisteer explain and endpoint: where a connection goes, and why."""

import pytest

import lab


@pytest.fixture(params=["file", "published"])
def config(request, redisteer, good_config):
    """Both sources of an answer: they must agree."""
    if request.param == "published":
        assert redisteer("reload", config=good_config).returncode == 0
    return good_config


def explain(redisteer, config, destination):
    result = redisteer("explain", destination, config=config)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("destination", [
    "redis.internal", "REDIS.Internal.", "redis.internal:6379", "10.9.9.9:6380"])
def test_what_match_lists_goes_to_the_best_endpoint(redisteer, config, destination):
    told = explain(redisteer, config, destination)
    assert "belongs to service cache: match lists" in told
    assert "goes to east (127.0.0.1:7001)" in told
    assert "west  127.0.0.1:7002  weight 0.25  eligible" in told


@pytest.mark.parametrize("destination, nearest", [
    ("redis.internal:6380", "service cache matches redis.internal:6379, not port 6380"),
    ("10.9.9.9", "service cache matches 10.9.9.9:6380, not port 6379"),
    ("elsewhere.internal", "no service matches it"),
    ("10.9.9.8:6380", "no service matches it"),
    ("127.0.0.1:7009", "no service matches it")])
def test_what_does_not_match_passes_through_and_the_nearest_is_named(redisteer, config, destination,
                                                                    nearest):
    assert f"  passes through: {nearest}\n" in explain(redisteer, config, destination)


def test_an_endpoints_own_address_is_steered_only_after_a_look_up(redisteer, config):
    told = explain(redisteer, config, "127.0.0.1:7002")
    assert "is an address of endpoint west of service cache" in told
    assert "steered only in programs whose look-up of redis.internal led there" in told


def test_an_address_means_whose_it_is_and_not_whose_it_was(redisteer, write_config):
    def publish(cache, queue):
        config = write_config(lab.service("cache", ["cache.internal"], {"east": cache}) +
                              lab.service("queue", ["queue.internal"], {"west": queue}))
        assert redisteer("reload", config=config).returncode == 0
        return config

    publish("127.0.0.1:7001", "127.0.0.2:7001")
    config = publish("127.0.0.3:7001", "127.0.0.2:7001")
    assert ("was an address of endpoint east of service cache" in
            explain(redisteer, config, "127.0.0.1:7001"))
    config = publish("127.0.0.3:7001", "127.0.0.1:7001")
    assert ("is an address of endpoint west of service queue" in
            explain(redisteer, config, "127.0.0.1:7001"))


def test_the_source_of_the_answer_is_named(redisteer, good_config):
    assert f"from the file {good_config}: nothing is published yet" in explain(
        redisteer, good_config, "redis.internal")
    redisteer("reload", config=good_config)
    assert f"as published from {good_config}" in explain(redisteer, good_config, "redis.internal")


def test_the_mode_in_force_decides(redisteer, published):
    redisteer("off", "cache", config=published)
    assert "passes through: the service is off" in explain(redisteer, published, "redis.internal")
    redisteer("observe", "cache", config=published)
    assert "passes through: the service only observes" in explain(redisteer, published,
                                                                  "redis.internal")


def test_programs_lists_are_told(redisteer, write_config, good_config):
    config = write_config("programs { only = { php-fpm }  skip = { bash, sh } }\n"
                          + good_config.read_text())
    told = explain(redisteer, config, "redis.internal")
    assert "only in these programs: php-fpm\n" in told
    assert "never in these programs: bash, sh\n" in told


def test_real_look_ups_are_left_alone(redisteer, write_config):
    config = write_config(lab.service("cache", ["redis.internal", "10.9.9.9"],
                                      {"east": "127.0.0.1:7001"}, "resolve = real"))
    assert "passes through: with resolve = real" in explain(redisteer, config, "redis.internal")
    assert "goes to east" in explain(redisteer, config, "10.9.9.9")


def test_a_bad_file_is_no_answer(redisteer, write_config):
    result = redisteer("explain", "redis.internal", config=write_config("service {\n"))
    assert result.returncode == 2


def test_endpoint_prints_where_a_new_connection_goes(redisteer, published):
    result = redisteer("endpoint", "cache", config=published)
    assert (result.returncode, result.stdout, result.stderr) == (0, "127.0.0.1:7001\n", "")


def test_endpoint_still_prints_what_would_be_tried_when_nothing_is_eligible(redisteer, all_down):
    result = redisteer("endpoint", "cache", config=all_down)
    east = lab.status(redisteer, all_down, "cache")["by_name"]["east"]["address"]
    assert (result.returncode, result.stdout) == (1, f"{east}\n")
    assert "no endpoint of 'cache' is eligible" in result.stderr


@pytest.mark.parametrize("setting, told", [
    ("refuse", "connections are refused"), ("wait:5s", "connections wait for one")])
def test_endpoint_prints_nothing_when_nothing_would_be_tried(redisteer, all_down, write_config,
                                                             setting, told):
    write_config(all_down.read_text().replace("match =", f"when_all_down = {setting}\n    match ="))
    assert redisteer("reload", config=all_down).returncode == 0
    result = redisteer("endpoint", "cache", config=all_down)
    assert (result.returncode, result.stdout) == (1, "")
    assert told in result.stderr


def test_why_an_endpoint_is_not_eligible_is_told(redisteer, all_down):
    told = explain(redisteer, all_down, "redis.internal")
    assert "tries all endpoints, east first: none is eligible" in told
    assert told.count("not eligible: breaker open") == 2


def test_endpoint_of_an_unknown_service_suggests_the_nearest(redisteer, published):
    result = redisteer("endpoint", "cahce", config=published)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "redisteer: no such service: 'cahce'; did you mean 'cache'?\n"
