"""A writer (see README.md) with redis-py; a third argument is the socket timeout in seconds."""
import sys
import time

import redis

host, port = sys.argv[1], int(sys.argv[2])
timeout = float(sys.argv[3]) if len(sys.argv) > 3 else None
client = redis.Redis(host, port, socket_timeout=timeout, decode_responses=True)
writes = errors = 0
last = gap = 0
name = last_name = ""
while name != "stop":
    try:
        client.set("counter", writes + 1)
        name = client.get("name")
    except redis.RedisError as error:
        print("error", error, flush=True)
        errors += 1
        continue
    now = time.monotonic_ns()
    if last:
        gap = max(gap, now - last)
    last = now
    writes += 1
    if name != last_name:
        print("server", name, flush=True)
        last_name = name
print(f"writes {writes}\nerrors {errors}\ngap_us {gap // 1000}", flush=True)
