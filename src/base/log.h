/*
 * log: what the library has to say, to the file that REDISTEER_LOG names, and nowhere else.
 *
 * A line is written with open, one write and close: no descriptor of ours stays in the program's
 * table. Without REDISTEER_LOG each call is one load and one compare. All of it is [hook].
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/*
 * `specification` is "level:/path" (level error | warn | info | debug) or "/path" (= info). NULL, a
 * relative path or an unknown level leave the log off. Called once, before other threads may log.
 */
void log_open(const char *specification);

bool log_enabled(enum log_level level);

/* One line: time, process, level, text. Cut at 500 bytes. */
void log_line(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_enabled(LOG_DEBUG))                                                                \
            log_line(LOG_DEBUG, __VA_ARGS__);                                                      \
    } while (0)

#endif
