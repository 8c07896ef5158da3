#include "preload/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hints.h"
#include "preload/symbols.h"

/* glibc's pthread_atfork() is a static wrapper of this; musl exports pthread_atfork() itself. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                             void *object) __attribute__((weak));

/* The pid of the process that keeps books in this memory. Lies in a page that fork() wipes. */
static _Atomic(pid_t) unwiped_owner;
static _Atomic(pid_t) *owner = &unwiped_owner;

static void (*tell_child)(void);

static void own(void)
{
    atomic_store_explicit(owner, getpid(), memory_order_relaxed);
}

static void after_fork(void)
{
    own();
    tell_child();
}

void process_arm(void (*in_child)(void))
{
    long size = sysconf(_SC_PAGESIZE);
    void *page =
        mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page != MAP_FAILED) {
        madvise(page, (size_t)size, MADV_WIPEONFORK);
        owner = page;
    }
    own();
    tell_child = in_child;
    if (__register_atfork) {
        __register_atfork(NULL, NULL, after_fork, NULL);
    } else {
        int (*atfork)(void (*)(void), void (*)(void), void (*)(void)) =
            (int (*)(void (*)(void), void (*)(void), void (*)(void)))symbol_next("pthread_atfork");

        if (atfork)
            atfork(NULL, NULL, after_fork);
    }
}

bool process_is_ours(void)
{
    return atomic_load_explicit(owner, memory_order_relaxed) == getpid();
}

static bool in_signal_handler(const sigset_t *blocked)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;

        if (number == SIGQUIT || sigismember(blocked, number) != 1)
            continue;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
            action.sa_handler != SIG_IGN)
            return true;
    }
    return false;
}

/* The number of seccomp filters that /proc tells of, -1 when it does not. Read bit by bit: the
 * stack may be a signal handler's. */
HOT static long seccomp_filters(const char *path)
{
    static const char label[] = "\nSeccomp_filters:\t";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t matched = 0;
    ssize_t length;
    long count = -1;
    char text[256];

    while (fd >= 0 && (length = read(fd, text, sizeof(text))) > 0)
        for (const char *c = text; c < text + length; c++) {
            if (label[matched])
                matched = *c == label[matched] ? matched + 1 : *c == '\n';
            else if (*c >= '0' && *c <= '9')
                count = (count < 0 ? 0 : count * 10) + (*c - '0');
            else
                matched = 0;
        }
    if (fd >= 0)
        close(fd);
    return count;
}

/* A container gives all its processes the same filters, which refuse and do not kill. */
static bool has_own_seccomp_filter(void)
{
    long own_count = seccomp_filters("/proc/self/status");
    long first_count = seccomp_filters("/proc/1/status");

    return own_count > 0 && own_count > first_count;
}

void process_hush(struct hush *hush)
{
    sigset_t all;

    sigfillset(&all);
    hush->before = all; /* a sandbox may not tell */
    sigprocmask(SIG_BLOCK, &all, &hush->before);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &hush->cancellable);
}

void process_unhush(const struct hush *hush)
{
    pthread_setcancelstate(hush->cancellable, NULL);
    sigprocmask(SIG_SETMASK, &hush->before, NULL);
}

bool process_may_spawn(bool resolver_call, const sigset_t *blocked)
{
    return process_is_ours() && (resolver_call || !in_signal_handler(blocked)) &&
           !has_own_seccomp_filter();
}
