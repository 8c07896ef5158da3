/*
 * hook_getaddrinfo: the body that getaddrinfo and getaddrinfo_a share.
 */
#ifndef PRELOAD_HOOK_GETADDRINFO_H
#define PRELOAD_HOOK_GETADDRINFO_H

#include <netdb.h>
#include <stdbool.h>

/* True: the name is a service's and `*result` is the answer. False: make the call as it was.
 * `may_wait`: see lookup_name(). Changes errno. real_getaddrinfo() must be there. */
bool hook_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                      bool may_wait, struct addrinfo **result);

#endif
