"""
Writes with redis-py as fast as it can and says when it could not, in seconds of the monotonic clock
that all processes share: "gap FROM TO" between two successes more than 20 ms apart, and "error WHEN
WHAT". Ends at the end of its input.
"""
import select
import sys
import time

import redis

client = redis.Redis(sys.argv[1], int(sys.argv[2]), decode_responses=True)
last = None
writes = 0
print("ready", flush=True)
while not (writes % 20 == 0 and select.select([sys.stdin], [], [], 0)[0]):
    try:
        client.incr("counter")
    except redis.RedisError as error:
        print("error", time.monotonic(), error, flush=True)
        time.sleep(0.005)
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        continue
    now = time.monotonic()
    if last is None:
        print("writing", flush=True)
    elif now - last > 0.02:
        print("gap", last, now, flush=True)
    last = now
    writes += 1
    time.sleep(0.0005)
print("writes", writes, flush=True)
