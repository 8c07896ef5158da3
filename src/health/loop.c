#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "health/census.h"
#include "health/follow.h"
#include "health/health.h"
#include "health/targets.h"
#include "state/bell.h"
#include "state/checked.h"
#include "state/standing.h"

/* A hint is a word in memory, which poll() cannot wait for: so it is looked at this often. */
#define HINT_LOOK_MIN_NS (5 * NS_PER_MS)
#define HINT_LOOK_MAX_NS (25 * NS_PER_MS)
/* Four times a lease and a little more: so a deputy that waits for a lease finds a fresh beat. */
#define BEAT_NS       (LEASE_NS / 4 - 5 * NS_PER_MS)
#define DECIDE_MIN_NS (10 * NS_PER_MS)

struct loop {
    struct contender *self;
    const struct segment *segment;
    struct targets targets;
    struct follow follow;
    uint64_t look_ns; /* between two looks at the hints */
    uint64_t beat_ns; /* when the next is due; so are the following */
    uint64_t second_ns;
    uint64_t decide_ns[SERVICES_MAX];
    uint32_t service_count;
    uint32_t hints; /* seen so far */
    uint32_t random;
    uint32_t poll_count;
    uint32_t target_polls; /* of those; behind them are the Sentinels' */
    bool lost;             /* somebody else has the lease */
    void (*tick)(void *context);
    void *context;
    struct service_view service; /* large: one for all uses */
};

static uint32_t random_bits(struct loop *loop, uint64_t now_ns)
{
    return loop->random = (uint32_t)hash_mix(now_ns ^ (uint64_t)loop->random << 32);
}

/* The service as the targets have it. False: the settings have changed meanwhile. */
static bool read_service(struct loop *loop, uint32_t index)
{
    struct bank_view view;

    return loop->targets.built && bank_open(loop->segment, &view) &&
           view.sequence == loop->targets.sequence && service_read(&view, index, &loop->service) &&
           bank_valid(&view);
}

/* ---- who is the master ---- */

static void judge_masters(struct loop *loop, uint64_t now_ns)
{
    const struct service_view *service = &loop->service;
    uint32_t slot = service->settings.slot;

    if (!standing_judge(service, follow_found(&loop->follow, slot),
                        follow_calm_ns(&loop->follow, slot), now_ns))
        return;
    if (standing_doubts(service))
        follow_ask(&loop->follow, slot, now_ns);
    service_decide(service, now_ns);
    bell_ring(loop->segment);
}

/* Other settings may make something else of what is known. */
static void judge_all(struct loop *loop, uint64_t now_ns)
{
    for (uint32_t i = 0; i < loop->service_count; i++)
        if (read_service(loop, i))
            judge_masters(loop, now_ns);
}

/* ---- settings ---- */

static void pick_look(struct loop *loop)
{
    uint64_t shortest_ns = UINT64_MAX;

    for (uint32_t i = 0; i < loop->targets.count; i++) {
        const struct target *target = loop->targets.list[i];

        if (target->in_use && target->schedule.rules.interval_ns < shortest_ns)
            shortest_ns = target->schedule.rules.interval_ns;
    }
    loop->look_ns = shortest_ns / 16;
    if (loop->look_ns < HINT_LOOK_MIN_NS)
        loop->look_ns = HINT_LOOK_MIN_NS;
    if (loop->look_ns > HINT_LOOK_MAX_NS)
        loop->look_ns = HINT_LOOK_MAX_NS;
}

/* A thread does nothing where only the program is to check. */
static bool is_left_to_program(const struct loop *loop)
{
    struct bank_view view;

    return loop->self->class == LEASE_THREAD && bank_open(loop->segment, &view) &&
           bank_monitor(&view) == MONITOR_PROCESS;
}

static int follow_settings(struct loop *loop, bool look_at_secrets, uint64_t now_ns)
{
    struct bank_view view;
    int error;

    if (!targets_outdated(&loop->targets, look_at_secrets))
        return 0;
    error = targets_build(&loop->targets, now_ns);
    if (!error && !is_left_to_program(loop))
        error = follow_build(&loop->follow, now_ns);
    if (error)
        return error == -EAGAIN ? 0 : error; /* the next turn tries again */
    pick_look(loop);
    bell_ring(loop->segment); /* an endpoint may be gone */
    loop->service_count = bank_open(loop->segment, &view) ? view.service_count : 0;
    memset(loop->decide_ns, 0, sizeof(loop->decide_ns));
    if (!is_left_to_program(loop))
        judge_all(loop, now_ns);
    return 0;
}

/* ---- what is due besides checks ---- */

/* A grace that ends and a failback that becomes due are nobody's evidence: they are found by
 * looking. */
