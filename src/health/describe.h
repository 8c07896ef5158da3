/*
 * describe: from the settings of an endpoint and one of its checks to what a probe needs to know,
 * and by which rules it is timed. [hook], save that it reads the file of secrets.
 */
#ifndef HEALTH_DESCRIBE_H
#define HEALTH_DESCRIBE_H

#include <stdbool.h>

#include "policy/expression.h"
#include "probe/probe.h"
#include "state/decision.h"

struct described {
    struct probe_target target; /* padding is zero: targets are compared as bytes */
    struct health_rules rules;  /* of this check alone: no expression in them */
};

/*
 * Of endpoint `index` of the service. `check` is an entry of a checklist; `secrets` a descriptor of
 * secrets_open(), or negative. False: the settings are changing or corrupt.
 */
bool describe_check(const struct bank_view *view, const struct service_view *service,
                    uint32_t index, const struct endpoint_settings *endpoint, uint8_t check,
                    int secrets, struct described *out);

#endif
