/* Which sockets must leave their endpoint, also after a newer segment has numbered the slots anew.
 */
#include "preload/leave.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "policy/verdict.h"
#include "preload/moved.h"
#include "state/bank.h"
#include "state/decision.h"
#include "state_world.h"

#define NOW (1000 * NS_PER_S)

enum { MANY = 40 };

static struct world *world;
static struct segment segments[2];
static struct moved moved;
static struct leave *leave;

static struct service_view view_of(unsigned segment, uint32_t index)
{
    struct bank_view view;
    struct service_view service;

    ck_assert(bank_open(&segments[segment], &view));
    ck_assert(service_read(&view, index, &service));
    return service;
}

static void start(void)
{
    moved = (struct moved){0};
    world = world_new();
    world_add_service(world, "first", 3);
    world_add_service(world, "second", 3);
    world_publish(world);
    segments[0] = world_attach(world);
    leave = leave_new(ENDPOINT_SLOTS_MAX + SERVICES_MAX);
    ck_assert_ptr_nonnull(leave);
}

static void swap_services(unsigned a, unsigned b)
{
    struct publish_service one = world->services[a];

    world->services[a] = world->services[b];
    world->services[b] = one;
}

/* More than fits: all is published into a new segment, "first" and "second" the other way round. */
static void supersede(void)
{
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%u", i);
        world_add_service(world, name, 10);
    }
    swap_services(0, 1);
    ck_assert_int_eq(world_publish(world), PUBLISHED_REPLACEMENT);
    segments[1] = world_attach(world);
}

/* In the guard, which has just gone over to that segment. */
static void look(unsigned segment, uint64_t now_ns)
{
    moved_read(&moved, segments, segment);
    ck_assert(leave_read(leave, &segments[segment], now_ns));
}

static void set_health(const struct service_view *service, uint32_t index, enum health health)
{
    store_relaxed(&service->endpoint_live[index]->health,
                  verdict_pack((struct verdict){.health = (uint8_t)health}));
    store_relaxed(&service->endpoint_live[index]->checked_ns, NOW);
}

static struct tracked steered_to(unsigned segment, uint32_t service, uint32_t index)
{
    struct service_view view = view_of(segment, service);

    return (struct tracked){
        .cookie = 1,
        .started_ns = NOW - NS_PER_S,
        .segment = segment,
        .service_slot = view.settings.slot,
        .endpoint_slot = view.endpoints[index].slot,
        .generation = view.endpoints[index].generation & 0xffff,
    };
}

/* As the guard asks. */
static enum leave_how how(struct tracked tracked)
{
    const struct leave_entry *entry =
        moved_translate(&moved, &tracked) ? leave_find(leave, &tracked) : NULL;

    return entry ? entry->how : LEAVE_NOT;
}

static void fail_first_endpoint_of(unsigned segment, uint32_t service)
{
    struct service_view view = view_of(segment, service);

    set_health(&view, 0, HEALTH_UNHEALTHY);
    set_health(&view, 1, HEALTH_HEALTHY);
    set_health(&view, 2, HEALTH_HEALTHY);
}

START_TEST(who_is_down_is_left)
{
    start();
    fail_first_endpoint_of(0, 0);
    look(0, NOW);
    ck_assert_int_eq(how(steered_to(0, 0, 0)), LEAVE_NOW);
    ck_assert_int_eq(how(steered_to(0, 0, 1)), LEAVE_NOT);
    ck_assert_int_eq(how(steered_to(0, 1, 0)), LEAVE_NOT);
}
END_TEST

START_TEST(who_has_gone_from_the_settings_is_left)
{
    struct tracked gone;

    start();
    gone = steered_to(0, 0, 2);
    world->services[0].endpoint_count = 2;
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    look(0, NOW);
    ck_assert_int_eq(how(gone), LEAVE_NOW);
}
END_TEST

START_TEST(sockets_of_a_superseded_segment_are_judged_by_their_own_endpoint)
{
    struct tracked of_first, of_second;

    start();
    of_first = steered_to(0, 0, 0);
    of_second = steered_to(0, 1, 0);
    supersede();
    ck_assert_uint_ne(view_of(1, 1).endpoints[0].slot, of_first.endpoint_slot);
    fail_first_endpoint_of(1, 0); /* of "second" */
    look(1, NOW);
    ck_assert_int_eq(how(of_first), LEAVE_NOT);
    ck_assert_int_eq(how(of_second), LEAVE_NOW);
    ck_assert_int_eq(how(steered_to(1, 0, 0)), LEAVE_NOW);
}
END_TEST