static void decide(struct loop *loop, uint64_t now_ns)
{
    for (uint32_t i = 0; i < loop->service_count; i++) {
        uint64_t every_ns;

        if (now_ns < loop->decide_ns[i])
            continue;
        loop->decide_ns[i] = now_ns + DECIDE_MIN_NS;
        if (!read_service(loop, i))
            continue;
        if (service_mode(&loop->service, now_ns) != MODE_OFF)
            service_decide(&loop->service, now_ns);
        every_ns = loop->service.settings.failover.failback_check_ns;
        if (every_ns > DECIDE_MIN_NS)
            loop->decide_ns[i] = now_ns + every_ns;
    }
}

static void take_hints(struct loop *loop, uint64_t now_ns)
{
    uint32_t hints = atomic_load_explicit(checked_hint_word(loop->segment), memory_order_acquire);

    if (hints == loop->hints)
        return;
    loop->hints = hints;
    for (uint32_t i = 0; i < loop->targets.count; i++) {
        struct target *target = loop->targets.list[i];

        for (uint32_t m = target->first_member; m != 0; m = loop->targets.members[m - 1].next)
            schedule_hint(&target->schedule, checked_last_hint(loop->targets.members[m - 1].live),
                          now_ns);
    }
}

static int housekeeping(struct loop *loop, uint64_t now_ns)
{
    bool second = now_ns >= loop->second_ns;
    int error;

    if (now_ns >= loop->beat_ns) {
        lease_beat(loop->self, now_ns);
        loop->beat_ns = now_ns + BEAT_NS;
    }
    if (second) {
        loop->second_ns = now_ns + NS_PER_S;
        census_take(loop->segment);
        if (loop->tick)
            loop->tick(loop->context);
    }
    error = follow_settings(loop, second, now_ns);
    if (error)
        return error;
    decide(loop, now_ns);
    take_hints(loop, now_ns);
    return 0;
}

/* ---- troubles ---- */

static bool is_healthy(const struct member *member)
{
    return verdict_unpack(load_relaxed(&member->live->health)).health == HEALTH_HEALTHY;
}

/* Its user or password is wrong: said once per trouble, not once per check. */
static bool is_trouble(enum check_cause cause)
{
    return cause == CHECK_WRONGPASS || cause == CHECK_NOPERM;
}

/* ---- what a check says of that ---- */

/* Before the verdict, which decides. */
static void note_role(struct loop *loop, const struct member *member, enum role_wanted role,
                      uint64_t now_ns)
{
    standing_saw(&loop->service, member->index, role == ROLE_MASTER ? SEEN_MASTER : SEEN_REPLICA,
                 now_ns);
    judge_masters(loop, now_ns);
}

/* After the verdict. One that nobody answers for is not there, one that does not answer is gone
 * when that is a verdict, and one that answers something else is neither. */
static void note_silence(struct loop *loop, const struct member *member, const struct check *check,
                         uint64_t now_ns)
{
    bool unhealthy = verdict_unpack(load_relaxed(&member->live->health)).health == HEALTH_UNHEALTHY;

    if (check->cause == CHECK_REFUSED || (unhealthy && standing_is_gone(check->cause)))
        standing_saw(&loop->service, member->index, SEEN_GONE, now_ns);
    judge_masters(loop, now_ns);
}

/* ---- results ---- */

/* Its result for one endpoint: alone, with others, or as the gate of failback. */
static void record_for(struct loop *loop, const struct member *member, const struct check *check,
                       uint64_t now_ns)
{
    const struct targets *targets = &loop->targets;
    uint16_t epoch = (uint16_t)loop->self->epoch;

    if (member->gate) {
        enum check_cause cause;
        bool holds = member_gate(targets, member, &cause, now_ns);

        checked_gate(&loop->service, member->index, holds, cause, now_ns);
        loop->lost = !lease_held(loop->self);
    } else if (member->list.count == 1) {
        loop->lost = !checked_record(&loop->service, member->index, epoch, check, now_ns);
    } else {
        loop->lost = !checked_record_part(&loop->service, member->index, epoch, check,
                                          member_health(targets, member, now_ns), now_ns);
    }
}

/* What the operator may not know: where the file asks for no role, writes may go to a replica. */
static void warn_of_replica(const struct loop *loop, const struct member *member,
                            enum role_wanted role)
{
    struct member *first = &loop->targets.members[member->first];
    bool is_active_replica;

    if (role == ROLE_ANY)
        return;
    checked_role(&loop->service, member->index, role);
    is_active_replica = checked_is_active_replica(&loop->service, member->index);
    if (is_active_replica && !first->warned && !member->is_to_be_replica)
        checked_warn_of_replica(&loop->service, member->index);
    first->warned = is_active_replica;
}

