/*
 * Name look-ups. In the names' file redis.test is 127.0.0.9, so every look-up has an answer without
 * the library too. Rows print "service" where the answer is the one expected of this condition
 * (127.0.0.9, or the endpoint), so that the rest of the answer can be compared byte for byte.
 */
#include "hook_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What an answer may be: exactly what is expected, either of the two, or never the endpoint. */
enum strictness { EXACT, EITHER, AS_WITHOUT };

static uint16_t matched_port(void)
{
    struct where cache = where("cache");
    return ntohs(((const struct sockaddr_in *)(const void *)&cache.storage)->sin_port);
}

static const char *matched_port_text(void)
{
    static char text[8];
    if (text[0] == '\0')
        snprintf(text, sizeof text, "%u", matched_port());
    return text;
}

static bool is_expected(uint32_t home, uint32_t endpoint, uint32_t given,
                        enum strictness strictness)
{
    bool without = given == home, with = given == endpoint;
    const char *mode = getenv("HOOK_MODE");
    if (strictness == AS_WITHOUT)
        return without;
    if (strictness == EITHER || (mode != NULL && strcmp(mode, "either") == 0))
        return without || with;
    return steering() ? with : without;
}

static const char *spell_address(const struct in_addr *address, enum strictness strictness)
{
    static char text[INET_ADDRSTRLEN];
    if (is_expected(0x7f000009, 0x7f000001, ntohl(address->s_addr), strictness))
        return "service";
    return inet_ntop(AF_INET, address, text, sizeof text);
}

static uint16_t east_port(void)
{
    const char *east = strstr(getenv("HOOK_PORTS"), "east=");
    return (uint16_t)atoi(east + 5);
}

static void spell(char *out, size_t room, const struct sockaddr *any, enum strictness strictness)
{
    uint16_t port;
    char host[INET6_ADDRSTRLEN + 10];
    if (any->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)any;
        snprintf(host, sizeof host, "%s", spell_address(&four->sin_addr, strictness));
        port = ntohs(four->sin_port);
    } else {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)any;
        port = ntohs(six->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
            struct in_addr four;
            memcpy(&four, six->sin6_addr.s6_addr + 12, sizeof four);
            snprintf(host, sizeof host, "mapped %s", spell_address(&four, strictness));
        } else {
            inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        }
    }
    if (strstr(host, "service") != NULL && port != 0 &&
        is_expected(matched_port(), east_port(), port, strictness))
        snprintf(out, room, "%s, its port", host);
    else
        snprintf(out, room, "%s, port %u", host, port);
}

static const char *eai_name(int error)
{
    static char text[16];
    snprintf(text, sizeof text, "EAI %d", error);
    return error == 0 ? "found" : text;
}

static void row(const char *node, const char *service, const struct addrinfo *hints,
                enum strictness strictness)
{
    struct addrinfo untouched, *list = &untouched;
    char shown[64], port[16];
    snprintf(shown, sizeof shown, "%s", node == NULL ? "(none)" : node);
    for (char *at = shown; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    snprintf(port, sizeof port, "%s",
             service == NULL                                ? "(none)"
             : strcmp(service, matched_port_text()) == 0    ? "matched"
             : strstr(service, matched_port_text()) != NULL ? "like matched"
                                                            : service);
    int error = getaddrinfo(node, service, hints, &list);
    if (hints != NULL)
        say("%s %s f%d t%d p%d x%x: %s", shown, port, hints->ai_family, hints->ai_socktype,
            hints->ai_protocol, (unsigned)hints->ai_flags, eai_name(error));
    else
        say("%s %s no hints: %s", shown, port, eai_name(error));
    if (error != 0) {
        say("  result %s", list == &untouched ? "untouched" : list == NULL ? "NULL" : "set");
        return;
    }
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        char address[100];
        spell(address, sizeof address, at->ai_addr, strictness);
        say("  f%d t%d p%d x%x %u bytes %s%s%s", at->ai_family, at->ai_socktype, at->ai_protocol,
            (unsigned)at->ai_flags, at->ai_addrlen, address,
            at->ai_canonname == NULL ? "" : " canonically ",
            at->ai_canonname == NULL ? "" : at->ai_canonname);
    }
    freeaddrinfo(list);
}

