#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hints.h"
#include "base/text.h"

enum { LINE_TEXT = 500, PATH_TEXT = 1024 };

/* Written by log_open() alone, before other threads may log. */
static HOT_DATA enum log_level most_verbose; /* LOG_OFF */
static char log_path[PATH_TEXT];

static const char *const level_names[] = {
    [LOG_OFF] = "off",   [LOG_ERROR] = "error", [LOG_WARN] = "warn",
    [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

void log_open(const char *specification)
{
    enum log_level level = LOG_OFF;
    const char *path;

    most_verbose = LOG_OFF;
    if (!specification)
        return;
    path = strchr(specification, '/');
    if (path == specification)
        level = LOG_INFO;
    for (int i = LOG_ERROR; path && i <= LOG_DEBUG; i++) {
        size_t length = strlen(level_names[i]);

        if (text_starts(specification, level_names[i]) && specification[length] == ':' &&
            specification + length + 1 == path)
            level = (enum log_level)i;
    }
    if (level != LOG_OFF && text_copy(log_path, sizeof(log_path), path))
        most_verbose = level;
}

bool log_enabled(enum log_level level)
{
    return level <= most_verbose && level != LOG_OFF;
}

/*
 * Only where writing can raise no signal in the program: a pipe (SIGPIPE) has no position, and past
 * RLIMIT_FSIZE there is SIGXFSZ.
 */
static bool safe_to_write(int fd, size_t length)
{
    uint64_t limit[2]; /* the kernel's struct rlimit64: soft, hard */
    long end = syscall(SYS_lseek, fd, 0L, SEEK_END);

    return end >= 0 && syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, limit) == 0 &&
           (uint64_t)end + length <= limit[0];
}

/*
 * By raw system calls: libc's are cancellation points, and other preloaded libraries hook them.
 * Where the program has closed 0, 1 or 2, open() may return one of these; it is ours until close.
 * O_NONBLOCK: a FIFO without a reader must not hold the program up.
 */
static void append(const char *line, size_t length)
{
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log_path, flags | O_LARGEFILE, 0600);

    if (fd < 0)
        return;
    if (safe_to_write(fd, length))
        (void)!syscall(SYS_write, fd, line, length);
    syscall(SYS_close, fd);
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_TEXT];
    va_list arguments;
    size_t length;
    size_t text;
    int saved_errno = errno;

    if (!log_enabled(level))
        return;
    length = strlen(clock_format_wall(clock_wall_ns(), line));
    length += text_format(line + length, sizeof(line) - length, " %d %s ", (int)getpid(),
                          level_names[level]);
    text = length;
    va_start(arguments, format);
    length += text_vformat(line + length, sizeof(line) - length, format, arguments);
    va_end(arguments);
    /* Names in it may come from the program: they must not look like a line of ours. */
    for (; text < length; text++)
        if ((unsigned char)line[text] < ' ' || line[text] == 0x7f)
            line[text] = '?';
    line[length++] = '\n'; /* in place of the NUL */
    append(line, length);
    errno = saved_errno;
}