static void record(struct loop *loop, struct target *target, const struct check *check,
                   const struct probe_result *result, uint64_t now_ns)
{
    enum role_wanted role = result->role;
    bool complain = is_trouble(check->cause) && check->cause != target->trouble;
    bool settled = check->passed;

    target->verdict =
        verdict_after(target->verdict, &target->schedule.rules, check->passed, check->cause);
    target->decided_ns = now_ns;
    target->passed = check->passed;
    for (uint32_t m = target->first_member; m != 0 && !loop->lost;) {
        const struct member *member = &loop->targets.members[m - 1];

        m = member->next;
        if (!read_service(loop, member->service))
            return;
        if (role != ROLE_ANY)
            note_role(loop, member, role, now_ns);
        record_for(loop, member, check, now_ns);
        if (role == ROLE_ANY && !check->passed && !member->gate && !loop->lost)
            note_silence(loop, member, check, now_ns);
        if (complain && !loop->lost)
            checked_complain(&loop->service, member->index, check->cause);
        if (!loop->lost)
            warn_of_replica(loop, member, role == ROLE_ANY ? result->aside : role);
        if (member->list.count == 1 && !member->gate)
            settled = settled && is_healthy(member);
        else
            settled = settled && target->verdict.health == HEALTH_HEALTHY;
    }
    target->trouble = is_trouble(check->cause) ? check->cause : CHECK_FINE;
    if (settled)
        schedule_settled(&target->schedule);
}

/* It came to no verdict, and says why. */
static void note_void(struct loop *loop, const struct target *target, enum check_cause cause)
{
    for (uint32_t m = target->first_member; m != 0;) {
        const struct member *member = &loop->targets.members[m - 1];

        m = member->next;
        if (!read_service(loop, member->service))
            return;
        checked_void(&loop->service, member->index, cause);
    }
}

/* This process has run out of something, and will have for the next check too. */
static bool is_exhausted(const struct probe_result *result)
{
    return result->outcome == PROBE_VOID && (result->error == EMFILE || result->error == ENFILE ||
                                             result->error == ENOMEM || result->error == ENOBUFS);
}

/* `late`: the answer has waited for us, nobody knows how long. */
static int collect(struct loop *loop, struct target *target, bool late, uint64_t now_ns)
{
    struct probe_result result;
    struct check check;

    while (probe_take(target->probe, &result)) {
        target->full = false;
        if (is_exhausted(&result))
            return -result.error;
        if (late)
            result.rtt_ns = 0;
        if (schedule_finished(&target->schedule, &result, &check))
            record(loop, target, &check, &result, now_ns);
        else if (result.outcome == PROBE_VOID && result.cause != CHECK_FINE)
            note_void(loop, target, result.cause);
    }
    return 0;
}

/* ---- checks ---- */

static int start_due(struct loop *loop, uint64_t now_ns)
{
    int error = 0;

    for (uint32_t i = 0; i < loop->targets.count && !error; i++) {
        struct target *target = loop->targets.list[i];
        struct schedule *schedule = &target->schedule;

        while (target->in_use && !target->full && schedule_due_ns(schedule) <= now_ns && !error) {
            target->full = !probe_start(target->probe, now_ns, now_ns + schedule->rules.timeout_ns);
            if (target->full)
                break;
            schedule_started(schedule, now_ns, random_bits(loop, now_ns));
            error = collect(loop, target, false, now_ns); /* refused at once, for one */
        }
    }
    return error;
}

/* When the loop has to run again at the latest. */
static uint64_t next_turn_ns(const struct loop *loop, uint64_t now_ns)
{
    uint64_t at_ns = now_ns + loop->look_ns;

    clock_sooner(&at_ns, loop->beat_ns);
    clock_sooner(&at_ns, follow_due_ns(&loop->follow));
    for (uint32_t i = 0; i < loop->service_count; i++)
        clock_sooner(&at_ns, loop->decide_ns[i]);
    for (uint32_t i = 0; i < loop->targets.count; i++) {
        const struct target *target = loop->targets.list[i];

        if (!target->in_use)
            continue;
        clock_sooner(&at_ns, probe_deadline_ns(target->probe));
        if (!target->full)
            clock_sooner(&at_ns, schedule_due_ns(&target->schedule));
    }
    return at_ns > now_ns ? at_ns : now_ns;
}

/* Those that have a descriptor and no others: poll() counts all against RLIMIT_NOFILE. */
static void fill_polls(struct loop *loop)
{
    loop->poll_count = 0;
    for (uint32_t i = 0; i < loop->targets.count; i++) {
        struct target *target = loop->targets.list[i];
        int fd = target->in_use ? probe_fd(target->probe) : -1;

        target->polled = 0;
        if (fd < 0)
            continue;
        loop->targets.polls[loop->poll_count++] =
            (struct pollfd){.fd = fd, .events = probe_events(target->probe)};
        target->polled = loop->poll_count;
    }
    loop->target_polls = loop->poll_count;
    loop->poll_count += follow_polls(&loop->follow, &loop->targets.polls[loop->poll_count],
                                     loop->targets.limit - loop->poll_count);
}