HOOK_CASE(matched_name_with_every_hint)
{
    static const int families[] = {AF_UNSPEC, AF_INET};
    static const int types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW};
    static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP};
    static const int flags[] = {0,           AI_PASSIVE,           AI_NUMERICSERV, AI_ADDRCONFIG,
                                AI_V4MAPPED, AI_V4MAPPED | AI_ALL, AI_IDN};
    const char *const services[] = {NULL, matched_port_text()};
    for (size_t f = 0; f < 2; f++)
        for (size_t t = 0; t < 4; t++)
            for (size_t p = 0; p < 3; p++)
                for (size_t x = 0; x < sizeof flags / sizeof flags[0]; x++)
                    for (size_t s = 0; s < 2; s++) {
                        struct addrinfo hints = {.ai_family = families[f],
                                                 .ai_socktype = types[t],
                                                 .ai_protocol = protocols[p],
                                                 .ai_flags = flags[x]};
                        bool tcp = types[t] != SOCK_DGRAM && types[t] != SOCK_RAW &&
                                   protocols[p] != IPPROTO_UDP;
                        row("redis.test", services[s], &hints, tcp ? EXACT : EITHER);
                    }
}

HOOK_CASE(matched_name_without_hints)
{
    row("redis.test", NULL, NULL, EXACT);
    row("redis.test", matched_port_text(), NULL, EXACT);
}

HOOK_CASE(matched_name_in_any_spelling)
{
    static const char *const names[] = {"redis.test", "REDIS.TEST", "Redis.Test", "redis.test.",
                                        "REDIS.test."};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        row(names[i], matched_port_text(), &hints, EXACT);
}

HOOK_CASE(names_that_only_resemble_a_matched_one)
{
    static const char *const names[] = {"redis.test..", ".redis.test",      "redis.tes",
                                        "redis.testt",  "xredis.test",      "redis.test ",
                                        " redis.test",  "redis.test\n",     "redis.test:6379",
                                        "redis",        "redis_test",       "friend.test",
                                        "[redis.test]", "r\303\251dis.test"};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        hints.ai_flags = 0;
        row(names[i], matched_port_text(), &hints, AS_WITHOUT);
        hints.ai_flags = AI_IDN;
        row(names[i], matched_port_text(), &hints, AS_WITHOUT);
    }
}

HOOK_CASE(matched_name_with_another_port)
{
    static const char *const services[] = {"22", "http", "1", "65535"};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        row("redis.test", services[i], &hints, AS_WITHOUT);
}

HOOK_CASE(matched_name_with_an_odd_service)
{
    static const char *const services[] = {"nonsense", "99999", "0",    "-1",
                                           "",         "6379x", "0x17", "a b"};
    char odd[5][32];
    snprintf(odd[0], sizeof odd[0], " %s", matched_port_text());
    snprintf(odd[1], sizeof odd[1], "0%s", matched_port_text());
    snprintf(odd[2], sizeof odd[2], "+%s", matched_port_text());
    snprintf(odd[3], sizeof odd[3], "%s ", matched_port_text());
    snprintf(odd[4], sizeof odd[4], "00000000000000000%s", matched_port_text());
    for (int flags = 0; flags <= AI_NUMERICSERV; flags += AI_NUMERICSERV) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
        for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
            row("redis.test", services[i], &hints, EITHER);
        for (size_t i = 0; i < 5; i++)
            row("redis.test", odd[i], &hints, EITHER);
        row("redis.test", "http", &hints, AS_WITHOUT);
    }
}

