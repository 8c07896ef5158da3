"""Health checks over TLS with real redis-servers, and each way in which TLS can go wrong."""

import shutil
import subprocess

import pytest

import lab
from certificates import Authority
from test_monitor import (endpoint, start_monitor, wait_event, wait_health,  # noqa: F401
                          wait_published)

QUICK = "health { interval = 100ms  fast_interval = 50ms  timeout = 1s }"


class TlsRedis(lab.Redis):
    """A redis-server that speaks TLS on one port, and the plain protocol on a second one, to us."""

    def __init__(self, directory, name, certificate, ca, wants_certificate=False, options=()):
        super().__init__(name, directory)
        self.certificate, self.ca, self.wants_certificate = certificate, ca, wants_certificate
        self.options = options
        self.tls_port = None

    def start(self):
        self.port, self.tls_port = lab.free_ports(2)
        cert, key = self.certificate
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--tls-port", str(self.tls_port),
             "--bind", self.host, "--save", "", "--dir", str(self.directory), "--logfile", "redis.log",
             "--tls-cert-file", str(cert), "--tls-key-file", str(key),
             "--tls-ca-cert-file", str(self.ca), "--tls-auth-clients",
             "yes" if self.wants_certificate else "no", *self.options],
            env=lab.plain_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        lab.wait_for(self._answers, f"redis-server {self.name} to answer")
        return self


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def start_tls_redis(tmp_path):
    servers = []

    def start(name, certificate, ca, **options):
        servers.append(TlsRedis(tmp_path, name, certificate, ca, **options))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def config_of(write_config):
    """config_of(port, tls options) -> file with one endpoint, east, over TLS."""

    def write(port, tls, match="redis.test", more="", endpoint_options=""):
        return write_config(f"""service cache {{
            match = {{ {match} }}
            endpoint east {{ address = 127.0.0.1:{port}  {endpoint_options}
                             tls {{ enabled = true  {tls} }} }}
            {QUICK} {more} }}""")

    return write


def expect_text(redisteer, config, text):
    """East is unhealthy, for this reason, in the event, the status and the history."""
    wait_published(redisteer, config)
    event = wait_event(redisteer, config, "health", "east to be unhealthy", endpoint="east",
                       to="unhealthy")
    assert event["reason"] == text
    assert endpoint(redisteer, config, "east")["last_error"] == text
    assert text in redisteer("status", "--history", config=config).stdout


@pytest.mark.parametrize("probe", ["ping", "echo", "tcp", "disk"])
def test_every_redis_check_passes(probe, authority, start_tls_redis, config_of, start_monitor,  # noqa: F811
                                  redisteer):
    server = start_tls_redis("east", authority.sign("server"), authority.cert)
    config = config_of(server.tls_port, f"ca = {authority.cert}",
                       more=f"}}\ncheck disk {{ type = write").with_suffix(".conf")
    config.write_text(config.read_text().replace("timeout = 1s", f"timeout = 1s  probe = {probe}"))
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > 5, "more checks")
    assert endpoint(redisteer, config, "east")["checks_failed"] == 0


def test_one_connection_is_kept(authority, start_tls_redis, config_of, start_monitor,  # noqa: F811
                                redisteer):
    server = start_tls_redis("east", authority.sign("server"), authority.cert)
    config = config_of(server.tls_port, f"ca = {authority.cert}")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["checks_ok"] > 10, "more checks")
    stats = dict(line.split(":") for line in server.command("INFO", "stats").split()
                 if ":" in line)
    clients = server.command("CLIENT", "LIST").splitlines()
    assert len([line for line in clients if f":{server.tls_port} " in line]) == 1, clients
    assert int(stats["total_commands_processed"]) > 10


