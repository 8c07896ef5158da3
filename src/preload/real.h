/*
 * real: the functions that the hooks stand in front of.
 *
 * Resolved by the constructor; a hook that runs before it, from another library's constructor,
 * makes the raw system call for the socket functions (they are nothing else) and resolves the
 * others on the spot. Pointers are idempotent: two threads that race store the same value
 * (relaxed).
 */
#ifndef PRELOAD_REAL_H
#define PRELOAD_REAL_H

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* For the constructor. */
void real_resolve(void);

/* [hook] Async-signal-safe; these set errno as libc does. */
int real_connect(int fd, const struct sockaddr *address, socklen_t length);
int real_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
ssize_t real_sendto(int fd, const void *data, size_t size, int flags,
                    const struct sockaddr *address, socklen_t length);
ssize_t real_sendmsg(int fd, const struct msghdr *message, int flags);

/* NULL when libc has no such function (musl has no getaddrinfo_a): then nobody can have called it.
 */
typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int getaddrinfo_a_fn(int, struct gaicb *[], int, struct sigevent *);
typedef struct hostent *gethostbyname_fn(const char *);
typedef struct hostent *gethostbyname2_fn(const char *, int);
typedef int gethostbyname_r_fn(const char *, struct hostent *, char *, size_t, struct hostent **,
                               int *);
typedef int gethostbyname2_r_fn(const char *, int, struct hostent *, char *, size_t,
                                struct hostent **, int *);

/*
 * For starting threads. Not called by name: before glibc 2.34 they live in libpthread, which a
 * preload library must not need. False: the host has none, and we start none.
 */
struct real_threads {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int (*setstack)(pthread_attr_t *, void *, size_t);
};
bool real_threads(struct real_threads *out);

getaddrinfo_fn *real_getaddrinfo(void);
getaddrinfo_a_fn *real_getaddrinfo_a(void);
gethostbyname_fn *real_gethostbyname(void);
gethostbyname2_fn *real_gethostbyname2(void);
gethostbyname_r_fn *real_gethostbyname_r(void);
gethostbyname2_r_fn *real_gethostbyname2_r(void);

#endif
