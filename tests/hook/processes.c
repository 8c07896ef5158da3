/* fork, vfork, clone, spawn and exec; programs that close every descriptor; daemons. */
#include "hook_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { FORKS = 2000, CHILD_SECONDS = 20, EXECS = 50, STACK_SIZE = 256 * 1024, UNSTEERED = 12 };

/* 0 when a new connection reaches whom it should; usable in any child. */
static int connect_once(void)
{
    struct where cache = where("cache");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 10;
    if (connect(fd, &cache.any, cache.size) != 0)
        return 11;
    const char *peer = who(peer_port(fd));
    bool right = strcmp(peer, steering() ? "east" : "home") == 0 ||
                 (strcmp(getenv("HOOK_MODE"), "either") == 0 && strcmp(peer, "east") == 0);
    drop(fd);
    return right ? 0 : UNSTEERED;
}

static int status_of(pid_t child)
{
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- fork ---- */

static atomic_bool stop;

static void *connect_until_told(void *failures)
{
    while (!atomic_load(&stop))
        if (connect_once() != 0)
            atomic_fetch_add((atomic_int *)failures, 1);
    return NULL;
}

static void *look_up_until_told(void *failures)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *list;
    while (!atomic_load(&stop)) {
        if (getaddrinfo("127.0.0.9", "6379", &hints, &list) != 0)
            atomic_fetch_add((atomic_int *)failures, 1);
        else
            freeaddrinfo(list);
    }
    return NULL;
}

HOOK_CASE(fork_while_other_threads_connect)
{
    pthread_t threads[3];
    atomic_int failures = 0;
    int wrong = 0;
    CHECK(pthread_create(&threads[0], NULL, connect_until_told, &failures) == 0);
    CHECK(pthread_create(&threads[1], NULL, connect_until_told, &failures) == 0);
    CHECK(pthread_create(&threads[2], NULL, look_up_until_told, &failures) == 0);
    for (int i = 0; i < FORKS && wrong < 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_SECONDS); /* a child that hangs dies by it */
            _exit(connect_once());
        }
        int status = status_of(child);
        if (status != 0) {
            wrong++;
            say("not ok: child %d ended with %d", i, status);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    say("wrong children %d, failures of threads %d", wrong, atomic_load(&failures));
}

HOOK_CASE(children_of_children_connect)
{
    say("parent %d", connect_once());
    for (int generation = 0; generation < 20; generation++) {
        pid_t child = fork();
        if (child != 0)
            _exit(status_of(child) == 0 ? 0 : 1);
        int result = connect_once();
        if (result != 0)
            say("not ok: generation %d: %d", generation, result);
    }
    say("the last generation %d", connect_once());
}

/* ---- children that share the parent's memory ---- */

static int clone_child(void *stack, int flags, int (*run)(void *))
{
    int child = clone(run, (char *)stack + STACK_SIZE, flags | SIGCHLD, NULL);
    return status_of(child);
}

static int child_that_connects(void *unused)
{
    (void)unused;
    _exit(connect_once());
}

static void sharing_child_leaves_the_parent_intact(int flags, bool parent_first)
{
    void *stack = malloc(STACK_SIZE);
    int before = count_descriptors();
    if (parent_first)
        say("parent before %d", connect_once());
    for (int i = 0; i < 20; i++) {
        int status = clone_child(stack, flags, child_that_connects);
        /* It may not write to our memory, so it attaches to nothing: unsteered until we have. */
        if (!CHECK(status == 0 || (status == UNSTEERED && !parent_first)))
            say("child %d", status);
    }
    say("parent after %d", connect_once());
    CHECK(count_descriptors() == before);
    say("wait for anybody: %s", waitpid(-1, NULL, 0) < 0 ? strerrorname_np(errno) : "a child");
    free(stack);
}

HOOK_CASE(vfork_child_connects)
{
    sharing_child_leaves_the_parent_intact(CLONE_VM | CLONE_VFORK, true);
}

HOOK_CASE(vfork_child_is_the_first_to_connect)
{
    sharing_child_leaves_the_parent_intact(CLONE_VM | CLONE_VFORK, false);
}

HOOK_CASE(clone_child_in_the_same_memory_connects)
{
    sharing_child_leaves_the_parent_intact(CLONE_VM, true);
}

HOOK_CASE(clone_child_in_the_same_memory_is_the_first_to_connect)
{
    sharing_child_leaves_the_parent_intact(CLONE_VM, false);
}

HOOK_CASE(clone_child_with_the_same_descriptors_connects)
{
    sharing_child_leaves_the_parent_intact(CLONE_VM | CLONE_FILES | CLONE_VFORK, false);
}