/* What stands in their slots has gone from the settings since; but for one, it is not theirs. */
START_TEST(sockets_of_a_superseded_segment_are_not_taken_for_gone)
{
    struct tracked tracked[2][3];

    start();
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t e = 0; e < 3; e++)
            tracked[s][e] = steered_to(0, s, e);
    supersede();
    world->services[0].endpoint_count = 2; /* of "second" */
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    look(1, NOW);
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t e = 0; e < 3; e++)
            ck_assert_msg((how(tracked[s][e]) != LEAVE_NOT) == (s == 1 && e == 2),
                          "service %u endpoint %u", s, e);
}
END_TEST

START_TEST(sockets_of_a_superseded_segment_are_left_when_their_endpoint_goes_later)
{
    struct tracked gone;

    start();
    gone = steered_to(0, 1, 2);
    supersede();
    look(1, NOW);
    ck_assert_int_eq(how(gone), LEAVE_NOT);
    world->services[0].endpoint_count = 2; /* of "second" */
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    ck_assert(leave_read(leave, &segments[1], NOW));
    ck_assert_int_eq(how(gone), LEAVE_NOW);
}
END_TEST

/* What has the name now does not matter: their own server has gone. */
START_TEST(sockets_of_another_server_under_the_same_name_are_left)
{
    struct tracked tracked, other;

    start();
    tracked = steered_to(0, 0, 0);
    other = steered_to(0, 1, 0);
    world->services[0].endpoints[0].settings.addresses[0].port++;
    supersede();
    look(1, NOW);
    ck_assert_int_eq(how(tracked), LEAVE_NOW);
    ck_assert_int_eq(how(other), LEAVE_NOT);
    ck_assert_int_eq(how(steered_to(1, 1, 0)), LEAVE_NOT);
}
END_TEST

START_TEST(sockets_whose_endpoint_goes_with_the_segment_are_left)
{
    struct tracked gone, stays, of_second;

    start();
    gone = steered_to(0, 0, 2);
    stays = steered_to(0, 0, 1);
    of_second = steered_to(0, 1, 2);
    world->services[0].endpoint_count = 2;
    supersede();
    look(1, NOW);
    ck_assert_int_eq(how(gone), LEAVE_NOW);
    ck_assert_int_eq(how(stays), LEAVE_NOT);
    ck_assert_int_eq(how(of_second), LEAVE_NOT);
}
END_TEST

/* As where a name resolves again, or Sentinels have answered. */
START_TEST(sockets_whose_endpoint_comes_back_after_the_segment_stay)
{
    struct tracked tracked;

    start();
    tracked = steered_to(0, 1, 2);
    supersede();
    world->services[0].endpoint_count = 2; /* of "second" */
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    look(1, NOW);
    ck_assert_int_eq(how(tracked), LEAVE_NOW);
    world->services[0].endpoint_count = 3;
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    look(1, NOW);
    ck_assert_int_eq(how(tracked), LEAVE_NOT);
}
END_TEST

START_TEST(sockets_of_a_service_that_goes_with_the_segment_stay)
{
    struct tracked tracked;

    start();
    tracked = steered_to(0, 0, 0);
    text_copy(world->services[0].settings.name, NAME_TEXT, "renamed");
    supersede();
    look(1, NOW);
    ck_assert_int_eq(how(tracked), LEAVE_NOT);
}
END_TEST

/* ---- settings that change while they are read ---- */

static unsigned changes; /* how often they are seen to */
bool __real_bank_valid(const struct bank_view *view);
bool __wrap_bank_valid(const struct bank_view *view);

bool __wrap_bank_valid(const struct bank_view *view)
{
    if (changes == 0)
        return __real_bank_valid(view);
    changes--;
    return false;
}

START_TEST(what_became_of_slots_is_read_again_when_the_settings_change)
{
    struct tracked of_second;

    start();
    of_second = steered_to(0, 1, 0);
    supersede();
    fail_first_endpoint_of(1, 0); /* of "second" */
    changes = 2;
    look(1, NOW);
    ck_assert_uint_eq(changes, 0);
    ck_assert_int_eq(how(of_second), LEAVE_NOW);
    moved = (struct moved){0};
    changes = 3;
    moved_read(&moved, segments, 1);
    ck_assert_int_eq(how(of_second), LEAVE_NOT); /* nothing is known of it */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        who_is_down_is_left,
        who_has_gone_from_the_settings_is_left,
        sockets_of_a_superseded_segment_are_judged_by_their_own_endpoint,
        sockets_of_a_superseded_segment_are_not_taken_for_gone,
        sockets_of_a_superseded_segment_are_left_when_their_endpoint_goes_later,
        sockets_of_another_server_under_the_same_name_are_left,
        sockets_whose_endpoint_goes_with_the_segment_are_left,
        sockets_whose_endpoint_comes_back_after_the_segment_stay,
        sockets_of_a_service_that_goes_with_the_segment_stay,
        what_became_of_slots_is_read_again_when_the_settings_change,
    };

    return world_run("preload_leave", tests, COUNT_OF(tests));
}
