"""Programs in trouble of their own while the library's threads are at work: nothing gets worse."""

import os
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

import lab
from test_guard import frozen, wait_checks  # noqa: F401
from test_monitor import (config_of, endpoint, leader, pair, wait_event,  # noqa: F401
                          wait_health)
from test_prober import never_unhealthy

FAST = """
    health   { interval = 100ms  fast_interval = 50ms  timeout = 100ms }
    failback { grace = 0s  check = 100ms  existing = close }
    breaker  { open = 100ms  open_backoff = 1.0 }
"""


@pytest.fixture
def torture(start_program, preload, redisteer):
    """torture(config, case, number) -> the running program, connected to east, its checks begun."""

    def start(config, case, number=0, wrapper=(), **more):
        program = start_program(preload.argv([*wrapper, lab.BUILT_CLIENTS / "torture", case,
                                              "redis.test", "6379", number]),
                                env=preload.environment(config, **more), stdin=subprocess.PIPE)
        assert program.stdout.readline() == "server east\n", program.stderr.read()
        wait_health(redisteer, config, east="healthy", west="healthy")
        return program

    return start


def numbers(program):
    """The program's last words, by name; it ended well."""
    text, errors = program.communicate(timeout=lab.PATIENCE * 3)
    assert program.returncode == 0, (program.returncode, text, errors)
    lab.figure(text)
    return {word: int(number) for word, number in re.findall(r"(\w+) (\d+)", text)}


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def test_a_descriptor_that_is_used_again_is_never_touched(pair, config_of, torture, redisteer):
    """East falls and rises all the time, so the guard shuts whatever it takes for a connection."""
    east, _ = pair
    config = config_of(pair, FAST)
    program = torture(config, "reuse", 12)

    def turned(health):
        """Or over: nobody checks any more when the program has ended."""
        return program.poll() is not None or lab.status(
            redisteer, config, "cache")["by_name"]["east"]["health"] == health

    for _ in range(8):
        with frozen(east):
            lab.wait_for(lambda: turned("unhealthy"), "east to be unhealthy")
        lab.wait_for(lambda: turned("healthy"), "east to be healthy")
    found = numbers(program)
    assert found["rounds"] > 1000 and found["harmed"] == 0
    assert lab.events(redisteer, config, "failover")


def test_a_thousand_forked_children(pair, config_of, torture, redisteer):
    """Of a process whose threads check; the children's own threads stand for its posts."""
    config = config_of(pair, FAST)
    found = numbers(torture(config, "storm", 1000))
    assert found["served"] == 1000
    assert never_unhealthy(redisteer, config)


def test_a_child_may_have_a_user_namespace_of_its_own(pair, config_of, torture):
    text, _ = torture(config_of(pair, FAST), "namespace").communicate(timeout=lab.PATIENCE)
    assert text == "unshare 0 server east\n"


def test_a_thread_under_strict_seccomp_is_woken(pair, config_of, torture, redisteer):
    """It may do nothing but read and write; any other call would end the program."""
    east, _ = pair
    program = torture(config_of(pair, FAST), "strict")
    with frozen(east):
        assert program.stdout.readline() == "shut\n"
    assert program.poll() is None or program.returncode == 0


def test_a_handler_that_connects_a_thousand_times_a_second(pair, config_of, torture):
    """Also while the program itself is in connect(). A starved server is not to be left."""
    program = torture(config_of(pair, "health { interval = 100ms  timeout = 10s }"), "alarms", 3)
    program.stdin.write("\n")
    found = numbers(program)
    assert found["handled"] >= 300 and found["within"] >= 5 and found["harmed"] == 0


@pytest.mark.parametrize("sandbox", ["bwrap", "unshare"])
def test_a_sandboxed_program_is_steered_and_guarded(sandbox, pair, config_of, torture, redisteer):
    east, _ = pair
    wrapper = {"bwrap": ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--die-with-parent"],
               "unshare": ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child",
                           "--mount-proc"]}[sandbox]
    lab.need(sandbox)
    config = config_of(pair, FAST)
    # Its own table of processes: whoever published before is not in it.
    assert redisteer("reload", config=config).returncode == 0
    program = torture(config, "wait", wrapper=wrapper)
    with frozen(east):
        assert program.stdout.readline() == "shut\n"
        assert program.stdout.readline() == "server west\n"


