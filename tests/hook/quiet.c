/* What the library must not do to a program: threads, children, mappings, signals, namespaces. */
#include "hook_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool maps_mention(const char *text)
{
    char line[1024];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (text == NULL || !CHECK(maps != NULL))
        return false;
    while (fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, text) != NULL;
    fclose(maps);
    return found;
}

static const char *wait_for_anybody(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 ? strerrorname_np(errno) : "a child";
}

HOOK_CASE(program_without_connections_has_nothing_of_ours)
{
    say("threads %d", count_threads());
    say("children: %s", wait_for_anybody());
    say("descriptors %d", count_descriptors());
    CHECK(!maps_mention(getenv("REDISTEER_RUNTIME_DIR")));
    const char *library = getenv("LD_PRELOAD") == NULL ? NULL : "libredisteer";
    CHECK(library == NULL || maps_mention(library));
}

HOOK_CASE(program_that_connects_has_no_child)
{
    static const char *const names[] = {"stranger", "cache", "limping", "cache6"};
    for (size_t i = 0; i < 4; i++) {
        int fd = connect_to(names[i]);
        CHECK(fd >= 0);
        drop(fd);
    }
    say("children: %s", wait_for_anybody());
    say("descriptors %d", count_descriptors());
}

static int in_a_child(int (*run)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(run());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int new_user_namespace(void)
{
    return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
}

static int new_namespaces_and_connect(void)
{
    int error = new_user_namespace();
    if (error != 0)
        return error;
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) != 0)
        return errno;
    int fd = connect_to("cache");
    return fd < 0 ? -fd : 0;
}

/* The kernel refuses a new user namespace to a process with a second thread. */
HOOK_CASE(new_user_namespace_is_possible)
{
    say("unshare in a child: %d", in_a_child(new_user_namespace));
    say("with others, and connect: %d", in_a_child(new_namespaces_and_connect));
    int fd = connect_to("stranger");
    CHECK(fd >= 0);
    drop(fd);
    say("after an unmatched connection: %d", in_a_child(new_user_namespace));
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    int status = -1;
    say("clone: %s", child < 0 ? strerrorname_np(errno) : "0");
    if (child > 0)
        waitpid(child, &status, 0);
    say("unshare in the program itself: %d", new_user_namespace());
}

/* ---- publishing by a child of the first intercepted call ---- */

static volatile sig_atomic_t children_heard_of;

static void on_child(int number)
{
    (void)number;
    children_heard_of = children_heard_of + 1;
}

static void first_call_leaves_no_trace(void)
{
    char before[512], after[512];
    sigset_t mask_before = {0}, mask_after = {0};
    mode_t umask_before = umask(027);
    umask(umask_before);
    int descriptors = count_descriptors();
    CHECK(getcwd(before, sizeof before) != NULL);
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    for (int i = 0; i < 3; i++) {
        int fd = connect_to("cache");
        CHECK(fd >= 0);
        CHECK_PEER(fd, "home", "east");
        drop(fd);
    }
    say("children: %s, heard of %d", wait_for_anybody(), (int)children_heard_of);
    say("process group %d, session %d", getpgrp() == getpid(), getsid(0) == getpid());
    CHECK(getcwd(after, sizeof after) != NULL && strcmp(before, after) == 0);
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    CHECK(memcmp(&mask_before, &mask_after, sizeof mask_before) == 0);
    CHECK(umask(umask_before) == umask_before);
    CHECK(count_descriptors() == descriptors);
    CHECK(getenv("LD_PRELOAD") != NULL || !steering());
}

HOOK_CASE(first_call_is_not_heard_of)
{
    struct sigaction action = {.sa_handler = on_child}, now;
    sigaction(SIGCHLD, &action, NULL);
    first_call_leaves_no_trace();
    sigaction(SIGCHLD, NULL, &now);
    CHECK(now.sa_handler == on_child);
}

HOOK_CASE(first_call_while_children_are_ignored)
{
    signal(SIGCHLD, SIG_IGN);
    first_call_leaves_no_trace();
    CHECK(signal(SIGCHLD, SIG_DFL) == SIG_IGN);
}

HOOK_CASE(first_call_of_a_subreaper)
{
    struct sigaction action = {.sa_handler = on_child};
    sigaction(SIGCHLD, &action, NULL);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    first_call_leaves_no_trace();
}

/* The program has a child of its own, and waits for that alone. */
HOOK_CASE(first_call_beside_a_child_of_the_program)
{
    int hold[2], status = -1;
    CHECK(pipe2(hold, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 42 : 43);
    }
    close(hold[0]);
    int fd = connect_to("cache");
    CHECK(fd >= 0);
    drop(fd);
    say("nobody has ended: %d", waitpid(-1, &status, WNOHANG));
    close(hold[1]);
    CHECK(waitpid(-1, &status, 0) == child);
    say("own child ended with %d", WEXITSTATUS(status));
    say("then %s", wait_for_anybody());
}

HOOK_CASE(first_call_with_every_signal_blocked)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    first_call_leaves_no_trace();
    sigprocmask(SIG_SETMASK, &before, NULL);
}

HOOK_CASE(one_connection)
{
    int fd = connect_to("cache");
    say("connect: %s", fd < 0 ? strerrorname_np(-fd) : "0");
    if (fd < 0)
        return;
    CHECK_PEER(fd, "home", "east");
    CHECK(redis_answers(fd));
    int other = connect_to("stranger");
    CHECK(other >= 0);
    CHECK_PEER(other, "home", "home");
    drop(other);
    drop(fd);
}

/* For a namespace where nobody listens: the errno is the kernel's. */
HOOK_CASE(one_attempt)
{
    int fd = connect_to("cache");
    say("connect: %s", fd < 0 ? strerrorname_np(-fd) : "0");
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(program_without_connections_has_nothing_of_ours),
    HOOK_ENTRY(program_that_connects_has_no_child),
    HOOK_ENTRY(new_user_namespace_is_possible),
    HOOK_ENTRY(first_call_is_not_heard_of),
    HOOK_ENTRY(first_call_while_children_are_ignored),
    HOOK_ENTRY(first_call_of_a_subreaper),
    HOOK_ENTRY(first_call_beside_a_child_of_the_program),
    HOOK_ENTRY(first_call_with_every_signal_blocked),
    HOOK_ENTRY(one_connection),
    HOOK_ENTRY(one_attempt),
    HOOK_END,
};
