#include "health/follower.h"

#include <string.h>

#include "base/clock.h"
#include "base/describe.h"
#include "base/text.h"
#include "health/follow.h"
#include "state/events.h"

/* While Sentinels are silent or of different opinions. */
#define TROUBLE_NS NS_PER_S
/* While a master that has come back waits for their word. */
#define DOUBT_NS (200 * NS_PER_MS)

/* ---- events ---- */

/* "" for none. */
static void write_address(const struct address *address, char *out, size_t size)
{
    char text[ADDRESS_TEXT];

    text_copy(out, size, address->port ? describe_address(address, text) : "");
}

static void tell(const struct follower *follower, struct event *event)
{
    if (!follower->segment) /* asked once, before there is one */
        return;
    event->type = EVENT_DISCOVERY;
    text_copy(event->service, sizeof(event->service), follower->service);
    event_write(follower->segment, event);
}

static void tell_master(const struct follower *follower, const struct address *from, unsigned names)
{
    struct event event = {.reason = "master"};

    write_address(from, event.from, sizeof(event.from));
    write_address(&follower->found.master, event.to, sizeof(event.to));
    text_format(event.detail, sizeof(event.detail), "%u of %u Sentinels name it", names,
                (unsigned)follower->settings.count);
    tell(follower, &event);
}

static void tell_servers(const struct follower *follower)
{
    struct event event = {.reason = "servers"};

    text_format(event.detail, sizeof(event.detail), "%u of master %s", follower->found.count,
                follower->settings.master_name);
    tell(follower, &event);
}

/* Once per trouble, not once per attempt; and its end. */
static void tell_source(const struct follower *follower, unsigned index, enum check_cause cause)
{
    struct event event = {0};

    write_address(&follower->settings.sentinels[index], event.from, sizeof(event.from));
    text_copy(event.reason, sizeof(event.reason),
              cause == CHECK_FINE ? "Sentinel answers" : check_cause_text(cause));
    text_copy(event.detail, sizeof(event.detail),
              cause == CHECK_FINE ? "it has a voice again" : event_sentinel_failed);
    tell(follower, &event);
}

/* ---- what they say together ---- */

static uint64_t wall_ms(void)
{
    return clock_wall_ns() / NS_PER_MS;
}

static bool same_address(const struct address *a, const struct address *b)
{
    return a->port == b->port && (a->port == 0 || address_equal(a, b));
}

static void conclude(struct follower *follower)
{
    struct found *found = &follower->found;
    struct address master = found->master;
    unsigned count = follower->settings.count, quorum = follower->settings.quorum;
    unsigned names = agree_master(follower->voices, count, quorum, &master);

    follower->heard = true;
    if (names > 0) {
        struct address before = found->master;

        found->master = master;
        found->agreed_ms = wall_ms();
        if (!same_address(&before, &master)) {
            follower->new_master = true;
            tell_master(follower, &before, names);
        }
    }
    if (agree_servers(follower->voices, count, quorum, found->servers, &found->count)) {
        follower->new_servers = true;
        tell_servers(follower);
    }
    if (found->count > 0)
        discovery_write(&follower->live->discovery, follower->settings.identity, found);
}

/* All of them have a voice, and say the same as was agreed on. */
static bool is_settled(const struct follower *follower)
{
    for (uint32_t i = 0; i < follower->settings.count; i++)
        if (!follower->voices[i].heard || follower->watches[i].calm_ns == 0 ||
            !same_address(&follower->voices[i].master, &follower->found.master))
            return false;
    return true;
}

/* ---- one Sentinel ---- */

static struct source_live *source_of(const struct follower *follower, unsigned index)
{
    return &follower->live->discovery.sources[index];
}

static void plan(struct follower *follower, unsigned index, bool well, uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];
    uint64_t pause_ns = follower->settings.refresh_ns;

    if (!well || !watch->listening.listening || !is_settled(follower))
        pause_ns = now_ns < follower->doubt_until_ns ? DOUBT_NS
                   : pause_ns < TROUBLE_NS           ? pause_ns
                                                     : TROUBLE_NS;
    watch->ask_deadline_ns = UINT64_MAX;
    watch->ask_due_ns = now_ns + pause_ns;
    store_relaxed(&source_of(follower, index)->next_ms, wall_ms() + pause_ns / NS_PER_MS);
}

