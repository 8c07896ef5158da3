/*
 * A library whose constructor makes the program's first connect(), and leaves it by siglongjmp()
 * from a signal handler while libredisteer.so is starting: when that asks for AT_SECURE. LD_PRELOAD
 * names it last, so that it comes first.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile sig_atomic_t jumps;

static void jump(int number)
{
    (void)number;
    jumps = false;
    siglongjmp(back, 1);
}

__attribute__((visibility("default"))) unsigned long getauxval(unsigned long type)
{
    if (type == AT_SECURE && jumps)
        raise(SIGALRM);
    return 0;
}

__attribute__((constructor)) static void connect_first(void)
{
    const struct sockaddr_in nowhere = {.sin_family = AF_INET,
                                        .sin_port = htons(9),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    signal(SIGALRM, jump);
    jumps = true;
    if (sigsetjmp(back, 1) == 0)
        connect(fd, (const struct sockaddr *)&nowhere, sizeof(nowhere));
    signal(SIGALRM, SIG_DFL);
    close(fd);
}
