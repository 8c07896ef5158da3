#include "policy/expression.h"

static struct checklist checklist_of(const struct expression *expression)
{
    struct checklist list = {.op = expression->op};

    for (unsigned i = 0; i < expression->count && i < EXPRESSION_MAX; i++)
        list.checks[list.count++] = expression->checks[i];
    return list;
}

static bool only_pings(const struct checklist *list)
{
    return list->count == 1 && list->checks[0] == (CHECK_BUILT_IN | PROBE_PING);
}

struct checklist checklist_of_health(const struct health_rules *rules)
{
    struct checklist list = checklist_of(&rules->probe);

    if (list.count == 0)
        list.checks[list.count++] = CHECK_BUILT_IN | PROBE_PING;
    if (rules->role == ROLE_ANY)
        return list;
    if (only_pings(&list))
        list.count = 0;
    list.checks[list.count++] = CHECK_BUILT_IN | PROBE_ROLE;
    list.required = 1;
    return list;
}

struct checklist checklist_of_gate(const struct expression *gate)
{
    return checklist_of(gate);
}

static enum health combined(unsigned op, const enum health parts[], unsigned count)
{
    unsigned healthy = 0, unhealthy = 0, needed = count;

    for (unsigned i = 0; i < count; i++) {
        healthy += parts[i] == HEALTH_HEALTHY;
        unhealthy += parts[i] == HEALTH_UNHEALTHY;
    }
    if (op == PROBES_ANY)
        needed = 1;
    else if (op == PROBES_MAJORITY)
        needed = count / 2 + 1;
    if (healthy >= needed)
        return HEALTH_HEALTHY;
    return unhealthy > count - needed ? HEALTH_UNHEALTHY : HEALTH_UNKNOWN;
}

enum health checklist_health(const struct checklist *checklist, const enum health parts[])
{
    unsigned optional = checklist->count - checklist->required;
    enum health both[2] = {HEALTH_HEALTHY, HEALTH_HEALTHY};

    if (optional > 0)
        both[0] = combined(checklist->op, parts, optional);
    both[1] = combined(PROBES_ALL, parts + optional, checklist->required);
    return combined(PROBES_ALL, both, 2);
}
