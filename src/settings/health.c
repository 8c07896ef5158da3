#include "settings/understand.h"

void understand_health(const struct reading *reading, const struct input *in,
                       struct health_rules *rules)
{
    rules->enabled = value_bool(in, "enabled", rules->enabled);
    understand_probe(reading, in, false, &rules->probe);
    rules->role = (uint8_t)value_word(in, "role", rules->role, &role_words);
    rules->interval_ns =
        value_duration(in, "interval", rules->interval_ns, 10 * NS_PER_MS, NS_PER_H);
    rules->fast_interval_ns =
        value_duration(in, "fast_interval", rules->fast_interval_ns, 10 * NS_PER_MS, NS_PER_H);
    rules->timeout_ns = value_duration(in, "timeout", rules->timeout_ns, NS_PER_MS, NS_PER_M);
    rules->fall = value_number(in, "fall", rules->fall, 1, 255);
    rules->rise = value_number(in, "rise", rules->rise, 1, 255);
    rules->probes = value_number(in, "probes", rules->probes, 1, 16);
    rules->policy = (uint8_t)value_word(in, "policy", rules->policy, &policy_words);
    rules->gap_ns = value_duration(in, "gap", rules->gap_ns, 0, NS_PER_M);
    rules->jitter = value_percent(in, "jitter", rules->jitter);
}
