#include "state/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state_world.h"

static struct place place;
static const char *why;

/* A path that is not there yet, in this test's own directory. */
static const char *new_path(void)
{
    static char path[PATH_TEXT + 16];

    snprintf(path, sizeof(path), "%s/inner", world_new()->place.directory);
    return path;
}

START_TEST(names_carry_instance_abi_and_network_namespace)
{
    struct place_request request = {.runtime_dir = new_path(), .instance = "shop", .create = true};
    char expected[sizeof(place.segment)];

    ck_assert_int_eq(place_find(&place, &request, &why), 0);
    ck_assert_uint_ne(place_network_namespace(), 0);
    snprintf(expected, sizeof(expected), "%s/shop.v%d.n%llx.segment", request.runtime_dir,
             (int)SEGMENT_ABI, (unsigned long long)place_network_namespace());
    ck_assert_str_eq(place.segment, expected);
    ck_assert_str_eq(place.instance, "shop");
    ck_assert_str_ne(place.lock, place.start);
    ck_assert_str_ne(place.lock, place.failed);
}
END_TEST

START_TEST(instance_comes_from_the_path_of_the_file)
{
    struct place_request request = {.runtime_dir = new_path(), .config = "/a", .create = true};
    char first[INSTANCE_TEXT];

    ck_assert_int_eq(place_find(&place, &request, &why), 0);
    strcpy(first, place.instance);
    ck_assert_uint_eq(strlen(first), 16);
    ck_assert_int_eq(place_find(&place, &request, &why), 0);
    ck_assert_str_eq(place.instance, first);
    request.config = "/b";
    ck_assert_int_eq(place_find(&place, &request, &why), 0);
    ck_assert_str_ne(place.instance, first);
    request.instance = ""; /* as if not set */
    ck_assert_int_eq(place_find(&place, &request, &why), 0);
    ck_assert_uint_eq(strlen(place.instance), 16);
}
END_TEST

START_TEST(bad_instances)
{
    static const char *const bad[] = {
        "a/b", "a b", "\303\244", "a\n",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    struct place_request request = {.runtime_dir = new_path(), .create = true};

    ck_assert_int_eq(place_find(&place, &request, &why), -EINVAL);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        request.instance = bad[i];
        ck_assert_int_eq(place_find(&place, &request, &why), -EINVAL);
        ck_assert_str_ne(why, "");
    }
}
END_TEST

START_TEST(directory_is_made_on_request_only)
{
    struct place_request request = {.runtime_dir = new_path(), .instance = "x"};
    struct stat facts;

    ck_assert_int_eq(place_find(&place, &request, &why), -ENOENT);
    request.create = true;
    ck_assert_int_eq(place_find(&place, &request, &why), 0);
    ck_assert_int_eq(stat(request.runtime_dir, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 07777, 0700);
}
END_TEST

START_TEST(directory_that_others_may_write_to)
{
    struct place_request request = {.runtime_dir = new_path(), .instance = "x", .create = true};

    ck_assert_int_eq(place_find(&place, &request, &why), 0);
    ck_assert_int_eq(chmod(request.runtime_dir, 0777), 0);
    ck_assert_int_eq(place_find(&place, &request, &why), -EPERM);
    ck_assert_int_eq(chmod(request.runtime_dir, 01777), 0);
    ck_assert_int_eq(place_find(&place, &request, &why), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(request.runtime_dir, 65534, (gid_t)-1), 0);
        ck_assert_int_eq(place_find(&place, &request, &why), -EPERM);
    }
}
END_TEST

START_TEST(runtime_directory_must_be_an_absolute_directory)
{
    struct place_request request = {.runtime_dir = "relative", .instance = "x", .create = true};
    char longer[PATH_TEXT + 8];

    ck_assert_int_eq(place_find(&place, &request, &why), -EINVAL);
    request.runtime_dir = "/dev/null";
    ck_assert_int_eq(place_find(&place, &request, &why), -ENOTDIR);
    memset(longer, '/', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    request.runtime_dir = longer;
    ck_assert_int_eq(place_find(&place, &request, &why), -ENAMETOOLONG);
}
END_TEST

/* Another user, so that neither root's nor the real directory of whoever runs this is touched. */
enum { NOBODY = 65534 };

static int own_directory_body(void)
{
    struct place_request request = {.instance = "x"};
    struct stat facts;
    char path[64];
    int failed = 0;

    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return 1;
    snprintf(path, sizeof(path), "/dev/shm/redisteer-%d", NOBODY);
    if (access(path, F_OK) == 0 || access("/run/redisteer", F_OK) == 0)
        return 0; /* in use: not ours to play with */
    failed |= place_find(&place, &request, &why) != -ENOENT;
    request.create = true;
    failed |= place_find(&place, &request, &why) != 0 || strcmp(place.directory, path) != 0;
    failed |= stat(path, &facts) != 0 || (facts.st_mode & 07777) != 0700;
    failed |= chmod(path, 0710) != 0 || place_find(&place, &request, &why) != -EPERM;
    rmdir(path);
    failed |= symlink("/dev/shm", path) != 0 || place_find(&place, &request, &why) != -EPERM;
    unlink(path);
    return failed;
}

START_TEST(own_directory_in_dev_shm_is_private)
{
    pid_t child;
    int status;

    if (geteuid() != 0)
        return;
    child = fork();
    if (child == 0)
        _exit(own_directory_body());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(identities_of_this_kernel)
{
    uint8_t id[16];
    char expected[40];
    char text[40];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    size_t at = 0;

    ck_assert_ptr_nonnull(fgets(expected, sizeof(expected), file));
    fclose(file);
    ck_assert(place_boot_id(id));
    for (size_t i = 0; i < sizeof(id); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[at++] = '-';
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%02x", id[i]);
    }
    ck_assert_int_eq(strncmp(text, expected, 36), 0);
}
END_TEST

START_TEST(stamp_tells_a_changed_file)
{
    struct file_stamp before;
    struct file_stamp after;
    const char *path = new_path();
    FILE *file = fopen(path, "w");

    ck_assert_int_eq(file_stamp_read(path, &before), 0);
    ck_assert_int_eq(file_stamp_read(path, &after), 0);
    ck_assert(file_stamp_equal(&before, &after));
    fputs("x", file);
    fclose(file);
    ck_assert_int_eq(file_stamp_read(path, &after), 0);
    ck_assert(!file_stamp_equal(&before, &after));
    ck_assert_int_eq(file_stamp_read("/nowhere", &after), -ENOENT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        names_carry_instance_abi_and_network_namespace,
        instance_comes_from_the_path_of_the_file,
        bad_instances,
        directory_is_made_on_request_only,
        directory_that_others_may_write_to,
        runtime_directory_must_be_an_absolute_directory,
        own_directory_in_dev_shm_is_private,
        identities_of_this_kernel,
        stamp_tells_a_changed_file,
    };

    return world_run("state_place", tests, COUNT_OF(tests));
}
