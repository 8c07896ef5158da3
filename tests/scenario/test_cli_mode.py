"""redisteer off, observe, on: the operator's word on a service."""

import pytest

import lab


def mode(redisteer, config):
    return lab.status(redisteer, config, "cache")["mode"]


@pytest.mark.parametrize("word, shown", [("off", "off"), ("observe", "observe")])
def test_the_mode_is_in_force_at_once_and_on_takes_it_back(redisteer, published, word, shown):
    result = redisteer(word, "cache", config=published)
    assert result.returncode == 0
    assert result.stdout.startswith(f"cache: {shown} (")
    assert mode(redisteer, published) == shown
    assert redisteer("on", "cache", config=published).stdout.startswith("cache: auto (")
    assert mode(redisteer, published) == "auto"


def test_every_change_leaves_an_event_and_a_repetition_none(redisteer, published):
    for word in ("off", "off", "observe", "on", "on"):
        redisteer(word, "cache", config=published)
    changes = [(event["service"], event["from"], event["to"])
               for event in lab.events(redisteer, published, "admin")]
    assert changes == [("cache", "auto", "off"), ("cache", "off", "observe"),
                       ("cache", "observe", "auto")]


def test_a_reload_keeps_the_operators_word(redisteer, published, write_config):
    redisteer("off", "cache", config=published)
    write_config(published.read_text().replace("7002", "7003"))
    redisteer("reload", config=published)
    assert mode(redisteer, published) == "off"


def test_on_overrides_a_file_that_says_off(redisteer, write_config, good_config):
    config = write_config(good_config.read_text().replace("match =", "mode = off\n    match ="))
    redisteer("reload", config=config)
    assert mode(redisteer, config) == "off"
    result = redisteer("on", "cache", config=config)
    assert "the file, unchanged, says mode = off" in result.stdout
    assert mode(redisteer, config) == "auto"


def test_after_on_the_file_decides_again(redisteer, published, write_config):
    redisteer("off", "cache", config=published)
    redisteer("on", "cache", config=published)
    write_config(published.read_text().replace("match =", "mode = observe\n    match ="))
    redisteer("reload", config=published)
    assert mode(redisteer, published) == "observe"


def test_an_unknown_service_is_refused(redisteer, published):
    result = redisteer("off", "other", config=published)
    assert (result.returncode, result.stderr) == (2, "redisteer: no such service: 'other'\n")
