#include "preload/real.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/symbols.h"

typedef _Atomic(void *) real_pointer;

enum {
    CONNECT,
    GETSOCKOPT,
    SENDTO,
    SENDMSG,
    GETADDRINFO,
    GETADDRINFO_A,
    GETHOSTBYNAME,
    GETHOSTBYNAME2,
    GETHOSTBYNAME_R,
    GETHOSTBYNAME2_R,
    PTHREAD_CREATE,
    PTHREAD_ATTR_SETSTACK,
    REAL_COUNT,
};

static const char *const names[REAL_COUNT] = {
    [CONNECT] = "connect",
    [GETSOCKOPT] = "getsockopt",
    [SENDTO] = "sendto",
    [SENDMSG] = "sendmsg",
    [GETADDRINFO] = "getaddrinfo",
    [GETADDRINFO_A] = "getaddrinfo_a",
    [GETHOSTBYNAME] = "gethostbyname",
    [GETHOSTBYNAME2] = "gethostbyname2",
    [GETHOSTBYNAME_R] = "gethostbyname_r",
    [GETHOSTBYNAME2_R] = "gethostbyname2_r",
    [PTHREAD_CREATE] = "pthread_create",
    [PTHREAD_ATTR_SETSTACK] = "pthread_attr_setstack",
};

/* What the socket functions are before the constructor has found libc's, and where there is none.
 */
static int raw_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return (int)syscall(SYS_connect, fd, address, length);
}

static int raw_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    return (int)syscall(SYS_getsockopt, fd, level, name, value, length);
}

static ssize_t raw_sendto(int fd, const void *data, size_t size, int flags,
                          const struct sockaddr *address, socklen_t length)
{
    return syscall(SYS_sendto, fd, data, size, flags, address, length);
}

static ssize_t raw_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return syscall(SYS_sendmsg, fd, message, flags);
}

static real_pointer pointers[REAL_COUNT] = {
    [CONNECT] = (void *)raw_connect,
    [GETSOCKOPT] = (void *)raw_getsockopt,
    [SENDTO] = (void *)raw_sendto,
    [SENDMSG] = (void *)raw_sendmsg,
};

void real_resolve(void)
{
    for (unsigned i = 0; i < REAL_COUNT; i++) {
        void *found = symbol_next(names[i]);

        if (found)
            atomic_store_explicit(&pointers[i], found, memory_order_relaxed);
    }
}

static void *known(unsigned which)
{
    return atomic_load_explicit(&pointers[which], memory_order_relaxed);
}

/* Resolver functions are never legal in a signal handler, so taking the loader's lock is fine. */
static void *resolved(unsigned which)
{
    void *pointer = known(which);

    if (!pointer) {
        pointer = symbol_next(names[which]);
        atomic_store_explicit(&pointers[which], pointer, memory_order_relaxed);
    }
    return pointer;
}

int real_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*function)(int, const struct sockaddr *, socklen_t) = known(CONNECT);

    return function(fd, address, length);
}

int real_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    int (*function)(int, int, int, void *, socklen_t *) = known(GETSOCKOPT);

    return function(fd, level, name, value, length);
}

ssize_t real_sendto(int fd, const void *data, size_t size, int flags,
                    const struct sockaddr *address, socklen_t length)
{
    ssize_t (*function)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) =
        known(SENDTO);

    return function(fd, data, size, flags, address, length);
}

ssize_t real_sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t (*function)(int, const struct msghdr *, int) = known(SENDMSG);

    return function(fd, message, flags);
}

/* What the constructor found: a look-up now would take the loader's lock in the middle of
 * connect(). */
bool real_threads(struct real_threads *out)
{
    out->create = known(PTHREAD_CREATE);
    out->setstack = known(PTHREAD_ATTR_SETSTACK);
    return out->create && out->setstack;
}

getaddrinfo_fn *real_getaddrinfo(void)
{
    return resolved(GETADDRINFO);
}

getaddrinfo_a_fn *real_getaddrinfo_a(void)
{
    return resolved(GETADDRINFO_A);
}

gethostbyname_fn *real_gethostbyname(void)
{
    return resolved(GETHOSTBYNAME);
}

gethostbyname2_fn *real_gethostbyname2(void)
{
    return resolved(GETHOSTBYNAME2);
}

gethostbyname_r_fn *real_gethostbyname_r(void)
{
    return resolved(GETHOSTBYNAME_R);
}

gethostbyname2_r_fn *real_gethostbyname2_r(void)
{
    return resolved(GETHOSTBYNAME2_R);
}
