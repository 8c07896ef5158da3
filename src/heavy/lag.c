/*
 * Checks of type lag: Redis Enterprise's REST API says whether an endpoint of a database is
 * available and, when asked, not further behind its peers than tolerated.
 *
 *     GET /v1/bdbs?fields=uid,endpoints                      which database is at this host and
 * port GET
 * /v1/local/bdbs/<uid>/endpoint/availability[?extend_check=lag&availability_lag_tolerance_ms=<ms>]
 *
 * The endpoint's own form is asked, because the database's says yes while any endpoint is up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/address.h"
#include "base/clock.h"
#include "heavy/web.h"
#include "state/words.h"

enum { LIST_MAX = 4 * 1024 * 1024, VERDICT_MAX = 64 * 1024, URL_TEXT = CHECK_TEXT + 256 };

#define JSON "Accept: application/json"

/* ---- which database ---- */

static bool is_host(const char *text, const char *host)
{
    struct address a, b;

    if (!text)
        return false;
    if (strcasecmp(text, host) == 0)
        return true;
    /* An IPv6 address can be written in many ways. */
    return address_parse_ip(text, &a) == 0 && address_parse_ip(host, &b) == 0 &&
           memcmp(a.ip, b.ip, sizeof(a.ip)) == 0;
}

static bool is_endpoint(const json_t *endpoint, const char *host, unsigned port)
{
    const json_t *addresses = json_object_get(endpoint, "addr");

    if (json_integer_value(json_object_get(endpoint, "port")) != (json_int_t)port)
        return false;
    if (is_host(json_string_value(json_object_get(endpoint, "dns_name")), host))
        return true;
    if (json_is_string(addresses))
        return is_host(json_string_value(addresses), host);
    for (size_t i = 0; i < json_array_size(addresses); i++)
        if (is_host(json_string_value(json_array_get(addresses, i)), host))
            return true;
    return false;
}

/* 0: it is not among them. */
static uint64_t uid_in(const json_t *databases, const char *host, unsigned port)
{
    for (size_t i = 0; i < json_array_size(databases); i++) {
        const json_t *database = json_array_get(databases, i);
        const json_t *endpoints = json_object_get(database, "endpoints");

        for (size_t e = 0; e < json_array_size(endpoints); e++)
            if (is_endpoint(json_array_get(endpoints, e), host, port))
                return (uint64_t)json_integer_value(json_object_get(database, "uid"));
    }
    return 0;
}

/* ---- what an answer that is no yes says ---- */

static enum check_cause cause_of_code(const char *code)
{
    static const struct {
        const char *code;
        enum check_cause cause;
    } codes[] = {
        {"no_quorum", CHECK_LAG_NO_QUORUM},
        {"db_not_found", CHECK_LAG_NOT_FOUND},
        {"bdb_unavailable", CHECK_LAG_UNAVAILABLE},
        {"bdb_unavailable_shard_unreachable", CHECK_LAG_SHARD},
        {"bdb_unavailable_port_unbound", CHECK_LAG_PORT},
        {"bdb_unavailable_shard_unreachable_port_unbound", CHECK_LAG_SHARD_PORT},
        {"bdb_endpoint_unavailable", CHECK_LAG_ENDPOINT},
    };

    for (size_t i = 0; code && i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(codes[i].code, code) == 0)
            return codes[i].cause;
    return CHECK_FINE;
}

static enum check_cause cause_of_status(long status)
{
    switch (status) {
    case 400:
        return CHECK_LAG_SCHEMA;
    case 401:
    case 403:
        return CHECK_HTTP_AUTH;
    case 404:
        return CHECK_LAG_NOT_FOUND;
    case 503:
        return CHECK_LAG_BEHIND;
    default:
        return CHECK_HTTP_STATUS;
    }
}

static enum check_cause cause_of_answer(const struct web_answer *answer)
{
    enum check_cause cause = CHECK_FINE;
    json_t *json;

    if (answer->cause != CHECK_FINE)
        return answer->cause;
    if (answer->status >= 200 && answer->status <= 299)
        return CHECK_FINE;
    json = json_loadb(answer->body, answer->length, 0, NULL);
    cause = cause_of_code(json_string_value(json_object_get(json, "error_code")));
    json_decref(json);
    return cause != CHECK_FINE ? cause : cause_of_status(answer->status);
}

/* ---- asking ---- */

/* The check's url without a slash at its end. */
static int base_length(const char *url)
{
    size_t length = strlen(url);

    while (length > 0 && url[length - 1] == '/')
        length--;
    return (int)length;
}

static enum check_cause find_database(struct job *job, const char *base)
{
    const struct probe_target *target = &job->worker->target;
    unsigned port = target->address_count ? target->addresses[0].port : 0;
    char url[URL_TEXT];
    struct web_answer answer;
    enum check_cause cause;
    json_t *databases;

    snprintf(url, sizeof(url), "%.*s/v1/bdbs?fields=uid,endpoints", base_length(base), base);
    answer = web_get(job, url, JSON, LIST_MAX);
    cause = cause_of_answer(&answer);
    if (cause == CHECK_FINE) {
        databases = answer.cut ? NULL : json_loadb(answer.body, answer.length, 0, NULL);
        cause = CHECK_LAG_JSON;
        if (json_is_array(databases)) {
            job->worker->uid = uid_in(databases, target->host, port);
            cause = job->worker->uid ? CHECK_FINE : CHECK_LAG_NO_DATABASE;
        }
        json_decref(databases);
    }
    free(answer.body);
    return cause;
}

static enum check_cause ask(struct job *job, const char *base)
{
    const struct check_settings *check = &job->worker->target.check;
    char url[URL_TEXT];
    struct web_answer answer;
    enum check_cause cause;
    int length;

    length = snprintf(url, sizeof(url), "%.*s/v1/local/bdbs/%" PRIu64 "/endpoint/availability",
                      base_length(base), base, job->worker->uid);
    if (check->extended && length > 0 && (size_t)length < sizeof(url))
        snprintf(url + length, sizeof(url) - (size_t)length,
                 "?extend_check=lag&availability_lag_tolerance_ms=%" PRIu64,
                 check->tolerance_ns / NS_PER_MS);
    answer = web_get(job, url, JSON, VERDICT_MAX);
    cause = cause_of_answer(&answer);
    free(answer.body);
    return cause;
}

void lag_run(struct job *job)
{
    const char *base = word_of_check(&job->worker->target.check, 0);
    enum check_cause cause = job->worker->uid ? CHECK_FINE : find_database(job, base);

    if (cause == CHECK_FINE)
        cause = ask(job, base);
    if (cause != CHECK_FINE)
        job->worker->uid = 0; /* whatever it was: next time it is looked up again */
    job_decide(job, web_outcome(cause), cause);
}
