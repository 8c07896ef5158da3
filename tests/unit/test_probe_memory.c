/* Checks take nothing from the host's allocator and give back what they map. */
#include <string.h>
#include <sys/mman.h>

#include "probe/arena.h"
#include "probe_lab.h"

enum { FLOOD = 100000 };

static bool counting;
static unsigned allocations;
static size_t mapped, most_mapped;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations += counting;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations += counting;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    allocations += counting;
    return __real_realloc(old, size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    mapped += size;
    if (mapped > most_mapped)
        most_mapped = mapped;
    return __real_mmap(at, size, protection, flags, fd, offset);
}

int __wrap_munmap(void *at, size_t size)
{
    mapped -= size;
    return __real_munmap(at, size);
}

static void check_counted(const char *says, bool endless, enum check_cause cause)
{
    struct peer peer = peer_listen();
    struct probe_target target = target_of(PROBE_PING, peer.port);
    struct probe *probe = probe_new(&target);
    struct probe_result result;

    peer_says(&peer, says);
    peer.endless = endless;
    counting = true;
    probe_start(probe, 1, UINT64_MAX / 8);
    while (!probe_take(probe, &result))
        lab_turn(probe, &peer); /* lab_check() asserts, and that allocates */
    counting = false;
    ck_assert_int_eq(result.cause, cause);
    ck_assert_uint_eq(allocations, 0);
    ck_assert_uint_gt(most_mapped, 0); /* or nothing was counted here */
    ck_assert_uint_le(most_mapped, ARENA_SIZE);
    ck_assert_uint_eq(mapped, 0);
}

START_TEST(an_answer_allocates_nothing)
{
    check_counted("+PONG\r\n", false, CHECK_FINE);
}
END_TEST

START_TEST(nonsense_allocates_nothing)
{
    check_counted("nonsense", false, CHECK_NOT_REDIS);
}
END_TEST

START_TEST(a_long_answer_allocates_no_more_than_its_arena)
{
    static char flood[FLOOD];

    memset(flood, 'x', sizeof(flood) - 1);
    memcpy(flood, "$100000000\r\n", 12);
    check_counted(flood, true, CHECK_TOO_LONG);
}
END_TEST

START_TEST(a_huge_array_allocates_no_more_than_its_arena)
{
    static char flood[FLOOD];

    memcpy(flood, "*2147483647\r\n", 13);
    for (size_t i = 13; i < sizeof(flood) - 1; i++)
        flood[i] = ":1\r\n"[(i - 13) % 4];
    check_counted(flood, true, CHECK_TOO_LONG);
}
END_TEST

START_TEST(a_probe_is_small)
{
    /* Ten of it are for what waits to be sent, and hardly ever touched. */
    ck_assert_uint_lt(probe_size(), 20 * 1024);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_answer_allocates_nothing,
        nonsense_allocates_nothing,
        a_long_answer_allocates_no_more_than_its_arena,
        a_huge_array_allocates_no_more_than_its_arena,
        a_probe_is_small,
    };

    return unit_run("probe_memory", tests, COUNT_OF(tests));
}
