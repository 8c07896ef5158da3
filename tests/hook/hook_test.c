#include "hook_test.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { UNTOUCHED_ERRNO = 4242, LINE_TEXT = 1024 };

static bool failed, skipped;

static void write_line(const char *prefix, const char *format, va_list arguments)
{
    char line[LINE_TEXT];
    int used = snprintf(line, sizeof line, "%s", prefix);
    used += vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
    if (used > (int)sizeof line - 2)
        used = sizeof line - 2;
    line[used++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)used) < 0)
        failed = true;
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line("", format, arguments);
    va_end(arguments);
}

void say_result(const char *label, long result)
{
    int error = errno;
    if (result < 0)
        say("%s: %s", label, strerrorname_np(error));
    else
        say("%s: %ld", label, result);
    errno = error;
}

bool hook_check(bool holds, const char *text, const char *file, int line)
{
    if (!holds) {
        failed = true;
        say("not ok: %s:%d: %s (errno %s)", file, line, text, strerrorname_np(errno));
    }
    return holds;
}

void hook_skip(const char *format, ...)
{
    va_list arguments;
    skipped = true;
    va_start(arguments, format);
    write_line("skip: ", format, arguments);
    va_end(arguments);
}

static const char *setting(const char *name)
{
    char variable[64] = "HOOK_";
    size_t used = strlen(variable);
    for (const char *at = name; *at != '\0' && used < sizeof variable - 1; at++)
        variable[used++] = (char)toupper(*at);
    const char *value = getenv(variable);
    if (value == NULL) {
        say("not ok: %s is not set", variable);
        _exit(3);
    }
    return value;
}

struct where where(const char *name)
{
    char host[INET6_ADDRSTRLEN + 2];
    struct where result = {.size = 0};
    const char *text = setting(name);
    const char *colon = strrchr(text, ':');
    size_t length = colon == NULL ? sizeof host : (size_t)(colon - text);
    if (length >= sizeof host)
        _exit(3);
    memcpy(host, text, length);
    host[length] = '\0';
    uint16_t port = htons((uint16_t)atoi(colon + 1));
    if (host[0] == '[') {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&result.storage;
        host[length - 1] = '\0';
        *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
        inet_pton(AF_INET6, host + 1, &six->sin6_addr);
        result.size = sizeof *six;
    } else {
        struct sockaddr_in *four = (struct sockaddr_in *)(void *)&result.storage;
        *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
        inet_pton(AF_INET, host, &four->sin_addr);
        result.size = sizeof *four;
    }
    return result;
}

struct where where_mapped(const char *name)
{
    struct where plain = where(name);
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&plain.storage;
    struct where result = {.size = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&result.storage;
    *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = four->sin_port};
    six->sin6_addr.s6_addr[10] = six->sin6_addr.s6_addr[11] = 0xff;
    memcpy(six->sin6_addr.s6_addr + 12, &four->sin_addr, 4);
    return result;
}

static const char *mode(void)
{
    const char *value = getenv("HOOK_MODE");
    return value == NULL ? "kernel" : value;
}

bool steering(void)
{
    return strcmp(mode(), "steered") == 0;
}

const char *who(uint16_t port)
{
    static const char *const names[] = {"east", "west", "home"};
    const char *ports = setting("ports");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *at = strstr(ports, names[i]);
        if (port != 0 && at != NULL && atoi(at + strlen(names[i]) + 1) == port)
            return names[i];
    }
    return "nobody we know";
}

uint16_t peer_port(int fd)
{
    struct where peer = {.size = sizeof peer.storage};
    if (getpeername(fd, &peer.any, &peer.size) != 0)
        return 0;
    if (peer.any.sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&peer.storage)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)&peer.storage)->sin_port);
}