# ---- no effect ----

def static_c(_):
    return [lab.BUILT_CLIENTS / "static_connect"]


def static_go(directory):
    go = shutil.which("go")
    if not go:
        pytest.skip("go is not installed")
    program = directory / "connect"
    subprocess.run([go, "build", "-o", program, lab.CLIENTS / "connect.go"], check=True,
                   env={**lab.plain_environment(), "CGO_ENABLED": "0",
                        "GOCACHE": str(directory / "go"), "GO111MODULE": "off"})
    return [program]


@pytest.mark.parametrize("build", [static_c, static_go])
def test_a_static_program_is_as_ever(build, pair, launch, config_of, write_config, tmp_path):
    east, west = pair
    config = write_config(lab.service("cache", [east.address], {"west": west.address}))
    program = build(tmp_path)
    argv = ([*program, f"{east.host}:{east.port}"] if build is static_go
            else [*program, east.host, east.port])
    result = launch.run(argv, config)
    assert result.returncode == 0
    assert result.stderr == "" or launch.way == "run" and "statically linked" in result.stderr
    assert result.stdout == ("east\n" if build is static_go else "")  # as its code says


def test_a_jump_out_of_the_first_call_leaves_nothing_half_done(pair, preload, config_of, redisteer):
    config = config_of(pair, FAST)
    assert redisteer("reload", config=config).returncode == 0
    jumping = lab.BUILT_CLIENTS / "libjumping_start.so"
    client = [lab.PYTHON, "-c", "import redis; print(redis.Redis('redis.test').get('name').decode())"]
    result = preload.run(client, config, env={"LD_PRELOAD": f"{lab.LIBRARY}:{jumping}"})
    assert (result.stdout, result.stderr) == ("east\n", "")


# ---- shortages ----

@pytest.mark.parametrize("what", ["mmap", "pthread_create"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5, 6])
def test_the_library_runs_out(what, nth, pair, preload, write_config, redisteer):
    """From the n-th time on it gets no memory, or no thread: the program connects all the same."""
    east, west = pair
    config = write_config(lab.service("cache", [east.address], {"west": west.address}))
    assert redisteer("reload", config=config).returncode == 0
    client = [lab.PYTHON, "-c", f"""
import redis, threading, time
names = set()
for _ in range(3):
    names.add(redis.Redis('{east.host}', {east.port}).get('name').decode())
    time.sleep(0.1)
print(*sorted(names), len(threading.enumerate()))
"""]
    shortage = f"{lab.LIBRARY}:{lab.BUILT_CLIENTS / 'libshortage.so'}"
    result = preload.run(client, config, env={"SHORTAGE": f"{what} {nth}", "LD_PRELOAD": shortage})
    assert (result.returncode, result.stderr) == (0, ""), result
    assert result.stdout in ("east 1\n", "west 1\n")
    if what == "pthread_create":
        assert result.stdout == "west 1\n"  # steered without a guard


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_no_thread_to_be_had(pair, config_of, runtime_dir, preload, redisteer):
    """RLIMIT_NPROC of another user: pthread_create() says EAGAIN."""
    config = config_of(pair, FAST)
    nobody = 65534
    for path in (runtime_dir, config):
        os.chown(path, nobody, nobody)
    for path in config.parents:
        if path.stat().st_uid == os.geteuid() and str(path).startswith("/tmp/"):
            path.chmod(0o755)
    wrapper = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
    environment = preload.environment(config, LD_PRELOAD="")
    subprocess.run([*wrapper, lab.REDISTEER, "reload"], env=environment, check=True,
                   capture_output=True)
    code = ("import redis, resource, os\n"
            "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\n"
            "print(redis.Redis('redis.test').get('name').decode(), len(os.listdir('/proc/self/task')))")
    result = preload.run([*wrapper, lab.PYTHON, "-c", code], config)
    assert (result.stdout, result.stderr) == ("east 1\n", "")


@pytest.mark.parametrize("limit", [(resource.RLIMIT_NOFILE, 8), (resource.RLIMIT_AS, 40 << 20)],
                         ids=["descriptors", "memory"])
