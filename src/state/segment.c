#include "state/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/files.h"

/* ---- is it what it says, and is it ours? ---- */

static int check_file(int fd, struct file_facts *facts, const char **why)
{
    int error = file_facts_of(fd, facts);

    if (error) {
        *why = "the segment's file cannot be examined";
        return error;
    }
    if (!S_ISREG(facts->mode) || (facts->uid != geteuid() && facts->uid != 0)) {
        *why = "the segment belongs to someone else";
        return -EPERM;
    }
    if (!file_in_memory(fd)) {
        *why = "the segment does not lie on a tmpfs";
        return -ENODEV;
    }
    if (facts->size < SEGMENT_HEAD_SIZE || facts->size > SEGMENT_MAX_SIZE) {
        *why = "the segment is truncated or corrupt";
        return -EBADMSG;
    }
    return 0;
}

static int check_identity(const struct segment_head *head, const struct file_facts *facts,
                          const char **why)
{
    bool shared = head->flags & SEGMENT_SHARED;
    unsigned forbidden = shared ? 007 : 077;

    if (memcmp(head->magic, SEGMENT_MAGIC, sizeof(head->magic)) != 0) {
        *why = "the file is not a segment";
        return -EBADMSG;
    }
    if (head->abi != SEGMENT_ABI) {
        *why = "the segment was written by another version";
        return -EPROTO;
    }
    if ((facts->uid != geteuid() && !shared) || facts->mode & forbidden) {
        *why = "the segment belongs to someone else, or its mode lets others in";
        return -EPERM;
    }
    if (head->size != facts->size) {
        *why = "the segment is truncated or corrupt";
        return -EBADMSG;
    }
    return 0;
}

/*
 * Where /proc is missing nothing can be compared; a tmpfs does not survive a reboot anyway, and the
 * network namespace is part of the name.
 */
static int check_world(const struct segment_head *head, const char **why)
{
    uint8_t boot_id[16];
    uint64_t time_namespace = place_time_namespace();

    if (place_boot_id(boot_id) && memcmp(boot_id, head->boot_id, sizeof(boot_id)) != 0) {
        *why = "the segment is of another boot";
        return -ESTALE;
    }
    if (time_namespace != 0 && head->time_namespace != 0 &&
        time_namespace != head->time_namespace) {
        *why = "the segment is of another time namespace";
        return -ESTALE;
    }
    if (place_network_namespace() != head->network_namespace) {
        *why = "the segment is of another network namespace";
        return -ESTALE;
    }
    if (load_relaxed(&head->superseded) != 0) {
        *why = "the segment is superseded";
        return -ESTALE;
    }
    return 0;
}

/* `count` elements at `at` within `limit` bytes, aligned for 64-bit words. */
static bool fits(uint64_t at, uint64_t count, size_t element, uint64_t limit)
{
    return at % 8 == 0 && at <= limit && count * element <= limit - at;
}

static bool geometry_is_sound(const struct segment_head *head)
{
    uint64_t live_size;

    if (head->live_at % SEGMENT_ALIGN != 0 || head->live_at < SEGMENT_HEAD_SIZE ||
        head->live_at >= head->size)
        return false;
    for (int i = 0; i < 2; i++)
        if (head->bank_at[i] < SEGMENT_HEAD_SIZE || head->bank_size > head->live_at ||
            !fits(head->bank_at[i], 1, head->bank_size, head->live_at))
            return false;
    if (head->bank_size < sizeof(struct bank) || head->bank_size % 8 != 0)
        return false;
    live_size = head->size - head->live_at;
    return head->service_slots > 0 && head->service_slots <= SERVICES_MAX &&
           head->endpoint_slots > 0 && head->endpoint_slots <= ENDPOINT_SLOTS_MAX &&
           head->event_slots == EVENT_SLOTS && live_size >= sizeof(struct live_head) &&
           fits(head->services_at, head->service_slots, sizeof(struct service_live), live_size) &&
           fits(head->endpoints_at, head->endpoint_slots, sizeof(struct endpoint_live),
                live_size) &&
           fits(head->events_at, head->event_slots, sizeof(struct event_slot), live_size);
}

