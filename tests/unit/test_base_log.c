#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

static char directory[64];
static char path[96];

static void set_up(void)
{
    strcpy(directory, "/tmp/redisteer-log-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/log", directory);
}

static void tear_down(void)
{
    log_open(NULL);
    unlink(path);
    rmdir(directory);
}

static void open_log(const char *level)
{
    char specification[128];

    snprintf(specification, sizeof(specification), "%s%s", level, path);
    log_open(specification);
}

/* The file's content, "" when there is none. */
static const char *content(void)
{
    static char text[4096];
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

    text[length] = '\0';
    if (file)
        fclose(file);
    return text;
}

/* Runs `body` in a child, so that what it does to descriptors and limits stays there. */
static int status_of(void (*body)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        body();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

START_TEST(a_line_has_time_process_level_and_text)
{
    regex_t pattern;
    char expected[160];
    time_t before, after, logged;
    struct tm parts = {0};

    set_up();
    snprintf(expected, sizeof(expected),
             "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z %d warn east: refused 2\n$",
             (int)getpid());
    open_log("info:");
    before = time(NULL);
    log_warn("%s: refused %d", "east", 2);
    after = time(NULL);

    ck_assert_int_eq(regcomp(&pattern, expected, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&pattern, content(), 0, NULL, 0) == 0, "%s", content());
    regfree(&pattern);
    ck_assert_ptr_nonnull(strptime(content(), "%Y-%m-%dT%H:%M:%S", &parts));
    logged = timegm(&parts);
    ck_assert(logged >= before && logged <= after);
    tear_down();
}
END_TEST

START_TEST(lines_are_appended_to_a_file_that_is_the_owners_alone)
{
    struct stat file;

    set_up();
    open_log("");
    log_info("one");
    log_error("two");
    ck_assert_ptr_nonnull(strstr(content(), "info one\n"));
    ck_assert_ptr_nonnull(strstr(content(), "error two\n"));
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 07777, 0600);
    tear_down();
}
END_TEST

START_TEST(each_level_logs_itself_and_what_is_worse)
{
    static const char *const levels[] = {"", "error:", "warn:", "info:", "debug:"};

    set_up();
    for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        open_log(levels[i]);
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++)
            ck_assert_msg(log_enabled((enum log_level)level) == (level <= i), "%d %d", i, level);
        ck_assert(!log_enabled(LOG_OFF));
    }
    open_log("warn:");
    log_info("not this");
    ck_assert_int_eq(access(path, F_OK), -1);
    tear_down();
}
END_TEST

START_TEST(a_bad_specification_leaves_the_log_off)
{
    static const char *const rows[] = {"",         "debug",         "loud:/tmp/x",  "debug:tmp/x",
                                       "tmp/x",    "debug: /tmp/x", "DEBUG:/tmp/x", "off:/tmp/x",
                                       "warn/tmp", "debugx:/tmp/x", ":/tmp/x"};
    char lengthy[5000] = "/";

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        log_open("debug:/nowhere/at/all");
        log_open(rows[i]);
        ck_assert_msg(!log_enabled(LOG_ERROR), "'%s'", rows[i]);
    }
    memset(lengthy + 1, 'x', sizeof(lengthy) - 2);
    log_open(lengthy);
    ck_assert(!log_enabled(LOG_ERROR));
    log_open(NULL);
    ck_assert(!log_enabled(LOG_ERROR));
}
END_TEST

START_TEST(a_long_line_is_cut_and_a_second_one_cannot_be_forged)
{
    char text[2000];

    set_up();
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    open_log("");
    log_info("%s", text);
    ck_assert_uint_eq(strlen(content()), 500);
    ck_assert_int_eq(content()[499], '\n');

    unlink(path);
    log_info("name a\nb\x7f\x1b[1m");
    ck_assert_ptr_nonnull(strstr(content(), "name a?b??[1m\n"));
    tear_down();
}
END_TEST

START_TEST(errno_is_untouched)
{
    set_up();
    open_log("");
    errno = 12345;
    log_info("works");
    ck_assert_int_eq(errno, 12345);
    log_open("/nowhere/at/all");
    log_info("fails");
    ck_assert_int_eq(errno, 12345);
    tear_down();
}
END_TEST

static void log_without_standard_files(void)
{
    close(0);
    close(1);
    close(2);
    log_info("alone");
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            _exit(1);
}

START_TEST(closed_standard_files_stay_closed)
{
    set_up();
    open_log("");
    ck_assert_int_eq(status_of(log_without_standard_files), 0);
    ck_assert_ptr_nonnull(strstr(content(), "alone\n"));
    tear_down();
}
END_TEST

START_TEST(a_symbolic_link_is_not_followed)
{
    char target[112];

    set_up();
    snprintf(target, sizeof(target), "%s/target", directory);
    ck_assert_int_eq(symlink(target, path), 0);
    open_log("");
    log_info("nowhere");
    ck_assert_int_eq(access(target, F_OK), -1);
    tear_down();
}
END_TEST

static void log_once(void)
{
    alarm(10); /* a FIFO that blocks ends the child by a signal, too */
    log_info("into the pipe");
}

START_TEST(a_fifo_neither_blocks_nor_signals)
{
    char nothing;
    int reader;

    set_up();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    open_log("");
    ck_assert_int_eq(status_of(log_once), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    ck_assert_int_eq(status_of(log_once), 0);
    ck_assert_int_eq(read(reader, &nothing, 1), 0); /* a reader that goes away means SIGPIPE */
    close(reader);
    tear_down();
}
END_TEST

static void log_past_the_limit(void)
{
    const struct rlimit limit = {100, 100};

    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 10; i++)
        log_info("forty bytes or so of text in each line");
}

START_TEST(a_file_size_limit_raises_no_signal)
{
    set_up();
    open_log("");
    ck_assert_int_eq(status_of(log_past_the_limit), 0);
    ck_assert_uint_gt(strlen(content()), 0);
    ck_assert_uint_le(strlen(content()), 100);
    tear_down();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_line_has_time_process_level_and_text,
        lines_are_appended_to_a_file_that_is_the_owners_alone,
        each_level_logs_itself_and_what_is_worse,
        a_bad_specification_leaves_the_log_off,
        a_long_line_is_cut_and_a_second_one_cannot_be_forged,
        errno_is_untouched,
        closed_standard_files_stay_closed,
        a_symbolic_link_is_not_followed,
        a_fifo_neither_blocks_nor_signals,
        a_file_size_limit_raises_no_signal,
    };

    return unit_run("base_log", tests, COUNT_OF(tests));
}
