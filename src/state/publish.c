#include "state/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "state/bank.h"
#include "state/create.h"
#include "state/events.h"
#include "state/fence.h"
#include "state/files.h"
#include "state/secrets.h"

#define LOCK_WAIT_NS (5 * NS_PER_S) /* for one publisher; many may be before us */
#define LOCK_POLL_NS (2 * NS_PER_MS)

/* ---- one publisher at a time ---- */

/* When its last holder took it: each leaves that as the time of the file. */
static struct timespec taken_at(int fd)
{
    struct stat status = {0};

    fstat(fd, &status);
    return status.st_mtim;
}

static int wait_for_lock(int fd, const char **why)
{
    const struct timespec pause = {.tv_nsec = LOCK_POLL_NS};
    uint64_t deadline_ns = clock_boot_ns() + LOCK_WAIT_NS;
    struct timespec taken = taken_at(fd);

    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        struct timespec last;

        if (errno != EWOULDBLOCK && errno != EINTR) {
            *why = "the lock file cannot be locked";
            return -errno;
        }
        last = taken_at(fd);
        if (memcmp(&last, &taken, sizeof(last)) != 0) {
            taken = last;
            deadline_ns = clock_boot_ns() + LOCK_WAIT_NS;
        }
        if (clock_boot_ns() >= deadline_ns) {
            *why = "another process has been publishing for more than 5 s";
            return -ETIMEDOUT;
        }
        nanosleep(&pause, NULL);
    }
    futimens(fd, NULL);
    return 0;
}

/* Somebody may have removed the file, against the rules; then others lock another one. */
static bool is_still_there(int fd, const char *path)
{
    struct file_facts ours;
    struct file_facts there;

    return file_facts_of(fd, &ours) == 0 && file_facts_at(path, false, &there) == 0 &&
           ours.inode == there.inode;
}

