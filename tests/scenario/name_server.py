"""A name server for tests: dnsmasq on a free port of this host, for the names under `test` alone."""

import os
import signal
import socket
import subprocess
import threading

import lab


def free_port():
    """A port that is free for UDP and TCP at this moment."""
    for _ in range(20):
        port = lab.free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


class FailingServer:
    """Answers every question with SERVFAIL. In a thread of this process."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                question, client = self.socket.recvfrom(4096)
            except OSError:
                return
            if not question:
                return
            self.socket.sendto(question[:2] + b"\x81\x82" + question[4:], client)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self.socket.close()


class NameServer:
    """
    `addresses`: name -> list of addresses; `services`: name -> list of (target, port, priority,
    weight); `empty`: names that are there and have neither; `failing`: names that end in SERVFAIL.
    """

    def __init__(self, directory):
        self.program = lab.need("dnsmasq")
        self.hosts = directory / "names"
        self.log = directory / "dnsmasq.log"
        self.host, self.port = "127.0.0.1", None
        self.addresses, self.services, self.empty, self.failing = {}, {}, [], []
        self.ttl = 60
        self.process = self.upstream = None

    @property
    def environment(self):
        return {"REDISTEER_NAME_SERVERS": f"{self.host}:{self.port}"}

    def _arguments(self, port):
        words = [self.program, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                 "--no-hosts", "--no-poll", "--no-daemon", "--log-queries", f"--port={port}",
                 f"--listen-address={self.host}", "--bind-interfaces", f"--addn-hosts={self.hosts}",
                 f"--local-ttl={self.ttl}", "--local=/test/", "--user=", "--pid-file"]
        words += [f"--txt-record={name},nothing" for name in self.empty]
        words += [f"--srv-host={name},{target},{port},{priority},{weight}"
                  for name, hosts in self.services.items()
                  for target, port, priority, weight in hosts]
        if self.failing:
            self.upstream = self.upstream or FailingServer()
            words += [f"--server=/{name}/127.0.0.1#{self.upstream.port}" for name in self.failing]
        return words

    def _write_hosts(self):
        self.hosts.write_text("".join(f"{address} {name}\n"
                                      for name, addresses in self.addresses.items()
                                      for address in addresses))

    def _answers(self):
        """Asks for the version of the server, by hand: no name of a test is asked for."""
        if self.process.poll() is not None:
            raise EOFError(self.log.read_text()[-500:])
        question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05ready\x04test\x00\x00\x01\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.2)
            asker.connect((self.host, self.port))
            try:
                asker.send(question)
                return asker.recv(512)[:2] == b"\x12\x34"
            except OSError:
                return False

    def start(self):
        """On the same port as before, or on a free one; waits until it answers."""
        self._write_hosts()
        self.port = self.port or free_port()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self._arguments(self.port), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=lab.plain_environment())
        lab.wait_for(self._answers, "dnsmasq to answer")
        return self

    def change(self, name, *addresses):
        """What the name stands for from now on; none: it is gone."""
        self.addresses[name] = list(addresses)
        self._write_hosts()
        self.process.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: self._says(name, addresses), f"dnsmasq to know {name}")

    def _says(self, name, addresses):
        wanted = {address for address in addresses if ":" not in address}
        return self.ask_a(name) == wanted

    def ask_a(self, name):
        """The IPv4 addresses that it gives, asked by hand."""
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        question = os.urandom(2) + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(1)
            asker.connect((self.host, self.port))
            asker.send(question)
            reply = asker.recv(4096)
        count = int.from_bytes(reply[6:8], "big")
        records, found = reply[len(question):], set()
        for _ in range(count):  # each: a pointer to the name, type, class, ttl, length, address
            found.add(socket.inet_ntoa(records[12:16]))
            records = records[16:]
        return found

    def restart(self):
        """With what has been changed in services, empty, failing and ttl."""
        self.kill()
        self.start()

    def freeze(self, frozen=True):
        self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def asked(self, name):
        """How many times it was asked for that name."""
        return self.log.read_text().count(f"] {name} from ")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.kill()
        if self.upstream:
            self.upstream.stop()
