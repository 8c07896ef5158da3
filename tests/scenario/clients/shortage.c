/*
 * A library that lets libredisteer.so, and nobody else, run out of something: $SHORTAGE is "mmap N"
 * or "pthread_create N", of which the N-th call and all later ones fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int calls;

static bool is_short(const char *what, void *caller)
{
    const char *shortage = getenv("SHORTAGE");
    size_t length = strlen(what);
    Dl_info info;

    return shortage && strncmp(shortage, what, length) == 0 && dladdr(caller, &info) &&
           strstr(info.dli_fname, "libredisteer") &&
           atomic_fetch_add(&calls, 1) + 1 >= atoi(shortage + length);
}

__attribute__((visibility("default"))) void *mmap(void *at, size_t size, int protection, int flags,
                                                  int fd, off_t offset)
{
    if (is_short("mmap", __builtin_return_address(0))) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread,
                                                          const pthread_attr_t *attributes,
                                                          void *(*start)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))(
            uintptr_t)dlsym(RTLD_NEXT, "pthread_create");

    if (is_short("pthread_create", __builtin_return_address(0)))
        return EAGAIN;
    return real(thread, attributes, start, argument);
}
