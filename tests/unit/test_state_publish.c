/* Publishing, one at a time: what changes, what stays, what is refused. Races: test_state_race.c.
 */
#include "state/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "state/bank.h"
#include "state/create.h"
#include "state/events.h"
#include "state/files.h"
#include "state/live.h"
#include "state_world.h"

static int try_publish(struct world *world, enum publish_result *result)
{
    const char *why;
    int error = publish(&world->place, &world->publication, result, &why);

    ck_assert_int_eq(error == 0, why[0] == '\0');
    return error;
}

static struct endpoint_settings *endpoint(struct world *world, unsigned service, unsigned index)
{
    return &world->endpoints[service][index].settings;
}

static void read_endpoint(const struct world *world, uint32_t index, struct endpoint_settings *out)
{
    struct segment segment = world_attach(world);
    struct bank_view view;

    ck_assert(bank_open(&segment, &view));
    ck_assert(bank_endpoint(&view, index, out));
    segment_detach(&segment);
}

static uint64_t inode(const struct world *world)
{
    struct stat facts;

    ck_assert_int_eq(stat(world->place.segment, &facts), 0);
    return facts.st_ino;
}

static unsigned files_in(const struct world *world)
{
    DIR *directory = opendir(world->place.directory);
    unsigned count = 0;
    struct dirent *entry;

    while ((entry = readdir(directory)))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static struct world *published(unsigned endpoints)
{
    struct world *world = world_new();

    world_add_service(world, "cache", endpoints);
    ck_assert_int_eq(world_publish(world), PUBLISHED_NEW);
    return world;
}

START_TEST(same_settings_again_are_nothing)
{
    struct world *world = published(2);
    struct segment segment = world_attach(world);
    uint64_t sequence = load_relaxed(&segment.head->sequence);

    ck_assert_int_eq(world_publish(world), PUBLISHED_NOTHING);
    ck_assert_uint_eq(load_relaxed(&segment.head->sequence), sequence);
    ck_assert_uint_eq(event_newest(&segment), 1);
}
END_TEST

START_TEST(only_segment_and_lock_remain)
{
    ck_assert_uint_eq(files_in(published(2)), 2);
}
END_TEST

START_TEST(change_is_made_in_place)
{
    struct world *world = published(2);
    uint64_t before = inode(world);
    struct endpoint_settings settings;

    endpoint(world, 0, 1)->weight_milli = 77;
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    ck_assert_uint_eq(inode(world), before);
    read_endpoint(world, 1, &settings);
    ck_assert_uint_eq(settings.weight_milli, 77);
}
END_TEST

START_TEST(file_that_was_only_touched_is_a_change)
{
    struct world *world = published(1);

    world->publication.front.file_mtime_ns++;
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
}
END_TEST

START_TEST(live_state_stays_with_its_endpoint)
{
    struct world *world = published(3);
    struct segment segment = world_attach(world);
    uint32_t slots[3];

    for (unsigned i = 0; i < 3; i++)
        slots[i] = endpoint(world, 0, i)->slot;
    count_up(&segment_endpoint(&segment, slots[2])->steered);

    /* Another order, one gone, one new. */
    world->endpoints[0][0] = world->endpoints[0][2];
    world->services[0].endpoint_count = 2;
    world_add_endpoint(&world->services[0], "new", "10.9.9.9", 7000);
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    ck_assert_uint_eq(endpoint(world, 0, 0)->slot, slots[2]);
    ck_assert_uint_eq(endpoint(world, 0, 1)->slot, slots[1]);
    ck_assert_uint_ne(endpoint(world, 0, 2)->slot, slots[0]);
    ck_assert_uint_eq(load_relaxed(&segment_endpoint(&segment, slots[2])->steered), 1);
}
END_TEST

START_TEST(endpoint_with_another_host_is_another_endpoint)
{
    struct world *world = published(2);
    uint32_t slot = endpoint(world, 0, 0)->slot;

    text_copy(world->endpoints[0][0].label.host, ADDRESS_HOST_TEXT, "elsewhere:7000");
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    ck_assert_uint_ne(endpoint(world, 0, 0)->slot, slot);
}
END_TEST

START_TEST(slot_used_again_is_clean_and_of_a_new_generation)
{
    struct world *world = published(1);
    struct segment segment = world_attach(world);
    bool used_again = false;

    for (unsigned round = 1; round <= 2 * ENDPOINT_SLOTS_MIN; round++) {
        const struct endpoint_live *live;

        text_format(world->endpoints[0][0].label.name, NAME_TEXT, "round%u", round);
        ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
        live = segment_endpoint(&segment, endpoint(world, 0, 0)->slot);
        ck_assert_uint_eq(load_relaxed(&live->steered), 0);
        ck_assert_uint_eq(load_relaxed(&live->generation), endpoint(world, 0, 0)->generation);
        used_again |= endpoint(world, 0, 0)->generation > 1;
        /* All were used before one is used twice, and one before one is used three times. */
        ck_assert_uint_eq(endpoint(world, 0, 0)->generation, 1 + round / ENDPOINT_SLOTS_MIN);
        count_up(&segment_endpoint(&segment, endpoint(world, 0, 0)->slot)->steered);
    }
    ck_assert(used_again);
}
END_TEST

START_TEST(addresses_that_are_gone_are_remembered_newest_first)
{
    struct world *world = published(1);
    struct endpoint_settings settings;

    for (unsigned i = 1; i <= 6; i++) {
        char ip[16];

        snprintf(ip, sizeof(ip), "10.7.0.%u", i);
        endpoint(world, 0, 0)->addresses[0] = world_address(ip, 7000);
        ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    }
    ck_assert_int_eq(world_publish(world), PUBLISHED_NOTHING);
    read_endpoint(world, 0, &settings);
    ck_assert_uint_eq(settings.past_count, PAST_ADDRESSES_MAX);
    for (unsigned i = 0; i < PAST_ADDRESSES_MAX; i++)
        ck_assert_uint_eq(settings.past[i].ip[15], 5 - i);

    /* One that comes back is present, and no longer past. */
    endpoint(world, 0, 0)->addresses[0] = world_address("10.7.0.4", 7000);
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    read_endpoint(world, 0, &settings);
    ck_assert_uint_eq(settings.past[0].ip[15], 6);
    ck_assert_uint_eq(settings.past[1].ip[15], 5);
    ck_assert_uint_eq(settings.past[2].ip[15], 3);
}
END_TEST

START_TEST(virtual_addresses_are_stable_and_free)
{
    struct world *world = world_new();
    struct address first;

    world_add_service(world, "reads", 2)->settings.resolve = RESOLVE_VIRTUAL;
    ck_assert_int_eq(world_publish(world), PUBLISHED_NEW);
    first = world->services[0].settings.virtual_address;
    ck_assert_uint_eq(first.ip[12], 127);
    ck_assert_uint_eq(first.ip[13] & 0xc0, 64);

    world_add_service(world, "writes", 2)->settings.resolve = RESOLVE_VIRTUAL;
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    ck_assert(address_equal(&world->services[0].settings.virtual_address, &first));
    ck_assert(!address_same_ip(&world->services[1].settings.virtual_address, &first));

    /* An endpoint that takes the address has the older right to it. */
    endpoint(world, 1, 0)->addresses[0] = first;
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
    ck_assert(!address_same_ip(&world->services[0].settings.virtual_address, &first));
}
END_TEST

START_TEST(more_than_fits_replaces_the_segment_and_keeps_live_state)
{
    struct world *world = published(2);
    struct segment old = world_attach(world);
    uint64_t before = inode(world);
    struct endpoint_live *live = segment_endpoint(&old, endpoint(world, 0, 1)->slot);
    struct service_live *service = segment_service(&old, world->services[0].settings.slot);
    struct active active = {.epoch = 41, .slot = endpoint(world, 0, 1)->slot};
    struct segment new;
    struct event event;

    count_up(&live->steered);
    store_relaxed(&live->health, HEALTH_UNHEALTHY);
    store_relaxed(&service->active, active_pack(active));
    store_relaxed(&service->switches, 40);
    for (unsigned i = 0; i < 40; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%u", i);
        world_add_service(world, name, 10);
    }
    /* The old service comes last now, so its slots differ. */
    world->services[41] = world->services[0];
    world->services[0] = world->services[40];
    world->services[40] = world->services[41];
    ck_assert_int_eq(world_publish(world), PUBLISHED_REPLACEMENT);

    ck_assert(segment_superseded(&old));
    ck_assert_uint_ne(inode(world), before);
    new = world_attach(world);
    service = segment_service(&new, world->services[40].settings.slot);
    live = segment_endpoint(&new, endpoint(world, 0, 1)->slot);
    ck_assert_uint_eq(load_relaxed(&live->steered), 1);
    ck_assert_uint_eq(load_relaxed(&live->health), HEALTH_UNHEALTHY);
    ck_assert_uint_eq(active_unpack(load_relaxed(&service->active)).slot,
                      endpoint(world, 0, 1)->slot);
    ck_assert_uint_eq(active_unpack(load_relaxed(&service->active)).epoch, 41);
    ck_assert_uint_eq(load_relaxed(&service->switches), 40);
    ck_assert_int_eq(event_read(&new, 1, &event), 1);
    ck_assert_str_eq(event.reason, "new");
    ck_assert_int_eq(event_read(&new, 2, &event), 1);
    ck_assert_str_eq(event.reason, "replaced");
    ck_assert_uint_eq(files_in(world), 2);
}
END_TEST

START_TEST(creating_does_not_overwrite_what_somebody_else_created)
{
    struct world *world = published(1);
    uint64_t before = inode(world);
    struct old_settings none = {0};
    struct bank_image image;
    struct creation creation = {
        .publication = &world->publication,
        .image = &image,
        .old = &none,
        .replace = false,
    };
    const char *why;

    ck_assert_int_eq(bank_build(&world->publication, &image), 0);
    ck_assert_int_eq(segment_create(&world->place, &creation, &why), -EEXIST);
    ck_assert_uint_eq(inode(world), before);
    ck_assert_uint_eq(files_in(world), 2);
    bank_image_free(&image);
}
END_TEST

START_TEST(the_largest_settings_fit)
{
    struct world *world = world_new();
    struct segment segment;
    struct bank_view view;

    for (unsigned i = 0; i < SERVICES_MAX; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%u", i);
        world_add_service(world, name, ENDPOINTS_MAX);
        for (unsigned e = 0; e < ENDPOINTS_MAX; e++) {
            struct endpoint_settings *settings = endpoint(world, i, e);

            for (unsigned a = 1; a < ADDRESSES_MAX; a++) {
                settings->addresses[a] = settings->addresses[0];
                settings->addresses[a].ip[14] = (uint8_t)a;
            }
            settings->address_count = ADDRESSES_MAX;
        }
        while (world->services[i].match_count < MATCHES_MAX)
            world_add_ip_match(&world->services[i], "10.1.2.3", 6379);
    }
    ck_assert_int_eq(world_publish(world), PUBLISHED_NEW);
    segment = world_attach(world);
    ck_assert(bank_open(&segment, &view));
    ck_assert_uint_eq(view.endpoint_count, SERVICES_MAX * ENDPOINTS_MAX);
    world->services[0].settings.mode = MODE_OBSERVE;
    ck_assert_int_eq(world_publish(world), PUBLISHED_CHANGE);
}
END_TEST

START_TEST(too_much_is_refused)
{
    struct world *world = published(1);
    enum publish_result result;

    world->services[0].endpoint_count = ENDPOINTS_MAX + 1;
    ck_assert_int_eq(try_publish(world, &result), -EINVAL);
}
END_TEST

START_TEST(unusable_segment_is_replaced)
{
    struct world *world = published(1);
    static const off_t sizes[] = {0, 100, 4096};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        ck_assert_int_eq(truncate(world->place.segment, sizes[i]), 0);
        ck_assert_int_eq(world_publish(world), PUBLISHED_REPLACEMENT);
        world_attach(world);
    }
    ck_assert_int_eq(unlink(world->place.segment), 0);
    ck_assert_int_eq(symlink("/etc/passwd", world->place.segment), 0);
    ck_assert_int_eq(world_publish(world), PUBLISHED_REPLACEMENT);
    world_attach(world);
}
END_TEST

