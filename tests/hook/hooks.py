"""Real Redis servers, one configuration, and the conditions in which each program is run.

A `World` has three servers: east and west are the endpoints, home is where the program's own
addresses lead without the library. A program's transcript must be the same in every condition.
"""

import contextlib
import dataclasses
import difflib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("REDISTEER_BUILD", HERE.parent.parent / "build"))
LIBRARY = BUILD / "libredisteer.so"
COMMAND = BUILD / "redisteer"
PROGRAMS = BUILD / "tests" / "hook"

SKIPPED = "SKIPPED: "

# kernel: without the library; all others are compared with it.
CONDITIONS = ["steered", "alone", "no_file", "broken_file", "disabled", "constructor"]
STEERING = {"steered", "alone", "guarded"}


def conditions(*names):
    """Runs a test once per condition; all of them when none is named."""
    return pytest.mark.parametrize("condition", names or CONDITIONS)


def cases_of(program):
    """The cases that a program lists, so that none is forgotten here."""
    return re.findall(r"HOOK_ENTRY\((\w+)\)", (HERE / f"{program}.c").read_text())


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


def difference(kernel, other):
    lines = difflib.unified_diff(kernel.splitlines(), other.splitlines(), "without", "with", n=1,
                                 lineterm="")
    return "\n" + "\n".join(list(lines)[:60])


def free_ports(count):
    """Below the ports that the kernel hands out, or a client elsewhere might take one meanwhile."""
    ports = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket(socket.AF_INET6) as both_families:
            with contextlib.suppress(OSError):
                both_families.bind(("::", port))
                ports.append(port)
    return ports


@dataclasses.dataclass
class Result:
    status: int
    stdout: str
    stderr: str

    @property
    def runs(self):
        """The transcripts, one for each time the case ran."""
        return [text for text in re.split(r"(?<=\n)(?<=pass\n|fail\n|skip\n)", self.stdout) if text]

    def passed(self):
        reason = re.search(r"^skip: (.*)$", self.stdout, re.MULTILINE)
        if reason:
            pytest.skip(SKIPPED + reason.group(1))
        complaints = "".join(re.findall(r"^not ok: .*\n", self.stdout, re.MULTILINE)[:20])
        last = "\n".join(self.stdout.splitlines()[-5:])
        told = f"status {self.status}\n{complaints}ends with:\n{last}\n{self.stderr[-3000:]}"
        assert self.status == 0, told
        assert self.runs and all(run.endswith("result: pass\n") for run in self.runs), told
        return self


