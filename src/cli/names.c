#include "cli/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/lookups.h"
#include "heavy/resolution.h"
#include "settings/resolve.h"
#include "state/discovery.h"
#include "state/events.h"
#include "state/live.h"

#define PATIENCE_NS (3 * NS_PER_S) /* of one question */
#define PAUSE_NS    NS_PER_S       /* between two at least; doubled up to `refresh` after trouble */
#define EARLY_NS    (200 * NS_PER_MS) /* two turns: what has changed is published within `refresh` */

enum { ASKED_MAX = 32 }; /* at once: each takes a thread */

struct name {
    char service[NAME_TEXT];
    struct dns_question question;
    uint32_t index; /* among the service's names */
    uint64_t refresh_ns;
    struct resolution *asked; /* NULL: it is not being asked */
    uint64_t asked_ns;        /* CLOCK_BOOTTIME; 0 = never */
    uint64_t due_ns;
    uint64_t pause_ns; /* after the next answer, at most */
    bool known;
    struct dns_answer answer;     /* the last good one */
    enum dns_cause told;          /* the trouble that an event told of; DNS_FOUND: none */
    uint64_t answered_ms, failed; /* as name_live has them */
};

/* ---- settings ---- */

static void end(struct name *name)
{
    resolution_free(name->asked);
    name->asked = NULL;
}

static void forget(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        end(&names->list[i]);
    free(names->list);
    names->list = NULL;
    names->count = 0;
}

void names_stop(struct names *names)
{
    forget(names);
}

static bool same_question(const struct dns_question *a, const struct dns_question *b)
{
    return a->srv == b->srv && a->port == b->port && text_equal(a->name, b->name);
}

/* It goes on as it was. */
static void inherit(struct name *name, struct names *old)
{
    for (size_t i = 0; i < old->count; i++) {
        struct name *before = &old->list[i];
        struct name fresh = *name;

        if (!text_equal(before->service, name->service) ||
            !same_question(&before->question, &name->question))
            continue;
        *name = *before;
        before->asked = NULL;
        name->index = fresh.index;
        name->refresh_ns = fresh.refresh_ns;
        return;
    }
}

static void add(struct names *names, struct names *old, const struct service *service,
                uint32_t index, const char *host, uint16_t port, bool srv)
{
    struct name *name = &names->list[names->count++];

    *name = (struct name){
        .index = index,
        .refresh_ns = service->discover.refresh_ns,
        .pause_ns = service->discover.refresh_ns,
        .question = {.srv = srv, .port = port},
    };
    text_copy(name->service, sizeof(name->service), service->name);
    text_copy(name->question.name, sizeof(name->question.name), host);
    inherit(name, old);
}

/* That name stands for what the C library says, always; and c-ares 1.18 leaks when it is asked. */
static bool is_this_host(const char *host)
{
    static const char local[] = "localhost";
    size_t length = strlen(host), tail = sizeof(local) - 1;

    return length >= tail && text_equal(host + length - tail, local) &&
           (length == tail || host[length - tail - 1] == '.');
}

static bool is_to_be_asked(const char *host)
{
    struct address number;

    return address_parse_ip(host, &number) != 0 && !is_this_host(host);
}

static void add_service(struct names *names, struct names *old, const struct service *service)
{
    const struct discover *discover = &service->discover;
    uint32_t index = 0;

    if (discover->srv[0])
        add(names, old, service, index++, discover->srv, 0, true);
    for (size_t i = 0; i < service->endpoint_count; i++) {
        const struct host_port *at = &service->endpoints[i].at;

        if (is_to_be_asked(at->host))
            add(names, old, service, index++, at->host, at->port, false);
    }
    for (size_t i = 0; i < discover->sentinel_count; i++) {
        const struct host_port *at = &discover->sentinels[i];

        if (is_to_be_asked(at->host))
            add(names, old, service, index++, at->host, at->port, false);
    }
}

void names_set(struct names *names, const struct settings *settings)
{
    struct names fresh = {.term = names->term, .next_event = names->next_event};
    size_t most = 0;

    for (size_t i = 0; i < settings->service_count; i++)
        most += settings->services[i].endpoint_count +
                settings->services[i].discover.sentinel_count + 1; /* 1: SRV */
    fresh.list = calloc(most + 1, sizeof(*fresh.list));
    if (!fresh.list)
        return;
    for (size_t i = 0; i < settings->service_count; i++)
        add_service(&fresh, names, &settings->services[i]);
    forget(names);
    *names = fresh;
}

