/* Which file is taken, and which is refused for what it is rather than for what it says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings/settings.h"
#include "unit.h"

static char directory[64];
static char path[128];
static struct complaints complaints;
static struct settings *settings;

static void write_file(const char *text, size_t size, mode_t mode)
{
    unlink(path); /* it may be a FIFO */
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static int load(const char *text, mode_t mode)
{
    write_file(text, strlen(text), mode);
    return settings_load(path, &settings, &complaints);
}

static void expect(unsigned line, const char *text)
{
    char wanted[400];

    snprintf(wanted, sizeof(wanted), "%s: '%s'", text, path);
    ck_assert_uint_eq(complaints.count, 1);
    ck_assert_uint_eq(complaints.list[0].line, line);
    ck_assert_str_eq(complaints.list[0].text, wanted);
    ck_assert_ptr_null(settings);
}

START_TEST(good_file_is_loaded_with_path_and_stamp)
{
    struct file_stamp stamp;

    ck_assert_int_eq(load("zone = a\n", 0644), 0);
    ck_assert_uint_eq(complaints.count, 0);
    ck_assert_str_eq(settings->path, path);
    ck_assert_int_eq(file_stamp_read(path, &stamp), 0);
    ck_assert(file_stamp_equal(&settings->stamp, &stamp));
    settings_free(settings);
}
END_TEST

START_TEST(file_that_others_can_write_is_refused)
{
    ck_assert_int_eq(load("zone = a\n", 0664), -EACCES);
    expect(0, "the file can be written by others (run chmod go-w)");
    ck_assert_int_eq(load("zone = a\n", 0602), -EACCES);
    expect(0, "the file can be written by others (run chmod go-w)");
}
END_TEST

START_TEST(file_of_another_user_is_refused)
{
    if (geteuid() != 0)
        return; /* only root can make one */
    write_file("", 0, 0644);
    ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
    ck_assert_int_eq(settings_load(path, &settings, &complaints), -EACCES);
    expect(0, "the file belongs to neither root nor the current user (chown it)");
}
END_TEST

START_TEST(password_that_others_can_read_is_refused)
{
    static const char text[] = "service a { match = { r }\n endpoint e { address = x\n"
                               " password = 'abc' } }\n";

    ck_assert_int_eq(load(text, 0640), -EACCES);
    expect(3, "others can read this file and it holds a password (run chmod 600)");
    ck_assert_int_eq(load(text, 0604), -EACCES);
    ck_assert_int_eq(load(text, 0600), 0);
    settings_free(settings);
}
END_TEST

START_TEST(password_of_a_bad_file_is_guarded_too)
{
    ck_assert_int_eq(load("zone = 'a b'\nservice a { match = { r }\n endpoint e { address = x\n"
                          " password = 'abc' } }\n",
                          0640),
                     -EACCES);
    ck_assert_uint_eq(complaints.count, 2);
    ck_assert_uint_eq(complaints.list[1].line, 4);
}
END_TEST

START_TEST(empty_password_needs_no_guard)
{
    ck_assert_int_eq(load("service a { match = { r } endpoint e { address = x\n"
                          " password = \"\" } }\n",
                          0644),
                     0);
    settings_free(settings);
}
END_TEST

