/* What the settings make of who may be taken for the master. */
#include "state/standing.h"

#include "base/clock.h"
#include "policy/verdict.h"
#include "state_world.h"

#define NOW (1000 * NS_PER_S)

static struct world *world;
static struct segment segment;

static struct service_view view_of_cache(void)
{
    struct bank_view view;
    struct service_view service;

    ck_assert(bank_open(&segment, &view));
    ck_assert(service_read(&view, 0, &service));
    return service;
}

static void want(unsigned endpoint, enum role_wanted role)
{
    world->services[0].endpoints[endpoint].settings.health.role = (uint8_t)role;
}

/* Of both endpoints one role is wanted, and both are healthy. */
static struct service_view start(enum role_wanted role)
{
    const struct verdict healthy = {.health = HEALTH_HEALTHY};
    struct service_view service;

    world = world_new();
    world_add_service(world, "cache", 2);
    want(0, role);
    want(1, role);
    world_publish(world);
    segment = world_attach(world);
    service = view_of_cache();
    for (uint32_t i = 0; i < 2; i++) {
        store_relaxed(&service.endpoint_live[i]->health, verdict_pack(healthy));
        store_relaxed(&service.endpoint_live[i]->checked_ns, NOW);
    }
    return service;
}

static struct service_view publish_again(void)
{
    world_publish(world);
    return view_of_cache();
}

/* It was the master, went, and is back. */
static void returns(const struct service_view *service, uint32_t index)
{
    standing_saw(service, index, SEEN_MASTER, NOW);
    standing_saw(service, index, SEEN_GONE, NOW);
    standing_saw(service, index, SEEN_MASTER, NOW);
}

static struct standing standing_of(const struct service_view *service, uint32_t index)
{
    return standing_unpack(load_relaxed(&service->endpoint_live[index]->standing));
}

static struct candidate candidate_of(const struct service_view *service, uint32_t index)
{
    struct candidate candidates[ENDPOINTS_MAX];

    service_candidates(service, candidates, NOW);
    return candidates[index];
}

START_TEST(who_must_be_the_master_is_barred_when_he_comes_back)
{
    struct service_view service = start(ROLE_MASTER);

    returns(&service, 0);
    ck_assert(standing_judge(&service, NULL, 0, NOW));
    ck_assert_int_eq(candidate_of(&service, 0).bar, BAR_FAILBACK);
    ck_assert(candidate_of(&service, 0).gated);
    ck_assert(!candidate_of(&service, 1).gated);
}
END_TEST

START_TEST(bar_that_earlier_settings_left_behind_counts_for_nothing)
{
    struct service_view service = start(ROLE_MASTER);
    struct found found = {.master = world_address("10.0.0.2", 7001)};

    standing_saw(&service, 0, SEEN_MASTER, NOW);
    ck_assert(standing_judge(&service, &found, 0, NOW));
    ck_assert_int_eq(candidate_of(&service, 0).bar, BAR_OTHER_MASTER);
    want(0, ROLE_ANY);
    service = publish_again();
    ck_assert_int_eq(standing_of(&service, 0).bar, BAR_OTHER_MASTER);
    ck_assert_int_eq(candidate_of(&service, 0).bar, BAR_NONE);
}
END_TEST

START_TEST(what_is_known_is_forgotten_where_it_no_longer_applies)
{
    struct service_view service = start(ROLE_MASTER);

    returns(&service, 0);
    standing_judge(&service, NULL, 0, NOW);
    want(0, ROLE_REPLICA);
    service = publish_again();
    ck_assert(standing_judge(&service, NULL, 0, NOW));
    ck_assert_int_eq(standing_of(&service, 0).bar, BAR_NONE);
    ck_assert_int_eq(standing_of(&service, 0).past, PAST_UNKNOWN);
    ck_assert(!standing_judge(&service, NULL, 0, NOW));
}
END_TEST

START_TEST(one_endpoint_may_have_to_be_the_master_where_others_need_not)
{
    struct service_view service = start(ROLE_ANY);

    want(1, ROLE_MASTER);
    service = publish_again();
    returns(&service, 0);
    returns(&service, 1);
    ck_assert(standing_judge(&service, NULL, 0, NOW));
    ck_assert_int_eq(candidate_of(&service, 0).bar, BAR_NONE);
    ck_assert_int_eq(candidate_of(&service, 1).bar, BAR_FAILBACK);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        who_must_be_the_master_is_barred_when_he_comes_back,
        bar_that_earlier_settings_left_behind_counts_for_nothing,
        what_is_known_is_forgotten_where_it_no_longer_applies,
        one_endpoint_may_have_to_be_the_master_where_others_need_not,
    };

    return world_run("state_standing", tests, COUNT_OF(tests));
}
