/*
 * Eight threads at one breaker, as the processes of a host are. What is asserted holds for every
 * interleaving; ThreadSanitizer watches the words.
 */
#include "policy/breaker.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "policy/window.h"
#include "unit.h"

enum { THREADS = 8, ROUNDS = 2000, STORM_CALLS = 20000 };

static struct breaker breaker;
static struct breaker_rules rules;
static pthread_barrier_t barrier;
static atomic_u64 now;        /* relaxed: the barrier orders it */
static atomic_u64 changes[4]; /* by enum breaker_change */
static atomic_u64 tokens_taken;

static void set_up(void)
{
    memset(&breaker, 0, sizeof(breaker));
    memset(changes, 0, sizeof(changes));
    rules = (struct breaker_rules){
        .window_ns = 10 * NS_PER_S,
        .open_ns = NS_PER_S,
        .open_max_ns = 4 * NS_PER_S,
        .min_calls = 5,
        .refused = 2,
        .open_backoff_milli = 2000,
        .half_open_calls = 3,
        .half_open_successes = 3,
        .count = OUTCOME_BIT(OUTCOME_REFUSED) | OUTCOME_BIT(OUTCOME_RESET),
        .enabled = 1,
    };
    store_relaxed(&now, 1000 * NS_PER_S);
    store_relaxed(&tokens_taken, 0);
}

static void run_threads(void *(*body)(void *))
{
    pthread_t threads[THREADS];

    pthread_barrier_init(&barrier, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, body, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static void record(enum outcome outcome)
{
    struct breaker_event event = {BREAKER_UNCHANGED, CAUSE_NONE, 0};

    if (outcome != OUTCOME_OK ||
        !breaker_record_calm(&breaker, &rules, NS_PER_MS, load_relaxed(&now)))
        event = breaker_record(&breaker, &rules, outcome, NS_PER_MS, load_relaxed(&now),
                               UINT32_C(1) << 31);
    count_up(&changes[event.change]);
}

/* All at once; one of them then goes on by `step_ns` for all. */
static void record_together(enum outcome outcome, uint64_t step_ns)
{
    pthread_barrier_wait(&barrier);
    record(outcome);
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
        atomic_fetch_add_explicit(&now, step_ns, memory_order_relaxed);
    pthread_barrier_wait(&barrier);
}

static void *open_reopen_recover(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        record_together(OUTCOME_REFUSED, NS_PER_S);     /* opens, for 1 s */
        record_together(OUTCOME_REFUSED, 2 * NS_PER_S); /* the trial fails: opens for 2 s */
        record_together(OUTCOME_OK, NS_PER_S);          /* three of eight close it */
    }
    return NULL;
}

START_TEST(each_transition_has_exactly_one_winner)
{
    set_up();
    run_threads(open_reopen_recover);
    ck_assert_uint_eq(load_relaxed(&changes[BREAKER_OPENED]), ROUNDS);
    ck_assert_uint_eq(load_relaxed(&changes[BREAKER_REOPENED]), ROUNDS);
    ck_assert_uint_eq(load_relaxed(&changes[BREAKER_RECOVERED]), ROUNDS);
    ck_assert_int_eq(breaker_state(&breaker, &rules, load_relaxed(&now)), BREAKER_CLOSED);
}
END_TEST

static void *take_tokens(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned token;
        bool taken;

        pthread_barrier_wait(&barrier);
        taken = breaker_trial_begin(&breaker, &rules, load_relaxed(&now), NS_PER_S, &token);
        if (taken)
            count_up(&tokens_taken);
        pthread_barrier_wait(&barrier);
        if (taken)
            breaker_trial_end(&breaker, token);
    }
    return NULL;
}

START_TEST(tokens_are_never_taken_twice)
{
    set_up();
    record(OUTCOME_REFUSED);
    record(OUTCOME_REFUSED);
    store_relaxed(&now, load_relaxed(&now) + NS_PER_S);
    run_threads(take_tokens);
    ck_assert_uint_eq(load_relaxed(&tokens_taken), ROUNDS * rules.half_open_calls);
}
END_TEST

static void *add_calls(void *unused)
{
    (void)unused;
    for (int i = 0; i < STORM_CALLS; i++)
        window_add(&breaker, &rules, 0, i % 2 == 0, i % 4 == 0, load_relaxed(&now));
    return NULL;
}

START_TEST(no_call_is_lost_from_a_window)
{
    struct window_counts counts;

    set_up();
    run_threads(add_calls);
    counts = window_sum(&breaker, &rules, 0, load_relaxed(&now));
    ck_assert_uint_eq(counts.calls, THREADS * STORM_CALLS);
    ck_assert_uint_eq(counts.failures, THREADS * STORM_CALLS / 2);
    ck_assert_uint_eq(counts.slow, THREADS * STORM_CALLS / 4);
}
END_TEST

static void *fill_ring(void *unused)
{
    (void)unused;
    for (int i = 0; i < BREAKER_WINDOW_CALLS / THREADS; i++)
        window_add(&breaker, &rules, 0, i % 2 == 0, true, load_relaxed(&now));
    return NULL;
}

START_TEST(no_call_is_lost_from_a_count_window)
{
    for (int i = 0; i < 50; i++) {
        struct window_counts counts;

        set_up();
        rules.window_ns = 0;
        rules.window_calls = BREAKER_WINDOW_CALLS;
        run_threads(fill_ring);
        counts = window_sum(&breaker, &rules, 0, load_relaxed(&now));
        ck_assert_uint_eq(counts.calls, BREAKER_WINDOW_CALLS);
        ck_assert_uint_eq(counts.failures, BREAKER_WINDOW_CALLS / 2);
        ck_assert_uint_eq(counts.slow, BREAKER_WINDOW_CALLS);
    }
}
END_TEST

static void *storm(void *argument)
{
    uint64_t seed = (uintptr_t)argument + 1;

    for (int i = 0; i < STORM_CALLS; i++) {
        unsigned token;

        atomic_fetch_add_explicit(&now, unit_below(&seed, 100) * NS_PER_MS / 10,
                                  memory_order_relaxed);
        if (breaker_trial_begin(&breaker, &rules, load_relaxed(&now), NS_PER_MS, &token))
            breaker_trial_end(&breaker, token);
        record(unit_below(&seed, 2) ? OUTCOME_OK : OUTCOME_REFUSED);
    }
    return NULL;
}

START_TEST(the_reported_transitions_add_up_to_the_state)
{
    for (uint64_t calls = 0; calls <= 100; calls += 100) {
        uint64_t opened, recovered;

        set_up();
        rules.half_open_successes = 2;
        rules.window_ns = calls ? 0 : rules.window_ns;
        rules.window_calls = (uint32_t)calls;
        run_threads(storm);
        opened = load_relaxed(&changes[BREAKER_OPENED]);
        recovered = load_relaxed(&changes[BREAKER_RECOVERED]);
        ck_assert_uint_gt(recovered, 10);
        ck_assert_uint_eq(opened - recovered,
                          breaker_state(&breaker, &rules, load_relaxed(&now)) != BREAKER_CLOSED);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_transition_has_exactly_one_winner,
        tokens_are_never_taken_twice,
        no_call_is_lost_from_a_window,
        no_call_is_lost_from_a_count_window,
        the_reported_transitions_add_up_to_the_state,
    };

    return unit_run("policy_breaker_race", tests, COUNT_OF(tests));
}
