/* Attaching: what is accepted, and with which error everything else is refused. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state/bank.h"
#include "state_world.h"

static int attach(const struct world *world)
{
    struct segment segment;
    const char *why = NULL;
    int error = segment_attach(&segment, &world->place, &why);

    ck_assert_int_eq(error == 0, why[0] == '\0'); /* a sentence for each failure */
    if (error == 0)
        segment_detach(&segment);
    return error;
}

static struct world *published(void)
{
    struct world *world = world_new();

    world_add_service(world, "cache", 2);
    ck_assert_int_eq(world_publish(world), PUBLISHED_NEW);
    return world;
}

static void read_head(const struct world *world, struct segment_head *head)
{
    int fd = open(world->place.segment, O_RDONLY);

    ck_assert_int_eq(read(fd, head, sizeof(*head)), sizeof(*head));
    close(fd);
}

static void write_head(const struct world *world, const struct segment_head *head)
{
    int fd = open(world->place.segment, O_WRONLY);

    ck_assert_int_eq(write(fd, head, sizeof(*head)), sizeof(*head));
    close(fd);
}

START_TEST(what_was_published_is_read_back)
{
    struct world *world = published();
    struct segment segment = world_attach(world);
    struct service_settings service;
    struct endpoint_label label;
    struct bank_view view;

    ck_assert(segment.writable);
    ck_assert(bank_open(&segment, &view));
    ck_assert_uint_eq(view.service_count, 1);
    ck_assert(bank_service(&view, 0, &service));
    ck_assert_str_eq(service.name, "cache");
    ck_assert_uint_eq(service.endpoint_count, 2);
    ck_assert(bank_label(&view, service.first_endpoint + 1, &label));
    ck_assert_str_eq(label.name, "e1");
    ck_assert(!bank_label(&view, 2, &label));
    ck_assert(bank_valid(&view));
    segment_detach(&segment);
}
END_TEST

START_TEST(missing_segment)
{
    ck_assert_int_eq(attach(world_new()), -ENOENT);
}
END_TEST

START_TEST(no_descriptor_stays_open)
{
    struct world *world = published();
    int before = dup(0);
    struct segment segment = world_attach(world);
    int after = dup(0);

    ck_assert_int_eq(after, before + 1);
    segment_detach(&segment);
    close(before);
    close(after);
}
END_TEST

START_TEST(attaches_with_standard_descriptors_closed)
{
    struct world *world = published();
    pid_t child = fork();
    int status;

    if (child == 0) {
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        _exit(attach(world) == 0 && fcntl(0, F_GETFD) == -1 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(small_settings_fit_the_address_space_budget)
{
    struct world *world = published();
    struct stat facts;

    ck_assert_int_eq(stat(world->place.segment, &facts), 0);
    ck_assert_int_lt(facts.st_size, 1024 * 1024);
}
END_TEST

START_TEST(truncated_file)
{
    static const off_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 65536, 200000};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct world *world = published();

        ck_assert_int_eq(truncate(world->place.segment, sizes[i]), 0);
        ck_assert_int_eq(attach(world), -EBADMSG);
    }
}
END_TEST

START_TEST(lengthened_file)
{
    struct world *world = published();
    struct segment_head head;

    read_head(world, &head);
    ck_assert_int_eq(truncate(world->place.segment, (off_t)head.size + 4096), 0);
    ck_assert_int_eq(attach(world), -EBADMSG);
}
END_TEST

START_TEST(wrong_magic_abi_world)
{
    static const struct {
        size_t offset;
        int error;
    } cases[] = {
        {offsetof(struct segment_head, magic), -EBADMSG},
        {offsetof(struct segment_head, abi), -EPROTO},
        {offsetof(struct segment_head, boot_id), -ESTALE},
        {offsetof(struct segment_head, time_namespace), -ESTALE},
        {offsetof(struct segment_head, network_namespace), -ESTALE},
        {offsetof(struct segment_head, superseded), -ESTALE},
        {offsetof(struct segment_head, size), -EBADMSG},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world *world = published();
        struct segment_head head;

        read_head(world, &head);
        ((unsigned char *)&head)[cases[i].offset] ^= 1;
        write_head(world, &head);
        ck_assert_int_eq(attach(world), cases[i].error);
    }
}
END_TEST

START_TEST(hostile_offsets_and_counts)
{
    static const size_t words[] = {
        offsetof(struct segment_head, bank_at[0]),  offsetof(struct segment_head, bank_at[1]),
        offsetof(struct segment_head, bank_size),   offsetof(struct segment_head, live_at),
        offsetof(struct segment_head, services_at), offsetof(struct segment_head, endpoints_at),
        offsetof(struct segment_head, events_at),
    };
    static const uint64_t values[] = {1,          7,         UINT64_MAX,        UINT64_MAX - 7,
                                      UINT32_MAX, INT64_MAX, UINT64_C(1) << 63, SEGMENT_MAX_SIZE};
    static const size_t counts[] = {offsetof(struct segment_head, service_slots),
                                    offsetof(struct segment_head, endpoint_slots),
                                    offsetof(struct segment_head, event_slots)};
    static const uint32_t numbers[] = {0, SERVICES_MAX * 64, UINT32_MAX, 0x80000000};
    struct world *world = published();
    struct segment_head good;
    struct segment_head bad;

    read_head(world, &good);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        for (size_t v = 0; v < COUNT_OF(values); v++) {
            bad = good;
            memcpy((unsigned char *)&bad + words[i], &values[v], sizeof(values[v]));
            write_head(world, &bad);
            ck_assert_msg(attach(world) == -EBADMSG, "offset %zu, value %zu", words[i], v);
        }
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (size_t v = 0; v < COUNT_OF(numbers); v++) {
            bad = good;
            memcpy((unsigned char *)&bad + counts[i], &numbers[v], sizeof(numbers[v]));
            write_head(world, &bad);
            ck_assert_msg(attach(world) == -EBADMSG, "count at %zu, value %zu", counts[i], v);
        }
}
END_TEST

START_TEST(arrays_that_begin_inside_and_end_outside)
{
    static const size_t words[] = {
        offsetof(struct segment_head, bank_at[0]),  offsetof(struct segment_head, bank_at[1]),
        offsetof(struct segment_head, services_at), offsetof(struct segment_head, endpoints_at),
        offsetof(struct segment_head, events_at),
    };
    struct world *world = published();
    struct segment_head good;

    read_head(world, &good);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        struct segment_head bad = good;
        uint64_t limit = i < 2 ? good.live_at : good.size - good.live_at;
        uint64_t value = limit - 8;

        memcpy((unsigned char *)&bad + words[i], &value, sizeof(value));
        write_head(world, &bad);
        ck_assert_msg(attach(world) == -EBADMSG, "offset %zu", words[i]);
    }
}
END_TEST