/* 0 or -errno: then nobody knows what has come, and nothing may be judged. */
static int wait(struct loop *loop, uint64_t timeout_ns)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / NS_PER_S),
        .tv_nsec = (long)(timeout_ns % NS_PER_S),
    };

    if (ppoll(loop->targets.polls, loop->poll_count, &timeout, NULL) < 0 && errno != EINTR)
        return -errno;
    return 0;
}

/* What was planned for `planned_ns` happens at `now_ns`. */
static int handle(struct loop *loop, uint64_t planned_ns, uint64_t now_ns)
{
    uint64_t late_ns = now_ns > planned_ns ? now_ns - planned_ns : 0;
    int error = 0;

    for (uint32_t i = 0; i < loop->targets.count && !error; i++) {
        struct target *target = loop->targets.list[i];
        const struct pollfd *poll;
        bool late, idle;

        if (!target->in_use)
            continue;
        poll = target->polled ? &loop->targets.polls[target->polled - 1] : NULL;
        late = late_ns > target->schedule.rules.timeout_ns / 4;
        idle = probe_deadline_ns(target->probe) == UINT64_MAX;
        if (poll && poll->revents)
            probe_handle(target->probe, poll->revents, now_ns);
        if (idle && poll && probe_fd(target->probe) != poll->fd)
            schedule_disconnected(&target->schedule, now_ns);
        error = collect(loop, target, late, now_ns);
        if (error)
            break;
        /* While we did not run nobody read, and whose time has passed might have answered. */
        if (late)
            probe_void(target->probe);
        else
            probe_expire(target->probe, now_ns);
        error = collect(loop, target, late, now_ns);
    }
    return error;
}

/* Of the service in this slot. */
static void obey(struct loop *loop, uint32_t slot, bool new_master, uint64_t now_ns)
{
    for (uint32_t i = 0; i < loop->service_count; i++) {
        if (!read_service(loop, i) || loop->service.settings.slot != slot)
            continue;
        if (new_master)
            standing_new_master(&loop->service);
        judge_masters(loop, now_ns);
    }
}

/* What Sentinels say, and what follows from it. */
static void handle_sentinels(struct loop *loop, uint64_t planned_ns, uint64_t now_ns)
{
    struct follow *follow = &loop->follow;
    bool new_master;
    uint32_t slot;

    loop->lost = !lease_held(loop->self);
    if (loop->lost)
        return;
    follow_run(follow, &loop->targets.polls[loop->target_polls],
               now_ns > planned_ns ? now_ns - planned_ns : 0, now_ns);
    if (follow->new_servers) /* to be published by who is called by the tick */
        loop->second_ns = now_ns;
    follow->new_servers = false;
    if (targets_outdated(&loop->targets, false))
        return; /* the next turn acts on it, by the settings then in force */
    while ((slot = follow_news(follow, &new_master)) != NO_SLOT)
        obey(loop, slot, new_master, now_ns);
}

static int turn(struct loop *loop)
{
    uint64_t planned_ns, now_ns = clock_boot_ns();
    int error = housekeeping(loop, now_ns);

    if (!error)
        error = start_due(loop, now_ns);
    if (error)
        return error;
    bell_announce(loop->segment);
    planned_ns = next_turn_ns(loop, now_ns);
    fill_polls(loop);
    now_ns = clock_boot_ns();
    error = wait(loop, planned_ns > now_ns ? planned_ns - now_ns : 0);
    /* What has come by now is read before anything that was due by now is judged. */
    now_ns = clock_boot_ns();
    if (!error)
        error = wait(loop, 0);
    if (error)
        return error;
    handle_sentinels(loop, planned_ns, now_ns);
    if (!loop->lost)
        error = handle(loop, planned_ns, now_ns);
    bell_announce(loop->segment);
    return error;
}

int health_run_ticking(struct contender *self, const char *secrets_path, const atomic_bool *stop,
                       void (*tick)(void *context), void *context)
{
    struct loop loop = {
        .self = self,
        .segment = self->segment,
        .look_ns = HINT_LOOK_MAX_NS,
        .random = self->epoch,
        .tick = tick,
        .context = context,
    };
    int error = targets_open(&loop.targets, loop.segment, secrets_path, self->class);

    follow_open(&loop.follow, loop.segment, secrets_path);
    while (!error && !loop.lost && lease_held(self) && !segment_superseded(loop.segment) &&
           !atomic_load_explicit(stop, memory_order_relaxed))
        error = turn(&loop);
    follow_close(&loop.follow);
    targets_close(&loop.targets);
    return error;
}

int health_run(struct contender *self, const char *secrets_path, const atomic_bool *stop)
{
    return health_run_ticking(self, secrets_path, stop, NULL, NULL);
}
