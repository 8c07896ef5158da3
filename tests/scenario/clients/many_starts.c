/*
 * Starts COUNT programs at the same moment and waits for them: many_starts COUNT PROGRAM [ARG…].
 * All children are forked first and exec once the pipe they wait on is closed. Exit status 0 when
 * every program exited with 0.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int gate[2];
    long count = argc > 2 ? atol(argv[1]) : 0;
    long failed = 0;

    if (count < 1 || pipe(gate) < 0)
        return 2;
    for (long i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0) {
            char byte;
            close(gate[1]);
            while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
                ;
            close(gate[0]);
            execv(argv[2], argv + 2);
            _exit(127);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (long i = 0; i < count; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            failed++;
    }
    printf("failed %ld\n", failed);
    return failed != 0;
}
