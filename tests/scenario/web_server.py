"""An HTTP or HTTPS server for tests: answers what it is told to, and remembers what it was asked."""

import base64
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class WebServer:
    """`answer(request) -> (status, body)`; request: path, query, headers. In threads of this process."""

    def __init__(self, answer, certificate=None, clients_of=None):
        self.requests = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                outer.connections += 1
                super().setup()

            def do_GET(self):  # noqa: N802
                split = urlsplit(self.path)
                request = {"path": split.path, "query": parse_qs(split.query), "raw": self.path,
                           "headers": dict(self.headers)}
                outer.requests.append(request)
                status, body, *headers = answer(request)
                self.send_response(status)
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, certificate))
            if clients_of:
                context.load_verify_locations(str(clients_of))
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
            self.scheme = "https"
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path="", host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Cluster:
    """The REST API of a Redis Enterprise cluster, as far as a lag check asks: databases, and what is
    wrong with each endpoint. `lag_ms`: how far it is behind."""

    def __init__(self, user="rest", password="s3cret-rest"):
        self.authorization = basic(user, password)
        self.databases = []
        self.trouble = {}  # uid -> (status, error_code or body)
        self.lag_ms = {}
        self.looked_up = 0

    def add(self, uid, dns_name, port, addr=("10.0.0.1",)):
        self.databases.append({"uid": uid, "endpoints": [
            {"dns_name": dns_name, "addr": list(addr), "port": port, "uid": f"{uid}:1"}]})

    def answer(self, request):
        assert request["headers"].get("Accept") == "application/json"
        if request["headers"].get("Authorization") != self.authorization:
            return 401, b""
        parts = request["path"].strip("/").split("/")
        if parts == ["v1", "bdbs"]:
            if request["query"] != {"fields": ["uid,endpoints"]}:
                return 400, b"{}"
            self.looked_up += 1
            return 200, json.dumps(self.databases).encode()
        if parts[:3] == ["v1", "local", "bdbs"] and parts[4:] == ["endpoint", "availability"]:
            return self.availability(int(parts[3]), request["query"])
        return 404, b""

    def availability(self, uid, query):
        if uid not in [database["uid"] for database in self.databases]:
            return self.error(404, "db_not_found")
        if uid in self.trouble:
            status, what = self.trouble[uid]
            return (status, what) if isinstance(what, bytes) else self.error(status, what)
        if query.get("extend_check") == ["lag"]:
            if self.lag_ms.get(uid, 0) > int(query["availability_lag_tolerance_ms"][0]):
                return 503, b"{}"
        return 200, b""

    @staticmethod
    def error(status, code):
        return status, json.dumps({"error_code": code, "description": "for people"}).encode()
