/* What `check` prints, the shipped file and the manual are all read back. */
#include <stdio.h>
#include <string.h>

#include "settings/settings.h"
#include "unit.h"

static struct settings *parse(const char *text, const char *what)
{
    static struct complaints complaints;
    struct settings *settings;
    int error = settings_parse(text, strlen(text), &settings, &complaints);

    ck_assert_msg(error == 0, "%s\nline %u: %s", what, complaints.list[0].line,
                  complaints.list[0].text);
    return settings;
}

static char *print(const struct settings *settings)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    settings_print(settings, out);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

/* A whole file in memory. */
static char *slurp(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = calloc(1, 256 * 1024);

    ck_assert_msg(in && text, "%s", path);
    ck_assert_uint_lt(fread(text, 1, 256 * 1024 - 1, in), 256 * 1024 - 1);
    fclose(in);
    return text;
}

/* Sets aside what differs in a printed file: lines, passwords, and ports that were left out. */
static void forget_differences(struct settings *settings)
{
    settings->password_line = 0;
    for (size_t i = 0; i < settings->check_count; i++) {
        settings->checks[i].line = 0;
        free(settings->checks[i].username);
        settings->checks[i].username = NULL;
    }
    for (size_t i = 0; i < settings->service_count; i++) {
        struct service *service = &settings->services[i];
        service->line = 0;
        for (size_t j = 0; j < service->match_count; j++)
            service->matches[j].line = service->matches[j].at.has_port = 0;
        for (size_t j = 0; j < service->endpoint_count; j++) {
            struct endpoint *endpoint = &service->endpoints[j];
            endpoint->line = endpoint->address_line = 0;
            endpoint->at.has_port = false;
            free(endpoint->password);
            free(endpoint->username);
            endpoint->username = endpoint->password = NULL;
        }
        free(service->discover.username);
        service->discover.username = NULL;
        service->discover.line = 0;
        for (size_t j = 0; j < service->discover.sentinel_count; j++)
            service->discover.sentinels[j].has_port = false;
    }
}

static const char changed[] =
    "zone = z1\nmonitor = external\nshare_group = root\n"
    "programs { only = { 'a b', 'q\"\\$' } skip = { c } }\n"
    "log { level = debug file = '/var/log/x y' }\nevents { timeout = 2500ms checks = on }\n"
    "check c1 { type = command command = { EXISTS, 'drain \"me\"' } expect = 0 interval = 2s }\n"
    "check c2 { type = command command = GET expect = '-5--1' }\n"
    "check c3 { type = command command = { GET, k } expect = 'o\\\\?*' timeout = 7ms }\n"
    "check c4 { type = key key = canary value = '4 2' }\n"
    "check c5 { type = role }\ncheck c6 { type = write }\n"
    "check c7 { type = http url = 'https://h/x?y=z' status = 204 body = 'o k' username = u\n"
    " tls { ca = /etc/passwd verify = no } }\n"
    "check c8 { type = lag url = 'https://h:9443' tolerance = 100ms extended = no }\n"
    "check c9 { type = exec command = { /bin/true, '-x' } interval = 9s timeout = 8s }\n"
    "service one {\n match = { r, R2:7, 'a.b:*', [::1]:8, 'fd00::1', 10.0.0.1 }\n"
    " mode = observe strategy = command selector = { rank, '-a', 'b \"c' }\n"
    " resolve = real when_all_down = wait:90s\n"
    " endpoint e { address = [::1]:9 weight = 999.999 zone = z1 username = u password = 'p\"'\n"
    "  health { enabled = no probe = echo timeout = 7ms jitter = 0.01 } }\n"
    " endpoint f { address = h.i weight = 0 tls { enabled = yes ca = /etc/passwd\n"
    "  cert = /etc/passwd key = /etc/group server_name = Redis.Example verify = no } }\n"
    " health { probe = 'any(c1, tcp, c6)' role = master interval = 1h fast_interval = 10ms fall = "
    "255 rise = 3 probes = 16\n"
    "  policy = majority gap = 0s }\n"
    " breaker { enabled = off window = 512 min_calls = 6 failure_rate = 33.33% refused = 0\n"
    "  timeouts = 255 slow_call = 1ms slow_rate = 0 open = 2s open_backoff = 1.001 open_max = 3s\n"
    "  half_open_calls = 8 half_open_successes = 255 count = { reset } }\n"
    " connect { timeout = 1ms keepalive = 0s user_timeout = 0s }\n"
    " retry { attempts = 16 wait = 1ms backoff = 10 jitter = 100 errors = {} }\n"
    " failover { close_connections = false }\n"
    " failback { enabled = false probe = 'majority(c4,c5,echo)' check = 2s grace = 0s existing = "
    "close spread = 0s }\n}\n"
    "service two { match = { r:1 } mode = off resolve = virtual when_all_down = refuse\n"
    " endpoint e { address = [::1]:9 } health { probe = c2 role = replica }\n"
    " discover { sentinels = { s, [::1]:7 } master_name = 'm 1' quorum = 1 username = u refresh = "
    "2s\n  nat_map = { '[fd00::1]:1=1.2.3.4:2', 'h:3=[::1]:4' } }\n"
    " failback { existing = keep probe = c3 } }\n";