HOOK_CASE(matched_name_for_its_canonical_name)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
    row("redis.test", NULL, &hints, EXACT);
    row("redis.test", matched_port_text(), &hints, EXACT);
    row("redis.test", "http", &hints, AS_WITHOUT);
    hints.ai_flags |= AI_PASSIVE | AI_V4MAPPED;
    row("redis.test", matched_port_text(), &hints, EXACT);
    hints.ai_socktype = 0; /* the name stands on the first of several entries */
    row("redis.test", matched_port_text(), &hints, EITHER);
}

HOOK_CASE(matched_name_where_only_a_number_may_stand)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    row("redis.test", NULL, &hints, AS_WITHOUT);
    row("redis.test", matched_port_text(), &hints, AS_WITHOUT);
    hints.ai_flags |= AI_CANONNAME | AI_NUMERICSERV;
    row("redis.test", matched_port_text(), &hints, AS_WITHOUT);
}

HOOK_CASE(matched_name_in_a_family_without_endpoints)
{
    static const int flags[] = {0, AI_ALL, AI_ADDRCONFIG, AI_PASSIVE};
    struct addrinfo hints = {.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
    for (size_t i = 0; i < 4; i++) {
        hints.ai_flags = flags[i];
        row("redis.test", matched_port_text(), &hints, AS_WITHOUT);
        row("redis.test", NULL, &hints, AS_WITHOUT);
    }
    hints.ai_flags = AI_V4MAPPED;
    row("redis.test", matched_port_text(), &hints, EITHER);
    hints.ai_flags = AI_V4MAPPED | AI_ALL;
    row("redis.test", NULL, &hints, EITHER);
    hints = (struct addrinfo){.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    row("sixth.test", matched_port_text(), &hints, AS_WITHOUT);
    row("sixth.test", NULL, &hints, AS_WITHOUT);
}

HOOK_CASE(name_whose_endpoints_have_ipv6_only)
{
    struct addrinfo hints = {.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int error = getaddrinfo("sixth.test", matched_port_text(), &hints, &list);
    if (!steering()) {
        if (error == 0)
            freeaddrinfo(list);
        return;
    }
    if (!CHECK(error == 0))
        return;
    CHECK(list->ai_family == AF_INET6 && list->ai_next == NULL);
    int fd = tcp_socket(AF_INET6, 0);
    CHECK(connect(fd, list->ai_addr, list->ai_addrlen) == 0);
    CHECK_PEER(fd, "west", "west");
    freeaddrinfo(list);
    drop(fd);
}

HOOK_CASE(names_that_are_not_matched)
{
    static const char *const names[] = {"stranger.test",
                                        "localhost",
                                        "127.0.0.1",
                                        "127.0.0.9",
                                        "127.1",
                                        "0",
                                        "::1",
                                        "::",
                                        "::ffff:127.0.0.9",
                                        "fe80::1%lo",
                                        "fe80::1%nowhere",
                                        "1.2.3.4.5",
                                        "",
                                        ".",
                                        "..",
                                        "no-such-name.test",
                                        "-",
                                        "%",
                                        "a b",
                                        "\xff\xfe"};
    static const int flags[] = {0, AI_CANONNAME, AI_NUMERICHOST, AI_PASSIVE, AI_IDN};
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t x = 0; x < sizeof flags / sizeof flags[0]; x++)
            for (size_t f = 0; f < 3; f++) {
                struct addrinfo hints = {.ai_family = families[f],
                                         .ai_socktype = SOCK_STREAM,
                                         .ai_flags = flags[x]};
                row(names[i], matched_port_text(), &hints, AS_WITHOUT);
                row(names[i], NULL, &hints, AS_WITHOUT);
            }
}

HOOK_CASE(no_name_at_all)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    row(NULL, NULL, NULL, AS_WITHOUT);
    row(NULL, NULL, &hints, AS_WITHOUT);
    row(NULL, matched_port_text(), NULL, AS_WITHOUT);
    row(NULL, matched_port_text(), &hints, AS_WITHOUT);
    hints.ai_flags = AI_PASSIVE;
    row(NULL, matched_port_text(), &hints, AS_WITHOUT);
    row(NULL, "http", &hints, AS_WITHOUT);
    hints.ai_flags = AI_CANONNAME;
    row(NULL, "http", &hints, AS_WITHOUT);
}

HOOK_CASE(hints_that_make_no_sense)
{
    struct addrinfo hints = {.ai_flags = -1};
    row("redis.test", matched_port_text(), &hints, AS_WITHOUT);
    hints = (struct addrinfo){.ai_family = 99};
    row("redis.test", matched_port_text(), &hints, AS_WITHOUT);
    hints = (struct addrinfo){.ai_family = AF_UNIX};
    row("redis.test", matched_port_text(), &hints, AS_WITHOUT);
    hints = (struct addrinfo){.ai_socktype = 99};
    row("redis.test", matched_port_text(), &hints, AS_WITHOUT);
    hints = (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_UDP};
    row("redis.test", matched_port_text(), &hints, AS_WITHOUT);
    hints = (struct addrinfo){.ai_protocol = 250};
    row("redis.test", NULL, &hints, EITHER);
}

HOOK_CASE(names_of_every_length)
{
    static const size_t lengths[] = {1,   62,  63,  64,  65,  127, 128,  253,  254,
                                     255, 256, 257, 300, 511, 512, 1024, 4096, 70000};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char *name = malloc(lengths[i] + 16);
        memset(name, 'n', lengths[i]);
        name[lengths[i]] = '\0';
        say("%zu letters", lengths[i]);
        row(name, matched_port_text(), &hints, AS_WITHOUT);
        for (size_t at = 50; at < lengths[i]; at += 50)
            name[at] = '.';
        row(name, matched_port_text(), &hints, AS_WITHOUT);
        memcpy(name + lengths[i], ".redis.test", 12);
        row(name, matched_port_text(), &hints, AS_WITHOUT);
        free(name);
    }
}

