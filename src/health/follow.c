#include "health/follow.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "policy/agree.h"
#include "policy/standing.h"
#include "probe/sentinel.h"
#include "state/discovery.h"
#include "state/events.h"
#include "state/secrets.h"

/* While Sentinels are silent or of different opinions. */
#define TROUBLE_NS NS_PER_S
/* While a master that has come back waits for their word. */
#define DOUBT_NS      (200 * NS_PER_MS)
#define DOUBT_LAST_NS STANDING_PROOF_NS
#define ADDRESS_SHOWN 48

struct watch {
    struct sentinel asking, listening;
    uint64_t ask_due_ns;                /* the next time; UINT64_MAX while it is being asked */
    uint64_t ask_deadline_ns;           /* UINT64_MAX: it is not being asked */
    uint64_t listen_due_ns;             /* UINT64_MAX while the connection is there or being made */
    uint64_t listen_deadline_ns;        /* UINT64_MAX: nothing is waited for */
    unsigned ask_polled, listen_polled; /* place among the polls + 1; 0: none */
    enum check_cause told;              /* the trouble that an event told of */
    uint64_t calm_ns; /* CLOCK_BOOTTIME of an answer that found the master well; 0: of none */
};

struct follower {
    struct follower *next;
    bool wanted;
    bool heard; /* what it says is news; */
    bool new_master;
    uint32_t slot;
    uint64_t doubt_until_ns;
    char service[NAME_TEXT];
    struct service_live *live;
    struct discover_settings settings;
    struct found found;
    struct voice voices[SENTINELS_MAX];
    struct watch watches[SENTINELS_MAX];
};

/* ---- events ---- */

/* Without libc's help: this runs in strangers' processes. */
static void write_address(const struct address *address, char out[static ADDRESS_SHOWN])
{
    const uint8_t *ip = address->ip;

    if (address->port == 0)
        text_copy(out, ADDRESS_SHOWN, "");
    else if (address_is_v4(address))
        text_format(out, ADDRESS_SHOWN, "%u.%u.%u.%u:%u", (unsigned)ip[12], (unsigned)ip[13],
                    (unsigned)ip[14], (unsigned)ip[15], (unsigned)address->port);
    else
        text_format(out, ADDRESS_SHOWN, "[%x:%x:%x:%x:%x:%x:%x:%x]:%u",
                    (unsigned)(ip[0] << 8 | ip[1]), (unsigned)(ip[2] << 8 | ip[3]),
                    (unsigned)(ip[4] << 8 | ip[5]), (unsigned)(ip[6] << 8 | ip[7]),
                    (unsigned)(ip[8] << 8 | ip[9]), (unsigned)(ip[10] << 8 | ip[11]),
                    (unsigned)(ip[12] << 8 | ip[13]), (unsigned)(ip[14] << 8 | ip[15]),
                    (unsigned)address->port);
}

static void tell(const struct follow *follow, const struct follower *follower, struct event *event)
{
    event->type = EVENT_DISCOVERY;
    text_copy(event->service, sizeof(event->service), follower->service);
    event_write(follow->segment, event);
}

static void tell_master(const struct follow *follow, const struct follower *follower,
                        const struct address *from, unsigned names)
{
    struct event event = {.reason = "master"};

    write_address(from, event.from);
    write_address(&follower->found.master, event.to);
    text_format(event.detail, sizeof(event.detail), "%u of %u Sentinels name it", names,
                (unsigned)follower->settings.count);
    tell(follow, follower, &event);
}

static void tell_servers(const struct follow *follow, const struct follower *follower)
{
    struct event event = {.reason = "servers"};

    text_format(event.detail, sizeof(event.detail), "%u of master %s", follower->found.count,
                follower->settings.master_name);
    tell(follow, follower, &event);
}

/* Once per trouble, not once per attempt; and its end. */
static void tell_source(const struct follow *follow, const struct follower *follower,
                        unsigned index, enum check_cause cause)
{
    struct event event = {0};

    write_address(&follower->settings.sentinels[index], event.from);
    text_copy(event.reason, sizeof(event.reason),
              cause == CHECK_FINE ? "Sentinel answers" : check_cause_text(cause));
    text_copy(event.detail, sizeof(event.detail),
              cause == CHECK_FINE ? "it has a voice again"
                                  : "Sentinel without a voice; what is known stays");
    tell(follow, follower, &event);
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

static void conclude(struct follow *follow, struct follower *follower)
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
            tell_master(follow, follower, &before, names);
        }
    }
    if (agree_servers(follower->voices, count, quorum, found->servers, &found->count)) {
        follow->new_servers = true;
        tell_servers(follow, follower);
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

static void source_failed(struct follow *follow, struct follower *follower, unsigned index,
                          enum check_cause cause, uint64_t now_ns)
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
        tell_source(follow, follower, index, cause);
    watch->told = cause;
    plan(follower, index, false, now_ns);
}

