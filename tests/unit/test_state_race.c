/* Many processes and threads at one segment: one file, no mixed settings, no lost state. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "state/bank.h"
#include "state_world.h"

enum {
    STARTERS = 200,
    KILLS = 60,
    SPIN_MAX = 8 * 1000 * 1000,
    READERS = 3,
    REPUBLICATIONS = 1000,
    ENDPOINTS = 6
};

/* ---- 200 processes publish at once ---- */

/* What each of them found, in memory that they share. */
struct report {
    atomic_u64 results[PUBLISHED_NOTHING + 1];
    atomic_u64 failures;
    atomic_u64 inodes[STARTERS];
};

static void publish_and_attach(struct world *world, struct report *report, unsigned index)
{
    enum publish_result result;
    struct segment segment;
    const char *why;

    if (publish(&world->place, &world->publication, &result, &why) != 0 ||
        segment_attach(&segment, &world->place, &why) != 0) {
        count_up(&report->failures);
        return;
    }
    count_up(&report->results[result]);
    store_relaxed(&report->inodes[index], segment.inode);
}

static struct report *start_at_once(struct world *world, bool remove_lock)
{
    struct report *report =
        mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int gate[2];
    char byte;

    ck_assert(report != MAP_FAILED);
    ck_assert_int_eq(pipe(gate), 0);
    for (unsigned i = 0; i < STARTERS; i++) {
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child > 0)
            continue;
        close(gate[1]);
        (void)!read(gate[0], &byte, 1); /* until the parent closes its end */
        publish_and_attach(world, report, i);
        _exit(0);
    }
    close(gate[0]);
    close(gate[1]);
    for (unsigned left = STARTERS; left > 0;) {
        if (waitpid(-1, NULL, remove_lock ? WNOHANG : 0) > 0)
            left--;
        if (remove_lock)
            unlink(world->place.lock);
    }
    return report;
}

START_TEST(two_hundred_simultaneous_publishers_end_on_one_segment)
{
    struct world *world = world_new();
    struct report *report;

    world_add_service(world, "cache", 2);
    report = start_at_once(world, false);
    ck_assert_uint_eq(load_relaxed(&report->failures), 0);
    ck_assert_uint_eq(load_relaxed(&report->results[PUBLISHED_NEW]), 1);
    ck_assert_uint_eq(load_relaxed(&report->results[PUBLISHED_NOTHING]), STARTERS - 1);
    for (unsigned i = 1; i < STARTERS; i++)
        ck_assert_uint_eq(load_relaxed(&report->inodes[i]), load_relaxed(&report->inodes[0]));
}
END_TEST

/* As `rm` or a tidy temporary-files daemon does: then two publishers hold two locks. */
START_TEST(lock_file_that_is_removed_all_the_time_splits_nobody)
{
    struct world *world = world_new();
    struct report *report;

    world_add_service(world, "cache", 2);
    report = start_at_once(world, true);
    ck_assert_uint_eq(load_relaxed(&report->results[PUBLISHED_NEW]), 1);
    ck_assert_uint_eq(load_relaxed(&report->results[PUBLISHED_REPLACEMENT]), 0);
    for (unsigned i = 0; i < STARTERS; i++) /* 0: gave up waiting for a lock that stays */
        ck_assert(load_relaxed(&report->inodes[i]) == 0 ||
                  load_relaxed(&report->inodes[i]) == world_attach(world).inode);
}
END_TEST

START_TEST(two_hundred_find_a_corrupt_segment_and_replace_it_once)
{
    struct world *world = world_new();
    struct report *report;

    world_add_service(world, "cache", 2);
    world_publish(world);
    ck_assert_int_eq(truncate(world->place.segment, 100), 0);
    report = start_at_once(world, false);
    ck_assert_uint_eq(load_relaxed(&report->failures), 0);
    ck_assert_uint_eq(load_relaxed(&report->results[PUBLISHED_REPLACEMENT]), 1);
    ck_assert_uint_eq(load_relaxed(&report->results[PUBLISHED_NOTHING]), STARTERS - 1);
    for (unsigned i = 1; i < STARTERS; i++)
        ck_assert_uint_eq(load_relaxed(&report->inodes[i]), load_relaxed(&report->inodes[0]));
}
END_TEST

/* ---- settings that say one number everywhere ---- */

static void mark(struct world *world, unsigned number)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    text_copy(world->publication.front.zone, NAME_TEXT, text);
    world->services[0].settings.wait_ns = number;
    for (unsigned e = 0; e < ENDPOINTS; e++) {
        world->endpoints[0][e].settings.weight_milli = number;
        text_copy(world->endpoints[0][e].label.zone, NAME_TEXT, text);
    }
    text_copy(world->matches[0][0].host, ADDRESS_HOST_TEXT, text);
}

static struct world *marked_world(void)
{
    struct world *world = world_new();

    world_add_service(world, "cache", ENDPOINTS);
    mark(world, 0);
    return world;
}

