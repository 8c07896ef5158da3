/* A writer (see README.md) with hiredis, 0.14 to 1.x. */
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* One write and one read; false when either failed. `name` is what the key `name` holds. */
static bool round_trip(redisContext *context, unsigned long count, char *name, size_t size)
{
    redisReply *reply = redisCommand(context, "SET counter %lu", count);

    if (!reply)
        return false;
    freeReplyObject(reply);
    reply = redisCommand(context, "GET name");
    if (!reply)
        return false;
    snprintf(name, size, "%s", reply->type == REDIS_REPLY_STRING ? reply->str : "");
    freeReplyObject(reply);
    return true;
}

int main(int argc, char **argv)
{
    char name[64] = "", last_name[64] = "";
    unsigned long writes = 0, errors = 0;
    uint64_t last_us = 0, gap_us = 0;
    redisContext *context = NULL;

    if (argc != 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (strcmp(name, "stop") != 0) {
        if (!context)
            context = redisConnect(argv[1], atoi(argv[2]));
        if (!context)
            return 1;
        if (context->err || !round_trip(context, writes + 1, name, sizeof name)) {
            printf("error %s\n", context->errstr);
            errors++;
            redisFree(context);
            context = NULL;
            continue;
        }
        uint64_t here_us = now_us();
        if (last_us && here_us - last_us > gap_us)
            gap_us = here_us - last_us;
        last_us = here_us;
        writes++;
        if (strcmp(name, last_name) != 0)
            printf("server %s\n", name);
        memcpy(last_name, name, sizeof name);
    }
    redisFree(context);
    printf("writes %lu\nerrors %lu\ngap_us %llu\n", writes, errors, (unsigned long long)gap_us);
    return 0;
}
