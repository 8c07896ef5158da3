#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static sigset_t outside; /* the mask while waiting */
static bool terminal;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static void on_resize(int signal)
{
    (void)signal;
}

void interrupts_catch(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_interrupt};
    sigset_t blocked;

    /* Blocked but while waiting: one that comes just before the wait ends it all the same. */
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction before;

        /* nohup's wish is kept. */
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
            continue;
        sigaction(ends[i], &action, NULL);
        sigaddset(&blocked, ends[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &blocked, &outside);
}

void screen_begin(void)
{
    interrupts_catch();
    terminal = isatty(STDOUT_FILENO);
    if (!terminal)
        return;
    sigaction(SIGWINCH, &(struct sigaction){.sa_handler = on_resize}, NULL);
    fputs("\033[?1049h\033[?25l", stdout); /* the other screen, no cursor */
}

bool screen_show(const char *text)
{
    struct winsize window;
    unsigned rows = 24;

    if (!terminal) {
        fputs(text, stdout);
        return output_flush();
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0)
        rows = window.ws_row;
    fputs("\033[?7l\033[H", stdout); /* long lines are cut, not wrapped */
    for (unsigned row = 0; row < rows && *text != '\0'; row++) {
        size_t length = strcspn(text, "\n");

        printf("%s%.*s\033[K", row == 0 ? "" : "\r\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
    fputs("\033[J\033[?7h", stdout);
    return output_flush();
}

bool output_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    if (errno == EPIPE)
        clearerr(stdout);
    return false;
}

bool screen_wait(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    if (!interrupted)
        ppoll(NULL, 0, &time, &outside);
    return interrupted;
}

void screen_end(void)
{
    if (!terminal)
        return;
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    terminal = false;
}