HOOK_CASE(raw_fork_child_connects)
{
    say("parent before %d", connect_once());
    for (int i = 0; i < 20; i++) {
        pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0)
            _exit(connect_once());
        CHECK(status_of(child) == 0);
    }
    say("parent after %d", connect_once());
}

HOOK_CASE(spawned_child_connects)
{
    char self[512], name[] = "one_connection";
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(length > 0);
    self[length] = '\0';
    char *arguments[] = {self, name, NULL};
    say("parent before %d", connect_once());
    for (int i = 0; i < 5; i++) {
        pid_t child;
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        CHECK(posix_spawn(&child, self, &actions, NULL, arguments, environ) == 0);
        CHECK(status_of(child) == 0);
        posix_spawn_file_actions_destroy(&actions);
    }
    say("parent after %d", connect_once());
}

HOOK_CASE(one_connection)
{
    CHECK(connect_once() == 0);
}

/* ---- exec ---- */

HOOK_CASE(chain_of_executed_programs)
{
    const char *depth_text = getenv("HOOK_DEPTH"), *count_text = getenv("HOOK_COUNT");
    int depth = depth_text == NULL ? 0 : atoi(depth_text);
    CHECK(connect_once() == 0);
    int count = count_descriptors();
    if (count_text != NULL && !CHECK(count == atoi(count_text)))
        say("depth %d: %d descriptors, not %s", depth, count, count_text);
    if (depth == EXECS) {
        say("reached depth %d", depth);
        return;
    }
    char text[16], self[512], name[] = "chain_of_executed_programs";
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    snprintf(text, sizeof text, "%d", depth + 1);
    setenv("HOOK_DEPTH", text, 1);
    snprintf(text, sizeof text, "%d", count);
    setenv("HOOK_COUNT", text, 1);
    char *arguments[] = {self, name, NULL};
    execv(self, arguments);
    CHECK(!"exec");
}

/* LD_PRELOAD goes, as by `env -i`: the next program must be as if there were no library. */
HOOK_CASE(executed_program_without_the_library)
{
    char self[512], name[] = "one_connection";
    CHECK(connect_once() == 0);
    unsetenv("LD_PRELOAD");
    setenv("HOOK_MODE", "kernel", 1);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    char *arguments[] = {self, name, NULL};
    execv(self, arguments);
    CHECK(!"exec");
}

HOOK_CASE(program_with_no_new_privileges)
{
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    say("connect %d", connect_once());
}

HOOK_CASE(program_that_may_not_be_dumped)
{
    CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    say("connect %d", connect_once());
}

HOOK_CASE(eight_descriptors_are_enough)
{
    struct rlimit few = {8, 8};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    say("connect %d", connect_once());
    int fd, last = -1;
    while ((fd = dup(STDIN_FILENO)) >= 0)
        last = fd;
    say("last %d, then %s", last, strerrorname_np(errno));
    close(last);
    say("connect with one left %d", connect_once());
    say("connect with none left %d", (dup(STDIN_FILENO), connect_once()));
}

