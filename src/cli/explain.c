/*
 * redisteer explain: what happens to a connection to HOST, and why. Answers from what is published,
 * as running programs do; from the file while nothing is published.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/text.h"
#include "cli/context.h"
#include "cli/table.h"

enum { DEFAULT_PORT = 6379 };

struct question {
    struct host_port at;
    bool is_ip;
    struct address address;
};

/* How a destination belongs to a service, the strongest first. */
enum relation {
    LISTED,
    VIRTUAL_ADDRESS,
    MEMBER_ADDRESS,
    PAST_ADDRESS, /* of a member */
    OTHER_PORT,
    UNRELATED
};

struct finding {
    enum relation relation;
    const struct service_row *row;
    const struct match_settings *match; /* LISTED, OTHER_PORT; NULL: an endpoint's own address */
    uint32_t endpoint;                  /* MEMBER_ADDRESS, PAST_ADDRESS */
};

static bool parse_question(const char *text, struct question *question)
{
    if (host_port_parse(text, &question->at) != 0 || question->at.any_port) {
        say("neither HOST nor HOST:PORT: '%s'", text);
        return false;
    }
    if (!question->at.has_port)
        question->at.port = DEFAULT_PORT;
    question->is_ip = address_parse_ip(question->at.host, &question->address) == 0;
    question->address.port = question->at.port;
    return true;
}

static bool same_host(const struct match_settings *match, const struct question *question)
{
    if (match->is_name)
        return !question->is_ip && text_equal(match->host, question->at.host);
    return question->is_ip && address_same_ip(&match->address, &question->address);
}

static bool same_port(const struct match_settings *match, const struct question *question)
{
    return match->any_port || match->port == question->at.port;
}

/* Whether look-ups of this service's names lead to one of these, for connections to this port. */
static bool leads_to(const struct service_row *row, const struct address *addresses, uint32_t count,
                     const struct question *question)
{
    bool own_port = false, same_ip = false;

    for (uint32_t i = 0; i < count; i++)
        if (address_same_ip(&addresses[i], &question->address)) {
            same_ip = true;
            own_port |= addresses[i].port == question->at.port;
        }
    for (uint32_t i = 0; same_ip && i < row->match_count; i++)
        if (row->matches[i].is_name && (own_port || same_port(&row->matches[i], question)))
            return true;
    return false;
}

static enum relation relation_to(const struct service_row *row, uint32_t endpoint,
                                 const struct question *question)
{
    const struct endpoint_settings *settings = &row->endpoints[endpoint];

    if (leads_to(row, settings->addresses, settings->address_count, question))
        return MEMBER_ADDRESS;
    return leads_to(row, settings->past, settings->past_count, question) ? PAST_ADDRESS : UNRELATED;
}

static void relate(const struct service_row *row, const struct question *question,
                   struct finding *best)
{
    const struct service_settings *settings = &row->view.settings;
    struct finding found = {.relation = UNRELATED, .row = row};

    for (uint32_t i = 0; i < row->match_count; i++) {
        const struct match_settings *match = &row->matches[i];
        enum relation relation = same_port(match, question) ? LISTED : OTHER_PORT;

        if (same_host(match, question) && relation < found.relation) {
            found.relation = relation;
            found.match = match;
        }
    }
    if (question->is_ip && settings->resolve == RESOLVE_VIRTUAL &&
        found.relation > VIRTUAL_ADDRESS &&
        address_same_ip(&settings->virtual_address, &question->address))
        found.relation = VIRTUAL_ADDRESS;
    for (uint32_t i = 0; question->is_ip && settings->resolve == RESOLVE_MEMBER &&
                         found.relation > MEMBER_ADDRESS && i < row->view.count;
         i++) {
        enum relation relation = relation_to(row, i, question);

        if (relation < found.relation) {
            found.relation = relation;
            found.endpoint = i;
        }
    }
    if (found.relation < best->relation)
        *best = found;
}

