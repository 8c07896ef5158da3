#include "health/schedule.h"

#include <string.h>

void schedule_init(struct schedule *schedule, const struct health_rules *rules, uint64_t first_ns)
{
    memset(schedule, 0, sizeof(*schedule));
    schedule->rules = *rules;
    schedule->due_ns = first_ns;
}

uint64_t schedule_due_ns(const struct schedule *schedule)
{
    return schedule->due_ns;
}

static struct check_run *run_at(struct schedule *schedule, unsigned index)
{
    return &schedule->runs[(schedule->first + index) % PROBES_IN_FLIGHT];
}

/* The last check, where it still waits for a probe. */
static struct check_run *last_run(struct schedule *schedule)
{
    return schedule->count > 0 ? run_at(schedule, schedule->count - 1) : NULL;
}

static bool wants_probe(const struct schedule *schedule, const struct check_run *run)
{
    return run && !run->over && run->started < schedule->rules.probes;
}

static uint64_t after_last(const struct schedule *schedule, bool settled)
{
    return schedule->last_ns + verdict_next_check_ns(&schedule->rules, settled, schedule->random);
}

void schedule_started(struct schedule *schedule, uint64_t now_ns, uint32_t random)
{
    struct check_run *run = last_run(schedule);

    if (!wants_probe(schedule, run)) {
        if (schedule->count == PROBES_IN_FLIGHT)
            return; /* each has a probe under way, and a prober has no more */
        schedule->count++;
        run = last_run(schedule);
        *run = (struct check_run){.started_ns = now_ns};
        schedule->last_ns = now_ns;
        schedule->random = random;
    }
    run->started++;
    schedule->due_ns =
        wants_probe(schedule, run) ? now_ns + schedule->rules.gap_ns : after_last(schedule, false);
}

/* The oldest check with a probe under way; those before it have nothing more to wait for. */
static struct check_run *waiting_run(struct schedule *schedule)
{
    for (unsigned i = 0; i < schedule->count; i++) {
        struct check_run *run = run_at(schedule, i);

        if (run->finished < run->started)
            return run;
    }
    return NULL;
}

static void drop_finished(struct schedule *schedule)
{
    while (schedule->count > 0) {
        const struct check_run *run = run_at(schedule, 0);

        if (!run->over || run->finished < run->started)
            return;
        schedule->first = (schedule->first + 1) % PROBES_IN_FLIGHT;
        schedule->count--;
    }
}

/* Adds one result. True when it decides the check. */
static bool count_result(const struct schedule *schedule, struct check_run *run,
                         const struct probe_result *result)
{
    run->finished++;
    if (run->over)
        return false;
    switch (result->outcome) {
    case PROBE_VOID:
        run->over = true;
        return false;
    case PROBE_PASSED:
        run->passed++;
        if (run->failed == 0)
            run->cause = (uint8_t)result->cause;
        break;
    case PROBE_FAILED:
        run->failed++;
        run->cause = (uint8_t)result->cause;
        break;
    }
    if (result->rtt_ns > run->rtt_ns)
        run->rtt_ns = result->rtt_ns;
    run->over = verdict_of_probes(&schedule->rules, run->passed, run->failed) >= 0;
    return run->over;
}

bool schedule_finished(struct schedule *schedule, const struct probe_result *result,
                       struct check *check)
{
    struct check_run *run = waiting_run(schedule);
    bool decided;

    if (!run)
        return false;
    decided = count_result(schedule, run, result);
    if (decided) {
        bool passed = verdict_of_probes(&schedule->rules, run->passed, run->failed) == 1;

        *check = (struct check){
            .passed = passed,
            .cause = passed && run->failed > 0 ? CHECK_FINE : (enum check_cause)run->cause,
            .started_ns = run->started_ns,
            .rtt_ns = run->rtt_ns,
        };
    }
    /* The rest of its probes is not needed. */
    if (run->over && run == last_run(schedule) && run->started < schedule->rules.probes)
        schedule->due_ns = after_last(schedule, false);
    drop_finished(schedule);
    return decided;
}

void schedule_settled(struct schedule *schedule)
{
    const struct check_run *last = last_run(schedule);

    if (!last || last->over)
        schedule->due_ns = after_last(schedule, true);
}

void schedule_hurry(struct schedule *schedule, uint64_t now_ns)
{
    if (schedule->due_ns > now_ns)
        schedule->due_ns = now_ns;
}

void schedule_hint(struct schedule *schedule, uint64_t hinted_ns, uint64_t now_ns)
{
    unsigned unanswered = 0;

    for (unsigned i = 0; i < schedule->count; i++)
        unanswered += !run_at(schedule, i)->over;
    if (hinted_ns > schedule->last_ns && unanswered < schedule->rules.fall &&
        !wants_probe(schedule, last_run(schedule)))
        schedule_hurry(schedule, now_ns);
}

void schedule_disconnected(struct schedule *schedule, uint64_t now_ns)
{
    uint64_t soonest_ns = after_last(schedule, false);

    schedule_hurry(schedule, soonest_ns > now_ns ? soonest_ns : now_ns);
}