static void source_failed(struct follower *follower, unsigned index, enum check_cause cause,
                          uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    sentinel_close(&watch->asking);
    if (cause == CHECK_FINE) { /* our own trouble says nothing about it */
        plan(follower, index, false, now_ns);
        return;
    }
    follower->voices[index].heard = false;
    watch->calm_ns = 0;
    discovery_failed(source_of(follower, index), cause, wall_ms());
    if (watch->told != cause)
        tell_source(follower, index, cause);
    watch->told = cause;
    plan(follower, index, false, now_ns);
}

static void source_answered(struct follower *follower, unsigned index, uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];
    const struct sentinel_answer *answer = &watch->asking.answer;
    struct voice *voice = &follower->voices[index];

    voice->heard = true;
    voice->master = answer->master;
    voice->count = answer->count;
    memcpy(voice->servers, answer->servers, sizeof(voice->servers));
    watch->calm_ns = answer->calm ? now_ns : 0;
    discovery_answered(source_of(follower, index), &answer->master, wall_ms());
    if (watch->told != CHECK_FINE)
        tell_source(follower, index, CHECK_FINE);
    watch->told = CHECK_FINE;
    conclude(follower);
    plan(follower, index, true, now_ns);
}

void follower_ask(struct follower *follower, uint64_t now_ns)
{
    for (uint32_t i = 0; i < follower->settings.count; i++)
        if (follower->watches[i].ask_due_ns != UINT64_MAX)
            follower->watches[i].ask_due_ns = now_ns;
}

/* It says that there is a new master: what do the others say? */
static void source_switched(struct follower *follower, unsigned index, uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];
    struct voice *voice = &follower->voices[index];

    voice->heard = true;
    voice->master = watch->listening.answer.master;
    watch->calm_ns = 0;
    discovery_answered(source_of(follower, index), &voice->master, wall_ms());
    conclude(follower);
    follower_ask(follower, now_ns);
}

static void take_asked(struct follower *follower, unsigned index, enum sentinel_news news,
                       uint64_t now_ns)
{
    if (news == SENTINEL_ANSWERED)
        source_answered(follower, index, now_ns);
    else if (news == SENTINEL_FAILED)
        source_failed(follower, index, follower->watches[index].asking.cause, now_ns);
}

static void stop_listening(struct watch *watch, uint64_t now_ns)
{
    sentinel_close(&watch->listening);
    watch->listen_deadline_ns = UINT64_MAX;
    watch->listen_due_ns = now_ns + TROUBLE_NS;
}

static void take_heard(struct follower *follower, unsigned index, enum sentinel_news news,
                       uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    switch (news) {
    case SENTINEL_LISTENING:
        watch->listen_deadline_ns = UINT64_MAX;
        watch->ask_due_ns = watch->ask_due_ns == UINT64_MAX ? UINT64_MAX : now_ns;
        break;
    case SENTINEL_SWITCHED:
        watch->listen_deadline_ns = UINT64_MAX;
        source_switched(follower, index, now_ns);
        if (!sentinel_is_open(&watch->listening))
            stop_listening(watch, now_ns);
        break;
    case SENTINEL_FAILED:
        stop_listening(watch, now_ns);
        /* Gone, perhaps; or it knows no SUBSCRIBE. Asking tells. */
        if (watch->ask_due_ns != UINT64_MAX &&
            (watch->listening.cause == CHECK_CLOSED || watch->listening.cause == CHECK_RESET))
            watch->ask_due_ns = now_ns;
        break;
    case SENTINEL_NOTHING:
    case SENTINEL_ANSWERED:
        break;
    }
}

/* ---- time ---- */

static void start_due(struct follower *follower, unsigned index, uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    if (watch->ask_due_ns <= now_ns) {
        watch->ask_due_ns = UINT64_MAX;
        watch->ask_deadline_ns = now_ns + FOLLOW_TIMEOUT_NS;
        take_asked(follower, index, sentinel_start(&watch->asking, SENTINEL_ASK), now_ns);
    }
    if (watch->listen_due_ns <= now_ns) {
        watch->listen_due_ns = UINT64_MAX;
        watch->listen_deadline_ns = now_ns + FOLLOW_TIMEOUT_NS;
        take_heard(follower, index, sentinel_start(&watch->listening, SENTINEL_LISTEN), now_ns);
    }
}

