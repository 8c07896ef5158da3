"""A program that minds its children: it has a SIGCHLD handler, waits for any child again and again, and
compares its descriptors. Asks the server's name for as long as it lives.

    watchful.py HOST PORT    a line for each answer; one with "FOUND" for what it should not have seen
"""

import os
import signal
import socket
import sys
import time

HOST, PORT = sys.argv[1], int(sys.argv[2])


def say(text):
    print(text, flush=True)


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


signal.signal(signal.SIGCHLD, lambda *_: say("FOUND SIGCHLD"))
before = descriptors()
while True:
    try:
        say(f"FOUND child {os.waitpid(-1, os.WNOHANG)}")
    except ChildProcessError:
        pass
    try:
        with socket.create_connection((HOST, PORT), timeout=5) as connection:
            connection.sendall(b"GET name\r\n")
            answer = connection.recv(100).split(b"\r\n")[1].decode()
    except OSError as error:
        answer = f"error {error}"
    if descriptors() != before:
        say(f"FOUND descriptors {descriptors()} not {before}")
    children = "".join(open(f"/proc/self/task/{task}/children").read()
                       for task in os.listdir("/proc/self/task"))
    if children:
        # The short-lived shepherd of a start is there for a moment; a zombie stays.
        time.sleep(1)
        again = "".join(open(f"/proc/self/task/{task}/children").read()
                        for task in os.listdir("/proc/self/task"))
        if set(children.split()) & set(again.split()):
            say(f"FOUND children {again}")
    say(answer)
    time.sleep(0.02)
