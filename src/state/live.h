/*
 * live: the words of the live part that have an inner structure, and who may write them.
 * Pure packing and unpacking; [hook].
 *
 *   service.active   {epoch:32, 0:16, slot+1:16}; by CAS, epoch + 1 each time; slot+1 = 0: none.
 *   service.mode     {until_ms:48 (CLOCK_BOOTTIME, 0 = no end), mode:16}; 0: as configured. Last
 *                    writer wins: it is the operator.
 *   service.held     {generation:32, 0:16, slot+1:16} of the endpoint that the operator has
 * switched to; means something while the mode is RUNTIME_MANUAL. Stored before the mode.
 *   service.challenger {slot+1:16, since ms:48 (CLOCK_BOOTTIME)}; 0: nobody is faster. Whoever
 *                    decides keeps it; a lost update costs the challenger a moment.
 *   endpoint.census  {steered:32, connections:32}: counted when so many had been steered. By the
 *                    holder of the lease.
 *   last_switch      {from+1:16, to+1:16, reason:16, epoch:16}, last_switch_ms {wall ms:48,
 * epoch:16}: written by the winner of the CAS on `active`; a reader believes them when the epochs
 * agree.
 */
#ifndef STATE_LIVE_H
#define STATE_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/choose.h"
#include "state/layout.h"

struct active {
    uint32_t epoch;
    uint32_t slot; /* NO_SLOT: none */
};
struct active active_unpack(uint64_t word);
uint64_t active_pack(struct active active);

enum runtime_mode { RUNTIME_NONE, RUNTIME_AUTO, RUNTIME_OBSERVE, RUNTIME_OFF, RUNTIME_MANUAL };
uint64_t runtime_mode_pack(enum runtime_mode mode, uint64_t until_boot_ms);
enum runtime_mode runtime_mode_unpack(uint64_t mode_word, uint64_t *until_boot_ms);
/* The mode in force: the operator's, unless it has run out, else the file's. */
enum service_mode service_mode_now(uint64_t mode_word, enum service_mode configured,
                                   uint64_t now_ns);
/* True of a mode word: the operator has said nothing, as nearly always. */
static inline bool mode_is_unset(uint64_t mode_word)
{
    return mode_word == 0;
}

struct held {
    uint32_t slot; /* NO_SLOT: the operator leaves the choice to us */
    uint32_t generation;
};
uint64_t held_pack(struct held held);
struct held held_unpack(uint64_t word);
/* The endpoint that new connections are to go to while it is well. */
struct held service_held(const struct service_live *live, uint64_t now_ns);
/* Held until `until_boot_ms` (0: until the operator says otherwise). */
void service_hold(struct service_live *live, struct held held, uint64_t until_boot_ms);

struct challenger {
    uint32_t slot; /* NO_SLOT: none */
    uint64_t since_ms;
};
struct challenger challenger_unpack(uint64_t word);
uint64_t challenger_pack(struct challenger challenger);

/* Connections of this host to the endpoint, as far as is known: counted, and steered since. */
uint32_t live_connections(const struct endpoint_live *live);
void live_count_connections(struct endpoint_live *live, uint32_t connections);

struct last_switch {
    uint64_t wall_ms;
    uint32_t from, to; /* slots; NO_SLOT: none */
    enum choice_reason reason;
};
void last_switch_write(struct service_live *live, struct last_switch what, uint32_t epoch);
bool last_switch_read(const struct service_live *live,
                      struct last_switch *out); /* false: none yet */

/* What went wrong last: an errno of a connection, or LAST_ERROR_CHECK + enum check_cause. */
enum { LAST_ERROR_CHECK = 0x1000 };
uint64_t last_error_pack(int error, uint64_t wall_ns);
int last_error_unpack(uint64_t word, uint64_t *wall_ms); /* 0 = none yet */
/* The words for a failed check; NULL when `error` is an errno. */
const char *last_error_check_text(int error);

/* For words that only ever grow: a late writer with an old value changes nothing. */
void live_raise(atomic_u64 *word, uint64_t value);

#endif
