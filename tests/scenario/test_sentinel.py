"""
Programs that know one name and nothing of Sentinel follow the master that Sentinels choose: as soon
as it is writable, never to a server that is not the master any more, and whatever a minority says.

REDISTEER_SENTINEL_RUNS says how often the faults are repeated (default 1).
"""

import os
import threading
import time

import pytest

import lab
from sentinels import (MASTER, Group, Liar, Sentinel, Writer, await_active, await_demotion, await_promotion,
                       endpoint_name, role, service, settle, start_quietly, writes_of)

RUNS = int(os.environ.get("REDISTEER_SENTINEL_RUNS", "1"))
BOUND = 0.3  # seconds that may pass after the promotion


@pytest.fixture
def group(start_redis, tmp_path):
    lab.need("redis-sentinel")
    group = Group(start_redis, tmp_path)
    yield group
    group.stop()


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_writes_go_on_as_soon_as_the_new_master_is_writable(fault, group, preload, write_config,
                                                            start_program, redisteer):
    config = write_config(service(group.sentinels))
    writer = Writer(start_program, preload, config)
    await_active(redisteer, config, group.master)

    for run in range(RUNS):
        old, began = group.master, time.monotonic()
        if fault == "kill":
            old.kill()
        else:
            old.process.send_signal(lab.signal.SIGSTOP)
        new, promoted = await_promotion(group.replicas())
        _, again = writer.gap_over(promoted)
        lab.figure(f"{fault}: promoted after {promoted - began:.3f} s, "
                   f"written again {again - promoted:.3f} s later")
        assert again - promoted <= BOUND

        if fault == "kill":
            old.process = None
            start_quietly(old)
            await_demotion(old, allowed=0)
        else:
            before = 1  # the request that was under way when it froze
            old.process.send_signal(lab.signal.SIGCONT)
            before += writes_of(old)
            await_demotion(old, allowed=before)
        group.master = new
        if run + 1 < RUNS:
            settle(group)
    writer.stop()
    assert not [error for error in writer.errors() if "READONLY" in error[2]]


ONCE = """
import time, redis
client = redis.Redis("redis.test")
begun = time.monotonic()
client.connection_pool.release(client.connection_pool.get_connection("_"))
print(f"{(time.monotonic() - begun) * 1000:.1f}")
print(client.incr("counter"))
"""


def test_programs_of_a_moment_find_the_master_that_nobody_watched(group, preload, write_config,
                                                                  redisteer):
    """Nobody checked while the master changed: what was known of it is old."""
    config = write_config(service(group.sentinels))
    assert preload.run([lab.PYTHON, "-c", ONCE], config).returncode == 0

    old = group.master
    old.kill()
    group.master, _ = await_promotion(group.replicas())
    start_quietly(old)
    lab.wait_for(lambda: role(old) == "slave", "the old master to be a replica",
                 timeout=2 * lab.PATIENCE, pause=0.1)
    lab.wait_for(lambda: {endpoint["health"] for endpoint in
                          lab.status(redisteer, config, "cache")["endpoints"]} == {"unknown"},
                 "the verdicts to be old", pause=0.1)
    for number in range(2, 12):
        result = preload.run([lab.PYTHON, "-c", ONCE], config)
        assert result.stderr == ""
        connected_ms, counter = result.stdout.split()
        assert counter == str(number)
        if number == 2:
            lab.figure(f"connected in {connected_ms} ms, first asking who is the master")