START_TEST(password_file_must_be_its_owners_alone)
{
    char text[400], secret[160];

    snprintf(secret, sizeof(secret), "%s/secret", directory);
    snprintf(text, sizeof(text),
             "service a { match = { r } endpoint e { address = x password_file = %s } }\n", secret);
    int fd = open(secret, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(load(text, 0644), 0);
    ck_assert_str_eq(settings->services->endpoints[0].password_file, secret);
    settings_free(settings);
    ck_assert_int_eq(fchmod(fd, 0640), 0);
    ck_assert_int_eq(load(text, 0644), -EINVAL);
    ck_assert_ptr_nonnull(
        strstr(complaints.list[0].text, "password_file can be read by others (run chmod 600): '"));
    close(fd);
    unlink(secret);
}
END_TEST

START_TEST(missing_file_is_named)
{
    unlink(path);
    ck_assert_int_eq(settings_load(path, &settings, &complaints), -ENOENT);
    expect(0, "the file cannot be opened (No such file or directory)");
}
END_TEST

START_TEST(directory_is_refused)
{
    ck_assert_int_eq(settings_load(directory, &settings, &complaints), -EISDIR);
    ck_assert_ptr_nonnull(strstr(complaints.list[0].text, "the file is a directory"));
}
END_TEST

START_TEST(fifo_is_refused_without_waiting)
{
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(settings_load(path, &settings, &complaints), -EINVAL);
    expect(0, "the file is not a regular file");
}
END_TEST

START_TEST(a_mebibyte_is_read_and_one_byte_more_refused)
{
    const size_t most = 1024 * 1024;
    char *text = malloc(most + 1);

    memset(text, '\n', most + 1);
    write_file(text, most, 0644);
    ck_assert_int_eq(settings_load(path, &settings, &complaints), 0);
    settings_free(settings);
    write_file(text, most + 1, 0644);
    ck_assert_int_eq(settings_load(path, &settings, &complaints), -EFBIG);
    expect(0, "the file is larger than 1 MiB");
    free(text);
}
END_TEST

START_TEST(nul_byte_is_refused_at_its_line)
{
    write_file("zone = a\n\0\n", 11, 0644);
    ck_assert_int_eq(settings_load(path, &settings, &complaints), -EINVAL);
    ck_assert_uint_eq(complaints.count, 1);
    ck_assert_uint_eq(complaints.list[0].line, 2);
    ck_assert_str_eq(complaints.list[0].text, "a NUL byte: this is not a text file");
}
END_TEST

START_TEST(search_order_of_the_file)
{
    char found[PATH_TEXT], config[160];

    unsetenv("REDISTEER_CONFIG");
    unsetenv("XDG_CONFIG_HOME");
    ck_assert_int_eq(settings_find(NULL, found), 0);
    ck_assert_str_eq(found, "/etc/redisteer/redisteer.conf");

    setenv("XDG_CONFIG_HOME", directory, 1);
    ck_assert_int_eq(settings_find(NULL, found), 0);
    ck_assert_str_eq(found, "/etc/redisteer/redisteer.conf");
    snprintf(config, sizeof(config), "%s/redisteer", directory);
    ck_assert_int_eq(mkdir(config, 0700), 0);
    strcat(config, "/redisteer.conf");
    ck_assert_int_eq(symlink("/dev/null", config), 0);
    ck_assert_int_eq(settings_find(NULL, found), 0);
    ck_assert_str_eq(found, config);

    setenv("REDISTEER_CONFIG", "/a/b", 1);
    ck_assert_int_eq(settings_find(NULL, found), 0);
    ck_assert_str_eq(found, "/a/b");
    ck_assert_int_eq(settings_find("/c", found), 0);
    ck_assert_str_eq(found, "/c");
    unlink(config);
    *strrchr(config, '/') = '\0';
    rmdir(config);
}
END_TEST

START_TEST(relative_path_is_joined_letter_by_letter)
{
    char found[PATH_TEXT], wanted[200], long_name[PATH_TEXT + 8];

    ck_assert_int_eq(chdir(directory), 0);
    snprintf(wanted, sizeof(wanted), "%s/./x/../link", directory);
    ck_assert_int_eq(settings_find("./x/../link", found), 0);
    ck_assert_str_eq(found, wanted);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(settings_find("a", found), 0);
    ck_assert_str_eq(found, "/a");
    memset(long_name, 'a', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    ck_assert_int_eq(settings_find(long_name, found), -ENAMETOOLONG);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        good_file_is_loaded_with_path_and_stamp,
        file_that_others_can_write_is_refused,
        file_of_another_user_is_refused,
        password_that_others_can_read_is_refused,
        password_of_a_bad_file_is_guarded_too,
        empty_password_needs_no_guard,
        password_file_must_be_its_owners_alone,
        missing_file_is_named,
        directory_is_refused,
        fifo_is_refused_without_waiting,
        a_mebibyte_is_read_and_one_byte_more_refused,
        nul_byte_is_refused_at_its_line,
        search_order_of_the_file,
        relative_path_is_joined_letter_by_letter,
    };
    int status;

    snprintf(directory, sizeof(directory), "/tmp/redisteer-settings-XXXXXX");
    if (!mkdtemp(directory))
        return EXIT_FAILURE;
    snprintf(path, sizeof(path), "%s/a.conf", directory);
    status = unit_run("settings_file", tests, COUNT_OF(tests));
    unlink(path);
    rmdir(directory);
    return status;
}
