"""The program as a whole: help, suggestions, wrong usage, exit status."""

import subprocess

import pytest

import lab

COMMANDS = ["run", "check", "status", "monitor", "events", "explain", "endpoint", "switch", "auto",
            "off", "observe", "on", "reload"]


def test_alone_it_prints_help(redisteer):
    result = redisteer()
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: redisteer")
    assert result.stdout == redisteer("--help").stdout


def test_help_names_every_command_and_no_internal_one(redisteer):
    listed = [line.split()[0] for line in redisteer().stdout.splitlines()
              if line.startswith("  ") and line[2].isalpha()]
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(redisteer, command):
    result = redisteer(command, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: redisteer {command} ")
    assert "--config FILE" in result.stdout


def test_version(redisteer):
    result = redisteer("--version")
    assert result.returncode == 0
    assert result.stdout.split()[0] == "redisteer"


@pytest.mark.parametrize("word, meant", [
    ("stauts", "status"), ("stat", "status"), ("explian", "explain"), ("evnets", "events"),
    ("chekc", "check"), ("obesrve", "observe"), ("endpont", "endpoint"), ("relaod", "reload")])
def test_a_mistyped_command_gets_the_nearest_suggested(redisteer, word, meant):
    result = redisteer(word)
    assert result.returncode == 2
    assert result.stderr == f"redisteer: unknown command: '{word}'; did you mean '{meant}'?\n"
    assert result.stdout == ""


def test_a_word_like_no_command_gets_no_suggestion(redisteer):
    result = redisteer("xylophone")
    assert result.returncode == 2
    assert "did you mean" not in result.stderr


@pytest.mark.parametrize("arguments, complaint", [
    (["--nonsense"], "unknown option: '--nonsense'"),
    (["status", "--nonsense"], "unknown option: '--nonsense'"),
    (["status", "-x"], "unknown option: '-x'"),
    (["status", "--json=1"], "this option takes no value: '--json=1'"),
    (["events", "--since"], "this option needs a value: '--since'"),
    (["-c"], "this option needs a value: '-c'"),
    (["status", "more"], "one argument too many: 'more'"),
    (["endpoint"], "endpoint needs SERVICE"),
    (["explain"], "explain needs HOST[:PORT]"),
    (["run"], "run needs [--fail-open] [--] PROGRAM [ARG...]"),
    (["status", "--watch", "--check"], "--watch and --check exclude each other"),
    (["explain", "two words"], "neither HOST nor HOST:PORT: 'two words'"),
    (["explain", "host:0"], "neither HOST nor HOST:PORT: 'host:0'"),
    (["events", "--since", "soon"],
     "neither a duration (10m) nor a time (2026-01-01T00:00:00Z): 'soon'"),
])
def test_wrong_usage_exits_2_and_quotes_the_input(redisteer, arguments, complaint):
    result = redisteer(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"redisteer: {complaint}\n"


def test_an_instance_with_a_slash_is_wrong_usage(redisteer, write_config, good_config):
    result = redisteer("status", "--instance", "../escape", config=good_config)
    assert result.returncode == 2


@pytest.mark.parametrize("command", [
    ["status"], ["status", "--json"], ["events"], ["endpoint", "cache"], ["off", "cache"]])
def test_reading_what_is_not_published_fails_and_says_so(redisteer, good_config, command):
    result = redisteer(*command, config=good_config)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"redisteer: not published yet: '{good_config}'")


@pytest.mark.parametrize("way", ["before", "after", "environment"])
def test_the_configuration_is_named_before_or_after_the_command_or_by_the_environment(
        redisteer, good_config, way):
    if way == "before":
        result = redisteer("-c", good_config, "check")
    elif way == "after":
        result = redisteer("check", f"--config={good_config}")
    else:
        result = redisteer("check", config=good_config)
    assert result.returncode == 0
    assert str(good_config) in result.stdout


def test_an_option_wins_over_the_environment(redisteer, good_config):
    result = redisteer("check", "--config", "/nonexistent.conf", config=good_config)
    assert result.returncode == 2
    assert "/nonexistent.conf" in result.stderr


def test_instances_are_apart(redisteer, good_config):
    assert redisteer("reload", "--instance", "blue", config=good_config).returncode == 0
    assert redisteer("status", "--instance", "blue", config=good_config).returncode == 0
    assert redisteer("status", config=good_config,
                     env={"REDISTEER_INSTANCE": "blue"}).returncode == 0
    assert redisteer("status", "--instance", "green", config=good_config).returncode == 1


def test_a_full_disk_behind_stdout_is_a_failure(good_config):
    with open("/dev/full", "w") as full:
        result = subprocess.run([lab.REDISTEER, "check", good_config], stdout=full,
                                stderr=subprocess.PIPE, text=True, env=lab.plain_environment())
    assert result.returncode == 1
    assert "cannot write the output" in result.stderr


def test_closed_standard_descriptors_do_no_harm(redisteer, good_config, runtime_dir):
    environment = lab.plain_environment() | {"REDISTEER_RUNTIME_DIR": str(runtime_dir)}
    result = subprocess.run(["/bin/sh", "-c", f"'{lab.REDISTEER}' reload -c '{good_config}' "
                             "<&- >&- 2>&-; echo $?"],
                            capture_output=True, text=True, env=environment)
    assert result.stdout == "0\n"
    assert redisteer("status", "--check", config=good_config).returncode == 0
