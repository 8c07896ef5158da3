"""
Programs that have nothing to do with Redis behave byte for byte the same under the library: with no
configuration file, with a broken one and with a good one.
"""

import functools
import http.server
import os
import subprocess
import threading

import pytest

import lab


@pytest.fixture(scope="module")
def web():
    """A web server on a free port of 127.0.0.1 that answers every request with the same bytes."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"the same bytes every time\n" * 1000
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


BASH = r"""
echo "$((6 * 7))"; echo to stderr >&2
seq 5 | sort -r | tr '\n' ' '
(exit 4) || echo "status $?"
sleep 0 & wait; trap 'echo bye' EXIT
exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && head -c 60 <&3
exec 3<>/dev/tcp/127.0.0.1/1 || exit 7
"""
GIT = r"""
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' \
    GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b \
    GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
rm -rf "$SCRATCH"/* && cd "$SCRATCH"
git init -q -b main one && cd one
seq 1000 > numbers && git add . && git commit -q -m first && git log --stat
cd .. && git clone -q "file://$PWD/one" two && git -C two log --oneline
git ls-remote "http://127.0.0.1:$PORT/none.git" || echo "status $?"
"""
PYTHON = r"""
import os, socket, subprocess, sys, threading, urllib.request
print(len(urllib.request.urlopen("http://127.0.0.1:%s/" % os.environ["PORT"]).read()))
workers = [threading.Thread(target=lambda: sys.stdout.flush()) for _ in range(10)]
[w.start() for w in workers]; [w.join() for w in workers]
print(subprocess.run(["echo", "child"], capture_output=True).stdout)
print(socket.socket().connect_ex(("127.0.0.1", 1)))
print(socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM))
print(socket.gethostbyname("localhost"), sorted(os.listdir("/proc/self/fd")))
sys.exit(5)
"""
NODE = r"""
const http = require('http');
http.get({ host: '127.0.0.1', port: process.env.PORT }, (response) => {
    let size = 0;
    response.on('data', (data) => { size += data.length; });
    response.on('end', () => {
        console.log(response.statusCode, size);
        require('net').connect(1, '127.0.0.1').on('error', (error) => {
            console.error(error.code);
            process.exitCode = 6;
        });
    });
});
"""
JAVA = r"""
public class Hello {
    public static void main(String[] args) throws Exception {
        var url = new java.net.URL("http://127.0.0.1:" + System.getenv("PORT") + "/");
        try (var in = url.openStream()) {
            System.out.println(in.readAllBytes().length);
        }
        try {
            new java.net.Socket("127.0.0.1", 1);
        } catch (java.io.IOException error) {
            System.err.println(error);
        }
        System.out.println(java.net.InetAddress.getByName("localhost"));
        System.exit(8);
    }
}
"""
PROGRAMS = {
    "bash": lambda: ["/bin/bash", "-c", BASH],
    "git": lambda: [lab.need("bash"), "-c", GIT] if lab.need("git") else None,
    "curl": lambda: ["/bin/sh", "-c", lab.need("curl") + " -sS -i http://127.0.0.1:$PORT/ && "
                     "curl -s http://127.0.0.1:1/; echo $?"],
    "curl-file": lambda: [lab.need("curl"), "-s", "file:///etc/hostname", "http://localhost:1/"],
    "ssh-version": lambda: [lab.need("ssh"), "-V"],
    "ssh-refused": lambda: [lab.need("ssh"), "-F", "/dev/null", "-p", "1", "127.0.0.1"],
    "python": lambda: [lab.PYTHON, "-c", PYTHON],
    "node": lambda: [lab.need("node"), "-e", NODE],
    "java-version": lambda: [lab.need("java"), "-version"],
    "java": lambda: [lab.need("java"), "Hello.java"],
    "apt-get": lambda: [lab.need("apt-get"), "-o", "Dir::State::Lists=scratch", "--simulate",
                        "install", "bash"],  # without package lists: seconds less
    "getent": lambda: ["/usr/bin/getent", "ahosts", "localhost"],
    "env": lambda: ["/bin/sh", "-c", "env -u LD_PRELOAD -u REDISTEER_CONFIG "
                    "-u REDISTEER_RUNTIME_DIR | sort"],
}


@pytest.mark.parametrize("file", ["none", "broken", "good"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_unrelated_program_is_the_same(name, file, web, preload, write_config, tmp_path,
                                          runtime_dir):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "Hello.java").write_text(JAVA)
    argv = PROGRAMS[name]()
    run = functools.partial(subprocess.run, argv, cwd=tmp_path, stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=120)
    extra = {"PORT": str(web), "SCRATCH": str(scratch), "HOME": str(tmp_path), "LC_ALL": "C"}
    config = {
        "none": lambda: tmp_path / "nothing.conf",
        "broken": lambda: write_config("service cache { match = {"),
        "good": lambda: write_config(lab.service("cache", ["redis.test", "10.255.0.1"],
                                                 {"east": "127.0.0.1:6399"})),
    }[file]()

    plain = run(env={**lab.plain_environment(), **extra})
    under = run(env=preload.environment(config, **extra))

    assert under.stdout == plain.stdout
    assert under.stderr == plain.stderr
    assert under.returncode == plain.returncode
    assert plain.stdout + plain.stderr  # it did say something
    left = [path.name for path in runtime_dir.iterdir()]
    if file == "none":
        assert left == []


def test_the_exit_status_of_run_is_the_programs(write_config, redisteer):
    config = write_config(lab.service("cache", ["redis.test"], {"east": "127.0.0.1:6399"}))
    assert redisteer("run", "--", "/bin/sh", "-c", "exit 42", config=config).returncode == 42
    killed = redisteer("run", "--", "/bin/sh", "-c", "kill -TERM $$", config=config)
    assert killed.returncode == -15
