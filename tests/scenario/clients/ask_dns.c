/*
 * ask_dns MS [srv] NAME: one question as the monitor asks it, in its own thread and given up after
 * MS; prints one line of JSON.
 */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "heavy/resolution.h"

static json_t *host_json(const struct dns_host *host)
{
    json_t *addresses = json_array();
    char text[ADDRESS_TEXT];

    for (size_t i = 0; i < host->count; i++)
        json_array_append_new(addresses, json_string(address_format(&host->addresses[i], text)));
    return json_pack("{s:s, s:i, s:i, s:i, s:s, s:i, s:o}", "name", host->name, "port",
                     (int)host->port, "priority", (int)host->priority, "weight", (int)host->weight,
                     "cause", dns_cause_text(host->cause), "unanswered", (int)host->unanswered,
                     "addresses", addresses);
}

static void print(const struct dns_answer *answer, uint64_t took_ns)
{
    json_t *hosts = json_array(), *whole;

    for (size_t i = 0; i < answer->count; i++)
        json_array_append_new(hosts, host_json(&answer->hosts[i]));
    whole = json_pack("{s:b, s:s, s:o, s:I, s:o}", "found", answer->cause == DNS_FOUND, "cause",
                      dns_cause_text(answer->cause), "ttl",
                      answer->ttl_s == DNS_TTL_NONE ? json_null() : json_integer(answer->ttl_s),
                      "ms", (json_int_t)(took_ns / NS_PER_MS), "hosts", hosts);
    json_dumpf(whole, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(whole);
}

int main(int count, char **words)
{
    struct dns_question question = {.port = 6379};
    struct resolution *resolution;
    struct pollfd done;
    uint64_t began_ns = clock_boot_ns();

    if (count < 3)
        return 2;
    question.srv = strcmp(words[2], "srv") == 0;
    text_copy(question.name, sizeof(question.name), words[count - 1]);
    resolution = resolution_start(&question, strtoul(words[1], NULL, 10) * NS_PER_MS);
    if (!resolution)
        return 1;
    done = (struct pollfd){.fd = resolution_fd(resolution), .events = POLLIN};
    poll(&done, 1, -1);
    if (!resolution_done(resolution))
        return 1;
    print(resolution_answer(resolution), clock_boot_ns() - began_ns);
    resolution_free(resolution);
    return 0;
}