class World:
    def __init__(self, directory, namespace=()):
        self.directory = pathlib.Path(directory)
        self.memory = pathlib.Path(tempfile.mkdtemp(prefix="redisteer-hook-", dir="/dev/shm"))
        self.namespace = list(namespace)
        self.cleanup = contextlib.ExitStack()
        self.cleanup.callback(shutil.rmtree, self.memory, ignore_errors=True)
        self.directory.chmod(0o755)  # servers and programs of other users pass through
        self.published = False
        self.name_server = None
        self.count = 0

    def start(self):
        ports = free_ports(5)
        self.east, self.west, self.home, self.dead, self.stuck = ports
        self.start_redis(self.east, "127.0.0.1")
        self.start_redis(self.west, "127.0.0.1", "127.0.0.2", "::1")
        homes = [f"127.0.0.{last}" for last in (9, 10, 13, 14)]
        self.start_redis(self.home, *homes, "::1")
        if not self.namespace:
            self.hold_port(self.dead)
            self.stick("127.0.0.12", self.stuck)
            self.stick("127.0.0.3", self.stuck)
        self.config = self.directory / "redisteer.conf"
        self.config.write_text(self.configuration())
        self.config.chmod(0o644)
        self.broken = self.directory / "broken.conf"
        self.broken.write_text('service cache { match = { "127.0.0.9:%d"\n nonsense !\n' % self.home)
        self.hosts = self.directory / "hosts"
        self.hosts.write_text(
            "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
            "127.0.0.9 redis.test redis.test. friend.test\n127.0.0.10 limping.test\n"
            "127.0.0.13 sixth.test\n127.0.0.14 stranger.test\n::1 stranger6.test\n"
            "127.0.0.2 crowd.test\n127.0.0.3 crowd.test\n127.0.0.12 crowd.test\n"
        )
        self.names = self.directory / "nsswitch.conf"
        self.names.write_text("hosts: files\nservices: files\nprotocols: files\n")
        return self

    def configuration(self):
        off = "breaker { enabled = false }"
        return f"""
service cache {{
    match = {{ "redis.test:{self.home}", "127.0.0.9:{self.home}", "[::1]:{self.home}" }}
    endpoint east {{ address = "127.0.0.1:{self.east}"  weight = 1.0 }}
    endpoint west {{ address = "127.0.0.1:{self.west}"  weight = 0.5 }}
}}
service limping {{
    match = {{ "limping.test:{self.home}", "127.0.0.10:{self.home}" }}
    endpoint dead {{ address = "127.0.0.2:{self.dead}"  weight = 1.0 }}
    endpoint west {{ address = "127.0.0.2:{self.west}"  weight = 0.5 }}
    {off}
}}
service down {{
    match = {{ "127.0.0.11:{self.home}" }}
    endpoint dead {{ address = "127.0.0.3:{self.dead}" }}
    {off}
}}
service stuck {{
    match = {{ "127.0.0.12:{self.stuck}" }}
    endpoint stuck {{ address = "127.0.0.3:{self.stuck}" }}
    connect {{ timeout = 30s  user_timeout = 60s }}
    retry {{ attempts = 1 }}
    {off}
}}
service sixth {{
    match = {{ "sixth.test:{self.home}", "127.0.0.13:{self.home}" }}
    endpoint west {{ address = "[::1]:{self.west}" }}
    {off}
}}
"""

    def stop(self):
        self.cleanup.close()

    # ---- servers ----

    def start_redis(self, port, *addresses):
        command = ["redis-server", "--port", str(port), "--bind", *addresses, "--save", "",
                   "--appendonly", "no", "--protected-mode", "no", "--dir", str(self.directory),
                   "--logfile", str(self.directory / f"redis-{port}.log")]
        server = subprocess.Popen(self.namespace + command, stdin=subprocess.DEVNULL)
        self.cleanup.callback(self.end, server)
        ping = self.namespace + ["redis-cli", "-h", addresses[0], "-p", str(port), "ping"]
        wait_until(lambda: subprocess.run(ping, capture_output=True).stdout == b"PONG\n",
                   f"redis-server on port {port}")

    @staticmethod
    def end(process):
        process.kill()
        process.wait()

    def hold_port(self, port):
        """Bound and not listening: nobody else gets the port, and connections are refused."""
        for address in ("127.0.0.2", "127.0.0.3"):
            held = self.cleanup.enter_context(socket.socket())
            held.bind((address, port))

    def stick(self, address, port):
        """A listener whose queue is full: connections neither succeed nor fail."""
        server = self.cleanup.enter_context(socket.socket())
        server.bind((address, port))
        server.listen(0)
        for _ in range(4):
            filler = self.cleanup.enter_context(socket.socket())
            filler.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                filler.connect((address, port))

    # ---- running ----

    def runtime(self):
        """A new directory for segments."""
        self.count += 1
        path = self.memory / f"runtime-{self.count}"
        path.mkdir(mode=0o700)
        return path

    def shared_runtime(self):
        """A directory with the published segment, for tests that leave it as it is."""
        if not self.published:
            self.published = self.runtime()
            self.publish(self.published)
        return self.published

    def publish(self, runtime, config=None):
        need_library()
        command = [COMMAND, "run", "--config", config or self.config, "--", "/bin/true"]
        environment = {"PATH": os.environ["PATH"], "REDISTEER_RUNTIME_DIR": str(runtime)}
        done = subprocess.run(self.namespace + command, env=environment, capture_output=True,
                              text=True, timeout=20)
        assert done.returncode == 0, done.stdout + done.stderr

    def own_settings(self, directory, text):
        """The variables of a program with settings of its own; nothing is published yet."""
        config = pathlib.Path(directory) / "own.conf"
        config.write_text(text)
        return {"REDISTEER_CONFIG": str(config), "REDISTEER_RUNTIME_DIR": str(self.runtime())}

    def endpoints(self, service, variables):
        """A service's endpoints as `status` tells of them, by name."""
        done = subprocess.run([COMMAND, "status", "--json"],
                              env={"PATH": os.environ["PATH"], **variables}, capture_output=True,
                              text=True, timeout=20)
        services = {each["name"]: each for each in json.loads(done.stdout)["services"]}
        return {each["name"]: each for each in services[service]["endpoints"]}

    def connects_of(self, service, endpoint):
        """Successful connections that the shared segment has counted."""
        shared = {"REDISTEER_CONFIG": str(self.config),
                  "REDISTEER_RUNTIME_DIR": str(self.shared_runtime())}
        return self.endpoints(service, shared)[endpoint]["connects"]["ok"]

    def segments(self, runtime):
        """Files of a runtime directory that hold a segment."""
        found = [path for path in pathlib.Path(runtime).iterdir() if path.stat().st_size >= 4096]
        assert found, f"no segment in {runtime}: {list(pathlib.Path(runtime).iterdir())}"
        return found

    def where(self):
        return {
            "HOOK_CACHE": f"127.0.0.9:{self.home}",
            "HOOK_CACHE6": f"[::1]:{self.home}",
            "HOOK_LIMPING": f"127.0.0.10:{self.home}",
            "HOOK_DOWN": f"127.0.0.11:{self.home}",
            "HOOK_STUCK": f"127.0.0.12:{self.stuck}",
            "HOOK_SIXTH": f"127.0.0.13:{self.home}",
            "HOOK_STRANGER": f"127.0.0.14:{self.home}",
            "HOOK_PORTS": f"east={self.east} west={self.west} home={self.home}",
            "HOOK_MODULE": str(PROGRAMS / "connecting_module.so"),
            "HOOK_LIBRARY": str(LIBRARY),
        }

    def environment(self, condition, program, case):
        """The variables of one condition. HOOK_MODE says what the program may expect."""
        variables = {"PATH": os.environ["PATH"], **self.where()}
        variables["HOOK_MODE"] = "steered" if condition in STEERING else "kernel"
        if condition == "kernel":
            return variables
        need_library()
        variables["LD_PRELOAD"] = str(LIBRARY)
        variables["REDISTEER_CONFIG"] = str(self.config)
        if condition in ("steered", "guarded", "constructor", "disabled"):
            variables["REDISTEER_RUNTIME_DIR"] = str(self.shared_runtime())
        else:
            variables["REDISTEER_RUNTIME_DIR"] = str(self.runtime())
        if condition == "no_file":
            variables["REDISTEER_CONFIG"] = str(self.directory / "there-is-none.conf")
        elif condition == "broken_file":
            variables["REDISTEER_CONFIG"] = str(self.broken)
        elif condition == "guarded":
            variables["HOOK_GUARDED"] = "1"
        elif condition == "disabled":
            variables["REDISTEER_DISABLE"] = "1"
        elif condition == "constructor":
            # What is preloaded last is initialised first.
            variables["LD_PRELOAD"] += f":{PROGRAMS / program}.so"
            variables["HOOK_CONSTRUCTOR"] = case
            variables["HOOK_MODE"] = "steered"
        return variables

    def run(self, program, case, condition="steered", *, prefix=(), wrap=(), seconds=60,
            binary=None, output=False, **extra):
        """Runs one case. `extra` are variables (None takes one away), `prefix` a command that runs
        it and `wrap` one that runs it with these variables; with `output` the transcript goes to a
        file, for programs that close their descriptors."""
        self.count += 1
        transcript = self.directory / f"transcript-{self.count}"
        variables = {**self.environment(condition, program, case),
                     "HOOK_OUTPUT": str(transcript), **extra}
        assignments = [f"{name}={value}" for name, value in variables.items() if value is not None]
        command = [*self.namespace, *map(str, prefix), "env", "-i", *assignments,
                   *map(str, wrap), str(binary or PROGRAMS / program), case]
        with tempfile.TemporaryDirectory(dir=self.directory) as own:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, cwd=own, text=True,
                                       start_new_session=True)
            try:
                stdout, stderr = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
                pytest.fail(f"{program} {case} ({condition}) hangs:\n{stdout}{stderr}")
            if output:
                assert stdout == "", stdout
                stdout = wait_until(lambda: self.ended_transcript(transcript), "the transcript")
        return Result(process.returncode, stdout, stderr)

    @staticmethod
    def ended_transcript(path):
        """The text of a program that may outlive its parent, once it is complete."""
        text = path.read_text() if path.exists() else ""
        return text if re.search(r"^result: \w+\n\Z", text, re.MULTILINE) else None

    def same_as_kernel(self, program, case, condition, **options):
        """The transcript of a condition is, byte for byte, that of the program without the library."""
        kernel = self.run(program, case, "kernel", **options).passed()
        other = self.run(program, case, condition, **options).passed()
        assert len(other.runs) == (2 if condition == "constructor" else 1), other.stdout
        for transcript in other.runs:
            assert transcript == kernel.stdout, difference(kernel.stdout, transcript)
        assert other.stderr == kernel.stderr, difference(kernel.stderr, other.stderr)
        assert other.status == kernel.status
        return other

    # ---- look-ups ----

    def own_hosts(self):
        """A prefix: a mount namespace where names come from a file of ours."""
        return mounting((self.hosts, "/etc/hosts"), (self.names, "/etc/nsswitch.conf"))

    def silent_names(self):
        """A prefix: a mount namespace where the only name server never answers."""
        need_root()
        resolver, names = self.directory / "resolv.conf", self.directory / "nsswitch-dns.conf"
        if self.name_server is None:
            own = "127.53.{}.{}".format(*divmod(os.getpid() & 0xffff, 256))
            resolver.write_text(f"nameserver {own}\noptions timeout:2 attempts:1\n")
            names.write_text("hosts: files dns\nservices: files\nprotocols: files\n")
            try:
                server = self.cleanup.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                server.bind((own, 53))
                self.name_server = server
            except OSError as error:
                pytest.skip(SKIPPED + f"port 53 of {own} is not to be had: {error}")
        return mounting((self.hosts, "/etc/hosts"), (names, "/etc/nsswitch.conf"),
                        (resolver, "/etc/resolv.conf"))


def mounting(*files):
    """A prefix that runs a command with (file, place) mounted in a namespace of its own."""
    mounts = "".join(f"mount --bind '{file}' {place} && " for file, place in files)
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-r", "-m"]
    command = [*unshare, "sh", "-c", mounts + 'exec "$@"', "sh"]
    done = subprocess.run(command + ["true"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(SKIPPED + f"no private mount namespace here: {done.stderr.strip()}")
    return command


def need_library():
    assert LIBRARY.exists(), f"{LIBRARY} is missing: build it first (or set REDISTEER_BUILD)"


def need_root():
    if os.geteuid() != 0:
        pytest.skip(SKIPPED + "needs root")


def need_tool(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(SKIPPED + f"{name} is not installed")
    return path


MEMCHECK_SUPPRESSIONS = f"--suppressions={pathlib.Path(__file__).parent / 'memcheck.supp'}"


def complaints(stderr):
    """What valgrind says of a program, without process ids; that it knows a system call less than the
    kernel is no complaint about the program."""
    lines = [line for line in stderr.splitlines() if not re.match(r"--\d+-- ", line)]
    return re.sub(r"==\d+==", "==", "\n".join(lines))