static void source_answered(struct follow *follow, struct follower *follower, unsigned index,
                            uint64_t now_ns)
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
        tell_source(follow, follower, index, CHECK_FINE);
    watch->told = CHECK_FINE;
    conclude(follow, follower);
    plan(follower, index, true, now_ns);
}

static void ask_all(struct follower *follower, uint64_t now_ns)
{
    for (uint32_t i = 0; i < follower->settings.count; i++)
        if (follower->watches[i].ask_due_ns != UINT64_MAX)
            follower->watches[i].ask_due_ns = now_ns;
}

/* It says that there is a new master: what do the others say? */
static void source_switched(struct follow *follow, struct follower *follower, unsigned index,
                            uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];
    struct voice *voice = &follower->voices[index];

    voice->heard = true;
    voice->master = watch->listening.answer.master;
    watch->calm_ns = 0;
    discovery_answered(source_of(follower, index), &voice->master, wall_ms());
    conclude(follow, follower);
    ask_all(follower, now_ns);
}

static void take_asked(struct follow *follow, struct follower *follower, unsigned index,
                       enum sentinel_news news, uint64_t now_ns)
{
    if (news == SENTINEL_ANSWERED)
        source_answered(follow, follower, index, now_ns);
    else if (news == SENTINEL_FAILED)
        source_failed(follow, follower, index, follower->watches[index].asking.cause, now_ns);
}

static void stop_listening(struct watch *watch, uint64_t now_ns)
{
    sentinel_close(&watch->listening);
    watch->listen_deadline_ns = UINT64_MAX;
    watch->listen_due_ns = now_ns + TROUBLE_NS;
}

static void take_heard(struct follow *follow, struct follower *follower, unsigned index,
                       enum sentinel_news news, uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    switch (news) {
    case SENTINEL_LISTENING:
        watch->listen_deadline_ns = UINT64_MAX;
        watch->ask_due_ns = watch->ask_due_ns == UINT64_MAX ? UINT64_MAX : now_ns;
        break;
    case SENTINEL_SWITCHED:
        watch->listen_deadline_ns = UINT64_MAX;
        source_switched(follow, follower, index, now_ns);
        break;
    case SENTINEL_FAILED:
        stop_listening(watch, now_ns);
        /* Gone, perhaps; or it knows no SUBSCRIBE. Asking tells. */
        if (watch->ask_due_ns != UINT64_MAX && watch->listening.cause == CHECK_CLOSED)
            watch->ask_due_ns = now_ns;
        break;
    case SENTINEL_NOTHING:
    case SENTINEL_ANSWERED:
        break;
    }
}

/* ---- time ---- */

static void start_due(struct follow *follow, struct follower *follower, unsigned index,
                      uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    if (watch->ask_due_ns <= now_ns) {
        watch->ask_due_ns = UINT64_MAX;
        watch->ask_deadline_ns = now_ns + FOLLOW_TIMEOUT_NS;
        take_asked(follow, follower, index, sentinel_start(&watch->asking, SENTINEL_ASK), now_ns);
    }
    if (watch->listen_due_ns <= now_ns) {
        watch->listen_due_ns = UINT64_MAX;
        watch->listen_deadline_ns = now_ns + FOLLOW_TIMEOUT_NS;
        take_heard(follow, follower, index, sentinel_start(&watch->listening, SENTINEL_LISTEN),
                   now_ns);
    }
}

/* While we did not run nobody read, and whose time has passed may have answered. */
static void extend(uint64_t *deadline_ns, uint64_t late_ns)
{
    if (*deadline_ns != UINT64_MAX && late_ns > FOLLOW_TIMEOUT_NS / 4)
        *deadline_ns += late_ns;
}

