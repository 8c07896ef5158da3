"""Strategies other than priority, with real servers: where connections go, and how evenly."""

import contextlib
import signal
import socket
import threading
import time

import pytest

import lab

ALIAS = "127.0.0.9"
PORT = 6380
SPREADING = ["round-robin", "random", "weighted", "least-connections"]
# The 99.9 % point of chi-square with 2 degrees of freedom: a fair spread is beyond it once in 1000.
CHI_SQUARE_MOST = 13.82


@pytest.fixture
def trio(start_redis):
    return [start_redis(name) for name in ("east", "west", "south")]


@pytest.fixture
def config_of(write_config):
    def write(servers, strategy, options="", weights=(1, 1, 1)):
        endpoints = {server.name: (server.address, weight)
                     for server, weight in zip(servers, weights)}
        return write_config(lab.service("cache", [f"{ALIAS}:{PORT}"], endpoints,
                                        f"strategy = {strategy}\n{options}"))
    return write


def connects(redisteer, config):
    by_name = lab.status(redisteer, config, "cache")["by_name"]
    return {name: endpoint["connects"]["ok"] for name, endpoint in by_name.items()}


def await_all_healthy(redisteer, config):
    """Until then those that are heard of first have all the connections."""
    lab.wait_for(lambda: all(endpoint["health"] == "healthy" for endpoint in lab.status(
        redisteer, config, "cache")["endpoints"]), "all to be healthy")


