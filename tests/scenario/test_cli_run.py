"""redisteer run: what the program gets to see, and what happens when it cannot be steered."""

import json
import os
import shutil
import signal
import subprocess
import textwrap

import pytest

import lab

ENVIRON = "import os, sys, json; json.dump([sys.argv, dict(os.environ)], sys.stdout)"


def seen_by_program(redisteer, *options, config=None, env=None):
    """(arguments, environment) that a program started by `run` finds."""
    result = redisteer("run", *options, lab.PYTHON, "-c", ENVIRON, "a b", "--help", "",
                       config=config, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_arguments_reach_the_program_unchanged(redisteer, good_config):
    arguments, _ = seen_by_program(redisteer, "--", config=good_config)
    assert arguments == ["-c", "a b", "--help", ""]


def test_the_environment_gains_two_variables_and_loses_none(redisteer, good_config, runtime_dir):
    _, environment = seen_by_program(redisteer, "-c", good_config, env={"KEEP": "me"})
    expected = lab.plain_environment() | {
        "KEEP": "me",
        "REDISTEER_RUNTIME_DIR": str(runtime_dir),
        "LD_PRELOAD": str(lab.LIBRARY),
        "REDISTEER_CONFIG": str(good_config),
    }
    environment.pop("LC_CTYPE", None)  # Python's own doing
    expected.pop("LC_CTYPE", None)
    assert environment == expected


def test_the_instance_is_passed_on_when_it_was_given(redisteer, good_config):
    _, environment = seen_by_program(redisteer, "--instance", "blue", config=good_config)
    assert environment["REDISTEER_INSTANCE"] == "blue"


def test_a_relative_configuration_becomes_absolute(redisteer, good_config):
    result = redisteer("run", "-c", good_config.name, "/usr/bin/printenv", "REDISTEER_CONFIG",
                       cwd=good_config.parent)
    assert result.stdout == f"{good_config}\n"


@pytest.mark.parametrize("before, after", [
    ("", "{library}"),
    ("/lib/other.so", "{library}:/lib/other.so"),
    ("/lib/other.so {library}", "/lib/other.so {library}"),
    ("{library}:/lib/other.so", "{library}:/lib/other.so"),
    ("{library}.old", "{library}:{library}.old"),
])
def test_the_library_comes_first_and_once_in_ld_preload(redisteer, good_config, before, after):
    result = redisteer("run", "/usr/bin/printenv", "LD_PRELOAD", config=good_config,
                       env={"LD_PRELOAD": before.format(library=lab.LIBRARY)})
    assert result.stdout == after.format(library=lab.LIBRARY) + "\n"


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_the_exit_status_is_the_programs(redisteer, good_config, status):
    assert redisteer("run", "sh", "-c", f"exit {status}", config=good_config).returncode == status


def test_the_program_replaces_run(good_config, runtime_dir):
    environment = lab.plain_environment() | {"REDISTEER_RUNTIME_DIR": str(runtime_dir)}
    with subprocess.Popen([lab.REDISTEER, "run", "-c", good_config, "sh", "-c", "echo $$"],
                          stdout=subprocess.PIPE, text=True, env=environment) as program:
        assert int(program.stdout.read()) == program.pid


def test_a_program_killed_by_a_signal_is_seen_as_such(redisteer, good_config):
    result = redisteer("run", "sh", "-c", "kill -9 $$", config=good_config)
    assert result.returncode == -signal.SIGKILL


def test_descriptors_signals_and_closed_stdin_are_passed_on(good_config, runtime_dir):
    script = textwrap.dedent("""
        import fcntl, signal
        def is_open(fd):
            try:
                return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
            except OSError:
                return False
        print([fd for fd in range(64) if is_open(fd)],
              signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN)""")
    run = f"trap '' USR1; exec '{lab.REDISTEER}' run -c '{good_config}' {lab.PYTHON} -c '{script}'"
    environment = lab.plain_environment() | {"REDISTEER_RUNTIME_DIR": str(runtime_dir)}
    result = subprocess.run(["/bin/sh", "-c", run + " <&- 7</dev/null"], capture_output=True,
                            text=True, env=environment)
    assert result.stdout == "[1, 2, 7] True\n", result.stderr


def test_a_program_that_is_not_there_gives_127(redisteer, good_config):
    result = redisteer("run", "no-such-program", config=good_config)
    assert result.returncode == 127
    assert result.stderr == ("redisteer: cannot start: 'no-such-program': "
                             "No such file or directory\n")


def test_a_file_that_is_no_program_gives_126(redisteer, good_config):
    result = redisteer("run", good_config, config=good_config)
    assert result.returncode == 126
    assert "Permission denied" in result.stderr


def test_run_publishes(redisteer, good_config):
    redisteer("run", "true", config=good_config)
    assert redisteer("status", config=good_config).returncode == 0


def test_run_publishes_only_what_has_changed(redisteer, good_config):
    for _ in range(3):
        redisteer("run", "true", config=good_config)
    assert len(lab.events(redisteer, good_config, "config")) == 1


def test_nothing_is_started_on_a_bad_file(redisteer, write_config, tmp_path):
    bad = write_config("service {\n")
    result = redisteer("run", "touch", tmp_path / "started", config=bad)
    assert result.returncode == 2
    assert result.stderr.startswith(f"{bad}:1: ")
    assert not (tmp_path / "started").exists()


def test_fail_open_starts_the_program_unsteered_on_a_bad_file(redisteer, write_config):
    bad = write_config("service {\n")
    result = redisteer("run", "--fail-open", "sh", "-c", "echo ${LD_PRELOAD-unset}; exit 3",
                       config=bad)
    assert (result.returncode, result.stdout) == (3, "unset\n")
    assert f"{bad}:1: " in result.stderr
    assert "redisteer: starting without steering: 'sh'" in result.stderr


def test_fail_open_starts_the_program_when_publishing_fails(redisteer, good_config):
    env = {"REDISTEER_RUNTIME_DIR": "/proc"}
    assert redisteer("run", "true", config=good_config, env=env).returncode == 1
    result = redisteer("run", "--fail-open", "sh", "-c", "exit 3", config=good_config, env=env)
    assert result.returncode == 3


def test_a_missing_library_is_a_failure_of_its_own(good_config, runtime_dir, tmp_path):
    lonely = shutil.copy(lab.REDISTEER, tmp_path / "redisteer")
    environment = lab.plain_environment() | {"REDISTEER_RUNTIME_DIR": str(runtime_dir)}
    result = subprocess.run([lonely, "run", "-c", good_config, "true"], capture_output=True,
                            text=True, env=environment)
    assert (result.returncode, result.stderr) == (1, "redisteer: cannot find libredisteer.so\n")


def test_the_library_is_found_in_the_lib_directory_of_an_installation(good_config, runtime_dir,
                                                                      tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib" / "redisteer").mkdir(parents=True)
    program = shutil.copy(lab.REDISTEER, tmp_path / "bin" / "redisteer")
    library = shutil.copy(lab.LIBRARY, tmp_path / "lib" / "redisteer" / "libredisteer.so")
    environment = lab.plain_environment() | {"REDISTEER_RUNTIME_DIR": str(runtime_dir)}
    result = subprocess.run([program, "run", "-c", good_config, "printenv", "LD_PRELOAD"],
                            capture_output=True, text=True, env=environment)
    assert result.stdout == f"{library}\n"


def test_a_setuid_program_is_started_with_a_warning(redisteer, good_config, tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can make a program of somebody else")
    program = shutil.copy("/usr/bin/true", tmp_path / "true")
    os.chown(program, 1, 1)
    os.chmod(program, 0o4755)
    result = redisteer("run", program, config=good_config)
    assert result.returncode == 0
    assert result.stderr.startswith(f"redisteer: will not be steered: '{program}': it is setuid")


def test_a_static_program_is_started_with_a_warning(redisteer, good_config, tmp_path):
    compiler = lab.need("cc")
    source, program = tmp_path / "static.c", tmp_path / "static"
    source.write_text("int main(void) { return 7; }\n")
    if subprocess.run([compiler, "-static", "-o", program, source],
                      capture_output=True).returncode != 0:
        pytest.skip("no static libc here")
    result = redisteer("run", program, config=good_config)
    assert result.returncode == 7
    assert "it is statically linked" in result.stderr
