/* As many services, endpoints and entries as there may be, and one more. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "settings/settings.h"
#include "unit.h"

static struct complaints complaints;
static struct settings *settings;

/* The file, written in memory. */
static FILE *out;
static char *text;
static size_t size;

static void begin(void)
{
    out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
}

static int parse(void)
{
    fclose(out);
    int error = settings_parse(text, size, &settings, &complaints);
    free(text);
    return error;
}

static void expect_one(unsigned line, const char *wanted)
{
    ck_assert_uint_eq(complaints.count, 1);
    ck_assert_uint_eq(complaints.list[0].line, line);
    ck_assert_str_eq(complaints.list[0].text, wanted);
}

static int services(unsigned count)
{
    begin();
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "service s%u { match = { m%u } endpoint e { address = h%u } }\n", i, i, i);
    return parse();
}

START_TEST(services_up_to_256)
{
    ck_assert_int_eq(services(256), 0);
    ck_assert_uint_eq(settings->service_count, 256);
    settings_free(settings);
    ck_assert_int_eq(services(258), -EINVAL);
    expect_one(257, "more than 256 of service: 's256'");
}
END_TEST

static int endpoints(unsigned count)
{
    begin();
    fprintf(out, "service a { match = { m }\n");
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "endpoint e%u { address = h%u }\n", i, i);
    fprintf(out, "}\n");
    return parse();
}

START_TEST(endpoints_up_to_16)
{
    ck_assert_int_eq(endpoints(16), 0);
    ck_assert_uint_eq(settings->services->endpoint_count, 16);
    settings_free(settings);
    ck_assert_int_eq(endpoints(18), -EINVAL);
    expect_one(18, "more than 16 of endpoint: 'e16'");
}
END_TEST

static int matches(unsigned count)
{
    begin();
    fprintf(out, "service a { endpoint e { address = h } match = {\n");
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "m%u,\n", i);
    fprintf(out, "} }\n");
    return parse();
}

START_TEST(match_entries_up_to_32)
{
    ck_assert_int_eq(matches(32), 0);
    ck_assert_uint_eq(settings->services->match_count, 32);
    settings_free(settings);
    ck_assert_int_eq(matches(33), -EINVAL);
    expect_one(34, "match has more than 32 entries: 'm32'");
}
END_TEST

static int programs(unsigned count)
{
    begin();
    fprintf(out, "programs { skip = {\n");
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "p%u,\n", i);
    fprintf(out, "} }\n");
    return parse();
}

START_TEST(programs_up_to_32)
{
    ck_assert_int_eq(programs(32), 0);
    ck_assert_uint_eq(settings->skip_count, 32);
    settings_free(settings);
    ck_assert_int_eq(programs(33), -EINVAL);
    expect_one(34, "programs.skip has more than 32 entries: 'p32'");
}
END_TEST

START_TEST(checks_and_services_are_counted_apart)
{
    begin();
    for (unsigned i = 0; i < 65; i++)
        fprintf(out, "check c%u { type = command command = { PING } }\n", i);
    for (unsigned i = 0; i < 256; i++)
        fprintf(out, "service s%u { match = { m%u } endpoint e { address = h%u } }\n", i, i, i);
    ck_assert_int_eq(parse(), -EINVAL);
    expect_one(65, "more than 64 of check: 'c64'");
}
END_TEST

START_TEST(longest_names_fit)
{
    const char *name = "a2345678901234567890123456789012345678901234567"; /* 47 */

    begin();
    fprintf(out, "zone = %s service %s { match = { m } endpoint %s { address = h } }\n", name, name,
            name);
    ck_assert_int_eq(parse(), 0);
    ck_assert_str_eq(settings->zone, name);
    ck_assert_str_eq(settings->services->name, name);
    ck_assert_str_eq(settings->services->endpoints[0].name, name);
    settings_free(settings);
}
END_TEST

START_TEST(a_hundred_complaints_are_kept)
{
    begin();
    for (unsigned i = 0; i < 150; i++)
        fprintf(out, "unknown%u = 1\n", i);
    ck_assert_int_eq(parse(), -EINVAL);
    ck_assert_uint_eq(complaints.count, 100);
    ck_assert_uint_eq(complaints.list[99].line, 100);
}
END_TEST

START_TEST(deep_nesting_does_not_exhaust_the_stack)
{
    begin();
    for (unsigned i = 0; i < 300000; i++)
        fputs("x {", out);
    ck_assert_int_eq(parse(), -EINVAL);
    expect_one(1, "unknown block in the file: 'x'");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        services_up_to_256,
        endpoints_up_to_16,
        match_entries_up_to_32,
        programs_up_to_32,
        checks_and_services_are_counted_apart,
        longest_names_fit,
        a_hundred_complaints_are_kept,
        deep_nesting_does_not_exhaust_the_stack,
    };

    return unit_run("settings_limits", tests, COUNT_OF(tests));
}
