/*
 * An allocator that makes socket calls while it starts, under a lock that it holds: the loader asks
 * it for memory before any constructor has run, and a hook that allocated would wait for itself.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
EXPORT void *malloc(size_t size);
EXPORT void *calloc(size_t count, size_t size);
EXPORT void *realloc(void *old, size_t size);
EXPORT void *memalign(size_t alignment, size_t size);
EXPORT void *aligned_alloc(size_t alignment, size_t size);
EXPORT int posix_memalign(void **out, size_t alignment, size_t size);
EXPORT void free(void *old);

enum { ALIGNMENT = 16, POOL = 256 * 1024 * 1024 };

static atomic_size_t used;
static atomic_flag starting = ATOMIC_FLAG_INIT;
static char *pool;
static atomic_int depth;

static void start(void)
{
    struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_port = 1};
    char byte = 0;
    int value;
    socklen_t size = sizeof value;
    if (atomic_fetch_add(&depth, 1) > 0)
        _exit(99); /* an intercepted call allocated */
    connect(-1, (const struct sockaddr *)&nowhere, sizeof nowhere);
    sendto(-1, &byte, 1, MSG_FASTOPEN, (const struct sockaddr *)&nowhere, sizeof nowhere);
    getsockopt(-1, SOL_SOCKET, SO_ERROR, &value, &size);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connect(fd, (const struct sockaddr *)&nowhere, sizeof nowhere);
    close(fd);
    atomic_fetch_sub(&depth, 1);
}

static void *take(size_t size, size_t alignment)
{
    if (!atomic_flag_test_and_set(&starting)) {
        pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
        start();
    } else if (atomic_load(&depth) > 0) {
        _exit(99);
    }
    if (alignment < ALIGNMENT)
        alignment = ALIGNMENT;
    size_t room = size + alignment + ALIGNMENT;
    if (size > POOL || atomic_load(&used) + room > POOL) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t at = (uintptr_t)pool + atomic_fetch_add(&used, room) + ALIGNMENT;
    at = (at + alignment - 1) / alignment * alignment;
    memcpy((void *)(at - sizeof size), &size, sizeof size);
    return (void *)at;
}

void *malloc(size_t size)
{
    return take(size, ALIGNMENT);
}

void *calloc(size_t count, size_t size)
{
    return take(count * size, ALIGNMENT); /* the pool is never used twice, so it is zero */
}

void *realloc(void *old, size_t size)
{
    size_t before = 0;
    void *new = take(size, ALIGNMENT);
    if (old != NULL && new != NULL) {
        memcpy(&before, (char *)old - sizeof before, sizeof before);
        memcpy(new, old, before < size ? before : size);
    }
    return new;
}

void *memalign(size_t alignment, size_t size)
{
    return take(size, alignment);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return take(size, alignment);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    *out = take(size, alignment);
    return *out == NULL ? ENOMEM : 0;
}

void free(void *old)
{
    (void)old;
}
