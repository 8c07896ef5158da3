"""Questions to a real name server (dnsmasq), as the monitor asks them: answers, reasons, bounds."""

import json
import subprocess

import pytest

import lab
from name_server import NameServer

ASKER = lab.BUILT_CLIENTS / "ask_dns"
pytestmark = pytest.mark.skipif(not ASKER.exists(), reason="built without c-ares")


@pytest.fixture
def server(tmp_path):
    server = NameServer(tmp_path)
    server.addresses = {"one.test": ["10.1.1.1"], "six.test": ["fd00::6"],
                        "both.test": ["10.1.1.3", "10.1.1.2", "fd00::2"]}
    yield server
    server.stop()


def ask(server, *words, ms=2000, **more):
    environment = {**lab.plain_environment(), **server.environment, **more}
    done = subprocess.run([str(ASKER), str(ms), *words], env=environment, capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def addresses(answer):
    return [address for host in answer["hosts"] for address in host["addresses"]]


def test_a_name_has_addresses_of_both_families(server):
    server.start()
    assert addresses(ask(server, "one.test")) == ["10.1.1.1:6379"]
    assert addresses(ask(server, "six.test")) == ["[fd00::6]:6379"]
    answer = ask(server, "both.test")
    assert sorted(addresses(answer)) == ["10.1.1.2:6379", "10.1.1.3:6379", "[fd00::2]:6379"]
    assert answer["found"] and answer["hosts"][0]["unanswered"] == 0
    lab.figure(f"two families of a name asked in {answer['ms']} ms")


def test_the_order_of_the_answer_does_not_matter(server):
    server.addresses["many.test"] = [f"10.2.0.{i}" for i in range(1, 31)]
    server.start()
    answers = {tuple(addresses(ask(server, "many.test"))) for _ in range(5)}
    assert len(answers) == 1, "name servers rotate; the same set is the same"
    assert answers.pop() == tuple(f"10.2.0.{i}:6379" for i in range(1, 17)), "no more than fit"


def test_the_time_to_live_comes_with_the_answer(server):
    server.ttl = 7
    server.start()
    assert ask(server, "both.test")["ttl"] == 7


def test_a_number_is_no_question(server):
    server.start()
    answer = ask(server, "fd00::9")
    assert addresses(answer) == ["[fd00::9]:6379"]
    assert answer["ttl"] is None


def test_the_hosts_file_needs_no_name_server(server):
    server.start()
    server.kill()
    with open("/etc/hosts") as stream:
        lines = [line.split("#")[0].split() for line in stream]
    known = [(words[1], words[0]) for words in lines if len(words) > 1 and "localhost" not in words[1]]
    if not known:
        pytest.skip("/etc/hosts names no host but localhost")
    name, address = known[0]
    answer = ask(server, name)
    assert any(address in found for found in addresses(answer))
    assert answer["ttl"] is None


def test_srv_brings_hosts_with_priority_weight_and_port(server):
    server.ttl = 9
    server.services["_redis._tcp.x.test"] = [("one.test", 7003, 20, 0), ("both.test", 7002, 10, 5),
                                             ("six.test", 7001, 10, 60)]
    server.start()
    answer = ask(server, "srv", "_redis._tcp.x.test")
    assert answer["found"] and answer["ttl"] == 9
    assert [(h["name"], h["port"], h["priority"], h["weight"]) for h in answer["hosts"]] == [
        ("both.test", 7002, 10, 5), ("six.test", 7001, 10, 60), ("one.test", 7003, 20, 0)]
    assert sorted(answer["hosts"][0]["addresses"]) == ["10.1.1.2:7002", "10.1.1.3:7002", "[fd00::2]:7002"]
    assert answer["hosts"][1]["addresses"] == ["[fd00::6]:7001"]
    assert answer["hosts"][2]["addresses"] == ["10.1.1.1:7003"]


def test_a_host_of_srv_without_address_is_told_and_hides_no_other(server):
    server.services["_redis._tcp.x.test"] = [("gone.test", 7001, 1, 0), ("one.test", 7002, 2, 0)]
    server.start()
    answer = ask(server, "srv", "_redis._tcp.x.test")
    assert answer["found"]
    assert [host["cause"] for host in answer["hosts"]] == ["the name does not exist (NXDOMAIN)", "found"]


def test_more_srv_records_than_fit_come_by_tcp_and_the_best_stay(server):
    server.addresses.update({f"host-with-a-long-name-{i:02}.test": [f"10.3.0.{i}"] for i in range(40)})
    server.services["_redis._tcp.x.test"] = [(f"host-with-a-long-name-{i:02}.test", 7000 + i, 40 - i, 1)
                                             for i in range(40)]
    server.start()
    answer = ask(server, "srv", "_redis._tcp.x.test")
    assert [host["port"] for host in answer["hosts"]] == [7000 + i for i in range(39, 23, -1)]
    assert all(len(host["addresses"]) == 1 for host in answer["hosts"])


def test_what_srv_calls_not_offered_is_empty(server):
    server.services["_redis._tcp.x.test"] = [("", 0, 0, 0)]
    server.start()
    answer = ask(server, "srv", "_redis._tcp.x.test")
    assert not answer["found"] and answer["cause"] == "the answer is empty"


@pytest.mark.parametrize("kind", [[], ["srv"]])
def test_each_failure_has_its_reason(server, kind):
    server.empty = ["empty.test"]
    server.failing = ["broken.test"]
    server.start()
    reasons = {name: ask(server, *kind, name) for name in
               ("gone.test", "empty.test", "broken.test", "somewhere.example")}
    assert {name: answer["cause"] for name, answer in reasons.items()} == {
        "gone.test": "the name does not exist (NXDOMAIN)",
        "empty.test": "the answer is empty",
        "broken.test": "the name server cannot tell (SERVFAIL)",
        "somewhere.example": "the name server refuses to tell (REFUSED)",
    }
    assert not any(answer["found"] for answer in reasons.values())
    assert not any(addresses(answer) for answer in reasons.values())


@pytest.mark.parametrize("kind", [[], ["srv"]])
def test_a_silent_name_server_costs_the_patience_and_no_more(server, kind):
    server.start()
    server.freeze()
    answer = ask(server, *kind, "one.test", ms=700)
    server.freeze(False)
    assert answer["cause"] == "no name server answered in time"
    assert 400 <= answer["ms"] <= 900
    lab.figure(f"silence given up after {answer['ms']} ms of 700")


def test_a_dead_name_server_is_told(server):
    server.start()
    server.kill()
    answer = ask(server, "one.test")
    assert answer["cause"] == "no name server can be reached"
    lab.figure(f"a dead name server known after {answer['ms']} ms of 2000")


def test_the_second_name_server_answers_for_the_first(server):
    server.failing = ["one.test"]
    server.start()
    answer = ask(server, "both.test",
                 REDISTEER_NAME_SERVERS=f"127.0.0.1:{lab.free_port()},127.0.0.1:{server.port}")
    assert len(addresses(answer)) == 3


def test_a_list_of_name_servers_that_is_none_is_told(server):
    server.start()
    answer = ask(server, "one.test", REDISTEER_NAME_SERVERS="not an address")
    assert answer["cause"] == "REDISTEER_NAME_SERVERS is no list of addresses"


def test_the_library_does_not_know_c_ares():
    needed = subprocess.run(["readelf", "-d", str(lab.LIBRARY)], capture_output=True, text=True).stdout
    assert "cares" not in needed
