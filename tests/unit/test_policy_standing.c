/* Who may be taken for the master: by what it was before, and by what Sentinels say. */
#include "policy/standing.h"

#include <check.h>

#include "unit.h"

#define S UINT64_C(1000000000)
static const uint64_t START = 100 * S;

static const struct agreement nobody = {0}, no_word_yet = {.sentinels = true},
                              it = {.sentinels = true, .known = true, .is_this = true},
                              other = {.sentinels = true, .known = true},
                              other_is_well = {.sentinels = true,
                                               .known = true,
                                               .other_well = true};

/* What it has been seen as, a second apart; 'm', 'r', or '-' when it did not answer. */
static struct standing seen(const char *history)
{
    struct standing standing = {0};
    uint64_t now_ns = START;

    for (; *history; history++, now_ns += S)
        standing = standing_after(standing,
                                  *history == 'm'   ? SEEN_MASTER
                                  : *history == 'r' ? SEEN_REPLICA
                                                    : SEEN_GONE,
                                  now_ns);
    return standing;
}

static const struct {
    const char *history;
    const struct agreement *agreement;
    enum bar bar;
} cases[] = {
    /* the one that a quorum names */
    {"m", &it, BAR_NONE},
    {"rm", &it, BAR_NONE},
    {"r", &it, BAR_REPLICA},
    {"m-", &it, BAR_GONE},
    {"m-m", &it, BAR_RETURNED},
    /* another than a quorum names */
    {"m", &other_is_well, BAR_OTHER_MASTER},
    {"m", &other, BAR_OTHER_MASTER},
    {"rm", &other, BAR_NONE}, /* they have not said so yet */
    {"rm", &other_is_well, BAR_OTHER_MASTER},
    {"m-m", &other, BAR_RETURNED},
    {"m-rm", &other, BAR_NONE},
    /* no quorum has said anything */
    {"m", &no_word_yet, BAR_NONE},
    {"-m", &no_word_yet, BAR_NONE}, /* it was never there before */
    {"r", &no_word_yet, BAR_REPLICA},
    /* no Sentinels */
    {"m", &nobody, BAR_NONE},
    {"r", &nobody, BAR_NONE},
    {"m-", &nobody, BAR_NONE},
    {"m-m", &nobody, BAR_FAILBACK},
};

START_TEST(what_it_was_and_what_sentinels_say_decides)
{
    for (unsigned i = 0; i < COUNT_OF(cases); i++)
        ck_assert_msg(standing_bar(seen(cases[i].history), *cases[i].agreement, START + 4 * S) ==
                          cases[i].bar,
                      "case %u: %s", i, cases[i].history);
}
END_TEST

START_TEST(who_has_come_back_is_trusted_after_15_seconds)
{
    struct standing standing = seen("m-m");
    uint64_t back_ns = START + 2 * S;

    ck_assert_int_eq(standing_bar(standing, it, back_ns + STANDING_PROOF_NS - S), BAR_RETURNED);
    ck_assert_int_eq(standing_bar(standing, it, back_ns + STANDING_PROOF_NS), BAR_NONE);
    ck_assert_int_eq(standing_bar(standing, other, back_ns + STANDING_PROOF_NS), BAR_OTHER_MASTER);
    standing = standing_after(standing, SEEN_MASTER, back_ns + STANDING_PROOF_NS);
    ck_assert_int_eq(standing.past, PAST_MASTER);
}
END_TEST

START_TEST(sentinels_that_are_asked_since_vouch_for_it)
{
    struct standing standing = seen("m-m");
    struct agreement calm = it;

    calm.calm_ns = START + S; /* before it came back: they may have thought better of it */
    ck_assert_int_eq(standing_vouched(standing, calm).past, PAST_RETURNED);
    calm.calm_ns = START + 3 * S;
    ck_assert_int_eq(standing_vouched(standing, calm).past, PAST_MASTER);
    calm.is_this = false;
    ck_assert_int_eq(standing_vouched(standing, calm).past, PAST_RETURNED);
}
END_TEST

START_TEST(a_promotion_before_the_last_agreement_is_history)
{
    struct standing standing = standing_superseded(seen("rm"));

    ck_assert_int_eq(standing_bar(standing, other, START + 4 * S), BAR_OTHER_MASTER);
    ck_assert_int_eq(standing_bar(standing, it, START + 4 * S), BAR_NONE);
}
END_TEST

START_TEST(an_answer_is_no_sign_that_a_server_is_gone)
{
    static const enum check_cause gone[] = {
        CHECK_REFUSED, CHECK_TIMEOUT,     CHECK_RESET,   CHECK_UNREACHABLE,
        CHECK_CLOSED,  CHECK_TLS_TIMEOUT, CHECK_LOADING, CHECK_BUSY,
    };
    unsigned found = 0;

    for (unsigned i = 0; i < COUNT_OF(gone); i++)
        ck_assert_msg(standing_is_gone(gone[i]), "%s", check_cause_text(gone[i]));
    for (unsigned cause = 0; cause < CHECK_CAUSES; cause++)
        found += standing_is_gone((enum check_cause)cause);
    ck_assert_uint_eq(found, COUNT_OF(gone));
}
END_TEST

START_TEST(a_standing_survives_its_word)
{
    for (unsigned past = PAST_UNKNOWN; past <= PAST_RETURNED; past++) {
        for (unsigned bar = BAR_NONE; bar <= BAR_GONE; bar++) {
            struct standing standing = {.since_ms = UINT64_C(0x123456789abc),
                                        .bar = bar,
                                        .past = past};
            struct standing read = standing_unpack(standing_pack(standing));

            ck_assert_uint_eq(read.since_ms, standing.since_ms);
            ck_assert_int_eq(read.bar, standing.bar);
            ck_assert_int_eq(read.past, standing.past);
        }
    }
    ck_assert_int_eq(standing_unpack(UINT64_MAX).bar, BAR_NONE);
    ck_assert_int_eq(standing_unpack(UINT64_MAX).past, PAST_UNKNOWN);
}
END_TEST

/* ---- what becomes of it in a choice ---- */

START_TEST(who_is_barred_gets_no_connection_come_what_may)
{
    const struct choice_rules rules = {.strategy = STRATEGY_PRIORITY};
    struct candidate candidates[2] = {
        {.weight_milli = 1000, .health = HEALTH_HEALTHY, .bar = BAR_RETURNED},
        {.weight_milli = 500, .health = HEALTH_UNHEALTHY, .bar = BAR_REPLICA},
    };

    ck_assert_int_eq(choose(&rules, candidates, 2, -1, START).endpoint, -1);
    ck_assert_int_eq(choose_next(&rules, candidates, 2, 0, true, START), -1);
    ck_assert(candidate_why_not(candidates, 2, 0) != NULL);
    candidates[1] = (struct candidate){.weight_milli = 500, .health = HEALTH_HEALTHY};
    ck_assert_int_eq(choose(&rules, candidates, 2, 0, START).endpoint, 1);
    ck_assert_int_eq(choose(&rules, candidates, 2, 0, START).reason, CHOICE_SENTINEL);
    ck_assert(!choose_keeps(&candidates[0]));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_it_was_and_what_sentinels_say_decides,
        who_has_come_back_is_trusted_after_15_seconds,
        sentinels_that_are_asked_since_vouch_for_it,
        a_promotion_before_the_last_agreement_is_history,
        an_answer_is_no_sign_that_a_server_is_gone,
        a_standing_survives_its_word,
        who_is_barred_gets_no_connection_come_what_may,
    };

    return unit_run("policy_standing", tests, COUNT_OF(tests));
}