/* While we did not run nobody read, and whose time has passed may have answered. */
static void extend(uint64_t *deadline_ns, uint64_t late_ns)
{
    if (*deadline_ns != UINT64_MAX && late_ns > FOLLOW_TIMEOUT_NS / 4)
        *deadline_ns += late_ns;
}

static void end_overdue(struct follower *follower, unsigned index, uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    if (watch->ask_deadline_ns <= now_ns) {
        source_failed(follower, index, CHECK_TIMEOUT, now_ns);
        /* Whoever does not answer is not heard either. */
        if (watch->listening.listening)
            stop_listening(watch, now_ns);
    }
    if (watch->listen_deadline_ns <= now_ns)
        stop_listening(watch, now_ns);
}

static short events_of(const struct pollfd *polls, unsigned place)
{
    return polls && place ? polls[place - 1].revents : 0;
}

static void run_one(struct follower *follower, unsigned index, const struct pollfd *polls,
                    uint64_t late_ns, uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    extend(&watch->ask_deadline_ns, late_ns);
    extend(&watch->listen_deadline_ns, late_ns);
    take_asked(follower, index,
               sentinel_handle(&watch->asking, events_of(polls, watch->ask_polled)), now_ns);
    take_heard(follower, index,
               sentinel_handle(&watch->listening, events_of(polls, watch->listen_polled)), now_ns);
    end_overdue(follower, index, now_ns);
    start_due(follower, index, now_ns);
    watch->ask_polled = watch->listen_polled = 0;
}

bool follower_run(struct follower *follower, const struct segment *segment,
                  const struct pollfd *polls, uint64_t late_ns, uint64_t now_ns)
{
    follower->segment = segment;
    follower->new_servers = false;
    for (uint32_t i = 0; i < follower->settings.count; i++)
        run_one(follower, i, polls, late_ns, now_ns);
    return follower->new_servers;
}

uint64_t follower_due_ns(const struct follower *follower)
{
    uint64_t at_ns = UINT64_MAX;

    for (uint32_t i = 0; i < follower->settings.count; i++) {
        clock_sooner(&at_ns, follower->watches[i].ask_due_ns);
        clock_sooner(&at_ns, follower->watches[i].ask_deadline_ns);
        clock_sooner(&at_ns, follower->watches[i].listen_due_ns);
        clock_sooner(&at_ns, follower->watches[i].listen_deadline_ns);
    }
    return at_ns;
}

static unsigned add_poll(const struct sentinel *sentinel, struct pollfd *polls, unsigned *count,
                         unsigned room)
{
    if (!sentinel_is_open(sentinel) || *count == room)
        return 0;
    polls[(*count)++] =
        (struct pollfd){.fd = sentinel_fd(sentinel), .events = sentinel_events(sentinel)};
    return *count;
}

void follower_polls(struct follower *follower, struct pollfd *polls, unsigned *count, unsigned room)
{
    for (uint32_t i = 0; i < follower->settings.count; i++) {
        struct watch *watch = &follower->watches[i];

        watch->ask_polled = add_poll(&watch->asking, polls, count, room);
        watch->listen_polled = add_poll(&watch->listening, polls, count, room);
    }
}

/* ---- its life ---- */

void follower_begin(struct follower *follower, const char *username, const char *password,
                    uint64_t now_ns)
{
    for (uint32_t i = 0; i < follower->settings.count; i++) {
        struct watch *watch = &follower->watches[i];

        watch->ask_due_ns = watch->listen_due_ns = now_ns;
        watch->ask_deadline_ns = watch->listen_deadline_ns = UINT64_MAX;
        sentinel_init(&watch->asking, &follower->settings, i, username, password);
        sentinel_init(&watch->listening, &follower->settings, i, username, password);
    }
}

void follower_close(struct follower *follower)
{
    for (uint32_t i = 0; i < follower->settings.count; i++) {
        sentinel_close(&follower->watches[i].asking);
        sentinel_close(&follower->watches[i].listening);
    }
}