void hook_check_peer(int fd, const char *kernel, const char *steered, const char *file, int line)
{
    const char *peer = who(peer_port(fd));
    bool as_kernel = strcmp(peer, kernel) == 0, as_steered = strcmp(peer, steered) == 0;
    bool either = strcmp(mode(), "either") == 0;
    if ((either && (as_kernel || as_steered)) || (!either && (steering() ? as_steered : as_kernel)))
        return;
    failed = true;
    say("not ok: %s:%d: the peer is %s (port %u), not %s", file, line, peer, peer_port(fd),
        steering() ? steered : kernel);
}

int tcp_socket(int family, int flags)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0) {
        say("not ok: socket: %s", strerrorname_np(errno));
        _exit(3);
    }
    return fd;
}

int connect_to(const char *name)
{
    struct where there = where(name);
    int fd = tcp_socket(there.any.sa_family, 0);
    if (connect(fd, &there.any, there.size) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

int say_connect(const char *label, int fd, const void *address, socklen_t size)
{
    errno = UNTOUCHED_ERRNO;
    int result = connect(fd, address, size);
    int error = errno;
    if (result == 0)
        hook_check(error == UNTOUCHED_ERRNO, "errno is untouched by success", __FILE__, __LINE__);
    errno = error;
    say_result(label, result);
    return result;
}

bool redis_answers(int fd)
{
    static const char ping[] = "PING\r\n";
    char reply[16];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (send(fd, ping, sizeof ping - 1, MSG_NOSIGNAL) != sizeof ping - 1)
        return false;
    if (poll(&wait, 1, 5000) != 1)
        return false;
    return recv(fd, reply, sizeof reply, 0) == 7 && memcmp(reply, "+PONG\r\n", 7) == 0;
}

void drop(int fd)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}

void *wild_pointer(void)
{
    static void *page;
    if (page == NULL)
        page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page;
}

void *at_the_end_of_memory(const void *bytes, size_t size)
{
    unsigned char *pages =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(pages + 4096 - size, bytes, size);
    mprotect(pages, 4096, PROT_READ);
    mprotect(pages + 4096, 4096, PROT_NONE);
    return pages + 4096 - size;
}

static int count_entries(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    if (directory == NULL)
        return -1;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

int count_descriptors(void)
{
    return count_entries("/proc/self/fd") - 1; /* the directory itself was one */
}

int count_threads(void)
{
    return count_entries("/proc/self/task");
}

uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A hook that has no guard to rely on sets keepalive itself, before it returns. */
bool wait_for_the_guard(void)
{
    for (uint64_t before = now_ms(); now_ms() - before < 5000; poll(NULL, 0, 5)) {
        int value = 1, fd = connect_to("cache");
        socklen_t size = sizeof value;
        bool left_to_it =
            fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size) == 0 && value == 0;
        drop(fd);
        if (left_to_it)
            return true;
    }
    return false;
}

static int run_case(const char *name)
{
    failed = skipped = false;
    if (getenv("HOOK_GUARDED") != NULL)
        CHECK(wait_for_the_guard());
    for (const struct hook_case *entry = hook_cases; entry->name != NULL; entry++) {
        if (strcmp(entry->name, name) != 0)
            continue;
        entry->run();
        say("result: %s", failed ? "fail" : skipped ? "skip" : "pass");
        return failed;
    }
    say("not ok: there is no case %s", name);
    say("result: fail");
    return 2;
}

#ifdef HOOK_AS_LIBRARY
/* The variable goes away, so that nothing that the case starts runs it again. */
__attribute__((constructor)) static void run_before_the_program(void)
{
    const char *variable = getenv("HOOK_CONSTRUCTOR");
    if (variable == NULL)
        return;
    char name[128];
    snprintf(name, sizeof name, "%s", variable);
    unsetenv("HOOK_CONSTRUCTOR");
    const char *later = getenv("HOOK_MODE");
    char *kept = later == NULL ? NULL : strdup(later);
    setenv("HOOK_MODE", "either", 1);
    run_case(name);
    if (kept != NULL)
        setenv("HOOK_MODE", kept, 1);
    free(kept);
}
#else
int main(int count, char **arguments)
{
    if (count != 2) {
        say("usage: program CASE");
        return 2;
    }
    return run_case(arguments[1]);
}
#endif