HOOK_CASE(connect_to_what_a_look_up_gave)
{
    const char *const services[] = {NULL, matched_port_text()};
    for (size_t i = 0; i < 2; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
        if (!CHECK(getaddrinfo("redis.test", services[i], &hints, &list) == 0))
            return;
        struct sockaddr_in *address = (struct sockaddr_in *)(void *)list->ai_addr;
        if (services[i] == NULL) /* Java, Node and PHP set the port themselves */
            address->sin_port = htons(matched_port());
        int fd = tcp_socket(AF_INET, 0);
        say_connect("connect", fd, list->ai_addr, list->ai_addrlen);
        CHECK_PEER(fd, "home", "east");
        CHECK(redis_answers(fd));
        freeaddrinfo(list);
        drop(fd);
    }
}

/* ---- gethostbyname and its family ---- */

static void show_host(const char *label, const struct hostent *host, enum strictness strictness)
{
    if (host == NULL) {
        say("%s: none, h_errno %d", label, h_errno);
        return;
    }
    CHECK(host->h_name != NULL && host->h_aliases != NULL);
    for (char **at = host->h_addr_list; *at != NULL; at++) {
        char text[INET6_ADDRSTRLEN];
        struct in_addr four;
        if (host->h_addrtype == AF_INET) {
            memcpy(&four, *at, sizeof four);
            snprintf(text, sizeof text, "%s", spell_address(&four, strictness));
        } else {
            inet_ntop(host->h_addrtype, *at, text, sizeof text);
        }
        say("%s: family %d, %d bytes, %s", label, host->h_addrtype, host->h_length, text);
    }
}

static const struct {
    const char *name;
    enum strictness strictness;
} hosts[] = {{"redis.test", EXACT},
             {"REDIS.test.", EXACT},
             {"friend.test", AS_WITHOUT},
             {"stranger.test", AS_WITHOUT},
             {"127.0.0.9", AS_WITHOUT},
             {"::1", AS_WITHOUT},
             {"no-such-name.test", AS_WITHOUT},
             {"", AS_WITHOUT},
             {"a b", AS_WITHOUT}};
