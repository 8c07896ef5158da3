"""
A program that connects, becomes another process, and connects there: wanderer.py fork|daemon|exec FILE
HOST PORT. It appends to FILE: "pid N" of the process it has become, then as clients/holder.c does
"server NAME" and, when its blocked read returns, "shut". fork: a child goes on. daemon: twice, with
all descriptors closed, /dev/null on 0-2 and a session of its own. exec: this file again.
"""
import os
import socket
import sys
import time

how, path, host, port = sys.argv[1:5]


def connect():
    while True:
        try:
            made = socket.create_connection((host, int(port)))
            made.sendall(b"GET name\r\n")
            return made, made.recv(100).decode().split("\r\n")[1]
        except (OSError, IndexError):
            time.sleep(0.005)


def tell(text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, text.encode() + b"\n")
    os.close(fd)


def become_another():
    if how == "exec":
        os.execv(sys.executable, [sys.executable, __file__, "stay", path, host, port])
    if os.fork():
        os.wait()
        os._exit(0)
    if how == "daemon":
        os.setsid()
        if os.fork():
            os._exit(0)
        os.closerange(0, 1024)
        os.open("/dev/null", os.O_RDWR)
        os.dup2(0, 1)
        os.dup2(0, 2)


if how != "stay":
    before, _ = connect()
    become_another()
tell(f"pid {os.getpid()}")
while True:
    connection, name = connect()
    tell(f"server {name}")
    try:
        while connection.recv(1):
            pass
    except OSError:
        pass
    tell("shut")
    connection.close()