/* ---- for publishing ---- */

static struct names *shared;

static bool is_of(const struct name *name, const struct lookup *lookup)
{
    return name->question.srv == lookup->srv &&
           (lookup->srv || name->question.port == lookup->port) &&
           text_equal(name->question.name, lookup->host);
}

static bool known(struct lookup *lookup)
{
    for (size_t i = 0; shared && i < shared->count; i++) {
        const struct name *name = &shared->list[i];

        if (!is_of(name, lookup))
            continue;
        if (name->known)
            return lookup_take(lookup, &name->answer);
        if (name->told == DNS_FOUND)
            return false;
        /* Asked a moment ago, in vain: what is published stays. */
        lookup_fail(lookup, name->told);
        return true;
    }
    return false;
}

static bool ask_lookup(struct lookup *lookup, uint64_t patience_ns)
{
    if (!lookup->srv && (!lookup_servers_given() || is_this_host(lookup->host)))
        return false;
    lookup_ask(lookup, patience_ns);
    return true;
}

void names_begin(void)
{
    static const struct name_driver driver = {.ask = ask_lookup, .known = known};

    name_driver = &driver;
}

void names_share(struct names *names)
{
    shared = names;
}

/* ---- what came of it ---- */

static void tell(const struct name *name, const struct segment *segment, const char *reason,
                 const char *to, const char *detail)
{
    struct event event = {.type = EVENT_DISCOVERY};

    text_copy(event.service, sizeof(event.service), name->service);
    text_copy(event.from, sizeof(event.from), name->question.name);
    text_copy(event.to, sizeof(event.to), to);
    text_copy(event.reason, sizeof(event.reason), reason);
    text_copy(event.detail, sizeof(event.detail), detail);
    event_write(segment, &event);
}

/* Once per trouble, not once per question; and its end. */
static void tell_trouble(struct name *name, const struct segment *segment, enum dns_cause cause)
{
    if (name->told != cause)
        tell(name, segment, cause == DNS_FOUND ? "the name resolves" : dns_cause_text(cause), "",
             cause == DNS_FOUND ? "again" : "what is known of it stays in use");
    name->told = cause;
}

static void tell_change(const struct name *name, const struct segment *segment)
{
    const struct dns_host *host = &name->answer.hosts[0];
    char to[ADDRESS_TEXT] = "", detail[48];
    size_t count = 0;

    for (size_t i = 0; i < name->answer.count; i++)
        count += name->answer.hosts[i].count;
    if (count > 0 && host->count > 0)
        address_format(&host->addresses[0], to);
    text_format(detail, sizeof(detail), "%u host%s, %u address%s", (unsigned)name->answer.count,
                name->answer.count == 1 ? "" : "s", (unsigned)count, count == 1 ? "" : "es");
    tell(name, segment, "addresses", to, detail);
}

/* All that endpoints are made of. */
static bool same_hosts(const struct dns_answer *a, const struct dns_answer *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct dns_host *x = &a->hosts[i], *y = &b->hosts[i];

        if (!text_equal(x->name, y->name) || x->port != y->port || x->priority != y->priority ||
            x->weight != y->weight || x->count != y->count ||
            memcmp(x->addresses, y->addresses, x->count * sizeof(x->addresses[0])) != 0)
            return false;
    }
    return true;
}

/* When it is asked again: from start to start, but after trouble from its end. */
static void plan(struct name *name, uint64_t now_ns)
{
    uint64_t from_ns = name->told == DNS_FOUND ? name->asked_ns : now_ns;
    uint64_t pause_ns = name->refresh_ns - EARLY_NS;

    if (name->told == DNS_FOUND && name->answer.ttl_s * NS_PER_S < pause_ns)
        pause_ns = name->answer.ttl_s ? name->answer.ttl_s * NS_PER_S : PAUSE_NS;
    name->due_ns = from_ns + (name->pause_ns < pause_ns ? name->pause_ns : pause_ns);
    name->pause_ns = name->pause_ns < name->refresh_ns / 2 ? 2 * name->pause_ns : name->refresh_ns;
}