enum { HOSTS = sizeof hosts / sizeof hosts[0] };

HOOK_CASE(gethostbyname_and_gethostbyname2)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX, 99};
    for (size_t i = 0; i < HOSTS; i++) {
        say("name %s", hosts[i].name);
        show_host("gethostbyname", gethostbyname(hosts[i].name), hosts[i].strictness);
        for (size_t f = 0; f < 4; f++) {
            errno = 0;
            show_host("gethostbyname2", gethostbyname2(hosts[i].name, families[f]),
                      hosts[i].strictness);
        }
    }
}

HOOK_CASE(reentrant_forms_with_every_size_of_buffer)
{
    enum { ROOM = 700, CANARY = 16 };
    for (int second = 0; second <= 1; second++)
        for (size_t i = 0; i < HOSTS; i++) {
            bool was_too_small = false, had_answer = false;
            for (size_t size = 0; size <= ROOM; size++) {
                /* Every other size at an odd address: glibc aligns inside the buffer. */
                char *whole = malloc(size + CANARY + 1), *buffer = whole + size % 2;
                memset(whole, 0x5a, size + CANARY + 1);
                struct hostent host, *found = &host;
                int error = -1, result;
                if (second)
                    result = gethostbyname2_r(hosts[i].name, AF_INET, &host, buffer, size, &found,
                                              &error);
                else
                    result = gethostbyname_r(hosts[i].name, &host, buffer, size, &found, &error);
                for (size_t at = 0; at < CANARY; at++)
                    CHECK(buffer[size + at] == 0x5a);
                if (result == ERANGE) {
                    CHECK(found == NULL && error == NETDB_INTERNAL);
                    was_too_small = true;
                } else {
                    if (!had_answer && found == NULL)
                        say("%s: result %d, nothing, h_errno %d", hosts[i].name, result, error);
                    had_answer = true;
                    if (found != NULL) {
                        CHECK(found == &host && result == 0);
                        CHECK((char *)host.h_addr_list >= buffer &&
                              (char *)host.h_addr_list < buffer + size);
                        if (size == ROOM)
                            show_host("found", found, hosts[i].strictness);
                    }
                }
                free(whole);
            }
            CHECK(had_answer);
            if (hosts[i].strictness == EXACT)
                CHECK(was_too_small);
        }
}

/* ---- getaddrinfo_a ---- */

enum { REQUESTS = 4 };
static const char *const request_names[REQUESTS] = {"redis.test", "stranger.test", "127.0.0.9",
                                                    "no-such-name.test"};
static struct addrinfo request_hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};

struct batch {
    struct gaicb request[REQUESTS];
    struct gaicb *list[REQUESTS + 1];
};

static void prepare(struct batch *batch)
{
    memset(batch, 0, sizeof *batch);
    for (int i = 0; i < REQUESTS; i++) {
        batch->request[i].ar_name = request_names[i];
        batch->request[i].ar_service = matched_port_text();
        batch->request[i].ar_request = &request_hints;
        batch->list[i] = &batch->request[i];
    }
    batch->list[REQUESTS] = NULL; /* holes in the list are allowed */
}

static void show_batch(struct batch *batch)
{
    for (int i = 0; i < REQUESTS; i++) {
        struct gaicb *request = &batch->request[i];
        int error = gai_error(request);
        say("%s: %s", request_names[i], eai_name(error));
        CHECK(request->ar_name == request_names[i] && request->ar_request == &request_hints);
        if (error != 0 || request->ar_result == NULL)
            continue;
        for (const struct addrinfo *at = request->ar_result; at != NULL; at = at->ai_next) {
            char text[100];
            spell(text, sizeof text, at->ai_addr, i == 0 ? EXACT : AS_WITHOUT);
            say("  %s", text);
        }
        freeaddrinfo(request->ar_result);
    }
}

static void await_batch(struct batch *batch)
{
    for (int i = 0; i < REQUESTS; i++) {
        const struct gaicb *one[] = {&batch->request[i]};
        while (gai_error(&batch->request[i]) == EAI_INPROGRESS)
            gai_suspend(one, 1, NULL);
    }
}

