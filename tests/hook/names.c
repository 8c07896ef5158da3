/* Names: of endpoints that have no address (yet) or several, of ports, and silent name servers. */
#include "hook_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WITHOUT_A_NAME_SERVER_MS = 1000 }; /* it is asked for 2 s */

HOOK_CASE(first_connect_while_the_name_server_is_silent)
{
    uint64_t before = now_ms();
    int fd = connect_to("cache");
    CHECK(fd >= 0);
    CHECK(now_ms() - before < WITHOUT_A_NAME_SERVER_MS);
    CHECK_PEER(fd, "home", "west");
    CHECK(redis_answers(fd));
    drop(fd);
}

static void look_up_without_waiting(const char *port, int flags)
{
    struct addrinfo hints = {.ai_flags = flags};
    struct gaicb request = {.ar_name = "redis.silent.test",
                            .ar_service = port,
                            .ar_request = &hints};
    struct gaicb *list[] = {&request};
    uint64_t before = now_ms();
    say("look-up %d", getaddrinfo_a(GAI_NOWAIT, list, 1, NULL));
    CHECK(now_ms() - before < WITHOUT_A_NAME_SERVER_MS);
    say("port %s: %d", port, gai_error(&request));
}

/* Ends at once: libc's thread still waits for the name server. */
HOOK_CASE(asynchronous_look_up_of_another_port_does_not_wait)
{
    drop(connect_to("cache")); /* publishing has taken its time */
    look_up_without_waiting("5432", 0);
    look_up_without_waiting("5432", AI_CANONNAME);
    say("result: pass");
    _exit(0);
}

static void look_up(const char *service, int flags)
{
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    int result = getaddrinfo("redis.test", service, &hints, &found);
    char text[INET_ADDRSTRLEN] = "";
    if (result == 0) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)found->ai_addr;
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        say("%s: %s port %s", service, text, who(ntohs(four->sin_port)));
        say("canonical: %s", found->ai_canonname != NULL ? found->ai_canonname : "none");
        freeaddrinfo(found);
    } else {
        say("%s: %s", service, gai_strerror(result));
    }
}

HOOK_CASE(ports_by_name_and_by_number)
{
    static const char *const services[] = {"http", "80", "https", "443", "ftp", "no-such-service"};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        look_up(services[i], 0);
        look_up(services[i], AI_CANONNAME);
    }
}

HOOK_CASE(addresses_that_never_answer)
{
    struct where cache = where("cache");
    int fd = tcp_socket(AF_INET, 0);
    uint64_t before = now_ms();
    CHECK(connect(fd, &cache.any, cache.size) == -1 && errno == ETIMEDOUT);
    uint64_t took = now_ms() - before;
    say("took %llu ms", (unsigned long long)took);
    CHECK(took >= 1000 && took < 1700); /* connect.timeout = 1500ms */
    close(fd);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(first_connect_while_the_name_server_is_silent),
    HOOK_ENTRY(asynchronous_look_up_of_another_port_does_not_wait),
    HOOK_ENTRY(ports_by_name_and_by_number),
    HOOK_ENTRY(addresses_that_never_answer),
    HOOK_END,
};
