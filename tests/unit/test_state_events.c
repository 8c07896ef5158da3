#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "state/events.h"
#include "state_world.h"

enum { WRITERS = 8, READERS = 2, EVENTS_EACH = 4000 };

static struct segment new_segment(void)
{
    struct world *world = world_new();

    world_add_service(world, "cache", 1);
    world_publish(world);
    return world_attach(world);
}

static void write_one(const struct segment *segment, const char *detail)
{
    struct event event = {.type = EVENT_CHECK};

    text_copy(event.detail, sizeof(event.detail), detail);
    event_write(segment, &event);
}

START_TEST(publication_is_the_first_event)
{
    struct segment segment = new_segment();
    struct event event;

    ck_assert_uint_eq(event_newest(&segment), 1);
    ck_assert_int_eq(event_read(&segment, 1, &event), 1);
    ck_assert_int_eq(event.type, EVENT_CONFIG);
    ck_assert_str_eq(event.detail, "1 services, 1 endpoints");
    ck_assert_uint_eq(event.sequence, 1);
    ck_assert_uint_eq(event.pid, (uint32_t)getpid());
    ck_assert_uint_gt(event.wall_ns, 0);
}
END_TEST

START_TEST(future_and_zero_are_not_there)
{
    struct segment segment = new_segment();
    struct event event;

    ck_assert_int_eq(event_read(&segment, 0, &event), -1);
    ck_assert_int_eq(event_read(&segment, 2, &event), 0);
    ck_assert_int_eq(event_read(&segment, UINT64_MAX, &event), 0);
}
END_TEST

START_TEST(ring_keeps_the_last_512)
{
    struct segment segment = new_segment();
    struct event event;

    for (int i = 2; i <= 600; i++) {
        char detail[16];

        snprintf(detail, sizeof(detail), "%d", i);
        write_one(&segment, detail);
    }
    ck_assert_uint_eq(event_newest(&segment), 600);
    ck_assert_int_eq(event_read(&segment, 600 - 512, &event), -1);
    for (int i = 600 - 511; i <= 600; i++) {
        ck_assert_int_eq(event_read(&segment, (uint64_t)i, &event), 1);
        ck_assert_int_eq(atoi(event.detail), i);
    }
}
END_TEST

START_TEST(dead_writer_costs_one_record)
{
    struct segment segment = new_segment();
    struct event event;

    /* As after dying between taking number 2 and releasing its slot. */
    atomic_fetch_add(segment_event_head(&segment), 1);
    store_relaxed(&segment_event(&segment, 2)->stamp, 2 << 24 | 1);
    write_one(&segment, "3");
    ck_assert_int_eq(event_read(&segment, 2, &event), 0);
    ck_assert_int_eq(event_read(&segment, 3, &event), 1);
    for (int i = 4; i <= 2 + 512; i++)
        write_one(&segment, "later");
    ck_assert_int_eq(event_read(&segment, 2, &event), -1);
    ck_assert_int_eq(event_read(&segment, 2 + 512, &event), 1);
}
END_TEST

START_TEST(record_that_two_writers_mixed_is_lost)
{
    struct segment segment = new_segment();
    struct event event;

    write_one(&segment, "whole");
    /* A writer that was stopped and lapped goes on: one word, and the stamp is not its own. */
    segment_event(&segment, 2)->words[30] ^= 0x4141;
    ck_assert_int_eq(event_read(&segment, 2, &event), -1);
}
END_TEST

START_TEST(read_only_segment_is_left_alone)
{
    struct segment segment = new_segment();

    segment.writable = false;
    write_one(&segment, "no");
    ck_assert_uint_eq(event_newest(&segment), 1);
}
END_TEST

/* ---- many writers ---- */

static struct segment shared;
static atomic_u64 writers_left;
static atomic_u64 read_whole;
static atomic_u64 read_lost;

/* Every text of a record says the same number. */
static void *writer(void *argument)
{
    for (unsigned i = 0; i < EVENTS_EACH; i++) {
        struct event event = {.type = EVENT_CONNECT, .wall_ns = 1};

        snprintf(event.service, NAME_TEXT, "%u", (unsigned)(uintptr_t)argument * EVENTS_EACH + i);
        strcpy(event.from, event.service);
        strcpy(event.reason, event.service);
        strcpy(event.detail, event.service);
        event_write(&shared, &event);
    }
    atomic_fetch_sub(&writers_left, 1);
    return NULL;
}

static void expect_whole(const struct event *event, uint64_t sequence)
{
    ck_assert_uint_eq(event->sequence, sequence);
    ck_assert_str_eq(event->service, event->from);
    ck_assert_str_eq(event->service, event->reason);
    ck_assert_str_eq(event->service, event->detail);
}

/* Follows the ring from the start, and goes to the oldest left whenever it was overrun. */
static void *reader(void *unused)
{
    uint64_t next = 2;
    struct event event;

    (void)unused;
    while (load_relaxed(&writers_left) > 0 || next <= event_newest(&shared)) {
        switch (event_read(&shared, next, &event)) {
        case 1:
            expect_whole(&event, next++);
            count_up(&read_whole);
            break;
        case -1:
            next++;
            count_up(&read_lost);
            break;
        default:
            if (load_relaxed(&writers_left) == 0)
                next++; /* its writer gave up */
        }
    }
    return NULL;
}

START_TEST(readers_of_eight_writers_see_whole_records_or_know_what_they_lost)
{
    pthread_t threads[WRITERS + READERS];
    struct event event;
    uint64_t last;

    shared = new_segment();
    store_relaxed(&writers_left, WRITERS);
    for (uintptr_t i = 0; i < WRITERS + READERS; i++)
        pthread_create(&threads[i], NULL, i < WRITERS ? writer : reader, (void *)i);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);

    last = event_newest(&shared);
    ck_assert_uint_eq(last, 1 + WRITERS * EVENTS_EACH);
    ck_assert_uint_gt(load_relaxed(&read_whole), 0);
    ck_assert_uint_ge(load_relaxed(&read_whole) + load_relaxed(&read_lost),
                      READERS * (last - 1) - READERS * WRITERS);
    for (uint64_t i = last - 100; i <= last; i++)
        if (event_read(&shared, i, &event) == 1)
            expect_whole(&event, i);
}
END_TEST

START_TEST(every_type_has_its_name)
{
    ck_assert_str_eq(event_type_name(EVENT_HEALTH), "health");
    ck_assert_str_eq(event_type_name(EVENT_FAILOVER), "failover");
    ck_assert_str_eq(event_type_name(EVENT_DISCOVERY), "discovery");
    for (int type = EVENT_HEALTH; type <= EVENT_DISCOVERY; type++)
        ck_assert_str_ne(event_type_name((enum event_type)type), "unknown");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        publication_is_the_first_event,
        future_and_zero_are_not_there,
        ring_keeps_the_last_512,
        dead_writer_costs_one_record,
        record_that_two_writers_mixed_is_lost,
        read_only_segment_is_left_alone,
        readers_of_eight_writers_see_whole_records_or_know_what_they_lost,
        every_type_has_its_name,
    };

    return world_run("state_events", tests, COUNT_OF(tests));
}
