/*
 * settings_cases: tables of configuration files and the complaints about them.
 */
#ifndef SETTINGS_CASES_H
#define SETTINGS_CASES_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "settings/settings.h"
#include "unit.h"

/* Three good lines, the service left open: what follows is in its fourth line. */
#define OPEN "service a {\n match = { r }\n endpoint e { address = 127.0.0.1:1 }\n"

struct settings_case {
    const char *text;
    const char *complaints; /* "line: text\n" each */
};

static inline void settings_case_check(const struct settings_case *wanted)
{
    struct settings *settings;
    struct complaints complaints;
    char said[64 * sizeof(complaints.list[0].text)] = "";
    size_t length = 0;
    int error = settings_parse(wanted->text, strlen(wanted->text), &settings, &complaints);

    for (size_t i = 0; i < complaints.count && i < 64; i++)
        length += (size_t)sprintf(said + length, "%u: %s\n", complaints.list[i].line,
                                  complaints.list[i].text);
    ck_assert_msg(strcmp(said, wanted->complaints) == 0, "of\n%s\nwas said\n%sinstead of\n%s",
                  wanted->text, said, wanted->complaints);
    ck_assert_int_eq(error, -EINVAL);
    ck_assert_ptr_null(settings);
}

/* Runs `test` once per row; what main() returns. */
static inline int settings_cases_run(const char *name, const TTest *test, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *group = tcase_create(name);
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(group, 120); /* sanitizers are slow */
    tcase_add_loop_test(group, test, 0, (int)count);
    suite_add_tcase(suite, group);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
