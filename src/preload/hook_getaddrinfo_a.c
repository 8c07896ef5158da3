/*
 * getaddrinfo_a: glibc's asynchronous look-ups. glibc's own worker calls an internal getaddrinfo
 * that no library can stand in front of, so requests for a service's name, which are instant, are
 * answered here, and only the others are handed on.
 */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>

#include "preload/hook.h"
#include "preload/hook_getaddrinfo.h"
#include "preload/real.h"

enum { REQUESTS_MAX = 256 }; /* longer lists are handed on whole */

/* True: answered, and the request looks as libc leaves a finished one. */
static bool answered(struct gaicb *request)
{
    struct addrinfo *answer;

    if (!request->ar_name || !real_getaddrinfo() ||
        !hook_getaddrinfo(request->ar_name, request->ar_service, request->ar_request, false,
                          &answer))
        return false;
    request->ar_result = answer;
    request->__return = 0;
    return true;
}

EXPORT int getaddrinfo_a(int mode, struct gaicb *list[restrict], int count,
                         struct sigevent *restrict notify)
{
    struct gaicb *others[REQUESTS_MAX];
    int saved = errno;

    if (!real_getaddrinfo_a()) {
        errno = ENOSYS;
        return EAI_SYSTEM;
    }
    if ((mode != GAI_WAIT && mode != GAI_NOWAIT) || count < 0 || count > REQUESTS_MAX)
        return real_getaddrinfo_a()(mode, list, count, notify);
    for (int i = 0; i < count; i++) /* NULL entries are allowed, and passed over */
        others[i] = list[i] && !answered(list[i]) ? list[i] : NULL;
    errno = saved;
    return real_getaddrinfo_a()(mode, others, count, notify);
}
