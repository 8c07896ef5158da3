"""
Asks where connections end up. Reads lines "WAY HOST PORT", connects in that way, and prints what the
key `name` holds there, or `error NAME`. Ways: name (create_connection), portless (look-up without a
service, as Java and Node do), v4, v6 (an address on a socket of that family), mapped (IPv4 on an
IPv6 socket), lookup (prints the address that the name gets).
"""
import errno
import socket
import sys


def connection(way, host, port):
    if way == "name":
        return socket.create_connection((host, port))
    if way == "portless":
        family, kind, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        target = (address[0], port)
    else:
        family = socket.AF_INET if way == "v4" else socket.AF_INET6
        kind = socket.SOCK_STREAM
        target = ("::ffff:" + host if way == "mapped" else host, port)
    made = socket.socket(family, kind)
    try:
        made.connect(target)
    except OSError:
        made.close()
        raise
    return made


def answer(way, host, port):
    if way == "lookup":
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
    with connection(way, host, port) as made, made.makefile("rb") as stream:
        made.sendall(b"GET name\r\n")
        stream.readline()
        return stream.readline().decode().strip()


for line in sys.stdin:
    way, host, port = line.split()
    try:
        print(answer(way, host, int(port)), flush=True)
    except socket.gaierror as error:
        print("error EAI", error.errno, flush=True)
    except OSError as error:
        print("error", errno.errorcode.get(error.errno, error), flush=True)
