/*
 * What starting a program costs: spawn COUNT PRELOAD PROGRAM. Starts PROGRAM COUNT times without
 * and COUNT times with LD_PRELOAD=PRELOAD, taking turns, each to its end. Prints the median of both
 * in microseconds: "plain preloaded".
 */
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static double start_us(char **argv, char **environment)
{
    struct timespec start, end;
    pid_t pid;
    int status;

    clock_gettime(CLOCK_MONOTONIC, &start);
    if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environment) != 0 ||
        waitpid(pid, &status, 0) < 0 || status != 0)
        exit(1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - start.tv_sec) * 1e6 + (double)(end.tv_nsec - start.tv_nsec) / 1e3;
}

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

int main(int argc, char **argv)
{
    char preload[4096];
    char *none[] = {NULL}, *preloaded[] = {preload, NULL};
    long count = argc == 4 ? atol(argv[1]) : 0;

    if (count < 1)
        return 2;
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", argv[2]);
    double *plain_us = calloc((size_t)count, sizeof *plain_us);
    double *preloaded_us = calloc((size_t)count, sizeof *preloaded_us);
    for (long i = 0; i < count; i++) {
        plain_us[i] = start_us(argv + 3, none);
        preloaded_us[i] = start_us(argv + 3, preloaded);
    }
    qsort(plain_us, (size_t)count, sizeof *plain_us, compare);
    qsort(preloaded_us, (size_t)count, sizeof *preloaded_us, compare);
    printf("%.1f %.1f\n", plain_us[count / 2], preloaded_us[count / 2]);
    free(plain_us);
    free(preloaded_us);
    return 0;
}
