/*
 * expression: several checks that together say how one endpoint is. Pure and [hook].
 *
 * Each check has a verdict of its own; all(), any() and majority() are three-valued: what the
 * missing ones could still change is UNKNOWN.
 */
#ifndef POLICY_EXPRESSION_H
#define POLICY_EXPRESSION_H

#include <stdbool.h>

#include "policy/choose.h"
#include "policy/rules.h"

/* The checks that an endpoint really gets. */
struct checklist {
    uint8_t op;       /* enum probe_policy, of all but the required ones */
    uint8_t count;    /* in all: at most EXPRESSION_MAX + 1 */
    uint8_t required; /* the last so many must hold whatever the others say */
    uint8_t checks[EXPRESSION_MAX + 1];
};

/*
 * Of health.probe and health.role: where a role is wanted and only ping is asked, ROLE does both.
 * Counts that the settings would refuse are cut to what there is room for.
 */
struct checklist checklist_of_health(const struct health_rules *rules);
struct checklist checklist_of_gate(const struct expression *gate);

/* `parts`: of checklist->count checks, in its order. */
enum health checklist_health(const struct checklist *checklist, const enum health parts[]);

#endif