def test_silence_of_all_sentinels_changes_nothing(group, preload, write_config, start_program,
                                                  redisteer):
    config = write_config(service(group.sentinels))
    writer = Writer(start_program, preload, config)
    await_active(redisteer, config, group.master)

    for sentinel in group.sentinels:
        sentinel.kill()

    def all_troubled():
        sources = lab.status(redisteer, config, "cache")["discovery"]["sources"]
        return all(not source["well"] and source["last_error"] == "connection refused"
                   for source in sources)
    lab.wait_for(all_troubled, "the silence to be noticed", pause=0.1)
    state = lab.status(redisteer, config, "cache")
    assert state["active"] == endpoint_name(group.master)
    assert len(state["endpoints"]) == 3
    # Who comes new finds its way too.
    assert preload.run([lab.PYTHON, "-c", "import redis; redis.Redis('redis.test').incr('counter')"],
                       config).returncode == 0
    writer.stop()
    assert not writer.errors() and not [gap for gap in writer.gaps() if gap[1] - gap[0] > 0.5]
    troubles = [event for event in lab.events(redisteer, config, "discovery")
                if event["reason"] == "connection refused"]
    assert len(troubles) == 3


def test_a_minority_that_lies_changes_nothing(group, start_redis, preload, write_config,
                                              start_program, redisteer):
    rogue = start_redis("rogue")
    liar = Liar(rogue)
    config = write_config(service([*group.sentinels[:2], liar]))
    writer = Writer(start_program, preload, config)
    await_active(redisteer, config, group.master)
    lab.wait_for(lambda: liar.subscribers and liar.asked > 2, "the liar to be asked")

    for _ in range(3):
        liar.announce(group.master)
        asked = liar.asked
        lab.wait_for(lambda: liar.asked > asked, "the others to be asked what they say")
    # One of those that tell the truth falls silent: the other two are of two minds.
    group.sentinels[0].kill()
    asked = liar.asked
    lab.wait_for(lambda: liar.asked > asked + 2, "the liar to be asked again")

    state = lab.status(redisteer, config, "cache")
    assert state["active"] == endpoint_name(group.master)
    assert endpoint_name(rogue) not in state["by_name"]
    assert state["discovery"]["master"] == group.master.address
    assert state["switches"] == 0
    writer.stop()
    assert not writer.errors()
    assert writes_of(rogue) == 0
    liar.close()


def test_planned_failover_costs_each_writer_one_error(group, preload, write_config, start_program,
                                                      redisteer):
    config = write_config(service(group.sentinels))
    writers = [Writer(start_program, preload, config) for _ in range(4)]
    await_active(redisteer, config, group.master)

    old = group.master
    assert group.sentinels[0].command("SENTINEL", "FAILOVER", MASTER) == "OK"
    new, _ = await_promotion(group.replicas())
    await_active(redisteer, config, new)
    settled = writes_of(old)
    await_demotion(old, allowed=settled + len(writers))
    group.master = new
    for writer in writers:
        writer.stop()
        errors = writer.errors()
        assert len(errors) <= 1, errors
        longest = max((gap[1] - gap[0] for gap in writer.gaps()), default=0)
        lab.figure(f"planned failover: {len(errors)} error(s), longest gap {longest * 1000:.0f} ms")
    last = lab.status(redisteer, config, "cache")["last_switch"]
    assert (last["to"], last["reason"]) == (endpoint_name(new), "sentinel")


class Chatter:
    """One of the writers of tests/scenario/clients; counts the errors that it tells of."""

    def __init__(self, start_program, preload, config, argv):
        self.program = start_program(preload.argv([*argv, "redis.test", "6379"]),
                                     env=preload.environment(config))
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.program.stdout:
            self.lines.append(line.rstrip("\n"))

    def writes(self):
        return any(line.startswith("server ") for line in self.lines)

    def errors(self):
        return [line for line in self.lines if line.startswith("error ")]


def readonly_errors(server):
    for line in server.command("INFO", "errorstats").splitlines():
        if line.startswith("errorstat_READONLY:"):
            return int(line.split("count=")[1])
    return 0


