#include "state/create.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "state/files.h"

enum { TEMPORARY_TEXT = sizeof(((struct place *)0)->segment) + 64, BANK_SIZE_MIN = 64 * 1024 };

static const char TEMPORARY_SUFFIX[] = ".new";

/* ---- geometry ---- */

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* Room for twice of what there is: most reloads then fit. */
static uint32_t slots_for(uint32_t needed, uint32_t least, uint32_t most)
{
    uint32_t slots = least;

    while (slots < 2 * needed && slots < most)
        slots *= 2;
    return slots;
}

static void plan(struct segment_head *head, const struct bank_image *image)
{
    uint64_t bank_size = 2 * (uint64_t)image->size;
    uint64_t live = 0;

    head->service_slots = slots_for(image->bank->service_count, SERVICE_SLOTS_MIN, SERVICES_MAX);
    head->endpoint_slots =
        slots_for(image->bank->endpoint_count, ENDPOINT_SLOTS_MIN, ENDPOINT_SLOTS_MAX);
    head->event_slots = EVENT_SLOTS;

    head->bank_size = round_up(bank_size < BANK_SIZE_MIN ? BANK_SIZE_MIN : bank_size, 4096);
    head->bank_at[0] = SEGMENT_HEAD_SIZE;
    head->bank_at[1] = head->bank_at[0] + head->bank_size;
    head->live_at = round_up(head->bank_at[1] + head->bank_size, SEGMENT_ALIGN);

    live += round_up(sizeof(struct live_head), 64);
    head->services_at = live;
    live += head->service_slots * sizeof(struct service_live);
    head->endpoints_at = live;
    live = round_up(live + head->endpoint_slots * sizeof(struct endpoint_live), 64);
    head->events_at = live;
    live += head->event_slots * sizeof(struct event_slot);
    head->size = round_up(head->live_at + live, 4096);
}

static void identify(struct segment_head *head, bool shared)
{
    memcpy(head->magic, SEGMENT_MAGIC, sizeof(head->magic));
    head->abi = SEGMENT_ABI;
    head->flags = shared ? SEGMENT_SHARED : 0;
    if (!place_boot_id(head->boot_id))
        memset(head->boot_id, 0, sizeof(head->boot_id));
    head->time_namespace = place_time_namespace();
    head->network_namespace = place_network_namespace();
    head->created_ns = clock_boot_ns();
}

/* ---- content ---- */

/* The whole file in one mapping, as the functions that fill live state want to see it. */
static struct segment as_segment(struct segment_head *map)
{
    return (struct segment){
        .head = map,
        .live = (unsigned char *)(void *)map + map->live_at,
        .size = (size_t)map->size,
        .services_at = (size_t)map->services_at,
        .endpoints_at = (size_t)map->endpoints_at,
        .events_at = (size_t)map->events_at,
        .service_slots = map->service_slots,
        .endpoint_slots = map->endpoint_slots,
        .event_slots = map->event_slots,
        .writable = true,
    };
}

static int fill(int fd, const struct segment_head *head, const struct creation *creation)
{
    const struct old_settings none = {0};
    struct segment segment;
    struct segment_head *map;
    void *mapped;
    int error = file_map(fd, 0, (size_t)head->size, true, &mapped);

    if (error)
        return error;
    map = mapped;
    *map = *head;
    memcpy((unsigned char *)mapped + head->bank_at[0], creation->image->bank,
           creation->image->size);
    segment = as_segment(map);
    slots_prepare(creation->publication, &none, &segment);
    if (creation->carry)
        slots_carry_over(creation->publication, creation->old, creation->carry, &segment);
    munmap(mapped, (size_t)head->size);
    return 0;
}

static int share(int fd, gid_t group)
{
    if (group == (gid_t)-1)
        return fchmod(fd, 0600) == 0 ? 0 : -errno;
    return fchown(fd, (uid_t)-1, group) == 0 && fchmod(fd, 0660) == 0 ? 0 : -errno;
}