/* Reads the head instead of mapping it: a file that is shorter than it says raises no SIGBUS. */
static int verify(int fd, struct segment_head *head, uint64_t *inode, const char **why)
{
    struct file_facts facts;
    int error = check_file(fd, &facts, why);

    if (error)
        return error;
    if (file_read(fd, head, sizeof(*head)) != (long)sizeof(*head)) {
        *why = "the segment cannot be read";
        return -EBADMSG;
    }
    error = check_identity(head, &facts, why);
    if (error)
        return error;
    error = check_world(head, why);
    if (error)
        return error;
    if (!geometry_is_sound(head)) {
        *why = "the segment is corrupt";
        return -EBADMSG;
    }
    *inode = facts.inode;
    return 0;
}

/* ---- mapping ---- */

static int map(struct segment *segment, int fd, const struct segment_head *head, const char **why)
{
    void *settings;
    void *live;
    int error = file_map(fd, 0, (size_t)head->live_at, false, &settings);

    if (!error) {
        error = file_map(fd, (size_t)head->live_at, (size_t)(head->size - head->live_at),
                         segment->writable, &live);
        if (error)
            munmap(settings, (size_t)head->live_at);
    }
    if (error) {
        *why = "the segment cannot be mapped";
        return error;
    }
    segment->head = settings;
    segment->live = live;
    segment->size = (size_t)head->size;
    segment->bank_at[0] = (size_t)head->bank_at[0];
    segment->bank_at[1] = (size_t)head->bank_at[1];
    segment->bank_size = (size_t)head->bank_size;
    segment->live_size = (size_t)(head->size - head->live_at);
    segment->services_at = (size_t)head->services_at;
    segment->endpoints_at = (size_t)head->endpoints_at;
    segment->events_at = (size_t)head->events_at;
    segment->service_slots = head->service_slots;
    segment->endpoint_slots = head->endpoint_slots;
    segment->event_slots = head->event_slots;
    return 0;
}

int segment_attach(struct segment *segment, const struct place *place, const char **why)
{
    /* O_NONBLOCK: a FIFO in its place must not make a program wait. */
    const int flags = O_NOFOLLOW | O_NONBLOCK;
    struct segment_head head;
    int error;
    int fd;

    *why = "";
    memset(segment, 0, sizeof(*segment));
    segment->writable = true;
    fd = file_open(place->segment, O_RDWR | flags, 0);
    if (fd == -EACCES || fd == -EPERM || fd == -EROFS) {
        segment->writable = false;
        fd = file_open(place->segment, O_RDONLY | flags, 0);
    }
    if (fd < 0) {
        *why = fd == -ENOENT ? "there is no segment yet" : "the segment cannot be opened";
        return fd;
    }
    error = verify(fd, &head, &segment->inode, why);
    if (!error)
        error = map(segment, fd, &head, why);
    close(fd);
    return error;
}

void segment_detach(struct segment *segment)
{
    union { /* the mapping is ours to end, though its content is not ours to change */
        const void *read;
        void *unmap;
    } settings = {.read = segment->head};

    if (segment->live) {
        munmap(settings.unmap, segment->size - segment->live_size);
        munmap(segment->live, segment->live_size);
    }
    memset(segment, 0, sizeof(*segment));
}

/* Acquire: what the publisher put in its place before saying so is there to be found. */
bool segment_superseded(const struct segment *segment)
{
    return atomic_load_explicit(&segment->head->superseded, memory_order_acquire) != 0;
}

/* ---- the live parts ---- */

struct service_live *segment_service(const struct segment *segment, uint32_t slot)
{
    void *services = segment->live + segment->services_at;

    return slot < segment->service_slots ? (struct service_live *)services + slot : NULL;
}

struct endpoint_live *segment_endpoint(const struct segment *segment, uint32_t slot)
{
    void *endpoints = segment->live + segment->endpoints_at;

    return slot < segment->endpoint_slots ? (struct endpoint_live *)endpoints + slot : NULL;
}

struct event_slot *segment_event(const struct segment *segment, uint64_t sequence)
{
    void *events = segment->live + segment->events_at;

    return (struct event_slot *)events + sequence % segment->event_slots;
}

atomic_u64 *segment_event_head(const struct segment *segment)
{
    return &segment_live_head(segment)->newest_event;
}

struct live_head *segment_live_head(const struct segment *segment)
{
    void *head = segment->live;

    return head;
}