HOOK_CASE(asynchronous_look_up_that_waits)
{
    struct batch batch;
    prepare(&batch);
    say("getaddrinfo_a: %d", getaddrinfo_a(GAI_WAIT, batch.list, REQUESTS + 1, NULL));
    show_batch(&batch);
}

HOOK_CASE(asynchronous_look_up_without_notice)
{
    struct batch batch;
    prepare(&batch);
    say("getaddrinfo_a: %d", getaddrinfo_a(GAI_NOWAIT, batch.list, REQUESTS + 1, NULL));
    await_batch(&batch);
    show_batch(&batch);
}

static atomic_int notices;
static atomic_int notice_value;

static void count_notice(union sigval value)
{
    atomic_store(&notice_value, value.sival_int);
    atomic_fetch_add(&notices, 1);
}

static bool notice_within(int milliseconds)
{
    for (uint64_t until = now_ms() + (uint64_t)milliseconds; now_ms() < until; usleep(500))
        if (atomic_load(&notices) > 0)
            return true;
    return false;
}

HOOK_CASE(asynchronous_look_up_with_a_thread_as_notice)
{
    struct batch batch;
    struct sigevent notice = {.sigev_notify = SIGEV_THREAD,
                              .sigev_notify_function = count_notice,
                              .sigev_value.sival_int = 31};
    prepare(&batch);
    atomic_store(&notices, 0);
    say("getaddrinfo_a: %d", getaddrinfo_a(GAI_NOWAIT, batch.list, REQUESTS, &notice));
    CHECK(notice_within(5000));
    say("notices %d, value %d", atomic_load(&notices), atomic_load(&notice_value));
    show_batch(&batch);
}

static void count_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    count_notice(info->si_value);
}

HOOK_CASE(asynchronous_look_up_with_a_signal_as_notice)
{
    struct batch batch;
    struct sigaction action = {.sa_sigaction = count_signal, .sa_flags = SA_SIGINFO}, before;
    struct sigevent notice = {.sigev_notify = SIGEV_SIGNAL,
                              .sigev_signo = SIGUSR1,
                              .sigev_value.sival_int = 32};
    CHECK(sigaction(SIGUSR1, &action, &before) == 0);
    prepare(&batch);
    atomic_store(&notices, 0);
    say("getaddrinfo_a: %d", getaddrinfo_a(GAI_NOWAIT, batch.list, REQUESTS, &notice));
    CHECK(notice_within(5000));
    say("notices %d, value %d", atomic_load(&notices), atomic_load(&notice_value));
    show_batch(&batch);
    sigaction(SIGUSR1, &before, NULL);
}

/*
 * Cancelled, done or not to be cancelled any more: that is a race. One request only, which may stay
 * unfinished: glibc 2.36 loses requests that come after a cancelled one.
 */
HOOK_CASE(asynchronous_look_up_that_is_cancelled)
{
    struct gaicb request = {.ar_name = request_names[0],
                            .ar_service = matched_port_text(),
                            .ar_request = &request_hints};
    struct gaicb *list[] = {&request};
    CHECK(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0);
    int result = gai_cancel(&request);
    CHECK(result == EAI_CANCELED || result == EAI_NOTCANCELED || result == EAI_ALLDONE);
    if (result == EAI_CANCELED)
        CHECK(gai_error(&request) == EAI_CANCELED);
}

HOOK_CASE(asynchronous_look_up_cancelled_when_done)
{
    struct gaicb request = {.ar_name = request_names[0],
                            .ar_service = matched_port_text(),
                            .ar_request = &request_hints};
    struct gaicb *list[] = {&request};
    const struct gaicb *waited[] = {&request};
    CHECK(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0);
    while (gai_error(&request) == EAI_INPROGRESS)
        gai_suspend(waited, 1, NULL);
    say("done: %s", eai_name(gai_error(&request)));
    int result = gai_cancel(&request); /* libc's thread may not have let go of it yet */
    CHECK(result == EAI_ALLDONE || result == EAI_NOTCANCELED);
    freeaddrinfo(request.ar_result);
}