def test_planned_failover_under_writers_in_three_languages(group, preload, write_config,
                                                           start_program, redisteer):
    config = write_config(service(group.sentinels))
    kinds = [[lab.PYTHON, lab.CLIENTS / "redis_py_writer.py"], [lab.BUILT_CLIENTS / "hiredis_writer"],
             [lab.need("node"), lab.CLIENTS / "node_writer.js"]]
    writers = [Chatter(start_program, preload, config, kinds[i % 3]) for i in range(20)]
    lab.wait_for(lambda: all(writer.writes() for writer in writers), "all writers to write")
    await_active(redisteer, config, group.master)

    old = group.master
    assert group.sentinels[0].command("SENTINEL", "FAILOVER", MASTER) == "OK"
    new, _ = await_promotion(group.replicas())
    await_active(redisteer, config, new)
    lab.wait_for(lambda: role(old) == "slave", "the old master to be demoted",
                 timeout=2 * lab.PATIENCE, pause=0.1)
    group.master = new
    new.command("SET", "name", "stop")
    for writer in writers:
        assert writer.program.wait(lab.PATIENCE) == 0
        writer.reader.join(lab.PATIENCE)
        assert len(writer.errors()) <= 1, writer.errors()
    assert [readonly_errors(server) for server in group.servers] == [0, 0, 0]
    lab.figure(f"20 writers in 3 languages: {sum(len(writer.errors()) for writer in writers)} "
               "error(s) in all, no READONLY")


def test_a_monitor_follows_them_too(group, preload, write_config, start_program, redisteer):
    config = write_config(service(group.sentinels))
    start_program([lab.REDISTEER, "monitor"], env=preload.environment(config, LD_PRELOAD=""))
    lab.wait_for(lambda: redisteer("status", config=config).returncode == 0, "its publication")
    lab.wait_for(lambda: (leader := lab.status(redisteer, config)["leader"])
                 and leader["kind"] == "process", "the monitor to check")
    writer = Writer(start_program, preload, config)
    await_active(redisteer, config, group.master)
    lab.wait_for(lambda: all(source["well"] for source in
                             lab.status(redisteer, config, "cache")["discovery"]["sources"]),
                 "the Sentinels to be heard")

    group.master.kill()
    new, promoted = await_promotion(group.replicas())
    _, again = writer.gap_over(promoted)
    assert again - promoted <= BOUND
    await_active(redisteer, config, new)
    writer.stop()
    assert lab.status(redisteer, config)["leader"]["kind"] == "process"


def test_a_second_service_reads_from_the_replicas(group, preload, write_config, redisteer):
    addresses = ", ".join(f"127.0.0.1:{sentinel.port}" for sentinel in group.sentinels)
    config = write_config(service(group.sentinels) + f"""service reads {{
        match = {{ reads.test }}  strategy = round-robin  resolve = virtual
        discover {{ sentinels = {{ {addresses} }}  master_name = {MASTER} }}
        health {{ role = replica }} }}""")
    asked = preload.run([lab.PYTHON, "-c", READ_AND_WRITE], config)
    assert asked.returncode == 0, asked.stderr
    ports = asked.stdout.split()
    assert ports[0] == str(group.master.port)
    assert set(ports[1:]) == {str(replica.port) for replica in group.replicas()}


READ_AND_WRITE = """
import redis, time
def port(name):
    client = redis.Redis(name)
    number = client.info("server")["tcp_port"]
    client.close()
    return number
port("redis.test"), port("reads.test")  # from here on endpoints are checked
time.sleep(1)
print(port("redis.test"))
for _ in range(6):
    print(port("reads.test"))
"""


def test_discovered_servers_merge_with_those_of_the_file(group, preload, write_config, redisteer):
    options = f"    endpoint known {{ address = {group.master.address} }}"
    config = write_config(service(group.sentinels, options))
    assert redisteer("reload", config=config).returncode == 0
    state = lab.status(redisteer, config, "cache")
    sources = {name: endpoint["source"] for name, endpoint in state["by_name"].items()}
    assert sources == {"known": "file", **{endpoint_name(replica): "sentinel"
                                           for replica in group.replicas()}}