/* $HOOK_SPARE numbers are left for whatever the first connection needs. */
HOOK_CASE(first_connection_with_few_descriptors_to_spare)
{
    struct rlimit few = {64, 64};
    int spare = atoi(getenv("HOOK_SPARE")), fd, last = -1;
    struct where cache = where("cache");
    int connecting = tcp_socket(AF_INET, 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    while ((fd = dup(STDIN_FILENO)) >= 0)
        last = fd;
    for (; spare > 0; spare--)
        close(last--);
    say_connect("connect", connecting, &cache.any, cache.size);
    close(connecting);
}

/* A filter may kill whoever makes a call that its author did not think of: no child under it. */
HOOK_CASE(first_connection_under_a_seccomp_filter)
{
    struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    struct sock_fprog filter = {.len = 1, .filter = &allow};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        SKIP("no seccomp filters here");
    say("connect %d", connect_once());
}

/* A relative path is one from where the program was started. */
HOOK_CASE(first_connection_after_a_change_of_directory)
{
    CHECK(chdir("/") == 0);
    say("connect %d", connect_once());
}

/* ---- programs that close what they did not open ---- */

static void close_by_range(void)
{
    CHECK(syscall(SYS_close_range, 3U, ~0U, 0U) == 0);
}

static void close_by_closefrom(void)
{
    closefrom(3);
}

static void close_by_loop(void)
{
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
}

/* The program's new descriptors take the low numbers; nobody else may write to or close them. */
static void close_everything_and_go_on(void (*close_all)(void))
{
    static const char row[] = "row\n";
    int files[8];
    say("before %d", connect_once());
    for (int round = 0; round < 20; round++) {
        close_all();
        for (int i = 0; i < 8; i++) {
            files[i] = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
            CHECK(files[i] == 3 + i);
            CHECK(write(files[i], row, 4) == 4);
        }
        CHECK(connect_once() == 0);
        for (int i = 0; i < 8; i++) {
            char text[16] = "";
            CHECK(pread(files[i], text, sizeof text, 0) == 4 && strcmp(text, row) == 0);
            CHECK(close(files[i]) == 0);
        }
    }
    say("after %d", connect_once());
}

HOOK_CASE(close_range_of_everything)
{
    close_everything_and_go_on(close_by_range);
}

HOOK_CASE(closefrom_everything)
{
    close_everything_and_go_on(close_by_closefrom);
}

HOOK_CASE(loop_that_closes_everything)
{
    close_everything_and_go_on(close_by_loop);
}

/* From here on there is no standard output until the file of the transcript is opened as such. */
static void open_transcript(void)
{
    int file = open(getenv("HOOK_OUTPUT"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0 || dup2(file, STDOUT_FILENO) < 0)
        _exit(7);
    if (file != STDOUT_FILENO)
        close(file);
}

HOOK_CASE(daemon_with_two_forks)
{
    int before = connect_once();
    pid_t child = fork();
    if (child != 0)
        _exit(status_of(child));
    setsid();
    pid_t daemon_process = fork();
    if (daemon_process != 0)
        _exit(daemon_process < 0);
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    int null = open("/dev/null", O_RDWR);
    int second = dup(null), third = dup(null);
    int own = open(".", O_TMPFILE | O_RDWR, 0600);
    ssize_t wrote = write(own, "HEADER|", 7);
    int results[20], wrong = 0;
    for (int i = 0; i < 20; i++) {
        results[i] = connect_once();
        wrong += results[i] != 0;
        wrote += write(own, "ROW|", 4);
    }
    char text[256] = "";
    ssize_t length = pread(own, text, sizeof text - 1, 0);
    open_transcript();
    say("before %d, descriptors %d %d %d %d", before, null, second, third, own);
    say("wrong %d, wrote %zd, file has %zd bytes: %.20s", wrong, wrote, length, text);
}

HOOK_CASE(standard_descriptors_closed)
{
    struct where cache = where("cache");
    int first = socket(AF_INET, SOCK_STREAM, 0);
    int result = connect(first, &cache.any, cache.size), error = errno;
    uint16_t port = peer_port(first);
    bool answers = redis_answers(first);
    int second = connect_once(), next = open("/dev/null", O_RDONLY), open_now = count_descriptors();
    close(first);
    close(next);
    open_transcript();
    say("socket %d, connect %d (%d), answers %d, again %d", first, result, error, answers, second);
    say("next %d, open %d", next, open_now);
    CHECK(strcmp(who(port), steering() ? "east" : "home") == 0);
}

const struct hook_case hook_cases[] = {
    HOOK_ENTRY(fork_while_other_threads_connect),
    HOOK_ENTRY(children_of_children_connect),
    HOOK_ENTRY(vfork_child_connects),
    HOOK_ENTRY(vfork_child_is_the_first_to_connect),
    HOOK_ENTRY(clone_child_in_the_same_memory_connects),
    HOOK_ENTRY(clone_child_in_the_same_memory_is_the_first_to_connect),
    HOOK_ENTRY(clone_child_with_the_same_descriptors_connects),
    HOOK_ENTRY(raw_fork_child_connects),
    HOOK_ENTRY(spawned_child_connects),
    HOOK_ENTRY(one_connection),
    HOOK_ENTRY(chain_of_executed_programs),
    HOOK_ENTRY(executed_program_without_the_library),
    HOOK_ENTRY(program_with_no_new_privileges),
    HOOK_ENTRY(program_that_may_not_be_dumped),
    HOOK_ENTRY(eight_descriptors_are_enough),
    HOOK_ENTRY(first_connection_with_few_descriptors_to_spare),
    HOOK_ENTRY(first_connection_under_a_seccomp_filter),
    HOOK_ENTRY(first_connection_after_a_change_of_directory),
    HOOK_ENTRY(close_range_of_everything),
    HOOK_ENTRY(closefrom_everything),
    HOOK_ENTRY(loop_that_closes_everything),
    HOOK_ENTRY(daemon_with_two_forks),
    HOOK_ENTRY(standard_descriptors_closed),
    HOOK_END,
};
