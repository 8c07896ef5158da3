"""Sentinel groups: real servers with real Sentinels, and a writer that knows one name alone."""

import socket
import threading
import time

import lab

MASTER = "shop"


def role(server):
    return server.command("ROLE")[0]


class Sentinel(lab.Redis):
    """A redis-sentinel of our own that watches `master`."""

    def __init__(self, name, directory, master, password=None):
        super().__init__(name, directory)
        self.master = master
        self.password = password

    def start(self):
        self.port = lab.free_port()
        config = self.directory / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\nprotected-mode no\ndir {self.directory}\n"
            f"logfile {self.directory}/sentinel.log\n"
            f"sentinel monitor {MASTER} {self.master.host} {self.master.port} 2\n"
            f"sentinel down-after-milliseconds {MASTER} 1000\n"
            f"sentinel failover-timeout {MASTER} 6000\n"
            + (f"requirepass {self.password}\n" if self.password else ""))
        self.process = lab.subprocess.Popen(
            [lab.need("redis-sentinel"), str(config)], env=lab.plain_environment(),
            stdin=lab.subprocess.DEVNULL, stdout=lab.subprocess.DEVNULL,
            stderr=lab.subprocess.DEVNULL)
        if not self.password:
            lab.wait_for(self._answers, f"Sentinel {self.name} to answer")
        return self

    def sees_all(self):
        state = self.command("SENTINEL", "MASTER", MASTER)
        known = dict(zip(state[::2], state[1::2]))
        return known["num-slaves"] == "2" and known["num-other-sentinels"] == "2"

    def names(self):
        return int(self.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])


class Group:
    """A master, two replicas and three Sentinels that know one another."""

    def __init__(self, start_redis, directory):
        self.servers = [start_redis(name) for name in ("one", "two", "three")]
        self.master = self.servers[0]
        self.sentinels = []
        for replica in self.servers[1:]:
            replica.command("REPLICAOF", self.master.host, self.master.port)
        for replica in self.servers[1:]:
            lab.wait_for(lambda server=replica: "master_link_status:up" in
                         server.command("INFO", "replication"), "the replicas to follow")
        for name in ("first", "second", "third"):
            sentinel = Sentinel(name, directory, self.master)
            self.sentinels.append(sentinel)
            sentinel.start()
        lab.wait_for(lambda: all(sentinel.sees_all() for sentinel in self.sentinels),
                     "the Sentinels to know everybody", pause=0.1)

    def replicas(self):
        return [server for server in self.servers if server is not self.master]

    def stop(self):
        for sentinel in self.sentinels:
            sentinel.stop()


def service(sentinels, options="", discover=""):
    addresses = ", ".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
    return (f"service cache {{\n    match = {{ redis.test }}\n{options}\n    discover {{ sentinels = "
            f"{{ {addresses} }}\n        master_name = {MASTER}\n{discover}\n    }}\n}}\n")


class Writer:
    """clients/timed_writer.py under redisteer; what it says is read by a thread."""

    def __init__(self, start_program, preload, config):
        self.program = start_program(
            preload.argv([lab.PYTHON, lab.CLIENTS / "timed_writer.py", "redis.test", "6379"]),
            env=preload.environment(config), stdin=lab.subprocess.PIPE)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        lab.wait_for(lambda: "writing" in self.lines, "the writer to write")

    def _read(self):
        for line in self.program.stdout:
            self.lines.append(line.rstrip("\n"))

    def gaps(self):
        return [tuple(map(float, line.split()[1:])) for line in self.lines
                if line.startswith("gap")]

    def errors(self):
        return [line.split(" ", 2) for line in self.lines if line.startswith("error")]

    def gap_over(self, moment):
        """The gap that began before `moment` and has ended since."""
        def find():
            return [gap for gap in self.gaps() if gap[0] <= moment <= gap[1]]
        return lab.wait_for(find, "the writer to write again")[0]

    def stop(self):
        self.program.stdin.close()
        self.reader.join(lab.PATIENCE)
        assert self.program.wait(lab.PATIENCE) == 0, self.program.stderr.read()