START_TEST(printed_settings_read_back_the_same)
{
    struct settings *before = parse(changed, "changed");
    char *text = print(before);
    struct settings *after = parse(text, text);
    struct service *services[2] = {before->services, after->services};
    struct check_block *checks[2] = {before->checks, after->checks};
    const size_t size = 2 * sizeof(struct service);

    ck_assert_uint_eq(before->service_count, 2);
    ck_assert_str_eq(before->services->endpoints[0].username,
                     after->services->endpoints[0].username);
    forget_differences(before);
    forget_differences(after);
    ck_assert_mem_eq(services[0], services[1], size);
    ck_assert_uint_eq(before->check_count, 9);
    ck_assert_mem_eq(checks[0], checks[1], 9 * sizeof(struct check_block));
    before->services = after->services = NULL;
    before->checks = after->checks = NULL;
    ck_assert_mem_eq(before, after, sizeof(*before));
    before->checks = checks[0];
    after->checks = checks[1];
    before->services = services[0];
    after->services = services[1];
    settings_free(before);
    settings_free(after);
    free(text);
}
END_TEST

START_TEST(printed_settings_hide_passwords)
{
    struct settings *settings =
        parse("service a { match = { r } endpoint e { address = x password = s3cret } }", "");
    char *text = print(settings);

    ck_assert_ptr_null(strstr(text, "s3cret"));
    ck_assert_ptr_nonnull(strstr(text, "password = \"***\""));
    free(text);
    settings_free(settings);
}
END_TEST

START_TEST(shipped_file_sets_nothing)
{
    char *text = slurp(SOURCE_ROOT "/config/redisteer.conf");
    struct settings *settings = parse(text, "config/redisteer.conf");

    ck_assert_uint_eq(settings->service_count, 0);
    settings_free(settings);
    free(text);
}
END_TEST

/* Takes the one '#' away from the lines that have only one, as the file tells its reader to. */
static void uncomment(char *text)
{
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (line[0] == '#' && line[1] != '#')
            line[0] = ' ';
    }
}

START_TEST(shipped_file_shows_the_defaults)
{
    char *text = slurp(SOURCE_ROOT "/config/redisteer.conf");
    struct settings *bare =
        parse("service cache { match = { redis.internal, 10.0.0.5:6380, [fd00::5]:6379 }\n"
              "endpoint east { address = redis-east.example.com:14000 }\n"
              "endpoint west { address = redis-west.example.com:14000 weight = 0.5 } }\n",
              "bare");

    uncomment(text);
    struct settings *shown = parse(text, "config/redisteer.conf without '#'");
    char *expected = print(bare), *found = print(shown);
    ck_assert_str_eq(found, expected);
    free(expected);
    free(found);
    free(text);
    settings_free(bare);
    settings_free(shown);
}
END_TEST

/* Every option that is printed, so every one that there is, stands in the shipped file. */
START_TEST(shipped_file_has_every_option)
{
    struct settings *settings =
        parse("service cache { match = { r } endpoint east { address = x } }", "");
    char *text = slurp(SOURCE_ROOT "/config/redisteer.conf"), *all = print(settings);

    for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n")) {
        char name[64] = "", *equals = strchr(line, '=');
        if (!equals)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(equals + 1 - line), line);
        ck_assert_msg(strstr(text, name + strspn(name, " ")) != NULL, "%s", name);
    }
    free(text);
    free(all);
    settings_free(settings);
}
END_TEST

/* The literal blocks of the manual, all but JSON. */
START_TEST(examples_of_the_manual_are_good)
{
    char *text = slurp(SOURCE_ROOT "/docs/redisteer.conf.5.scd");
    unsigned examples = 0;

    for (char *at = strstr(text, "\n```\n"); at; at = strstr(at, "\n```\n")) {
        char *end = strstr(at + 5, "\n```\n");
        ck_assert_ptr_nonnull(end);
        end[1] = '\0';
        if (at[5] != '{') {
            settings_free(parse(at + 5, at + 5));
            examples++;
        }
        at = end + 4;
    }
    ck_assert_uint_ge(examples, 5);
    free(text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        printed_settings_read_back_the_same, printed_settings_hide_passwords,
        shipped_file_sets_nothing,           shipped_file_shows_the_defaults,
        shipped_file_has_every_option,       examples_of_the_manual_are_good,
    };

    return unit_run("settings_print", tests, COUNT_OF(tests));
}
