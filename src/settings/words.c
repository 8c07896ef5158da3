#include "settings/words.h"

#include <string.h>

#define WORDS(name, ...)                                                                           \
    static const char *const name##_list[] = {__VA_ARGS__};                                        \
    const struct words name##_words = {sizeof(name##_list) / sizeof(char *), name##_list}

WORDS(monitor, "auto", "thread", "process", "external");
WORDS(log_level, "off", "error", "warn", "info", "debug");
WORDS(mode, "steer", "observe", "off");
WORDS(strategy, "priority", "first", "round-robin", "random", "weighted", "latency",
      "least-connections", "command");
WORDS(resolve, "member", "virtual", "real");
WORDS(all_down, "try", "refuse", "wait");
WORDS(existing, "keep", "idle", "close");
WORDS(probe, "tcp", "ping", "echo");
WORDS(role, "any", "master", "replica");
WORDS(policy, "all", "any", "majority");
WORDS(outcome, "ok", "refused", "timeout", "reset", "unreachable");
WORDS(check, "command", "lag", "http", "exec", "key", "role", "write");

int words_find(const struct words *words, const char *text)
{
    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->word[i], text) == 0)
            return (int)i;
    }
    return -1;
}
