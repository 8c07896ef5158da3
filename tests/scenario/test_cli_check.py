"""redisteer check, reload and the internal publish: the file on its way to the segment."""

import json
import os

import lab

BAD = """service cache {
    match = { redis.internal }
    colour = blue
    endpoint east { address = 127.0.0.1:7001  weight = heavy }
}
"""


def test_a_good_file_is_printed_as_understood(redisteer, good_config):
    result = redisteer("check", good_config)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"# {good_config}: good" in result.stdout
    assert ("# service cache: redis.internal:6379, 10.9.9.9:6380 -> "
            "east 127.0.0.1:7001, west 127.0.0.1:7002\n") in result.stdout


def test_what_is_printed_can_be_read_again_and_means_the_same(redisteer, good_config, write_config):
    first = redisteer("check", good_config).stdout
    second = redisteer("check", write_config(first, "again.conf")).stdout
    assert first.splitlines()[1:] == second.splitlines()[1:]


def test_complaints_name_file_and_line_and_there_is_one_for_each_mistake(redisteer, write_config):
    bad = write_config(BAD)
    result = redisteer("check", bad)
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert any(line.startswith(f"{bad}:3: ") and "colour" in line for line in lines)
    assert any(line.startswith(f"{bad}:4: ") and "'heavy'" in line for line in lines)


def test_a_missing_file_exits_2_and_is_named(redisteer, tmp_path):
    result = redisteer("check", tmp_path / "none.conf")
    assert result.returncode == 2
    assert str(tmp_path / "none.conf") in result.stderr


def test_check_publishes_nothing(redisteer, good_config, runtime_dir):
    redisteer("check", good_config)
    assert os.listdir(runtime_dir) == []


def test_check_says_when_programs_use_an_older_version(redisteer, good_config, write_config):
    assert redisteer("reload", config=good_config).returncode == 0
    assert redisteer("check", config=good_config).stderr == ""
    write_config(good_config.read_text() + "\n# a change\n")
    result = redisteer("check", config=good_config)
    assert result.returncode == 0
    assert result.stderr.startswith(
        "redisteer: running programs use an older version of this file")


def test_reload_publishes_once_and_then_only_changes(redisteer, good_config, write_config):
    assert redisteer("reload", config=good_config).stdout == f"{good_config}: published\n"
    assert redisteer("reload", config=good_config).stdout == f"{good_config}: nothing has changed\n"
    write_config(good_config.read_text().replace("7002", "7003"))
    assert redisteer("reload", config=good_config).stdout == (
        f"{good_config}: published the changes\n")
    assert lab.status(redisteer, good_config, "cache")["by_name"]["west"]["address"] == (
        "127.0.0.1:7003")


def test_reload_of_a_bad_file_keeps_what_is_published(redisteer, good_config, write_config):
    redisteer("reload", config=good_config)
    write_config(BAD)
    result = redisteer("reload", config=good_config)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"{good_config}:3: " in result.stderr
    status = lab.status(redisteer, good_config)
    assert status["config_changed"] is True
    assert [service["name"] for service in status["services"]] == ["cache"]


def test_reload_into_a_full_directory_fails_with_the_reason(redisteer, good_config):
    result = redisteer("reload", config=good_config, env={"REDISTEER_RUNTIME_DIR": "/proc"})
    assert result.returncode == 1
    assert result.stderr.startswith("redisteer: ")


def test_publish_names_everything_on_the_command_line(redisteer, good_config, runtime_dir):
    result = redisteer("publish", "--config", good_config, "--instance", "blue", "--runtime-dir",
                       runtime_dir, env={"REDISTEER_RUNTIME_DIR": "/nonexistent"})
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    whole = redisteer("status", "--json", "--instance", "blue", config=good_config)
    assert json.loads(whole.stdout)["instance"] == "blue"


def test_publish_of_a_bad_file_leaves_a_marker_until_a_good_one_is_published(
        redisteer, write_config, good_config, runtime_dir):
    text = good_config.read_text()
    bad = write_config(BAD)
    assert redisteer("publish", config=bad).returncode == 2
    assert any("failed" in name for name in os.listdir(runtime_dir))
    assert redisteer("publish", config=write_config(text)).returncode == 0
    assert not any("failed" in name for name in os.listdir(runtime_dir))
