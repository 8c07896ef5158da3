"""A writer (see README.md) with redis-py's asyncio client."""
import asyncio
import sys
import time

import redis.asyncio
from redis.exceptions import RedisError


async def main(host, port):
    client = redis.asyncio.Redis(host=host, port=port, decode_responses=True)
    writes = errors = 0
    last = gap = 0
    name = last_name = ""
    while name != "stop":
        try:
            await client.set("counter", writes + 1)
            name = await client.get("name")
        except (RedisError, OSError) as error:
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
    await client.close()
    print(f"writes {writes}\nerrors {errors}\ngap_us {gap // 1000}", flush=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