START_TEST(segment_with_the_wrong_mode_is_superseded)
{
    struct world *world = published(1);
    struct segment old = world_attach(world);

    ck_assert_int_eq(chmod(world->place.segment, 0666), 0);
    ck_assert_int_eq(world_publish(world), PUBLISHED_REPLACEMENT);
    ck_assert(segment_superseded(&old));
}
END_TEST

START_TEST(segment_of_another_user_is_in_the_way)
{
    struct world *world = published(1);
    enum publish_result result;

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(world->place.segment, 65534, (gid_t)-1), 0);
    ck_assert_int_eq(try_publish(world, &result), -EPERM);
}
END_TEST

START_TEST(sharing_later_replaces_the_segment)
{
    struct world *world = published(1);
    struct stat facts;

    if (geteuid() != 0)
        return;
    world->publication.share_group = 4321;
    ck_assert_int_eq(world_publish(world), PUBLISHED_REPLACEMENT);
    ck_assert_int_eq(stat(world->place.segment, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 07777, 0660);
    ck_assert_uint_eq(facts.st_gid, 4321);
    ck_assert_int_eq(world_publish(world), PUBLISHED_NOTHING);
}
END_TEST

START_TEST(remains_of_dead_publishers_are_removed_and_those_of_living_ones_stay)
{
    struct world *world = world_new();
    char dead[sizeof(world->place.segment) + 16];
    char living[sizeof(world->place.segment) + 16];
    int fd;

    world_add_service(world, "cache", 1);
    snprintf(dead, sizeof(dead), "%s.1-1.new", world->place.segment);
    snprintf(living, sizeof(living), "%s.1-2.new", world->place.segment);
    close(open(dead, O_CREAT | O_WRONLY, 0600));
    fd = open(living, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(world_publish(world), PUBLISHED_NEW);
    ck_assert_int_eq(access(dead, F_OK), -1);
    ck_assert_int_eq(access(living, F_OK), 0);
    close(fd);
}
END_TEST

static bool lock_is_free(const struct world *world)
{
    int fd = open(world->place.lock, O_RDWR);
    bool is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;

    close(fd);
    return is_free;
}

/* A child in the place of two publishers, one at once behind the other: each has the lock for 3 s.
 */
static pid_t hold_lock_twice(const struct world *world)
{
    pid_t child = fork();
    int fd;

    ck_assert_int_ge(child, 0);
    if (child > 0)
        return child;
    fd = open(world->place.lock, O_RDWR | O_CREAT, 0600);
    flock(fd, LOCK_EX);
    for (int i = 0; i < 2; i++) {
        futimens(fd, NULL);
        sleep(3);
    }
    _exit(0);
}

START_TEST(who_waits_behind_several_publishers_does_not_give_up)
{
    struct world *world = world_new();
    uint64_t begun_ns = clock_boot_ns();
    pid_t child;

    world_add_service(world, "cache", 1);
    child = hold_lock_twice(world);
    while (access(world->place.lock, F_OK) != 0 || lock_is_free(world))
        usleep(1000);
    ck_assert_int_eq(world_publish(world), PUBLISHED_NEW);
    ck_assert_uint_gt(clock_boot_ns() - begun_ns, 5 * NS_PER_S); /* we came after both */
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

START_TEST(runtime_directory_on_a_disk_is_refused)
{
    char path[] = "/var/tmp/redisteer-test-XXXXXX";
    struct world *world = world_new();
    struct place_request request = {.instance = "test"};
    enum publish_result result;
    const char *why;
    bool on_disk;
    int error;
    int fd;

    world_add_service(world, "cache", 1);
    ck_assert_ptr_nonnull(mkdtemp(path));
    fd = open(path, O_RDONLY | O_DIRECTORY);
    on_disk = !file_in_memory(fd);
    close(fd);
    request.runtime_dir = path;
    ck_assert_int_eq(place_find(&world->place, &request, &why), 0);
    error = on_disk ? try_publish(world, &result) : -ENODEV;
    unlink(world->place.lock);
    ck_assert_int_eq(rmdir(path), 0); /* and nothing else was left */
    ck_assert_int_eq(error, -ENODEV);
}
END_TEST

/* Needs a tmpfs of its own: root, in a mount namespace of its own. */
static int publish_on_full_tmpfs(struct world *world)
{
    enum publish_result result;
    const char *why;
    int error;

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("test", world->place.directory, "tmpfs", 0, "size=128k") != 0)
        return -ENOSPC; /* not allowed here: nothing to see */
    error = publish(&world->place, &world->publication, &result, &why);
    if (files_in(world) != 1)
        return -EEXIST; /* the lock only */
    return error;
}

START_TEST(full_tmpfs_is_an_error_and_leaves_nothing)
{
    struct world *world = world_new();
    pid_t child;
    int status;

    if (geteuid() != 0)
        return;
    world_add_service(world, "cache", 1);
    ck_assert_int_eq(chmod(world->place.directory, 0700), 0);
    child = fork();
    if (child == 0)
        _exit(-publish_on_full_tmpfs(world));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), ENOSPC);
}
END_TEST