/* Every page is there before it is written: a full tmpfs is an error here, and no SIGBUS later. */
static int prepare(int fd, const struct creation *creation, const char **why)
{
    struct segment_head head = {0};
    int error;

    if (!file_in_memory(fd)) {
        *why = "the runtime directory does not lie on a tmpfs";
        return -ENODEV;
    }
    plan(&head, creation->image);
    identify(&head, creation->publication->share_group != (gid_t)-1);
    error = -posix_fallocate(fd, 0, (off_t)head.size);
    if (error) {
        *why = error == -ENOSPC ? "no room for the segment: the tmpfs is full"
                                : "memory for the segment cannot be reserved";
        return error;
    }
    *why = "the segment cannot be filled";
    error = fill(fd, &head, creation);
    if (error)
        return error;
    *why = "the segment cannot be given to its group";
    return share(fd, creation->publication->share_group);
}

/* ---- putting it into place ---- */

/* Tells those who have it mapped. Whatever is there is looked at before it is believed. */
static void mark_superseded(const char *path)
{
    struct file_facts facts;
    struct segment_head *head;
    void *mapped;
    int fd = file_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd < 0)
        return;
    if (file_facts_of(fd, &facts) == 0 && S_ISREG(facts.mode) && facts.uid == geteuid() &&
        facts.size >= SEGMENT_HEAD_SIZE && file_map(fd, 0, SEGMENT_HEAD_SIZE, true, &mapped) == 0) {
        head = mapped;
        if (memcmp(head->magic, SEGMENT_MAGIC, sizeof(head->magic)) == 0 &&
            head->abi == SEGMENT_ABI)
            /* Release; partner: segment_superseded(). */
            atomic_store_explicit(&head->superseded, 1, memory_order_release);
        munmap(mapped, SEGMENT_HEAD_SIZE);
    }
    close(fd);
}

static int put_into_place(const char *temporary, const struct place *place, bool replace,
                          const char **why)
{
    if (replace) {
        mark_superseded(place->segment);
        *why = "the segment that is there cannot be replaced";
        return rename(temporary, place->segment) == 0 ? 0 : -errno;
    }
    *why = "the segment cannot be put into place";
    return link(temporary, place->segment) == 0 ? 0 : -errno;
}

int segment_create(const struct place *place, const struct creation *creation, const char **why)
{
    char temporary[TEMPORARY_TEXT];
    int error;
    int fd;

    text_format(temporary, sizeof(temporary), "%s.%d-%llx%s", place->segment, (int)getpid(),
                (unsigned long long)clock_boot_ns(), TEMPORARY_SUFFIX);
    fd = file_open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0) {
        *why = fd == -ENOSPC ? "no room for another file: the tmpfs is full"
                             : "no file can be made in the runtime directory";
        return fd;
    }
    /* Held while we live: see segment_clean_up(). */
    error = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
    if (!error)
        error = prepare(fd, creation, why);
    if (!error)
        error = put_into_place(temporary, place, creation->replace, why);
    unlink(temporary); /* renamed away already, or the second name, or a failure's remains */
    close(fd);
    if (!error)
        *why = "";
    return error;
}

static bool is_temporary(const char *name, const char *segment_name)
{
    size_t length = strlen(name);
    size_t suffix = strlen(TEMPORARY_SUFFIX);

    return text_starts(name, segment_name) && length > suffix &&
           text_equal(name + length - suffix, TEMPORARY_SUFFIX);
}

void segment_clean_up(const struct place *place)
{
    const char *segment_name = strrchr(place->segment, '/') + 1;
    struct dirent *entry;
    DIR *directory = opendir(place->directory);

    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        int fd;

        if (!is_temporary(entry->d_name, segment_name))
            continue;
        fd =
            openat(dirfd(directory), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        /* Free: its publisher is dead, in whatever pid namespace it was. */
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
        close(fd);
    }
    closedir(directory);
}