def many_connects(preload, config, processes, threads, each, *more):
    result = preload.run([lab.BUILT_CLIENTS / "many_connects", processes, threads, each, ALIAS, PORT,
                          *more], config, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


def chi_square(seen, weights):
    total, whole = sum(seen), sum(weights)
    return sum((count - total * weight / whole) ** 2 / (total * weight / whole)
               for count, weight in zip(seen, weights))


@pytest.mark.parametrize("strategy", SPREADING)
@pytest.mark.parametrize("processes, threads", [(1, 64), (64, 1)])
def test_connections_are_spread_evenly(strategy, processes, threads, trio, preload, config_of,
                                       redisteer, start_asker):
    """64 threads or processes at once, 3840 connections; the breaker and checks do their work."""
    weights = (3, 2, 1) if strategy == "weighted" else (1, 1, 1)
    config = config_of(trio, strategy, weights=weights)
    start_asker(preload, config)(ALIAS, PORT, "v4")  # it checks, and stays
    await_all_healthy(redisteer, config)
    before = connects(redisteer, config)
    many_connects(preload, config, processes, threads, 60)
    seen = [count - before[name] for name, count in connects(redisteer, config).items()]
    assert sum(seen) == 3840
    value = chi_square(seen, weights)
    lab.figure(f"{strategy}, {processes} x {threads}: {seen}, chi-square {value:.2f}")
    assert value < CHI_SQUARE_MOST


@pytest.mark.parametrize("strategy", SPREADING)
def test_an_endpoint_that_is_down_gets_nothing(strategy, trio, preload, config_of, redisteer,
                                               start_asker):
    config = config_of(trio, strategy, "health { interval = 100ms  fast_interval = 50ms }")
    ask = start_asker(preload, config)
    assert lab.wait_for(lambda: {ask(ALIAS, PORT, "v4") for _ in range(30)} == {
        "east", "west", "south"}, "all three to be used")
    trio[1].kill()
    # Refused connections go on to another endpoint within the call: the program never sees one.
    assert {ask(ALIAS, PORT, "v4") for _ in range(30)} == {"east", "south"}
    before = lab.status(redisteer, config, "cache")["by_name"]["west"]["connects"]
    assert {ask(ALIAS, PORT, "v4") for _ in range(30)} == {"east", "south"}
    after = lab.status(redisteer, config, "cache")["by_name"]["west"]["connects"]
    assert after["refused"] - before["refused"] <= 1  # a trial of the breaker at most
    trio[1].start()
    lab.wait_for(lambda: "west" in {ask(ALIAS, PORT, "v4") for _ in range(10)},
                 "west to be used again")


@pytest.mark.parametrize("strategy", SPREADING)
def test_no_endpoint_is_the_active_one(strategy, trio, preload, config_of, redisteer, start_asker):
    config = config_of(trio, strategy)
    start_asker(preload, config)(ALIAS, PORT, "v4")
    service = lab.status(redisteer, config, "cache")
    assert (service["strategy"], service["active"], service["switches"]) == (strategy, None, 0)
    text = redisteer("status", config=config).stdout
    assert f"strategy {strategy}" in text and "active -" in text
    explained = redisteer("explain", f"{ALIAS}:{PORT}", config=config).stdout
    assert f"it is its turn (strategy {strategy})" in explained
    assert redisteer("endpoint", "cache", config=config).stdout.strip() in [
        server.address for server in trio]


def test_first_goes_by_the_order_of_the_file(trio, preload, config_of, redisteer, start_asker):
    east, west, _ = trio
    config = config_of(trio, "first", "failback { grace = 0s }\n"
                       "health { interval = 100ms  fast_interval = 50ms }", weights=(1, 2, 3))
    ask = start_asker(preload, config)
    assert ask(ALIAS, PORT, "v4") == "east"
    east.kill()
    assert ask(ALIAS, PORT, "v4") == "west"
    east.start()
    lab.wait_for(lambda: ask(ALIAS, PORT, "v4") == "east", "the way home")


def test_least_connections_counts_what_the_kernel_has(trio, preload, config_of, redisteer,
                                                      start_program, start_asker):
    """Connections of another program, and those of one that was killed, are seen."""
    config = config_of(trio[:2], "least-connections")
    with contextlib.ExitStack() as held:
        for _ in range(20):
            held.enter_context(socket.create_connection((trio[0].host, trio[0].port)))
        ask = start_asker(preload, config)
        lab.wait_for(lambda: [ask(ALIAS, PORT, "v4") for _ in range(8)] == ["west"] * 8,
                     "connections to go to west alone")
    keeper = start_program([lab.BUILT_CLIENTS / "many_connects", 1, 1, 12, ALIAS, PORT, "keep"],
                           env=preload.environment(config), stdin=-1)
    assert keeper.stdout.readline() == "failed 0\n"
    west = connects(redisteer, config)["west"]
    keeper.kill()
    keeper.wait()
    # Now both have none again but what the killed one's children hold; those are ended by it.
    lab.wait_for(lambda: {ask(ALIAS, PORT, "v4") for _ in range(4)} == {"east", "west"},
                 "both to be used")
    assert connects(redisteer, config)["west"] > west


def test_a_zone_comes_before_the_strategy(trio, preload, write_config, redisteer, start_asker):
    east, west, south = trio
    config = write_config(f"""zone = z1
service cache {{
    match = {{ "{ALIAS}:{PORT}" }}
    strategy = round-robin
    health {{ interval = 100ms  fast_interval = 50ms }}
    endpoint east {{ address = "{east.address}" }}
    endpoint west {{ address = "{west.address}"  zone = z1 }}
    endpoint south {{ address = "{south.address}"  zone = z1 }}
}}
""")
    ask = start_asker(preload, config)
    ask(ALIAS, PORT, "v4")
    await_all_healthy(redisteer, config)
    assert {ask(ALIAS, PORT, "v4") for _ in range(10)} == {"west", "south"}
    west.kill()
    south.kill()
    assert {ask(ALIAS, PORT, "v4") for _ in range(10)} == {"east"}


class Delay:
    """A relay that holds every answer back, as distance does: latency cannot be had on loopback."""

    def __init__(self, server, delay):
        self.server, self.delay = server, delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=[client], daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError), client, \
                socket.create_connection((self.server.host, self.server.port)) as upstream:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.back, args=[upstream, client], daemon=True).start()
            while data := client.recv(65536):
                upstream.sendall(data)

    def back(self, upstream, client):
        with contextlib.suppress(OSError):
            while data := upstream.recv(65536):
                time.sleep(self.delay)
                client.sendall(data)

    def close(self):
        self.listener.close()


