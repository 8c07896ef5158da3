#include "preload/borrow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "preload/background.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

enum { MINIMUM_LEAST = 64, MINIMUM_MOST = 1000 };

static int process = -1; /* pidfd of our own process, in the guard's table; -1: shared table */

/* A seccomp filter (Docker's, say) refuses before the kernel looks at the numbers, which are no
 * good. */
static bool may_getfd(void)
{
    return syscall(SYS_pidfd_getfd, -1, -1, 0) < 0 && errno == EBADF;
}

void borrow_begin(void)
{
    process = -1;
    if (may_getfd() && background_own_descriptors())
        process = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (process < 0)
        log_info("guard: shares the program's table of descriptors");
}

int borrow(int fd)
{
    struct rlimit limit;
    int minimum = MINIMUM_LEAST;

    if (process >= 0)
        return (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 > MINIMUM_LEAST)
        minimum = limit.rlim_cur / 2 < MINIMUM_MOST ? (int)(limit.rlim_cur / 2) : MINIMUM_MOST;
    return fcntl(fd, F_DUPFD_CLOEXEC, minimum);
}