START_TEST(mode_that_lets_others_in)
{
    struct world *world = published();

    ck_assert_int_eq(chmod(world->place.segment, 0640), 0);
    ck_assert_int_eq(attach(world), -EPERM);
    ck_assert_int_eq(chmod(world->place.segment, 0602), 0);
    ck_assert_int_eq(attach(world), -EPERM);
}
END_TEST

START_TEST(symbolic_link)
{
    struct world *world = published();
    char real[sizeof(world->place.segment) + 8];

    snprintf(real, sizeof(real), "%s.real", world->place.segment);
    ck_assert_int_eq(rename(world->place.segment, real), 0);
    ck_assert_int_eq(symlink(real, world->place.segment), 0);
    ck_assert_int_eq(attach(world), -ELOOP);
}
END_TEST

START_TEST(fifo_does_not_block)
{
    struct world *world = world_new();

    ck_assert_int_eq(mkfifo(world->place.segment, 0600), 0);
    ck_assert_int_eq(attach(world), -EPERM);
}
END_TEST

START_TEST(not_on_a_tmpfs)
{
    struct world *world = world_new();

    strcpy(world->place.segment, "/proc/self/stat");
    ck_assert_int_eq(attach(world), -ENODEV);
}
END_TEST

/* ---- other users: only root can play them ---- */

enum { NOBODY = 65534, GROUP = 54321 };

static int as_user(uid_t uid, gid_t extra_group, int (*body)(struct world *), struct world *world)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (setgroups(1, &extra_group) != 0 || setgid(NOBODY) != 0 || setuid(uid) != 0)
            _exit(100);
        _exit(-body(world));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static int attach_body(struct world *world)
{
    return attach(world);
}

START_TEST(foreign_owner)
{
    struct world *world = published();

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(world->place.segment, NOBODY, (gid_t)-1), 0);
    ck_assert_int_eq(attach(world), -EPERM);
}
END_TEST

static int attach_read_only(struct world *world)
{
    struct segment segment;
    const char *why;
    int error = segment_attach(&segment, &world->place, &why);

    return error ? error : segment.writable ? -EEXIST : 0;
}

START_TEST(file_without_write_permission_is_attached_read_only)
{
    struct world *world = published();

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chmod(world->place.directory, 0755), 0);
    ck_assert_int_eq(chmod(world->place.segment, 0400), 0);
    ck_assert_int_eq(chown(world->place.segment, NOBODY, (gid_t)-1), 0);
    ck_assert_int_eq(as_user(NOBODY, NOBODY, attach_read_only, world), 0);
}
END_TEST

START_TEST(shared_segment_of_root_is_for_its_group)
{
    struct world *world = world_new();

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chmod(world->place.directory, 0755), 0);
    world_add_service(world, "cache", 2);
    world->publication.share_group = GROUP;
    ck_assert_int_eq(world_publish(world), PUBLISHED_NEW);

    ck_assert_int_eq(attach(world), 0);
    ck_assert_int_eq(as_user(NOBODY, GROUP, attach_body, world), 0);
    ck_assert_int_eq(as_user(NOBODY, NOBODY, attach_body, world), -EACCES);
    /* Writable by the whole world: nobody's word counts any more. */
    ck_assert_int_eq(chmod(world->place.segment, 0666), 0);
    ck_assert_int_eq(as_user(NOBODY, GROUP, attach_body, world), -EPERM);
}
END_TEST

START_TEST(private_segment_of_root_is_not_trusted_by_others)
{
    struct world *world = published();

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chmod(world->place.directory, 0755), 0);
    ck_assert_int_eq(chmod(world->place.segment, 0666), 0);
    ck_assert_int_eq(as_user(NOBODY, NOBODY, attach_body, world), -EPERM);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_published_is_read_back,
        missing_segment,
        no_descriptor_stays_open,
        attaches_with_standard_descriptors_closed,
        small_settings_fit_the_address_space_budget,
        truncated_file,
        lengthened_file,
        wrong_magic_abi_world,
        hostile_offsets_and_counts,
        arrays_that_begin_inside_and_end_outside,
        mode_that_lets_others_in,
        symbolic_link,
        fifo_does_not_block,
        not_on_a_tmpfs,
        foreign_owner,
        file_without_write_permission_is_attached_read_only,
        shared_segment_of_root_is_for_its_group,
        private_segment_of_root_is_not_trusted_by_others,
    };

    return world_run("state_attach", tests, COUNT_OF(tests));
}