def test_the_password_is_sent_over_tls(authority, start_tls_redis, config_of,  # noqa: F811
                                       start_monitor, redisteer, tmp_path):
    server = start_tls_redis("east", authority.sign("server"), authority.cert)
    server.command("CONFIG", "SET", "requirepass", "right")
    secret = tmp_path / "secret"
    secret.write_text("right\n")
    secret.chmod(0o600)
    config = config_of(server.tls_port, f"ca = {authority.cert}",
                       endpoint_options=f"password_file = {secret}")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")
    assert lab.events(redisteer, config, "check") == []


# ---- the server's certificate ----

def test_an_expired_certificate(authority, start_tls_redis, config_of, start_monitor,  # noqa: F811
                                redisteer):
    server = start_tls_redis("east", authority.sign("server", expired=True), authority.cert)
    config = config_of(server.tls_port, f"ca = {authority.cert}")
    start_monitor(config)
    expect_text(redisteer, config, "TLS: the server's certificate has expired")


def test_a_certificate_for_another_name(authority, start_tls_redis, config_of,  # noqa: F811
                                        start_monitor, redisteer):
    server = start_tls_redis("east", authority.sign("server", names=["other.test"]), authority.cert)
    config = config_of(server.tls_port, f"ca = {authority.cert}")
    start_monitor(config)
    expect_text(redisteer, config, "TLS: the server's certificate is for another name")


