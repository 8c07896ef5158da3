"""
A program with a pool of connections: pool.py HOST PORT COUNT. For each line that it reads it does a GET
of the key `name` on COUNT connections at once and prints the answers, or `error TEXT`; in between they
are idle. For the words `wait SECONDS`, one connection waits so long for a list that does not exist.
"""
import sys

import redis

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pool = redis.ConnectionPool(host=host, port=port, decode_responses=True)
for line in sys.stdin:
    words = line.split()
    try:
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
