/* User names and passwords beside the segment. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "state/secrets.h"
#include "state_world.h"

static void set(struct secret_entry *entry, uint32_t slot, uint32_t generation, const char *user,
                const char *password)
{
    memset(entry, 0, sizeof(*entry));
    entry->slot = slot;
    entry->generation = generation;
    text_copy(entry->secret.username, sizeof(entry->secret.username), user);
    text_copy(entry->secret.password, sizeof(entry->secret.password), password);
}

static struct world *world_with_secrets(struct secret_entry entries[static 2])
{
    struct world *world = world_new();

    set(&entries[0], 0, 1, "probe", "s3cret");
    set(&entries[1], 4095, 7, "", "other");
    ck_assert_int_eq(secrets_write(&world->place, entries, 2), 0);
    return world;
}

static bool find(const struct world *world, uint32_t slot, uint32_t generation, struct secret *out)
{
    int fd = secrets_open(world->place.secrets);
    bool found;

    ck_assert_int_ge(fd, 0);
    found = secrets_read(fd, slot, generation, out);
    close(fd);
    return found;
}

START_TEST(what_was_written_is_found_by_slot_and_generation)
{
    struct secret_entry entries[2];
    struct world *world = world_with_secrets(entries);
    struct secret secret;

    ck_assert(find(world, 0, 1, &secret));
    ck_assert_str_eq(secret.username, "probe");
    ck_assert_str_eq(secret.password, "s3cret");
    ck_assert(find(world, 4095, 7, &secret));
    ck_assert_str_eq(secret.username, "");
    ck_assert_str_eq(secret.password, "other");
}
END_TEST

START_TEST(another_slot_or_generation_has_none)
{
    struct secret_entry entries[2];
    struct world *world = world_with_secrets(entries);
    struct secret secret;

    ck_assert(!find(world, 0, 2, &secret));
    ck_assert_str_eq(secret.password, "");
    ck_assert(!find(world, 1, 1, &secret));
    ck_assert(!find(world, 4094, 0, &secret)); /* a hole of the file */
    ck_assert(!find(world, ENDPOINT_SLOTS_MAX, 7, &secret));
}
END_TEST

START_TEST(nobody_else_may_read_it)
{
    struct secret_entry entries[2];
    struct world *world = world_with_secrets(entries);
    struct stat facts;

    ck_assert_int_eq(stat(world->place.secrets, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777, 0600);
    ck_assert_int_eq(chmod(world->place.secrets, 0640), 0);
    ck_assert_int_eq(secrets_open(world->place.secrets), -EPERM);
}
END_TEST

START_TEST(a_symbolic_link_is_not_followed)
{
    struct secret_entry entries[2];
    struct world *world = world_with_secrets(entries);
    char elsewhere[sizeof(world->place.secrets) + 8];

    text_format(elsewhere, sizeof(elsewhere), "%s.else", world->place.secrets);
    ck_assert_int_eq(rename(world->place.secrets, elsewhere), 0);
    ck_assert_int_eq(symlink(elsewhere, world->place.secrets), 0);
    ck_assert_int_eq(secrets_open(world->place.secrets), -ELOOP);
}
END_TEST

START_TEST(a_file_of_another_kind_is_refused)
{
    struct world *world = world_new();
    FILE *file = fopen(world->place.secrets, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fchmod(fileno(file), 0600), 0);
    fputs("something else that is long enough", file);
    fclose(file);
    ck_assert_int_eq(secrets_open(world->place.secrets), -EBADMSG);
}
END_TEST

START_TEST(the_same_secrets_leave_the_file_alone)
{
    struct secret_entry entries[2];
    struct world *world = world_with_secrets(entries);
    struct secrets_stamp before = secrets_stamp(world->place.secrets);

    ck_assert_int_eq(secrets_write(&world->place, entries, 2), 0);
    ck_assert_uint_eq(secrets_stamp(world->place.secrets).inode, before.inode);
    set(&entries[0], 0, 1, "probe", "changed");
    ck_assert_int_eq(secrets_write(&world->place, entries, 2), 0);
    ck_assert_uint_ne(secrets_stamp(world->place.secrets).inode, before.inode);
}
END_TEST

START_TEST(one_secret_less_replaces_the_file)
{
    struct secret_entry entries[2];
    struct world *world = world_with_secrets(entries);
    struct secret secret;

    ck_assert_int_eq(secrets_write(&world->place, entries, 1), 0);
    ck_assert(find(world, 0, 1, &secret));
    ck_assert(!find(world, 4095, 7, &secret));
}
END_TEST

START_TEST(no_secrets_means_no_file)
{
    struct secret_entry entries[2];
    struct world *world = world_with_secrets(entries);

    ck_assert_int_eq(secrets_write(&world->place, entries, 0), 0);
    ck_assert_int_eq(secrets_open(world->place.secrets), -ENOENT);
    ck_assert_uint_eq(secrets_stamp(world->place.secrets).inode, 0);
    ck_assert_int_eq(secrets_write(&world->place, entries, 0), 0);
}
END_TEST

/* As a publisher that died half way leaves it. */
START_TEST(a_left_over_file_is_replaced)
{
    struct secret_entry entries[2];
    struct world *world = world_new();
    char fresh[sizeof(world->place.secrets) + 8];
    struct secret secret;
    FILE *file;

    text_format(fresh, sizeof(fresh), "%s.new", world->place.secrets);
    file = fopen(fresh, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    set(&entries[0], 0, 1, "probe", "s3cret");
    ck_assert_int_eq(secrets_write(&world->place, entries, 1), 0);
    ck_assert(find(world, 0, 1, &secret));
    ck_assert_int_eq(access(fresh, F_OK), -1);
}
END_TEST

/* Every byte of the segment. */
START_TEST(a_published_password_is_not_in_the_segment)
{
    static const char password[] = "pa55word-that-nobody-else-has";
    struct world *world = world_new();
    struct publish_service *service = world_add_service(world, "cache", 1);
    static char bytes[8 * 1024 * 1024];
    struct secret secret;
    size_t length;
    FILE *file;

    service->endpoints[0].username = "probe";
    service->endpoints[0].password = password;
    world_publish(world);
    ck_assert(find(world, service->endpoints[0].settings.slot,
                   service->endpoints[0].settings.generation, &secret));
    ck_assert_str_eq(secret.password, password);
    file = fopen(world->place.segment, "r");
    ck_assert_ptr_nonnull(file);
    length = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    ck_assert_uint_gt(length, 4096);
    ck_assert_ptr_nonnull(memmem(bytes, length, "cache", 5));
    ck_assert_ptr_null(memmem(bytes, length, password, sizeof(password) - 1));
    ck_assert_ptr_null(memmem(bytes, length, "probe", 5));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_written_is_found_by_slot_and_generation,
        another_slot_or_generation_has_none,
        nobody_else_may_read_it,
        a_symbolic_link_is_not_followed,
        a_file_of_another_kind_is_refused,
        the_same_secrets_leave_the_file_alone,
        one_secret_less_replaces_the_file,
        no_secrets_means_no_file,
        a_left_over_file_is_replaced,
        a_published_password_is_not_in_the_segment,
    };

    return world_run("state secrets", tests, COUNT_OF(tests));
}
