#include "heavy/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

extern char **environ;

const char **child_variables(const char *const own[], size_t count)
{
    size_t inherited = 0;
    const char **list;

    while (environ && environ[inherited])
        inherited++;
    list = calloc(count + inherited + 1, sizeof(*list));
    if (!list)
        return NULL;
    for (size_t i = 0; i < count; i++)
        list[i] = own[i];
    for (size_t i = 0; i < inherited; i++)
        if (!text_starts(environ[i], "LD_PRELOAD=") && !text_starts(environ[i], "REDISTEER_"))
            list[count++] = environ[i];
    return list;
}

/* exec's words are not const, though nothing changes them. */
static char *const *unconst(const char *const *words)
{
    union {
        const char *const *read;
        char *const *pass;
    } list = {.read = words};

    return list.pass;
}

/* In the child: only what may be called between fork() and exec() of a process with threads. */
_Noreturn static void become(const struct child *child, int output, int failed, pid_t parent)
{
    sigset_t none;
    int error, null = open("/dev/null", O_RDWR);

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died first */
        _exit(127);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(child->input >= 0 ? child->input : null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(child->output ? null : output, STDERR_FILENO);
    syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
    if (chdir("/") == 0)
        execvpe(child->words[0], unconst(child->words), unconst(child->variables));
    error = errno;
    if (write(failed, &error, sizeof(error)) != (ssize_t)sizeof(error))
        _exit(127);
    _exit(127);
}

/* Reads, and keeps or forgets. False: it has said too much. */
static bool drain(struct child *child, int output)
{
    char bytes[4096];
    ssize_t length;

    while ((length = read(output, bytes, sizeof(bytes))) > 0) {
        if ((size_t)length > CHILD_OUTPUT_MAX - child->length)
            return false;
        if (child->output)
            memcpy(child->output + child->length, bytes, (size_t)length);
        child->length += (size_t)length;
    }
    return true;
}

static int left_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = clock_boot_ns();

    return now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

/* Until it has ended, or must end. */
static enum child_end await(struct child *child, int pid_fd, int output)
{
    struct pollfd polls[] = {
        {.fd = pid_fd, .events = POLLIN},
        {.fd = child->cancel_fd, .events = POLLIN},
        {.fd = output, .events = POLLIN},
    };

    for (;;) {
        int ms = left_ms(child->deadline_ns);

        if (ms == 0)
            return CHILD_LATE;
        if (poll(polls, 3, ms) < 0 && errno != EINTR)
            return CHILD_LATE;
        if (!drain(child, output))
            return CHILD_TALKATIVE;
        if (polls[0].revents)
            return CHILD_ENDED;
        if (polls[1].revents)
            return CHILD_LATE;
        if (polls[2].revents & POLLHUP)
            polls[2].fd = -1;
    }
}

static enum child_end supervise(struct child *child, pid_t pid, int output, int failed)
{
    int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    enum child_end end = CHILD_UNSTARTED;

    child->error = pid_fd < 0 ? errno : 0;
    /* Both sides say so, because either may be the first. */
    setpgid(pid, pid);
    if (pid_fd >= 0)
        end = await(child, pid_fd, output);
    /* Before it is reaped: until then its group's number is nobody else's. */
    kill(-pid, SIGKILL);
    while (waitpid(pid, &child->status, 0) < 0 && errno == EINTR)
        ;
    if (pid_fd >= 0)
        close(pid_fd);
    if (read(failed, &child->error, sizeof(child->error)) == (ssize_t)sizeof(child->error))
        end = CHILD_UNSTARTED;
    return end;
}

enum child_end child_run(struct child *child)
{
    int output[2] = {-1, -1}, failed[2] = {-1, -1};
    enum child_end end = CHILD_UNSTARTED;
    pid_t pid, parent = getpid();

    child->length = 0;
    if (pipe2(output, O_CLOEXEC) == 0 && pipe2(failed, O_CLOEXEC | O_NONBLOCK) == 0) {
        fcntl(output[0], F_SETFL, O_NONBLOCK);
        pid = fork();
        if (pid == 0)
            become(child, output[1], failed[1], parent);
        child->error = errno;
        close(output[1]);
        close(failed[1]);
        output[1] = failed[1] = -1;
        if (pid > 0)
            end = supervise(child, pid, output[0], failed[0]);
    } else {
        child->error = errno;
    }
    for (int i = 0; i < 2; i++) {
        if (output[i] >= 0)
            close(output[i]);
        if (failed[i] >= 0)
            close(failed[i]);
    }
    return end;
}