def test_a_certificate_of_an_unknown_ca(authority, start_tls_redis, config_of,  # noqa: F811
                                        start_monitor, redisteer, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    server = start_tls_redis("east", Authority(other).sign("server"), authority.cert)
    config = config_of(server.tls_port, f"ca = {authority.cert}")
    start_monitor(config)
    expect_text(redisteer, config, "TLS: the server's certificate is of an unknown CA")


def test_the_systems_cas_do_not_know_ours(authority, start_tls_redis, config_of,  # noqa: F811
                                          start_monitor, redisteer):
    server = start_tls_redis("east", authority.sign("server"), authority.cert)
    config = config_of(server.tls_port, "")
    start_monitor(config)
    expect_text(redisteer, config, "TLS: the server's certificate is of an unknown CA")


def test_verify_false_takes_any_certificate(authority, start_tls_redis, config_of,  # noqa: F811
                                            start_monitor, redisteer):
    certificate = authority.sign("server", names=["other.test"], expired=True)
    server = start_tls_redis("east", certificate, authority.cert)
    config = config_of(server.tls_port, "verify = false")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")


@pytest.mark.parametrize("name, tls, match", [
    ("redis.test", "", "10.9.9.9, redis.test, second.test"),  # the first name of match
    ("given.test", "server_name = given.test", "redis.test"),
    ("127.0.0.1", "", "10.9.9.9"),  # no name: the endpoint's address
])
def test_whose_certificate_it_must_be(name, tls, match, authority, start_tls_redis,  # noqa: F811
                                      config_of, start_monitor, redisteer):
    is_ip = name[0].isdigit()
    certificate = authority.sign("server", names=[] if is_ip else [name], ips=[name] if is_ip else [])
    server = start_tls_redis("east", certificate, authority.cert)
    config = config_of(server.tls_port, f"ca = {authority.cert}  {tls}", match=match)
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")


# ---- our certificate ----

@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_missing_client_certificate(version, authority, start_tls_redis, config_of,  # noqa: F811
                                      start_monitor, redisteer):
    server = start_tls_redis("east", authority.sign("server"), authority.cert,
                             wants_certificate=True, options=["--tls-protocols", version])
    config = config_of(server.tls_port, f"ca = {authority.cert}")
    start_monitor(config)
    expect_text(redisteer, config, "TLS: the server wants a client certificate")


def test_a_client_certificate(authority, start_tls_redis, config_of, start_monitor,  # noqa: F811
                              redisteer):
    server = start_tls_redis("east", authority.sign("server"), authority.cert, wants_certificate=True)
    cert, key = authority.sign("client", names=["client.test"])
    config = config_of(server.tls_port, f"ca = {authority.cert}  cert = {cert}  key = {key}")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")


def test_a_client_certificate_that_is_refused(authority, start_tls_redis, config_of,  # noqa: F811
                                              start_monitor, redisteer, tmp_path):
    server = start_tls_redis("east", authority.sign("server"), authority.cert, wants_certificate=True)
    other = tmp_path / "other"
    other.mkdir()
    cert, key = Authority(other).sign("client", names=["client.test"])
    config = config_of(server.tls_port, f"ca = {authority.cert}  cert = {cert}  key = {key}")
    start_monitor(config)
    expect_text(redisteer, config, "TLS: the server refuses our client certificate")


# ---- neither ----

def test_a_server_that_speaks_no_tls(authority, start_redis, config_of, start_monitor,  # noqa: F811
                                     redisteer):
    """It takes the handshake for a line without an end, or for a wrong command."""
    config = config_of(start_redis("east").port, f"ca = {authority.cert}")
    config.write_text(config.read_text().replace("timeout = 1s", "timeout = 200ms"))
    start_monitor(config)
    wait_published(redisteer, config)
    event = wait_event(redisteer, config, "health", "east to be unhealthy", endpoint="east",
                       to="unhealthy")
    assert event["reason"] in ("does not speak TLS", "TLS: no handshake in time",
                               "TLS: the handshake failed")


def test_no_version_in_common(authority, start_tls_redis, config_of, start_monitor,  # noqa: F811
                              redisteer):
    server = start_tls_redis("east", authority.sign("server"), authority.cert,
                             options=["--tls-protocols", "TLSv1.1"])
    config = config_of(server.tls_port, f"ca = {authority.cert}")
    start_monitor(config)
    expect_text(redisteer, config, "TLS: no version or cipher in common")


def test_a_dead_server_is_refused(authority, start_tls_redis, config_of, start_monitor,  # noqa: F811
                                  redisteer):
    server = start_tls_redis("east", authority.sign("server"), authority.cert)
    config = config_of(server.tls_port, f"ca = {authority.cert}")
    start_monitor(config)
    wait_health(redisteer, config, east="healthy")
    server.kill()
    expect_text(redisteer, config, "connection refused")


def test_a_ca_file_that_is_no_good_is_no_verdict(authority, start_tls_redis, config_of,  # noqa: F811
                                                 start_monitor, redisteer, tmp_path):
    """Our own trouble says nothing about the server. The file is read again when it changes."""
    server = start_tls_redis("east", authority.sign("server"), authority.cert)
    ca = tmp_path / "trusted.pem"
    ca.write_text("no certificate\n")
    config = config_of(server.tls_port, f"ca = {ca}")
    start_monitor(config)
    wait_published(redisteer, config)
    lab.wait_for(lambda: endpoint(redisteer, config, "east")["last_error"]
                 == "TLS: the ca file cannot be used", "the reason")
    assert endpoint(redisteer, config, "east")["health"] == "unknown"
    shutil.copy(authority.cert, ca)
    wait_health(redisteer, config, east="healthy")


def test_a_renewed_client_certificate_is_used(authority, start_tls_redis, config_of,  # noqa: F811
                                              start_monitor, redisteer, tmp_path):
    server = start_tls_redis("east", authority.sign("server"), authority.cert, wants_certificate=True)
    cert, key = authority.sign("client", names=["client.test"], expired=True)
    config = config_of(server.tls_port, f"ca = {authority.cert}  cert = {cert}  key = {key}")
    start_monitor(config)
    expect_text(redisteer, config, "TLS: the server refuses our client certificate")
    authority.sign("client", names=["client.test"])
    wait_health(redisteer, config, east="healthy")


def test_switching_asks_over_tls(authority, start_tls_redis, config_of, redisteer):
    server = start_tls_redis("east", authority.sign("server", expired=True), authority.cert)
    config = config_of(server.tls_port, f"ca = {authority.cert}")
    assert redisteer("reload", config=config).returncode == 0
    refused = redisteer("switch", "cache", "east", config=config)
    assert refused.returncode == 1
    assert "TLS: the server's certificate has expired" in refused.stderr