def endpoint_name(server):
    return f"127.0.0.1-{server.port}"


def await_active(redisteer, config, server):
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["active"] == endpoint_name(server),
                 f"connections to go to {server.name}", pause=0.05)


def await_promotion(replicas):
    """The replica that becomes a master, and when. Sentinel ends its connections then."""
    def promoted():
        for replica in replicas:
            try:
                if role(replica) == "master":
                    return replica, time.monotonic()
            except ConnectionError:
                pass
        return None
    return lab.wait_for(promoted, "a replica to be promoted", pause=0.002)


def writes_of(server):
    """What its own statistics say of INCR, which the writer alone sends."""
    for line in server.command("INFO", "commandstats").splitlines():
        if line.startswith("cmdstat_incr:"):
            return int(line.split("calls=")[1].split(",")[0])
    return 0


def writes_until_demotion(server):
    """What it is written while it is a master, until the Sentinels have made it a replica."""
    deadline = time.monotonic() + 2 * lab.PATIENCE
    most = 0
    while time.monotonic() < deadline:
        try:
            written = writes_of(server)
            if role(server) != "master":
                return most
        except ConnectionError:  # they end its connections when they do
            continue
        most = written
        time.sleep(0.05)
    raise AssertionError("the old master stays a master")


def await_demotion(server, allowed):
    """Until then it must not be written to."""
    written = writes_until_demotion(server)
    assert written <= allowed, f"{written} writes to the old master"


def settle(group):
    """The Sentinels agree on the master, and it has its replicas again."""
    def unsettled():
        for replica in group.replicas():
            replication = replica.command("INFO", "replication")
            if "role:slave" not in replication or "master_link_status:up" not in replication:
                yield replica.name, replication
        for sentinel in group.sentinels:
            if sentinel.names() != group.master.port or not sentinel.sees_all():
                yield sentinel.port, sentinel.names(), sentinel.command("SENTINEL", "REPLICAS", MASTER)

    try:
        lab.wait_for(lambda: not any(unsettled()), "the group to settle", timeout=2 * lab.PATIENCE, pause=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}; {group.master.address} is the master, but {list(unsettled())}") from error


def start_quietly(server):
    """Starts it again without a write of ours."""
    command, server.command = server.command, lambda *words: None if words[0] == "SET" \
        else type(server).command(server, *words)
    try:
        server.start()
    finally:
        server.command = command


class Liar(threading.Thread):
    """Speaks Sentinel's protocol and names one server as the master, and nobody else."""

    def __init__(self, server, host="127.0.0.1", port=0):
        super().__init__(daemon=True)
        self.named = server
        self.listener = socket.create_server((host, port))
        self.port = self.listener.getsockname()[1]
        self.subscribers = []
        self.asked = 0
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.answer(connection)
        except OSError:  # whoever asked has heard enough
            pass
        if connection in self.subscribers:
            self.subscribers.remove(connection)

    def answer(self, connection):
        port = str(self.named.port)
        with connection, connection.makefile("rb") as stream:
            while True:
                words = lab.read_reply(stream)
                if words[0].upper() == "SUBSCRIBE":
                    self.subscribers.append(connection)
                    connection.sendall(array("subscribe", words[1], count=3) + b":1\r\n")
                    continue
                self.asked += 1
                if "slaves" in words[1].lower():
                    connection.sendall(b"*0\r\n")
                else:
                    connection.sendall(array(self.named.host, port, count=2))

    def announce(self, old):
        for connection in list(self.subscribers):
            line = f"{MASTER} 127.0.0.1 {old.port} 127.0.0.1 {self.named.port}"
            connection.sendall(array("message", "+switch-master", line))

    def close(self):
        self.listener.close()


def array(*words, count=None):
    """Of `count` elements, some of which may still be to come."""
    return b"*%d\r\n" % (count or len(words)) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