HOOK_CASE(asynchronous_look_up_called_wrongly)
{
    struct batch batch;
    prepare(&batch);
    errno = 0;
    int result = getaddrinfo_a(77, batch.list, REQUESTS, NULL);
    say("mode 77: %d, %s", result, strerrorname_np(errno));
    say("empty list, wait: %d", getaddrinfo_a(GAI_WAIT, batch.list, 0, NULL));
    say("empty list, no wait: %d", getaddrinfo_a(GAI_NOWAIT, batch.list, 0, NULL));
    struct gaicb nameless = {.ar_service = "80"}, *list[] = {NULL, &nameless, NULL};
    say("no name: %d", getaddrinfo_a(GAI_WAIT, list, 3, NULL));
    say("no name: %s", eai_name(gai_error(&nameless)));
    if (gai_error(&nameless) == 0)
        freeaddrinfo(nameless.ar_result);
    struct batch unhinted;
    prepare(&unhinted);
    unhinted.request[0].ar_request = NULL;
    unhinted.request[0].ar_service = NULL;
    say("no hints: %d", getaddrinfo_a(GAI_WAIT, unhinted.list, 1, NULL));
    say("no hints: %s", eai_name(gai_error(&unhinted.request[0])));
    if (gai_error(&unhinted.request[0]) == 0)
        freeaddrinfo(unhinted.request[0].ar_result);
}

/* ---- many at once ---- */

static void *look_up_often(void *failures)
{
    for (int i = 0; i < 200; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
        if (getaddrinfo("redis.test", matched_port_text(), &hints, &list) != 0) {
            atomic_fetch_add((atomic_int *)failures, 1);
            continue;
        }
        freeaddrinfo(list);
    }
    return NULL;
}

HOOK_CASE(look_ups_by_many_threads)
{
    enum { THREADS = 16 };
    pthread_t threads[THREADS];
    atomic_int failures = 0;
    matched_port_text();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, look_up_often, &failures) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    say("failures %d", atomic_load(&failures));
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(matched_name_with_every_hint),
    HOOK_ENTRY(matched_name_without_hints),
    HOOK_ENTRY(matched_name_in_any_spelling),
    HOOK_ENTRY(names_that_only_resemble_a_matched_one),
    HOOK_ENTRY(matched_name_with_another_port),
    HOOK_ENTRY(matched_name_with_an_odd_service),
    HOOK_ENTRY(matched_name_for_its_canonical_name),
    HOOK_ENTRY(matched_name_where_only_a_number_may_stand),
    HOOK_ENTRY(matched_name_in_a_family_without_endpoints),
    HOOK_ENTRY(name_whose_endpoints_have_ipv6_only),
    HOOK_ENTRY(names_that_are_not_matched),
    HOOK_ENTRY(no_name_at_all),
    HOOK_ENTRY(hints_that_make_no_sense),
    HOOK_ENTRY(names_of_every_length),
    HOOK_ENTRY(connect_to_what_a_look_up_gave),
    HOOK_ENTRY(gethostbyname_and_gethostbyname2),
    HOOK_ENTRY(reentrant_forms_with_every_size_of_buffer),
    HOOK_ENTRY(asynchronous_look_up_that_waits),
    HOOK_ENTRY(asynchronous_look_up_without_notice),
    HOOK_ENTRY(asynchronous_look_up_with_a_thread_as_notice),
    HOOK_ENTRY(asynchronous_look_up_with_a_signal_as_notice),
    HOOK_ENTRY(asynchronous_look_up_that_is_cancelled),
    HOOK_ENTRY(asynchronous_look_up_cancelled_when_done),
    HOOK_ENTRY(asynchronous_look_up_called_wrongly),
    HOOK_ENTRY(look_ups_by_many_threads),
    HOOK_END,
};