def test_a_server_that_comes_or_goes_is_followed(group, start_redis, preload, write_config,
                                                 start_program, redisteer):
    config = write_config(service(group.sentinels, discover="        refresh = 1s"))
    writer = Writer(start_program, preload, config)
    await_active(redisteer, config, group.master)
    checks = lab.status(redisteer, config, "cache")["by_name"][
        endpoint_name(group.master)]["checks_ok"]
    fourth = start_redis("four")
    fourth.command("REPLICAOF", group.master.host, group.master.port)
    lab.wait_for(lambda: endpoint_name(fourth) in lab.status(redisteer, config, "cache")["by_name"],
                 "the new replica to be an endpoint", timeout=2 * lab.PATIENCE, pause=0.1)

    gone = group.replicas()[0]
    gone.kill()
    for sentinel in group.sentinels:
        sentinel.command("SENTINEL", "RESET", MASTER)
    lab.wait_for(lambda: endpoint_name(gone) not in
                 lab.status(redisteer, config, "cache")["by_name"],
                 "the dead replica to vanish", timeout=2 * lab.PATIENCE, pause=0.1)
    after = lab.status(redisteer, config, "cache")["by_name"][endpoint_name(group.master)]
    assert after["checks_ok"] > checks  # its live state was left alone
    writer.stop()
    assert not writer.errors()


def test_a_password_and_a_nat_map(group, tmp_path, preload, write_config, redisteer):
    guarded = Sentinel("guarded", tmp_path, group.master, password="s3cret")
    guarded.start()
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    far = lab.free_port()
    config = write_config(service([guarded], discover=(
        f"        password_file = {password}\n"
        f"        nat_map = {{ \"127.0.0.1:{group.master.port}=10.1.2.3:{far}\" }}")))
    try:
        def found():
            redisteer("reload", config=config)
            return lab.status(redisteer, config, "cache")["discovery"]["master"]
        assert lab.wait_for(found, "the guarded Sentinel to be heard") == f"10.1.2.3:{far}"
        assert f"10.1.2.3-{far}" in lab.status(redisteer, config, "cache")["by_name"]
    finally:
        guarded.stop()


def test_a_discovery_service_without_replicas_and_messages(start_redis, preload, write_config,
                                                           redisteer):
    """As Redis Enterprise has it on port 8001 of each node: one address, one master."""
    server = start_redis("database")
    service_at = Liar(server)
    config = write_config(service([service_at]))
    asked = preload.run([lab.PYTHON, "-c", "import redis; print(redis.Redis('redis.test', "
                         "decode_responses=True).get('name'))"], config)
    assert asked.stdout.strip() == "database", asked.stderr
    assert lab.status(redisteer, config, "cache")["discovery"]["master"] == server.address
    service_at.close()


def test_a_master_that_restarts_in_time_is_the_master(group, preload, write_config, start_program,
                                                      redisteer):
    """Nobody was going to choose another one: its Sentinels say so, and it is not kept waiting."""
    for sentinel in group.sentinels:  # however long a busy machine takes to start it again
        sentinel.command("SENTINEL", "SET", MASTER, "down-after-milliseconds", "30000")
    config = write_config(service(group.sentinels))
    writer = Writer(start_program, preload, config)
    await_active(redisteer, config, group.master)

    group.master.kill()
    lab.wait_for(lambda: lab.status(redisteer, config, "cache")["by_name"][
        endpoint_name(group.master)]["health"] == "unhealthy", "its absence to be noticed")
    start_quietly(group.master)
    up = time.monotonic()
    _, again = writer.gap_over(up)
    lab.figure(f"restarted in time: written again {(again - up) * 1000:.0f} ms after it answered")
    assert again - up < 2
    state = lab.status(redisteer, config, "cache")
    assert state["active"] == endpoint_name(group.master)
    assert state["switches"] == 0
    writer.stop()