/* The number, or -1: changed while it was read, or not readable. Fails on a mix. */
static long read_mark(const struct segment *segment)
{
    struct bank_view view;
    struct bank front;
    struct service_settings service;
    struct endpoint_settings endpoints[ENDPOINTS];
    struct endpoint_label labels[ENDPOINTS];
    struct match_settings match;
    bool complete;
    long number;

    if (!bank_open(segment, &view))
        return -1;
    bank_front(&view, &front);
    sched_yield(); /* gives the publisher time to come by */
    complete = bank_service(&view, 0, &service) && bank_match(&view, 0, &match);
    for (unsigned e = 0; e < ENDPOINTS && complete; e++)
        complete = bank_endpoint(&view, e, &endpoints[e]) && bank_label(&view, e, &labels[e]);
    if (!bank_valid(&view))
        return -1;

    ck_assert(complete);
    number = atol(front.zone);
    ck_assert_uint_eq(service.wait_ns, (uint64_t)number);
    ck_assert_int_eq(atol(match.host), number);
    for (unsigned e = 0; e < ENDPOINTS; e++) {
        ck_assert_uint_eq(endpoints[e].weight_milli, (uint32_t)number);
        ck_assert_int_eq(atol(labels[e].zone), number);
    }
    return number;
}

static struct world *racing;
static atomic_u64 publishing;
static atomic_u64 marks_read;

static void *read_marks(void *unused)
{
    struct segment segment = world_attach(racing);
    long newest = 0;

    (void)unused;
    while (load_relaxed(&publishing)) {
        long number = read_mark(&segment);

        if (number < 0)
            continue;
        ck_assert_int_ge(number, newest); /* settings never go back */
        newest = number;
        count_up(&marks_read);
    }
    ck_assert_int_eq(read_mark(&segment), REPUBLICATIONS);
    return NULL;
}

START_TEST(readers_never_see_a_mix_of_two_publications)
{
    pthread_t readers[READERS];

    racing = marked_world();
    world_publish(racing);
    store_relaxed(&publishing, 1);
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_marks, NULL);
    for (unsigned i = 1; i <= REPUBLICATIONS; i++) {
        mark(racing, i);
        ck_assert_int_eq(world_publish(racing), PUBLISHED_CHANGE);
    }
    store_relaxed(&publishing, 0);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    ck_assert_uint_gt(load_relaxed(&marks_read), READERS);
}
END_TEST

/* ---- publishers that die ---- */

static void publish_for_ever(struct world *world, unsigned from)
{
    enum publish_result result;
    const char *why;

    for (unsigned i = from;; i++) {
        mark(world, i);
        if (publish(&world->place, &world->publication, &result, &why) != 0)
            _exit(1);
    }
}

/* Busy, so that deaths fall on every point of a publication and not on a timer's tick. */
static void spin(unsigned rounds)
{
    static volatile unsigned sink;

    for (unsigned i = 0; i < rounds; i++)
        sink = sink + i;
}

static void kill_after(pid_t child, unsigned rounds)
{
    int status;

    spin(rounds);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
}

START_TEST(publisher_that_dies_leaves_whole_settings_and_no_lock)
{
    struct world *world = marked_world();
    struct segment segment;
    uint64_t seed = 5;
    unsigned spins = SPIN_MAX;
    long before = 0;

    world_publish(world);
    segment = world_attach(world);
    /* Some must have been published before the end came: on a starved machine that takes longer. */
    for (unsigned i = 0; i < KILLS || before == 0; i++) {
        pid_t child = fork();
        long after;

        if (child == 0)
            publish_for_ever(world, (unsigned)before + 1);
        if (i >= KILLS)
            spins += SPIN_MAX;
        kill_after(child, unit_below(&seed, spins));
        after = read_mark(&segment);
        ck_assert_int_ge(after, before);
        before = after;
    }
    mark(world, (unsigned)before + 1);
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    ck_assert_int_eq(read_mark(&segment), before + 1);
}
END_TEST

/* Each round begins with nothing, so deaths fall on the making of the file. */
static void create_for_ever(struct world *world)
{
    enum publish_result result;
    const char *why;

    for (;;) {
        unlink(world->place.segment);
        if (publish(&world->place, &world->publication, &result, &why) != 0)
            _exit(1);
    }
}

START_TEST(creator_that_dies_leaves_a_whole_segment_or_none)
{
    struct world *world = marked_world();
    uint64_t seed = 6;
    unsigned none = 0, spins = SPIN_MAX;

    world_publish(world);
    /* Some must have come to an end, too: on a starved machine that takes longer. */
    for (unsigned i = 0; i < KILLS || none == i; i++) {
        struct segment segment;
        pid_t child = fork();
        const char *why;
        int error;

        if (child == 0)
            create_for_ever(world);
        if (i >= KILLS)
            spins += SPIN_MAX;
        kill_after(child, unit_below(&seed, spins));
        error = segment_attach(&segment, &world->place, &why);
        ck_assert(error == 0 || error == -ENOENT);
        if (error == 0) {
            ck_assert_int_eq(read_mark(&segment), 0);
            segment_detach(&segment);
        }
        none += error != 0;
    }
    world_publish(world);
    ck_assert_int_eq(unlink(world->place.segment), 0);
    world_publish(world); /* cleans up */
    ck_assert_int_eq(unlink(world->place.segment), 0);
    ck_assert_int_eq(unlink(world->place.lock), 0);
    ck_assert_int_eq(rmdir(world->place.directory), 0); /* nothing of the dead is left */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        two_hundred_simultaneous_publishers_end_on_one_segment,
        lock_file_that_is_removed_all_the_time_splits_nobody,
        two_hundred_find_a_corrupt_segment_and_replace_it_once,
        readers_never_see_a_mix_of_two_publications,
        publisher_that_dies_leaves_whole_settings_and_no_lock,
        creator_that_dies_leaves_a_whole_segment_or_none,
    };

    return world_run("state_race", tests, COUNT_OF(tests));
}
