/* Checks of type http: the status of an answer, and a text in its body. */
#include <stdlib.h>
#include <string.h>

#include "heavy/web.h"
#include "state/words.h"

enum { BODY_MAX = 64 * 1024 };

static enum check_cause judge(const struct check_settings *check, const struct web_answer *answer)
{
    const char *wanted = word_of_check(check, 1);

    if (answer->cause != CHECK_FINE)
        return answer->cause;
    if (answer->status < check->status_from || answer->status > check->status_to)
        return answer->status == 401 || answer->status == 403 ? CHECK_HTTP_AUTH : CHECK_HTTP_STATUS;
    if (!*wanted || memmem(answer->body, answer->length, wanted, strlen(wanted)))
        return CHECK_FINE;
    return answer->cut ? CHECK_HTTP_LONG : CHECK_HTTP_BODY;
}

void http_run(struct job *job)
{
    const struct check_settings *check = &job->worker->target.check;
    struct web_answer answer = web_get(job, word_of_check(check, 0), NULL, BODY_MAX);
    enum check_cause cause = judge(check, &answer);

    free(answer.body);
    job_decide(job, web_outcome(cause), cause);
}