static void put_names(const struct service_row *row)
{
    const char *comma = "";

    for (uint32_t i = 0; i < row->match_count; i++)
        if (row->matches[i].is_name) {
            printf("%s%s", comma, row->matches[i].host);
            comma = ", ";
        }
}

static const char *match_text(const struct match_settings *match, char out[static 320])
{
    const char *left = strchr(match->host, ':') != NULL ? "[" : "", *right = left[0] ? "]" : "";

    if (match->any_port)
        snprintf(out, 320, "%s%s%s:*", left, match->host, right);
    else
        snprintf(out, 320, "%s%s%s:%u", left, match->host, right, match->port);
    return out;
}

static void put_relation(const struct finding *finding)
{
    const struct service_row *row = finding->row;
    const char *service = row->view.settings.name;
    char text[320];

    switch (finding->relation) {
    case LISTED:
        printf("  belongs to service %s: match lists %s\n", service,
               match_text(finding->match, text));
        break;
    case VIRTUAL_ADDRESS:
        printf("  belongs to service %s: look-ups of ", service);
        put_names(row);
        printf(" answer this address\n");
        break;
    case MEMBER_ADDRESS:
    case PAST_ADDRESS:
        printf("  %s an address of endpoint %s of service %s:\n"
               "  steered only in programs whose look-up of ",
               finding->relation == PAST_ADDRESS ? "was" : "is",
               row->labels[finding->endpoint].name, service);
        put_names(row);
        printf(" led there; passes through in others\n");
        break;
    case OTHER_PORT:
    case UNRELATED:
        break;
    }
}

static void put_programs(const struct bank *front)
{
    uint32_t only = front->only_count <= PROGRAMS_MAX ? front->only_count : PROGRAMS_MAX;
    uint32_t skip = front->skip_count <= PROGRAMS_MAX ? front->skip_count : PROGRAMS_MAX;

    if (only > 0)
        printf("  only in these programs:");
    for (uint32_t i = 0; i < only; i++)
        printf("%s %.*s", i > 0 ? "," : "", PROGRAM_TEXT, front->only[i]);
    if (only > 0)
        putchar('\n');
    if (skip > 0)
        printf("  never in these programs:");
    for (uint32_t i = 0; i < skip; i++)
        printf("%s %.*s", i > 0 ? "," : "", PROGRAM_TEXT, front->skip[i]);
    if (skip > 0)
        putchar('\n');
}

/* Where the connection goes when nothing is eligible. */
static void put_all_down(const struct overview *overview, const struct service_row *row)
{
    const struct choice_rules rules = {.strategy = row->view.settings.strategy,
                                       .failback = row->view.settings.failover.failback,
                                       .challenger = -1};
    char wait[DURATION_TEXT];
    int first;

    switch ((enum when_all_down)row->view.settings.when_all_down) {
    case ALL_DOWN_REFUSE:
        printf("is refused: no endpoint is eligible (when_all_down = refuse)\n");
        break;
    case ALL_DOWN_WAIT:
        printf("waits up to %s: no endpoint is eligible (when_all_down = wait)\n",
               duration_format(row->view.settings.wait_ns, wait));
        break;
    case ALL_DOWN_TRY:
        first = choose_next(&rules, row->candidates, row->view.count, 0, true, overview->now_ns);
        printf("tries all endpoints, %s first: none is eligible (when_all_down = try)\n",
               first >= 0 ? row->labels[first].name : "-");
        break;
    }
}

static void put_choice(const struct overview *overview, const struct service_row *row)
{
    int index = row->choice.endpoint;
    const char *active = row->active >= 0 ? row->labels[row->active].name : NULL;

    if (index < 0) {
        put_all_down(overview, row);
        return;
    }
    printf("goes to %s (%s): ", row->labels[index].name, row->addresses[index]);
    if (row_spreads(row))
        printf("it is its turn (strategy %s)\n", strategy_name(row->view.settings.strategy));
    else if (index == row->active)
        printf("it is the active endpoint\n");
    else if (active == NULL)
        printf("it comes first in weight and order\n");
    else if (row->choice.reason == CHOICE_FAILBACK)
        printf("it is preferred to %s and well again\n", active);
    else
        printf("the active endpoint %s is out (%s)\n", active,
               choice_reason_name(row->choice.reason));
    if (row->choice.trial >= 0)
        printf("  a single connection may try %s, whose breaker is half-open\n",
               row->labels[row->choice.trial].name);
}