static void end_overdue(struct follow *follow, struct follower *follower, unsigned index,
                        uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    if (watch->ask_deadline_ns <= now_ns) {
        source_failed(follow, follower, index, CHECK_TIMEOUT, now_ns);
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

static void run_one(struct follow *follow, struct follower *follower, unsigned index,
                    const struct pollfd *polls, uint64_t late_ns, uint64_t now_ns)
{
    struct watch *watch = &follower->watches[index];

    extend(&watch->ask_deadline_ns, late_ns);
    extend(&watch->listen_deadline_ns, late_ns);
    take_asked(follow, follower, index,
               sentinel_handle(&watch->asking, events_of(polls, watch->ask_polled)), now_ns);
    take_heard(follow, follower, index,
               sentinel_handle(&watch->listening, events_of(polls, watch->listen_polled)), now_ns);
    end_overdue(follow, follower, index, now_ns);
    start_due(follow, follower, index, now_ns);
    watch->ask_polled = watch->listen_polled = 0;
}

void follow_run(struct follow *follow, const struct pollfd *polls, uint64_t late_ns,
                uint64_t now_ns)
{
    for (struct follower *follower = follow->first; follower; follower = follower->next)
        for (uint32_t i = 0; i < follower->settings.count; i++)
            run_one(follow, follower, i, polls, late_ns, now_ns);
}

static void sooner(uint64_t *at_ns, uint64_t candidate_ns)
{
    if (candidate_ns < *at_ns)
        *at_ns = candidate_ns;
}

uint64_t follow_due_ns(const struct follow *follow)
{
    uint64_t at_ns = UINT64_MAX;

    for (const struct follower *follower = follow->first; follower; follower = follower->next) {
        for (uint32_t i = 0; i < follower->settings.count; i++) {
            sooner(&at_ns, follower->watches[i].ask_due_ns);
            sooner(&at_ns, follower->watches[i].ask_deadline_ns);
            sooner(&at_ns, follower->watches[i].listen_due_ns);
            sooner(&at_ns, follower->watches[i].listen_deadline_ns);
        }
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

unsigned follow_polls(struct follow *follow, struct pollfd *polls, unsigned room)
{
    unsigned count = 0;

    for (struct follower *follower = follow->first; follower; follower = follower->next) {
        for (uint32_t i = 0; i < follower->settings.count; i++) {
            struct watch *watch = &follower->watches[i];

            watch->ask_polled = add_poll(&watch->asking, polls, &count, room);
            watch->listen_polled = add_poll(&watch->listening, polls, &count, room);
        }
    }
    return count;
}

/* ---- which services ---- */

void follow_open(struct follow *follow, const struct segment *segment, const char *secrets_path)
{
    *follow = (struct follow){.segment = segment, .secrets_path = secrets_path};
}

static void drop(struct follower *follower)
{
    for (uint32_t i = 0; i < follower->settings.count; i++) {
        sentinel_close(&follower->watches[i].asking);
        sentinel_close(&follower->watches[i].listening);
    }
    munmap(follower, sizeof(*follower)); /* its passwords too */
}

void follow_close(struct follow *follow)
{
    while (follow->first) {
        struct follower *next = follow->first->next;

        drop(follow->first);
        follow->first = next;
    }
}

/* Both were copied from banks that were filled from zeros. */
static bool is_same(const struct follower *follower, const struct service_settings *service,
                    const struct discover_settings *settings, const struct secret *secret)
{
    const struct probe_target *target = &follower->watches[0].asking.target;

    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    return memcmp(&follower->settings, settings, sizeof(*settings)) == 0 &&
           text_equal(follower->service, service->name) &&
           text_equal(target->username, secret->username) &&
           text_equal(target->password, secret->password);
}

static struct follower *begin(const struct follow *follow, const struct service_settings *service,
                              const struct discover_settings *settings, const struct secret *secret,
                              uint64_t now_ns)
{
    struct follower *follower = mmap(NULL, sizeof(*follower), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (follower == MAP_FAILED)
        return NULL;
    follower->settings = *settings;
    follower->live = segment_service(follow->segment, service->slot);
    text_copy(follower->service, sizeof(follower->service), service->name);
    discovery_read(&follower->live->discovery, settings->identity, &follower->found);
    for (uint32_t i = 0; i < settings->count; i++) {
        struct watch *watch = &follower->watches[i];

        watch->ask_due_ns = watch->listen_due_ns = now_ns;
        watch->ask_deadline_ns = watch->listen_deadline_ns = UINT64_MAX;
        sentinel_init(&watch->asking, &follower->settings, i, secret->username, secret->password);
        sentinel_init(&watch->listening, &follower->settings, i, secret->username,
                      secret->password);
    }
    return follower;
}

static int want(struct follow *follow, const struct service_settings *service,
                const struct discover_settings *settings, const struct secret *secret,
                uint64_t now_ns)
{
    struct follower *follower = follow->first;

    while (follower && !is_same(follower, service, settings, secret))
        follower = follower->next;
    if (!follower) {
        follower = begin(follow, service, settings, secret, now_ns);
        if (!follower)
            return -ENOMEM;
        follower->next = follow->first;
        follow->first = follower;
    }
    /* The slot may be another one. */
    follower->slot = service->slot;
    follower->live = segment_service(follow->segment, service->slot);
    follower->wanted = true;
    return 0;
}

static void drop_unwanted(struct follow *follow)
{
    struct follower **link = &follow->first;

    while (*link) {
        struct follower *follower = *link;

        if (follower->wanted) {
            link = &follower->next;
        } else {
            *link = follower->next;
            drop(follower);
        }
    }
}

static int want_all(struct follow *follow, const struct bank_view *view, int secrets,
                    uint64_t now_ns)
{
    struct discover_settings settings;
    struct service_settings service;
    struct secret secret;
    int error = 0;

    for (uint32_t i = 0; i < view->service_count && view->discover_count > 0 && !error; i++) {
        if (!bank_service(view, i, &service))
            return -EAGAIN;
        if (service.discover == 0)
            continue;
        if (!bank_discover(view, service.discover - 1, &settings) ||
            !segment_service(follow->segment, service.slot))
            return -EAGAIN;
        if (settings.count == 0) /* names alone */
            continue;
        memset(&secret, 0, sizeof(secret));
        if (secrets >= 0 && settings.secret)
            secrets_read(secrets, ENDPOINT_SLOTS_MAX + CHECKS_MAX + i, settings.secret, &secret);
        if (!bank_valid(view))
            return -EAGAIN;
        error = want(follow, &service, &settings, &secret, now_ns);
    }
    return error;
}

int follow_build(struct follow *follow, uint64_t now_ns)
{
    struct bank_view view;
    int secrets, error;

    if (!bank_open(follow->segment, &view))
        return -EAGAIN;
    for (struct follower *follower = follow->first; follower; follower = follower->next)
        follower->wanted = false;
    secrets = view.discover_count > 0 ? secrets_open(follow->secrets_path) : -1;
    error = want_all(follow, &view, secrets, now_ns);
    if (secrets >= 0)
        close(secrets);
    if (!error)
        drop_unwanted(follow);
    return error;
}

static struct follower *follower_of(const struct follow *follow, uint32_t slot)
{
    struct follower *follower = follow->first;

    while (follower && follower->slot != slot)
        follower = follower->next;
    return follower;
}

uint64_t follow_calm_ns(const struct follow *follow, uint32_t slot)
{
    const struct follower *follower = follower_of(follow, slot);
    uint64_t since_ns = UINT64_MAX;

    for (uint32_t i = 0; follower && i < follower->settings.count; i++)
        sooner(&since_ns, follower->watches[i].calm_ns);
    return since_ns == UINT64_MAX ? 0 : since_ns;
}

void follow_ask(struct follow *follow, uint32_t slot, uint64_t now_ns)
{
    struct follower *follower = follower_of(follow, slot);

    if (!follower)
        return;
    follower->doubt_until_ns = now_ns + DOUBT_LAST_NS;
    ask_all(follower, now_ns);
}

const struct found *follow_found(const struct follow *follow, uint32_t slot)
{
    const struct follower *follower = follower_of(follow, slot);

    return follower ? &follower->found : NULL;
}

uint32_t follow_news(struct follow *follow, bool *new_master)
{
    for (struct follower *follower = follow->first; follower; follower = follower->next) {
        if (follower->heard) {
            *new_master = follower->new_master;
            follower->heard = follower->new_master = false;
            return follower->slot;
        }
    }
    return NO_SLOT;
}

/* ---- once, for a publisher ---- */

static bool all_known(const struct follow *follow)
{
    for (const struct follower *follower = follow->first; follower; follower = follower->next)
        if (follower->found.count == 0)
            return false;
    return true;
}

bool follow_once(const struct segment *segment, const char *secrets_path, uint64_t patience_ns)
{
    struct pollfd polls[2 * SENTINELS_MAX * 4]; /* those that find no room are asked later */
    uint64_t now_ns = clock_boot_ns(), deadline_ns = now_ns + patience_ns;
    struct follow follow;
    bool found;

    follow_open(&follow, segment, secrets_path);
    if (!segment->writable || follow_build(&follow, now_ns) != 0)
        deadline_ns = 0;
    while (now_ns < deadline_ns && !all_known(&follow)) {
        unsigned count;

        follow_run(&follow, NULL, 0, now_ns);
        count = follow_polls(&follow, polls, sizeof(polls) / sizeof(polls[0]));
        poll(polls, count, 10);
        now_ns = clock_boot_ns();
        follow_run(&follow, polls, 0, now_ns);
    }
    found = follow.new_servers;
    follow_close(&follow);
    return found;
}
