/* Checks of type exec: a program that says by its exit status how the endpoint is. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "heavy/job.h"
#include "state/words.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum { OUTPUT_MAX = 64 * 1024, VARIABLE_TEXT = 512, OWN_VARIABLES = 6 };

extern char **environ;

struct variables {
    char texts[OWN_VARIABLES][VARIABLE_TEXT];
    char **list; /* ours, then the inherited ones; ends with NULL */
};

/* What it is given is about the endpoint; no credentials. */
static bool make_variables(const struct probe_target *target, struct variables *out)
{
    char all[ADDRESSES_MAX * (ADDRESS_IP_TEXT + 1)] = "", ip[ADDRESS_IP_TEXT];
    size_t count = 0, inherited = 0, length = 0;

    for (uint32_t i = 0; i < target->address_count; i++)
        length += text_format(all + length, sizeof(all) - length, "%s%s", i ? " " : "",
                              address_format_ip(&target->addresses[i], ip));
    text_format(ip, sizeof(ip), "%s", all);
    ip[strcspn(ip, " ")] = '\0';
    text_format(out->texts[0], VARIABLE_TEXT, "REDISTEER_SERVICE=%s", target->service);
    text_format(out->texts[1], VARIABLE_TEXT, "REDISTEER_ENDPOINT=%s", target->endpoint);
    text_format(out->texts[2], VARIABLE_TEXT, "REDISTEER_HOST=%s", target->host);
    text_format(out->texts[3], VARIABLE_TEXT, "REDISTEER_PORT=%u",
                (unsigned)(target->address_count ? target->addresses[0].port : 0));
    text_format(out->texts[4], VARIABLE_TEXT, "REDISTEER_ADDRESS=%s", ip);
    text_format(out->texts[5], VARIABLE_TEXT, "REDISTEER_ADDRESSES=%s", all);
    while (environ && environ[inherited])
        inherited++;
    out->list = calloc(OWN_VARIABLES + inherited + 1, sizeof(char *));
    if (!out->list)
        return false;
    for (; count < OWN_VARIABLES; count++)
        out->list[count] = out->texts[count];
    for (size_t i = 0; i < inherited; i++)
        if (!text_starts(environ[i], "LD_PRELOAD=") && !text_starts(environ[i], "REDISTEER_"))
            out->list[count++] = environ[i];
    return true;
}

/* In the child: only what may be called between fork() and exec() of a process with threads. */
_Noreturn static void become(char *const words[], char *const variables[], int output, int failed,
                             pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR);

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died first */
        _exit(127);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
    if (chdir("/") == 0)
        execvpe(words[0], words, variables);
    if (write(failed, "", 1) != 1)
        _exit(127);
    _exit(127);
}

/* Reads and forgets. False: it has said too much. */
static bool drain(int output, size_t *said)
{
    char bytes[4096];
    ssize_t length;

    while ((length = read(output, bytes, sizeof(bytes))) > 0)
        *said += (size_t)length;
    return *said <= OUTPUT_MAX;
}

/* Until it has ended, or must end. CHECK_FINE: by itself. */
static enum check_cause await(struct job *job, int pid_fd, int output)
{
    struct pollfd polls[] = {
        {.fd = pid_fd, .events = POLLIN},
        {.fd = job->cancel_fd, .events = POLLIN},
        {.fd = output, .events = POLLIN},
    };
    size_t said = 0;

    for (;;) {
        int left_ms = job_left_ms(job);

        if (left_ms == 0)
            return CHECK_EXEC_TIMEOUT;
        if (poll(polls, 3, left_ms) < 0 && errno != EINTR)
            return CHECK_EXEC_TIMEOUT;
        if (!drain(output, &said))
            return CHECK_EXEC_OUTPUT;
        if (polls[0].revents)
            return CHECK_FINE;
        if (polls[1].revents)
            return CHECK_EXEC_TIMEOUT;
        if (polls[2].revents & POLLHUP)
            polls[2].fd = -1;
    }
}

static void judge(struct job *job, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        job_decide(job, PROBE_PASSED, CHECK_FINE);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
        job_decide(job, PROBE_FAILED, CHECK_EXEC_UNHEALTHY);
    else
        job_decide(job, PROBE_VOID, WIFSIGNALED(status) ? CHECK_EXEC_SIGNAL : CHECK_EXEC_UNKNOWN);
}

static void supervise(struct job *job, pid_t child, int output, int failed)
{
    enum check_cause cause;
    char byte;
    int status, pid_fd = (int)syscall(SYS_pidfd_open, child, 0);

    /* Both sides say so, because either may be the first. */
    setpgid(child, child);
    cause = pid_fd < 0 ? CHECK_EXEC_START : await(job, pid_fd, output);
    /* Before it is reaped: until then its group's number is nobody else's. */
    kill(-child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid_fd >= 0)
        close(pid_fd);
    if (read(failed, &byte, 1) == 1)
        job_decide(job, PROBE_VOID, CHECK_EXEC_START);
    else if (cause == CHECK_FINE)
        judge(job, status);
    else
        job_decide(job, cause == CHECK_EXEC_TIMEOUT ? PROBE_FAILED : PROBE_VOID, cause);
}

void exec_run(struct job *job)
{
    const struct check_settings *check = &job->worker->target.check;
    const char *words[CHECK_WORDS_MAX + 1];
    union { /* exec's words are not const, though nothing changes them */
        const char **read;
        char **pass;
    } list = {.read = words};
    struct variables variables = {0};
    int output[2] = {-1, -1}, failed[2] = {-1, -1};
    pid_t child, parent = getpid();

    job_decide(job, PROBE_VOID, CHECK_EXEC_START);
    if (words_of_check(check, words) == 0 || !make_variables(&job->worker->target, &variables))
        return;
    if (pipe2(output, O_CLOEXEC) == 0 && pipe2(failed, O_CLOEXEC | O_NONBLOCK) == 0) {
        fcntl(output[0], F_SETFL, O_NONBLOCK);
        child = fork();
        if (child == 0)
            become(list.pass, variables.list, output[1], failed[1], parent);
        close(output[1]);
        close(failed[1]);
        output[1] = failed[1] = -1;
        if (child > 0)
            supervise(job, child, output[0], failed[0]);
    }
    for (int i = 0; i < 2; i++) {
        if (output[i] >= 0)
            close(output[i]);
        if (failed[i] >= 0)
            close(failed[i]);
    }
    free(variables.list);
}