START_TEST(failure_is_remembered_until_the_file_changes_or_is_published)
{
    struct world *world = world_new();
    struct file_stamp stamp = {.mtime_ns = 1, .size = 2, .inode = 3};
    struct file_stamp other = {.mtime_ns = 1, .size = 2, .inode = 4};

    world_add_service(world, "cache", 1);
    ck_assert(!publish_failed_before(&world->place, &stamp));
    ck_assert_int_eq(publish_mark_failed(&world->place, &stamp), 0);
    ck_assert(publish_failed_before(&world->place, &stamp));
    ck_assert(!publish_failed_before(&world->place, &other));
    world_publish(world);
    ck_assert(!publish_failed_before(&world->place, &stamp));
    ck_assert_int_eq(access(world->place.failed, F_OK), -1);
}
END_TEST

START_TEST(marker_cut_short_counts_for_nothing)
{
    struct world *world = world_new();
    struct file_stamp stamp = {.mtime_ns = 1, .size = 2, .inode = 3};

    ck_assert_int_eq(publish_mark_failed(&world->place, &stamp), 0);
    ck_assert_int_eq(truncate(world->place.failed, sizeof(stamp) - 1), 0);
    ck_assert(!publish_failed_before(&world->place, &stamp));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        same_settings_again_are_nothing,
        only_segment_and_lock_remain,
        change_is_made_in_place,
        file_that_was_only_touched_is_a_change,
        live_state_stays_with_its_endpoint,
        endpoint_with_another_host_is_another_endpoint,
        slot_used_again_is_clean_and_of_a_new_generation,
        addresses_that_are_gone_are_remembered_newest_first,
        virtual_addresses_are_stable_and_free,
        more_than_fits_replaces_the_segment_and_keeps_live_state,
        creating_does_not_overwrite_what_somebody_else_created,
        the_largest_settings_fit,
        too_much_is_refused,
        unusable_segment_is_replaced,
        segment_with_the_wrong_mode_is_superseded,
        segment_of_another_user_is_in_the_way,
        sharing_later_replaces_the_segment,
        remains_of_dead_publishers_are_removed_and_those_of_living_ones_stay,
        who_waits_behind_several_publishers_does_not_give_up,
        runtime_directory_on_a_disk_is_refused,
        full_tmpfs_is_an_error_and_leaves_nothing,
        failure_is_remembered_until_the_file_changes_or_is_published,
        marker_cut_short_counts_for_nothing,
    };

    return world_run("state_publish", tests, COUNT_OF(tests));
}
