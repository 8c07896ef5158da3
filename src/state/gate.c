#include "state/gate.h"

#include "base/clock.h"
#include "state/live.h"

void gate_store(struct endpoint_live *live, bool holds, enum check_cause cause, uint64_t now_ns)
{
    live_raise(&live->gate, now_ns / NS_PER_MS << 16 | (uint64_t)(uint8_t)cause << 8 | holds);
}

bool gate_holds(const struct endpoint_live *live, uint64_t lasts_ns, uint64_t now_ns,
                enum check_cause *cause)
{
    uint64_t word = load_relaxed(&live->gate);
    uint64_t at_ns = (word >> 16) * NS_PER_MS;
    bool fresh = word != 0 && (at_ns >= now_ns || now_ns - at_ns <= lasts_ns);

    if (cause)
        *cause = fresh ? (enum check_cause)(uint8_t)(word >> 8) : CHECK_FINE;
    return fresh && (word & 0xff) == 1;
}