def test_latency_follows_the_fastest_and_not_at_once(trio, preload, write_config, redisteer,
                                                     start_asker):
    near, far = Delay(trio[0], 0.002), Delay(trio[1], 0.030)
    config = write_config(lab.service("cache", [f"{ALIAS}:{PORT}"], {
        "east": (near.address, 1), "west": (far.address, 1)},
        "strategy = latency\nhealth { interval = 100ms }"))
    try:
        ask = start_asker(preload, config)
        assert ask(ALIAS, PORT, "v4") == "east"

        def measured():
            by_name = lab.status(redisteer, config, "cache")["by_name"]
            return all(endpoint["checks_ok"] >= 3 for endpoint in by_name.values())

        lab.wait_for(measured, "the latencies to be known")
        near.delay, far.delay = 0.060, 0.004
        began = time.monotonic()
        lab.wait_for(lambda: ask(ALIAS, PORT, "v4") == "west", "the faster one to take over",
                     timeout=40)
        lab.figure(f"the faster endpoint took over after {time.monotonic() - began:.1f} s")
        assert time.monotonic() - began >= 5
        [switch] = lab.events(redisteer, config, "failback")
        assert (switch["from"], switch["to"], switch["reason"]) == ("east", "west", "failback")
        assert switch["detail"] == "west: faster for 5 s"
    finally:
        near.close()
        far.close()


# ---- connect.rate ----


def received(connection):
    text = lab.resp(connection, "INFO", "stats")
    return int(text.split("total_connections_received:")[1].split()[0])


def test_a_herd_is_paced(trio, preload, config_of, redisteer, start_program):
    """500 programs lose their server at once; the next one gets 50 connections a second."""
    east, west, _ = trio
    herd, rate = 500, 50
    config = config_of(trio[:2], "priority", f"connect {{ rate = {rate} }}", weights=(2, 1))
    program = start_program([lab.BUILT_CLIENTS / "many_connects", herd, 1, 1, ALIAS, PORT, "herd"],
                            env=preload.environment(config))
    assert program.stdout.readline() == "connected\n", program.stderr.read()
    with socket.create_connection((west.host, west.port)) as watcher:
        before = received(watcher)
        east.kill()
        lab.wait_for(lambda: received(watcher) - before >= rate, "the first second's worth")
        first, began = received(watcher), time.monotonic()
        lab.wait_for(lambda: received(watcher) - before >= herd * 0.9, "nearly all", timeout=60)
        last, ended = received(watcher), time.monotonic()
    measured = (last - first) / (ended - began)
    assert program.wait(timeout=60) == 0, program.stderr.read()
    output = program.stdout.read()
    lab.figure(f"rate = {rate}: {measured:.1f} connections a second; {output.split()}")
    assert "failed 0" in output
    assert abs(measured - rate) <= rate / 10


def test_a_signal_ends_the_wait_for_a_place(trio, preload, config_of, start_program):
    """One connection a second: the third call waits, and is interrupted as connect() would be."""
    config = config_of(trio[:1], "priority", "connect { rate = 1 }", weights=(1,))
    program = f"""
import signal, socket, time
signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
held = [socket.create_connection(("{ALIAS}", {PORT})) for _ in range(2)]
signal.setitimer(signal.ITIMER_REAL, 0.2)
start = time.monotonic()
try:
    while True:
        held.append(socket.create_connection(("{ALIAS}", {PORT})))
except ZeroDivisionError:
    print(len(held) < 4 and time.monotonic() - start < 3)
"""
    result = preload.run([lab.PYTHON, "-c", program], config)
    assert (result.stdout, result.stderr) == ("True\n", "")
