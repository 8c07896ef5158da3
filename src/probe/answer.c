#include "probe/answer.h"

#include <stddef.h>

#include "base/text.h"
#include "policy/outcome.h"

/* With the space: BUSYKEY and BUSYGROUP are something else. */
static const struct {
    const char *prefix;
    enum check_cause cause;
} errors[] = {
    {"NOAUTH ", CHECK_NOAUTH},
    {"WRONGPASS ", CHECK_WRONGPASS},
    {"ERR invalid password", CHECK_WRONGPASS}, /* before Redis 6 */
    {"NOPERM ", CHECK_NOPERM},
    {"LOADING ", CHECK_LOADING},
    {"MASTERDOWN ", CHECK_MASTERDOWN},
    {"CLUSTERDOWN ", CHECK_CLUSTERDOWN},
    {"BUSY ", CHECK_BUSY},
    {"ERR max number of clients ", CHECK_MAX_CLIENTS},
    {"READONLY ", CHECK_READONLY},
    {"MISCONF ", CHECK_MISCONF},
    {"OOM ", CHECK_OOM},
    {"NOREPLICAS ", CHECK_NOREPLICAS},
};

enum check_cause answer_cause(const char *text)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (text_starts(text, errors[i].prefix))
            return errors[i].cause;
    return CHECK_ERROR_REPLY;
}

bool answer_is_alive(enum check_cause cause)
{
    return cause == CHECK_NOAUTH || cause == CHECK_WRONGPASS || cause == CHECK_NOPERM;
}

enum check_cause answer_cause_of(int error)
{
    switch (outcome_of(error)) {
    case OUTCOME_REFUSED:
        return CHECK_REFUSED;
    case OUTCOME_TIMEOUT:
        return CHECK_TIMEOUT;
    case OUTCOME_RESET:
        return CHECK_RESET;
    case OUTCOME_UNREACHABLE:
        return CHECK_UNREACHABLE;
    case OUTCOME_OK:
    case OUTCOME_LOCAL:
        break;
    }
    return CHECK_FINE;
}
