#include "health/describe.h"

#include <string.h>

#include "base/text.h"
#include "state/secrets.h"

_Static_assert((int)CREDENTIAL_TEXT == (int)SECRET_TEXT, "credentials fit");

/* Values that the configuration would refuse must not hurt the host either. */
static void make_sane(struct health_rules *rules)
{
    if (rules->probes < 1 || rules->probes > PROBES_IN_FLIGHT)
        rules->probes = 1;
}

static bool take_block(const struct bank_view *view, uint8_t index, struct described *out)
{
    struct check_settings *check = &out->target.check;

    if (!bank_check(view, index, check))
        return false;
    out->target.kind = (enum probe_kind)check->kind;
    if (check->timeout_ns)
        out->rules.timeout_ns = check->timeout_ns;
    if (check->interval_ns) {
        /* It asked for its own rhythm, which trouble does not make faster. */
        out->rules.interval_ns = check->interval_ns;
        out->rules.fast_interval_ns = check->interval_ns;
    }
    return true;
}

static void take_secret(int secrets, uint32_t slot, uint32_t generation, struct probe_target *out)
{
    struct secret secret;

    if (secrets < 0 || !secrets_read(secrets, slot, generation, &secret))
        return;
    memcpy(out->username, secret.username, sizeof(out->username));
    memcpy(out->password, secret.password, sizeof(out->password));
}

/* Which server the question goes to. */
static bool take_server(const struct bank_view *view, const struct endpoint_settings *endpoint,
                        int secrets, struct probe_target *target)
{
    target->address_count =
        endpoint->address_count < ADDRESSES_MAX ? endpoint->address_count : ADDRESSES_MAX;
    for (uint32_t i = 0; i < target->address_count; i++)
        target->addresses[i] = endpoint->addresses[i];
    if (target->kind >= PROBE_HTTP)
        return true;
    take_secret(secrets, endpoint->slot, endpoint->generation, target);
    target->tls = endpoint->tls != 0;
    return !target->tls || bank_tls(view, endpoint->tls - 1, &target->tls_settings);
}

/* What the checks of the program alone need to know besides. */
static bool take_rest(const struct bank_view *view, const struct service_view *service,
                      uint32_t index, uint8_t check, int secrets, struct probe_target *target)
{
    struct endpoint_label label;

    if (target->check.secret)
        take_secret(secrets, ENDPOINT_SLOTS_MAX + check, target->check.secret, target);
    if (target->check.tls && !bank_tls(view, target->check.tls - 1, &target->tls_settings))
        return false;
    if (target->kind == PROBE_HTTP)
        return true;
    if (!bank_label(view, service->first_endpoint + index, &label))
        return false;
    text_copy(target->host, sizeof(target->host), label.host);
    if (target->kind == PROBE_EXEC) {
        text_copy(target->service, sizeof(target->service), service->settings.name);
        text_copy(target->endpoint, sizeof(target->endpoint), label.name);
    }
    return true;
}

bool describe_check(const struct bank_view *view, const struct service_view *service,
                    uint32_t index, const struct endpoint_settings *endpoint, uint8_t check,
                    int secrets, struct described *out)
{
    struct probe_target *target = &out->target;

    memset(out, 0, sizeof(*out));
    out->rules = endpoint->health;
    memset(&out->rules.probe, 0, sizeof(out->rules.probe));
    out->rules.enabled = true; /* failback.probe asks also where health does not */
    if (!(check & CHECK_BUILT_IN)) {
        if (!take_block(view, check, out))
            return false;
    } else {
        target->kind = (check & ~CHECK_BUILT_IN) <= PROBE_ROLE
                           ? (enum probe_kind)(check & ~CHECK_BUILT_IN)
                           : PROBE_PING;
    }
    make_sane(&out->rules);
    if (target->kind == PROBE_ROLE)
        target->role = (enum role_wanted)endpoint->health.role;
    out->rules.role = 0;
    /* One over HTTP goes where the check says, once for all endpoints. */
    if (target->kind != PROBE_HTTP && !take_server(view, endpoint, secrets, target))
        return false;
    return target->kind < PROBE_HTTP || take_rest(view, service, index, check, secrets, target);
}