def test_a_program_with_little_of_everything_is_guarded(limit, pair, config_of, torture, redisteer):
    """Eight descriptors, 40 MiB of addresses: enough for the threads, too."""
    east, _ = pair
    config = config_of(pair, FAST)
    names = {resource.RLIMIT_NOFILE: "nofile", resource.RLIMIT_AS: "as"}
    program = torture(config, "wait", wrapper=["prlimit", f"--{names[limit[0]]}={limit[1]}", "--"])
    with frozen(east):
        assert program.stdout.readline() == "shut\n"
        assert program.stdout.readline() == "server west\n"


# ---- time ----

@pytest.mark.parametrize("shift", ["-86400", "86400"])
def test_a_program_whose_clock_is_wrong_by_a_day_gives_no_false_verdict(shift, pair, config_of,
                                                                        torture, redisteer):
    """As under faketime. It checks nothing that others would believe, or checks rightly."""
    shifted = lab.BUILD / "tests" / "hook" / "shifted_clock.so"
    if not shifted.exists():
        pytest.skip(f"{shifted} is not built")
    config = config_of(pair, FAST)
    well = torture(config, "wait")
    wrong = torture(config, "wait", HOOK_SHIFT=shift, LD_PRELOAD=f"{shifted}:{lab.LIBRARY}")
    wait_checks(redisteer, config, "east", 10)
    assert never_unhealthy(redisteer, config)
    assert well.poll() is None and wrong.poll() is None
    assert endpoint(redisteer, config, "east")["health"] == "healthy"


def test_a_prober_without_processor_time_gives_no_false_verdict(pair, config_of, torture, redisteer):
    """For two seconds a crowd of busy programs leaves it a hundredth of one processor."""
    cpu = max(os.sched_getaffinity(0))
    config = config_of(pair, FAST)
    program = torture(config, "wait", wrapper=["taskset", "-c", cpu, "nice", "-n", "19"])
    assert leader(redisteer, config)["pid"] == program.pid
    busy = [subprocess.Popen(["taskset", "-c", str(cpu), "/bin/sh", "-c", "while :; do :; done"])
            for _ in range(12)]
    try:
        before, begun = endpoint(redisteer, config, "east")["checks_ok"], time.monotonic()
        lab.wait_for(lambda: time.monotonic() > begun + 2, "two seconds")
        checked = endpoint(redisteer, config, "east")["checks_ok"] - before
    finally:
        for each in busy:
            each.kill()
            each.wait()
    lab.figure(f"starved for 2 s: {checked} checks instead of 20")
    wait_checks(redisteer, config, "east", 5)
    assert not [event for event in lab.events(redisteer, config, "health")
                if event["to"] == "unhealthy"]
    assert lab.events(redisteer, config, "failover") == []


# ---- slow, not down ----

def test_a_server_busy_with_a_script_is_not_left(pair, config_of, torture, redisteer):
    """0.4 s at the default timeout of a second, again and again, while a client waits."""
    east, _ = pair
    config = config_of(pair, "")
    program = torture(config, "wait")
    client = subprocess.Popen([*map(str, ["redis-cli", "-h", east.host, "-p", east.port, "-r", "8",
                                          "DEBUG", "SLEEP", "0.4"])], stdout=subprocess.DEVNULL)
    assert client.wait(lab.PATIENCE) == 0
    assert never_unhealthy(redisteer, config)
    assert lab.events(redisteer, config, "failover") == []
    assert endpoint(redisteer, config, "east")["checks_failed"] == 0
    assert program.poll() is None


def test_a_request_that_waits_by_its_nature_costs_one_check(pair, preload, config_of, start_program,
                                                            redisteer):
    """BLPOP looks unanswered from outside; a check that passes meanwhile says that all is well."""
    east, _ = pair
    config = config_of(pair, "health { interval = 30s  timeout = 1s }")
    program = start_program(preload.argv([lab.PYTHON, "-c", """
import redis
client = redis.Redis('redis.test')
client.get('name')
print('connected', flush=True)
for _ in range(3):
    client.blpop('nothing', 1)
print('done', flush=True)
"""]), env=preload.environment(config))
    assert program.stdout.readline() == "connected\n", program.stderr.read()
    wait_health(redisteer, config, east="healthy", west="healthy")
    assert program.stdout.readline() == "done\n"
    checks = endpoint(redisteer, config, "east")["checks_ok"]
    lab.figure(f"three BLPOPs of a second: {checks} checks of east, one each 30 s")
    assert 1 < checks <= 1 + 3 + 3