static bool take_good(struct name *name, const struct dns_answer *answer,
                      const struct segment *segment)
{
    struct dns_answer now = *answer;
    bool changed = true;

    if (name->known) {
        dns_keep_known(&now, &name->answer);
        changed = !same_hosts(&now, &name->answer);
    }
    name->answer = now;
    name->answered_ms = clock_wall_ns() / NS_PER_MS;
    tell_trouble(name, segment, DNS_FOUND);
    if (changed && name->known)
        tell_change(name, segment);
    name->known = true;
    return changed;
}

static void take_failure(struct name *name, enum dns_cause cause, const struct segment *segment)
{
    if (name->told == DNS_FOUND)
        name->pause_ns = PAUSE_NS;
    name->failed = last_error_pack((int)cause, clock_wall_ns());
    tell_trouble(name, segment, cause);
}

/* True: something else is known now. */
static bool collect(struct name *name, const struct segment *segment, uint64_t now_ns)
{
    const struct dns_answer *answer = resolution_answer(name->asked);
    bool changed = false;

    if (answer->cause == DNS_FOUND)
        changed = take_good(name, answer, segment);
    else
        take_failure(name, answer->cause, segment);
    end(name);
    plan(name, now_ns);
    return changed;
}

/* ---- for status ---- */

static void show(const struct name *name, const struct segment *segment, uint64_t now_ns)
{
    struct discovery_live *live = discovery_of(segment, name->service);
    uint64_t left_ns = name->due_ns > now_ns ? name->due_ns - now_ns : 0;
    struct name_live *to;

    if (!live || name->index >= NAMES_MAX)
        return;
    to = &live->names[name->index];
    store_relaxed(&to->key, name_key(name->question.name));
    store_relaxed(&to->answered_ms, name->answered_ms);
    store_relaxed(&to->failed, name->failed);
    store_relaxed(&to->troubled, name->told != DNS_FOUND);
    store_relaxed(&to->next_ms, (clock_wall_ns() + left_ns) / NS_PER_MS);
}

/* ---- running ---- */

static void start(struct name *name, uint64_t now_ns)
{
    name->asked_ns = now_ns;
    name->asked = resolution_start(&name->question, PATIENCE_NS);
    if (!name->asked) /* this host's own trouble */
        name->due_ns = now_ns + PAUSE_NS;
}

static size_t count_asked(const struct names *names)
{
    size_t count = 0;

    for (size_t i = 0; i < names->count; i++)
        count += names->list[i].asked != NULL;
    return count;
}

/* Now, and then a few times more in quick succession: the record may follow the failure. */
static void hurry(struct names *names, const char *service)
{
    for (size_t i = 0; i < names->count; i++) {
        struct name *name = &names->list[i];

        if (!text_equal(name->service, service))
            continue;
        name->pause_ns = PAUSE_NS;
        if (name->due_ns > name->asked_ns + PAUSE_NS)
            name->due_ns = name->asked_ns + PAUSE_NS;
    }
}

static void look_for_failures(struct names *names, const struct segment *segment)
{
    struct event event;

    while (event_next_failure(segment, &names->next_event, &event))
        hurry(names, event.service);
}

/* Whoever leads meanwhile may have heard something newer: what we know is not to be published. */
static void doubt(struct name *name)
{
    end(name);
    name->known = false;
    name->told = DNS_FOUND;
    name->due_ns = 0;
    name->pause_ns = name->refresh_ns;
}

void names_lead(struct names *names, uint32_t term)
{
    if (term == names->term)
        return;
    names->term = term;
    for (size_t i = 0; i < names->count; i++)
        doubt(&names->list[i]);
}

bool names_turn(struct names *names, const struct segment *segment)
{
    uint64_t now_ns = clock_boot_ns();
    bool changed = false;
    size_t asked;

    if (names->term == 0 || !segment->live || !segment->writable)
        return false;
    look_for_failures(names, segment);
    for (size_t i = 0; i < names->count; i++) {
        struct name *name = &names->list[i];

        if (!name->asked || !resolution_done(name->asked))
            continue;
        changed = collect(name, segment, now_ns) || changed;
        show(name, segment, now_ns);
    }
    asked = count_asked(names);
    for (size_t i = 0; i < names->count && asked < ASKED_MAX; i++) {
        struct name *name = &names->list[i];

        if (name->asked || now_ns < name->due_ns)
            continue;
        start(name, now_ns);
        asked += name->asked != NULL;
    }
    return changed;
}