/* A descriptor that holds the lock until it is closed, or -errno. */
static int lock(const struct place *place, const char **why)
{
    for (;;) {
        int fd = file_open(place->lock, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        int error;

        if (fd == -EACCES || fd == -EPERM) {
            *why = "this user may not publish in the runtime directory";
            return -EPERM;
        }
        if (fd < 0) {
            *why = fd == -ENOSPC ? "no room for the lock file: the tmpfs is full"
                                 : "the lock file in the runtime directory cannot be opened";
            return fd;
        }
        error = wait_for_lock(fd, why);
        if (!error && is_still_there(fd, place->lock))
            return fd;
        close(fd);
        if (error)
            return error;
    }
}

/* ---- into the segment in use ---- */

static void write_bank(unsigned char *to, const struct bank_image *image)
{
    struct bank *bank = (void *)to;

    /* Size 0: not to be read, whatever becomes of this process. */
    __atomic_store_n(&bank->size, 0, __ATOMIC_RELAXED);
    fence_before_writing();
    shared_write(to + sizeof(bank->size),
                 (const unsigned char *)(const void *)image->bank + sizeof(bank->size),
                 image->size - sizeof(bank->size));
    __atomic_store_n(&bank->size, image->size, __ATOMIC_RELEASE);
}

static int write_change(const struct place *place, const struct publication *publication,
                        const struct bank_image *image, const struct old_settings *old,
                        const struct segment *segment, const char **why)
{
    size_t size = segment->size - segment->live_size;
    struct file_facts facts;
    struct segment_head *head;
    uint64_t sequence;
    void *mapped;
    int fd = file_open(place->segment, O_RDWR | O_NOFOLLOW, 0);
    int error;

    *why = "the segment cannot be written";
    if (fd < 0)
        return fd;
    error = file_facts_of(fd, &facts);
    if (!error && facts.inode != segment->inode)
        error = -ESTALE;
    if (!error)
        error = file_map(fd, 0, size, true, &mapped);
    close(fd);
    if (error)
        return error;

    slots_prepare(publication, old, segment);
    head = mapped;
    sequence = load_relaxed(&head->sequence) + 1;
    write_bank((unsigned char *)mapped + segment->bank_at[sequence & 1], image);
    /* Release; partner: the acquire in bank_open(). From here on the new settings are in force. */
    atomic_store_explicit(&head->sequence, sequence, memory_order_release);
    munmap(mapped, size);
    *why = "";
    return 0;
}

static const struct bank *bank_in_force(const struct segment *segment)
{
    const void *head = segment->head;
    uint64_t sequence = load_relaxed(&segment->head->sequence);
    const void *bank = (const unsigned char *)head + segment->bank_at[sequence & 1];

    return bank;
}

static bool says_the_same(const struct segment *segment, const struct bank_image *image)
{
    return bank_image_equals(image, bank_in_force(segment), segment->bank_size);
}

/* ---- what is there now ---- */

struct present {
    bool file;   /* something has the segment's name */
    bool usable; /* `segment` is attached and `old` is filled */
    struct segment segment;
    struct old_settings old;
};

static bool is_shared_alike(const struct segment *segment, const struct file_facts *facts,
                            gid_t group)
{
    bool shared = segment->head->flags & SEGMENT_SHARED;

    return shared ? group == facts->gid : group == (gid_t)-1;
}

/* Errors that say that the file is no good, and not that we could not find out. */
static bool is_useless(int error)
{
    return error == -EBADMSG || error == -EPROTO || error == -ESTALE || error == -EPERM ||
           error == -EACCES || error == -ELOOP;
}

static int look(const struct place *place, const struct publication *publication,
                struct present *present, const char **why)
{
    struct file_facts facts;
    int error = file_facts_at(place->segment, false, &facts);

    if (error == -ENOENT)
        return 0;
    present->file = true;
    if (!error && facts.uid != geteuid()) {
        *why = "a segment that belongs to another user is in the way";
        return -EPERM;
    }
    if (!error)
        error = segment_attach(&present->segment, place, why);
    if (!error) {
        error = old_settings_read(&present->segment, &present->old);
        if (error == -EBADMSG)
            segment_detach(&present->segment);
    }
    if (error && !is_useless(error))
        return error;
    *why = "";
    if (error)
        return 0;
    present->usable = present->segment.writable &&
                      is_shared_alike(&present->segment, &facts, publication->share_group);
    return 0;
}

/* ---- publishing ---- */

static int check(const struct publication *publication, const char **why)
{
    bool fits = publication->service_count <= SERVICES_MAX &&
                publication->check_count <= CHECKS_MAX &&
                publication->tls_count <= ENDPOINT_SLOTS_MAX + CHECKS_MAX;

    for (uint32_t i = 0; fits && i < publication->service_count; i++) {
        const struct publish_service *service = &publication->services[i];

        fits = service->endpoint_count <= ENDPOINTS_MAX && service->match_count <= MATCHES_MAX;
        for (uint32_t e = 0; fits && e < service->endpoint_count; e++)
            fits = service->endpoints[e].settings.address_count <= ADDRESSES_MAX;
    }
    if (!fits)
        *why = "more services, endpoints, addresses or match entries than a segment holds";
    return fits ? 0 : -EINVAL;
}

static bool take_secret(const struct publish_endpoint *endpoint, struct secret_entry *out)
{
    const char *username = endpoint->username ? endpoint->username : "";
    const char *password = endpoint->password ? endpoint->password : "";

    if (!*username && !*password)
        return false;
    out->slot = endpoint->settings.slot;
    out->generation = endpoint->settings.generation;
    return text_copy(out->secret.username, sizeof(out->secret.username), username) &&
           text_copy(out->secret.password, sizeof(out->secret.password), password);
}

/*
 * A check's entry carries what tells the check from all others: settings that are not the ones it
 * was written for must not send it elsewhere.
 */
static bool take_check_secret(struct publish_check *check, uint32_t index, struct secret_entry *out)
{
    const char *username = check->username ? check->username : "";
    const char *password = check->password ? check->password : "";

    check->settings.secret = 0;
    if (!*username && !*password)
        return false;
    check->settings.secret = (uint32_t)hash_bytes(&check->settings, sizeof(check->settings)) | 1;
    out->slot = ENDPOINT_SLOTS_MAX + index;
    out->generation = check->settings.secret;
    return text_copy(out->secret.username, sizeof(out->secret.username), username) &&
           text_copy(out->secret.password, sizeof(out->secret.password), password);
}

/* The same for what Sentinels are told. */
static bool take_discover_secret(struct publish_service *service, uint32_t index,
                                 struct secret_entry *out)
{
    const char *username = service->username ? service->username : "";
    const char *password = service->password ? service->password : "";

    if (!service->discover)
        return false;
    service->discover->secret = 0;
    if (!*username && !*password)
        return false;
    service->discover->secret =
        (uint32_t)hash_bytes(service->discover, sizeof(*service->discover)) | 1;
    out->slot = ENDPOINT_SLOTS_MAX + CHECKS_MAX + index;
    out->generation = service->discover->secret;
    return text_copy(out->secret.username, sizeof(out->secret.username), username) &&
           text_copy(out->secret.password, sizeof(out->secret.password), password);
}

/* Once slots are picked, and before anybody sees them. */
static int write_secrets(const struct place *place, const struct publication *publication,
                         const char **why)
{
    struct secret_entry *entries = calloc(SECRETS_MAX, sizeof(*entries));
    uint32_t count = 0;
    int error;

    if (!entries)
        return -ENOMEM;
    for (uint32_t i = 0; i < publication->service_count; i++) {
        struct publish_service *service = &publication->services[i];

        count += take_discover_secret(service, i, &entries[count]);
        for (uint32_t e = 0; e < service->endpoint_count; e++)
            count += take_secret(&service->endpoints[e], &entries[count]);
    }
    for (uint32_t i = 0; i < publication->check_count; i++)
        count += take_check_secret(&publication->checks[i], i, &entries[count]);
    error = secrets_write(place, entries, count);
    if (error)
        *why = "the file of user names and passwords cannot be written";
    explicit_bzero(entries, SECRETS_MAX * sizeof(*entries));
    free(entries);
    return error;
}

static int change(const struct place *place, struct publication *publication,
                  const struct present *present, enum publish_result *result, const char **why)
{
    struct bank_image image;
    int error = slots_pick(publication, &present->old, &present->segment);

    if (!error)
        error = write_secrets(place, publication, why);
    if (error)
        return error;
    error = bank_build(publication, &image);
    if (error)
        return error;
    *result = PUBLISHED_CHANGE;
    if (image.size > present->segment.bank_size)
        error = -ENOSPC;
    else if (says_the_same(&present->segment, &image))
        *result = PUBLISHED_NOTHING;
    else
        error = write_change(place, publication, &image, &present->old, &present->segment, why);
    bank_image_free(&image);
    return error;
}

static int create(const struct place *place, struct publication *publication,
                  const struct present *present, enum publish_result *result, const char **why)
{
    struct creation creation = {
        .publication = publication,
        .old = &present->old,
        .carry = present->segment.live ? &present->segment : NULL,
        .replace = present->file,
    };
    struct bank_image image;
    int error;

    slots_number(publication);
    error = write_secrets(place, publication, why);
    if (error)
        return error;
    error = bank_build(publication, &image);
    if (error)
        return error;
    creation.image = &image;
    segment_clean_up(place);
    error = segment_create(place, &creation, why);
    bank_image_free(&image);
    *result = present->file ? PUBLISHED_REPLACEMENT : PUBLISHED_NEW;
    return error;
}

static int publish_locked(const struct place *place, struct publication *publication,
                          enum publish_result *result, const char **why)
{
    struct present present = {0};
    int error = look(place, publication, &present, why);

    if (error)
        goto out;
    slots_keep_past(publication, &present.old);
    virtual_addresses_assign(publication, &present.old);
    error = present.usable ? change(place, publication, &present, result, why) : -ENOSPC;
    if (error == -ENOSPC)
        error = create(place, publication, &present, result, why);
out:
    if (present.segment.live)
        segment_detach(&present.segment);
    old_settings_free(&present.old);
    return error;
}

static void tell(const struct place *place, const struct publication *publication,
                 enum publish_result result)
{
    static const char *const reasons[] = {
        [PUBLISHED_NEW] = "new",
        [PUBLISHED_CHANGE] = "changed",
        [PUBLISHED_REPLACEMENT] = "replaced",
    };
    struct event event = {.type = EVENT_CONFIG};
    struct segment segment;
    unsigned endpoints = 0;
    const char *why;

    if (result == PUBLISHED_NOTHING || segment_attach(&segment, place, &why) != 0)
        return;
    for (uint32_t i = 0; i < publication->service_count; i++)
        endpoints += publication->services[i].endpoint_count;
    text_copy(event.reason, sizeof(event.reason), reasons[result]);
    text_format(event.detail, sizeof(event.detail), "%u services, %u endpoints",
                (unsigned)publication->service_count, endpoints);
    event_write(&segment, &event);
    segment_detach(&segment);
}

int publish(const struct place *place, struct publication *publication, enum publish_result *result,
            const char **why)
{
    int error;
    int fd;

    *why = "";
    error = check(publication, why);
    if (error)
        return error;
    /* Programs of others trust a segment only when it is root's. */
    if (geteuid() != 0)
        publication->share_group = (gid_t)-1;
    publication->front.published_wall_ns = clock_wall_ns();

    fd = lock(place, why);
    if (fd < 0)
        return fd;
    error = publish_locked(place, publication, result, why);
    if (error == -EEXIST) /* made by somebody who holds another lock: then change that one */
        error = publish_locked(place, publication, result, why);
    if (!error) {
        tell(place, publication, *result);
        unlink(place->failed);
    } else if (**why == '\0') {
        *why = error == -ENOMEM ? "out of memory" : "publishing failed";
    }
    close(fd);
    return error;
}