static void put_endpoints(const struct service_row *row)
{
    struct table table = {0};

    for (uint32_t i = 0; i < row->view.count; i++) {
        const char *why_not = candidate_why_not(row->candidates, row->view.count, i);

        table_row(&table);
        table_cell(&table, PLAIN, "%s", row->labels[i].name);
        table_cell(&table, PLAIN, "%s", row->addresses[i]);
        table_cell(&table, PLAIN, "weight %g", row->candidates[i].weight_milli / 1000.0);
        table_cell(&table, PLAIN, "%s%s%s",
                   why_not == NULL ? "eligible" : "not eligible: ", why_not == NULL ? "" : why_not,
                   row->candidates[i].same_zone ? ", in this host's zone" : "");
    }
    table_print(&table, stdout, "    ", false);
}

static void put_decision(const struct overview *overview, const struct finding *finding)
{
    const struct service_row *row = finding->row;
    bool real_name = finding->match != NULL && finding->match->is_name &&
                     row->view.settings.resolve == RESOLVE_REAL;

    put_relation(finding);
    put_programs(&overview->front);
    if (row->mode == MODE_OFF) {
        printf("  passes through: the service is off\n");
        return;
    }
    if (real_name) {
        printf(
            "  passes through: with resolve = real look-ups are left alone, and connections are\n"
            "  steered by the addresses in match\n");
        return;
    }
    printf(row->mode == MODE_OBSERVE ? "  passes through: the service only observes; else it\n    "
                                     : "  ");
    put_choice(overview, row);
    put_endpoints(row);
}

static void answer(const struct overview *overview, const struct question *question)
{
    struct finding finding = {.relation = UNRELATED};
    char text[320];

    for (size_t i = 0; i < overview->count; i++)
        relate(&overview->services[i], question, &finding);
    printf(strchr(question->at.host, ':') != NULL ? "[%s]:%u%s\n" : "%s:%u%s\n", question->at.host,
           question->at.port, question->at.has_port ? "" : " (the default port)");
    switch (finding.relation) {
    case UNRELATED:
        printf("  passes through: no service matches it\n");
        break;
    case OTHER_PORT:
        printf("  passes through: service %s matches %s, not port %u\n",
               finding.row->view.settings.name, match_text(finding.match, text), question->at.port);
        break;
    case LISTED:
    case VIRTUAL_ADDRESS:
    case MEMBER_ADDRESS:
    case PAST_ADDRESS:
        put_decision(overview, &finding);
        break;
    }
}

static int explain_file(const struct context *context, const struct question *question)
{
    struct settings *settings;
    struct overview *overview;
    int status = context_load(context->config, &settings);

    if (status != STATUS_DONE)
        return status;
    if (overview_from_settings(settings, &overview) == 0) {
        answer(overview, question);
        printf("from the file %s: nothing is published yet\n", context->config);
        overview_free(overview);
    } else {
        say("out of memory");
        status = STATUS_FAILED;
    }
    settings_free(settings);
    return status;
}

int command_explain(const struct invocation *invocation)
{
    struct question question = {0};
    struct context context;
    struct published published;
    int status;

    if (!parse_question(invocation->operands[0], &question))
        return STATUS_USAGE;
    status = context_config(invocation, context.config);
    if (status != STATUS_DONE)
        return status;
    if (!context_is_there(invocation, &context))
        return explain_file(&context, &question);
    status = context_open(&context, &published);
    if (status != STATUS_DONE)
        return status;
    answer(published.overview, &question);
    printf("as published from %s\n", published.overview->front.path);
    context_close(&published);
    return STATUS_DONE;
}
