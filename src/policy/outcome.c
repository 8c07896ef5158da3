#include "policy/outcome.h"

#include <errno.h>

enum outcome outcome_of(int error)
{
    switch (error) {
    case 0:
        return OUTCOME_OK;
    case ECONNREFUSED:
        return OUTCOME_REFUSED;
    case ETIMEDOUT:
        return OUTCOME_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return OUTCOME_RESET;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
        return OUTCOME_UNREACHABLE;
    default:
        return OUTCOME_LOCAL;
    }
}

const char *outcome_name(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_OK:
        return "ok";
    case OUTCOME_REFUSED:
        return "refused";
    case OUTCOME_TIMEOUT:
        return "timeout";
    case OUTCOME_RESET:
        return "reset";
    case OUTCOME_UNREACHABLE:
        return "unreachable";
    case OUTCOME_LOCAL:
        break;
    }
    return "local";
}
