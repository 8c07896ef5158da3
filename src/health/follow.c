#include "health/follow.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/wipe.h"
#include "health/follower.h"
#include "policy/standing.h"
#include "state/secrets.h"

void follow_run(struct follow *follow, const struct pollfd *polls, uint64_t late_ns,
                uint64_t now_ns)
{
    for (struct follower *follower = follow->first; follower; follower = follower->next)
        if (follower_run(follower, follow->segment, polls, late_ns, now_ns))
            follow->new_servers = true;
}

uint64_t follow_due_ns(const struct follow *follow)
{
    uint64_t at_ns = UINT64_MAX;

    for (const struct follower *follower = follow->first; follower; follower = follower->next)
        clock_sooner(&at_ns, follower_due_ns(follower));
    return at_ns;
}

unsigned follow_polls(struct follow *follow, struct pollfd *polls, unsigned room)
{
    unsigned count = 0;

    for (struct follower *follower = follow->first; follower; follower = follower->next)
        follower_polls(follower, polls, &count, room);
    return count;
}

/* ---- which services ---- */

void follow_open(struct follow *follow, const struct segment *segment, const char *secrets_path)
{
    *follow = (struct follow){.segment = segment, .secrets_path = secrets_path};
}

static void drop(struct follower *follower)
{
    follower_close(follower);
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

/* Added to what is followed, and its Sentinels are asked at once. NULL: no memory. */
static struct follower *begin(struct follow *follow, struct service_live *live,
                              const struct discover_settings *settings, const struct secret *secret,
                              uint64_t now_ns)
{
    struct follower *follower = mmap(NULL, sizeof(*follower), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (follower == MAP_FAILED)
        return NULL;
    follower->settings = *settings;
    follower->live = live;
    follower_begin(follower, secret->username, secret->password, now_ns);
    follower->next = follow->first;
    follow->first = follower;
    return follower;
}

static int want(struct follow *follow, const struct service_settings *service,
                const struct discover_settings *settings, const struct secret *secret,
                uint64_t now_ns)
{
    struct service_live *live = segment_service(follow->segment, service->slot);
    struct follower *follower = follow->first;

    while (follower && !is_same(follower, service, settings, secret))
        follower = follower->next;
    if (!follower) {
        follower = begin(follow, live, settings, secret, now_ns);
        if (!follower)
            return -ENOMEM;
        text_copy(follower->service, sizeof(follower->service), service->name);
        discovery_read(&live->discovery, settings->identity, &follower->found);
    }
    /* The slot may be another one. */
    follower->slot = service->slot;
    follower->live = live;
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

    memset(&secret, 0, sizeof(secret));
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
        if (!bank_valid(view))
            return -EAGAIN;
        if (secrets >= 0 && settings.secret)
            secrets_read(secrets, ENDPOINT_SLOTS_MAX + CHECKS_MAX + i, settings.secret, &secret);
        error = want(follow, &service, &settings, &secret, now_ns);
        wipe(&secret, sizeof(secret));
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
        if (follower->watches[i].calm_ns < since_ns)
            since_ns = follower->watches[i].calm_ns;
    return since_ns == UINT64_MAX ? 0 : since_ns;
}

void follow_ask(struct follow *follow, uint32_t slot, uint64_t now_ns)
{
    struct follower *follower = follower_of(follow, slot);

    if (!follower)
        return;
    follower->doubt_until_ns = now_ns + STANDING_PROOF_NS;
    follower_ask(follower, now_ns);
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

static void run_until(struct follow *follow, uint64_t deadline_ns)
{
    struct pollfd polls[2 * SENTINELS_MAX * 4]; /* those that find no room are asked later */
    uint64_t now_ns = clock_boot_ns();

    follow_run(follow, NULL, 0, now_ns);
    while (now_ns < deadline_ns && !all_known(follow)) {
        unsigned count = follow_polls(follow, polls, sizeof(polls) / sizeof(polls[0]));

        poll(polls, count, 10);
        now_ns = clock_boot_ns();
        follow_run(follow, polls, 0, now_ns);
    }
}

void follow_once(struct discovery_question *questions, size_t count, uint64_t patience_ns)
{
    struct follower *followers[SERVICES_MAX];
    struct service_live nowhere = {0}; /* how each source does is not told yet */
    uint64_t now_ns = clock_boot_ns();
    struct follow follow;

    follow_open(&follow, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        followers[i] = begin(&follow, &nowhere, questions[i].settings, questions[i].secret, now_ns);
    run_until(&follow, now_ns + patience_ns);
    for (size_t i = 0; i < count; i++)
        if (followers[i])
            questions[i].found = followers[i]->found;
    follow_close(&follow);
}
