"""
A program with a pool of connections: pool.py HOST PORT COUNT. For each line that it reads it does a GET
of the key `name` on COUNT connections at once and prints the answers, or `error TEXT`; in between they
are idle. For the words `wait SECONDS`, one connection waits so long for a list that does not exist; from
`begin` until `end` one is never idle, then the names it got are printed, and after them the longest time in
seconds that it was idle all the same.
"""
import sys
import threading
import time

import redis

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pool = redis.ConnectionPool(host=host, port=port, decode_responses=True)


class Busy:
    def __init__(self):
        self.names, self.longest, self.done = [], 0, False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        client, last = redis.Redis(connection_pool=pool), time.monotonic()
        while not self.done:
            try:
                name = client.get("name")
            except redis.RedisError as error:
                name = type(error).__name__
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            if name not in self.names:
                self.names.append(name)
            time.sleep(0.005)

    def end(self):
        self.done = True
        self.thread.join()
        return f"{' '.join(self.names)} {self.longest:.3f}"


for line in sys.stdin:
    words = line.split()
    try:
        if words[0] == "begin":
            busy = Busy()
            continue
        if words[0] == "end":
            print(busy.end(), flush=True)
            continue
        if words[0] == "wait":
            print(redis.Redis(connection_pool=pool).execute_command("BLPOP", "none", words[1]),
                  flush=True)
            continue
        held = [pool.get_connection("GET") for _ in range(count)]
        for connection in held:
            connection.send_command("GET", "name")
        print(*[connection.read_response() for connection in held], flush=True)
        for connection in held:
            pool.release(connection)
    except redis.RedisError as error:
        print("error", error, flush=True)
