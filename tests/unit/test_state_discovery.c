/* What Sentinels have said: read whole or not at all, whatever becomes of those who write it. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "state/discovery.h"
#include "unit.h"

enum { THIS = 17, OTHER = 18, ROUNDS = 200000 };

static struct discovery_live live;

/* Every field follows from `number`. */
static struct found found_number(unsigned number)
{
    struct found found = {.count = 1 + number % ENDPOINTS_MAX, .agreed_ms = number};

    for (uint32_t i = 0; i < found.count; i++) {
        found.servers[i].ip[15] = (uint8_t)number;
        found.servers[i].port = (uint16_t)(1000 + i);
    }
    found.master = found.servers[number % found.count];
    return found;
}

static void assert_whole(const struct found *found)
{
    struct found wanted = found_number((unsigned)found->agreed_ms);

    ck_assert_mem_eq(found, &wanted, sizeof(wanted));
}

START_TEST(what_was_written_is_read)
{
    struct found written = found_number(5), found;

    ck_assert(!discovery_read(&live, THIS, &found));
    discovery_write(&live, THIS, &written);
    ck_assert(discovery_read(&live, THIS, &found));
    ck_assert_mem_eq(&found, &written, sizeof(found));
    /* For another block nothing is known, and what was there before is gone from `found`. */
    ck_assert(!discovery_read(&live, OTHER, &found));
    ck_assert_uint_eq(found.count, 0);
    ck_assert_uint_eq(found.master.port, 0);
}
END_TEST

/* Each word in turn is all that a killed writer had written. */
START_TEST(a_writer_that_is_killed_leaves_nothing_that_is_believed)
{
    struct discovery_live after;
    struct found first = found_number(3), second = found_number(20), found;
    const uint64_t *to = (const uint64_t *)(const void *)&after;
    atomic_u64 *word = (atomic_u64 *)(void *)&live;
    size_t words = offsetof(struct discovery_live, sources) / sizeof(*word);
    unsigned torn = 0;

    discovery_write(&live, THIS, &second);
    memcpy(&after, &live, sizeof(after));
    for (size_t i = 0; i < words; i++) {
        discovery_write(&live, THIS, &first);
        if (load_relaxed(&word[i]) == to[i])
            continue;
        store_relaxed(&word[i], to[i]);
        torn += !discovery_read(&live, THIS, &found);
        /* A server beyond the last one is nobody's. */
        if (found.count > 0)
            assert_whole(&found);
    }
    ck_assert_uint_ge(torn, 6); /* seal, count, time, master, servers */
    discovery_write(&live, THIS, &second);
    ck_assert(discovery_read(&live, THIS, &found));
    assert_whole(&found);
}
END_TEST

static void *write_all(void *first)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct found found = found_number(i * 2 + (first != NULL));

        discovery_write(&live, THIS, &found);
    }
    return NULL;
}

START_TEST(of_two_who_write_at_once_one_is_read_or_none)
{
    pthread_t writers[2];
    struct found found = found_number(0);
    unsigned whole = 0;

    discovery_write(&live, THIS, &found); /* however late the writers begin, there is something */
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&writers[i], NULL, write_all, i ? &live : NULL), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (!discovery_read(&live, THIS, &found))
            continue;
        whole++;
        assert_whole(&found);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(writers[i], NULL);
    ck_assert_uint_gt(whole, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_written_is_read,
        a_writer_that_is_killed_leaves_nothing_that_is_believed,
        of_two_who_write_at_once_one_is_read_or_none,
    };

    return unit_run("state_discovery", tests, COUNT_OF(tests));
}
