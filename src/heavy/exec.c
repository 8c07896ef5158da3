/* Checks of type exec: a program that says by its exit status how the endpoint is. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/text.h"
#include "heavy/child.h"
#include "heavy/job.h"
#include "state/words.h"

enum { VARIABLE_TEXT = 512, OWN_VARIABLES = 6 };

struct variables {
    char texts[OWN_VARIABLES][VARIABLE_TEXT];
    const char **list; /* ours, then the inherited ones; ends with NULL */
};

/* What it is given is about the endpoint; no credentials. */
static bool make_variables(const struct probe_target *target, struct variables *out)
{
    char all[ADDRESSES_MAX * (ADDRESS_IP_TEXT + 1)] = "", ip[ADDRESS_IP_TEXT];
    const char *own[OWN_VARIABLES];
    size_t length = 0;

    for (uint32_t i = 0; i < target->address_count; i++)
        length += text_format(all + length, sizeof(all) - length, "%s%s", i ? " " : "",
                              address_format_ip(&target->addresses[i], ip));
    text_format(ip, sizeof(ip), "%s", all);
    ip[strcspn(ip, " ")] = '\0';
    text_format(out->texts[0], VARIABLE_TEXT, "REDISTEER_SERVICE=%s", target->service);
    text_format(out->texts[1], VARIABLE_TEXT, "REDISTEER_ENDPOINT=%s", target->endpoint);
    text_format(out->texts[2], VARIABLE_TEXT, "REDISTEER_HOST=%s", target->host);
    text_format(out->texts[3], VARIABLE_TEXT, "REDISTEER_PORT=%u",
                (unsigned)(target->address_count ? target->addresses[0].port : 0));
    text_format(out->texts[4], VARIABLE_TEXT, "REDISTEER_ADDRESS=%s", ip);
    text_format(out->texts[5], VARIABLE_TEXT, "REDISTEER_ADDRESSES=%s", all);
    for (size_t i = 0; i < OWN_VARIABLES; i++)
        own[i] = out->texts[i];
    out->list = child_variables(own, OWN_VARIABLES);
    return out->list != NULL;
}

static void judge(struct job *job, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        job_decide(job, PROBE_PASSED, CHECK_FINE);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
        job_decide(job, PROBE_FAILED, CHECK_EXEC_UNHEALTHY);
    else
        job_decide(job, PROBE_VOID, WIFSIGNALED(status) ? CHECK_EXEC_SIGNAL : CHECK_EXEC_UNKNOWN);
}

void exec_run(struct job *job)
{
    const struct check_settings *check = &job->worker->target.check;
    const char *words[CHECK_WORDS_MAX + 1];
    struct variables variables = {0};
    struct child child = {
        .words = words,
        .input = -1,
        .cancel_fd = job->cancel_fd,
        .deadline_ns = job->deadline_ns,
    };

    job_decide(job, PROBE_VOID, CHECK_EXEC_START);
    if (words_of_check(check, words) == 0 || !make_variables(&job->worker->target, &variables))
        return;
    child.variables = variables.list;
    switch (child_run(&child)) {
    case CHILD_ENDED:
        judge(job, child.status);
        break;
    case CHILD_UNSTARTED:
        break;
    case CHILD_LATE:
        job_decide(job, PROBE_FAILED, CHECK_EXEC_TIMEOUT);
        break;
    case CHILD_TALKATIVE:
        job_decide(job, PROBE_VOID, CHECK_EXEC_OUTPUT);
        break;
    }
    free(variables.list);
}
