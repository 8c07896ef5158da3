/*
 * bank: reading the settings in force, consistently and without waiting.
 *
 *     struct bank_view view;
 *     do {
 *         if (!bank_open(segment, &view)) return;     (superseded garbage: give up, fail open)
 *         ... bank_service(&view, i, &service) ...    (copies; false when out of bounds)
 *     } while (!bank_valid(&view) && ++tries < 3);
 *
 * A copy may be torn while the bank is rewritten under the reader; bank_valid() then says so. Until
 * it has said yes nothing copied may be believed, but nothing crashes: all indexes are checked. All
 * functions are [hook].
 */
#ifndef STATE_BANK_H
#define STATE_BANK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hints.h"
#include "state/fence.h"
#include "state/place.h"
#include "state/segment.h"

struct bank_view {
    const unsigned char *base;
    const struct segment *segment;
    uint64_t sequence;
    uint32_t size; /* bytes that may be read from base */
    /* Checked against size by bank_open(). */
    uint32_t service_count, services_at;
    uint32_t endpoint_count, endpoints_at;
    uint32_t labels_at;
    uint32_t match_count, matches_at;
    uint32_t ip_count, ips_at, ip_mask, ip_table_at;
    uint32_t name_mask, name_table_at;
    uint32_t check_count, checks_at;
    uint32_t tls_count, tls_at;
    uint32_t discover_count, discovers_at;
};

bool bank_open(const struct segment *segment, struct bank_view *view);
bool bank_valid(const struct bank_view *view);

bool bank_service(const struct bank_view *view, uint32_t index, struct service_settings *out);
/* The service of that name. False: there is none. */
bool bank_service_named(const struct bank_view *view, const char *name,
                        struct service_settings *out);
bool bank_endpoint(const struct bank_view *view, uint32_t index, struct endpoint_settings *out);
/* Copies the endpoint's addresses alone; how many. `out` is aligned to 8 (SHARED64). */
uint32_t bank_addresses(const struct bank_view *view, uint32_t index,
                        struct address out[static ADDRESSES_MAX]);
bool bank_brief(const struct bank_view *view, uint32_t index, struct endpoint_brief *out);
bool bank_label(const struct bank_view *view, uint32_t index, struct endpoint_label *out);
/* Of one service, in two publications: the same endpoint, by its name, host and port. */
bool bank_same_endpoint(const struct endpoint_settings *a, const struct endpoint_label *a_label,
                        const struct endpoint_settings *b, const struct endpoint_label *b_label);
/* A check block, and how a check speaks TLS; `index` as settings have it, less the 1 of `tls`. */
bool bank_check(const struct bank_view *view, uint32_t index, struct check_settings *out);
bool bank_tls(const struct bank_view *view, uint32_t index, struct tls_settings *out);
/* How a service's endpoints are found; `index` as settings have it, less the 1. */
bool bank_discover(const struct bank_view *view, uint32_t index, struct discover_settings *out);
bool bank_match(const struct bank_view *view, uint32_t index, struct match_settings *out);

/*
 * The name of the endpoint in live slot `slot`: by the settings in force, else by those before them
 * (an endpoint that was just removed). False, and "", when neither knows it.
 */
bool bank_slot_name(const struct segment *segment, uint32_t slot, char name[static NAME_TEXT]);

/* Who may check the endpoints (enum monitor). */
uint32_t bank_monitor(const struct bank_view *view);
/* Some check, or a selector, is beyond a program's thread. */
bool bank_needs_program(const struct bank_view *view);
/* An endpoint, by its index in the bank, is. */
bool bank_endpoint_needs_program(const struct bank_view *view, uint32_t index);
/* How often names are to be looked up again; 0 = there are none. */
uint64_t bank_refresh_ns(const struct bank_view *view);

/* Everything but the arrays: file stamp, path, instance, zone, programs. */
void bank_front(const struct bank_view *view, struct bank *out);
/* The configuration file as it was when that was read. */
struct file_stamp bank_file_stamp(const struct bank *front);

/* ---- inline, because every connect() of a program asks ---- */

/* Acquire: partner of the publisher's release, so that the bank is there when its number is. */
static inline uint64_t bank_sequence(const struct segment *segment)
{
    return atomic_load_explicit(&segment->head->sequence, memory_order_acquire);
}

/* Still, after the words that were read meanwhile. */
static inline bool bank_sequence_is(const struct segment *segment, uint64_t sequence)
{
    fence_after_copying();
    return load_relaxed(&segment->head->sequence) == sequence;
}

static inline const struct bank *bank_numbered(const struct segment *segment, uint64_t sequence)
{
    const void *head = segment->head;
    const void *bank = (const unsigned char *)head + segment->bank_at[sequence & 1];

    return bank;
}

/*
 * connect()'s first question, in front of bank_open(): is the IP with this address_hash_ip()
 * certainly not ours (false)? A handful of loads, inline; most connections of a host end here. Only
 * what the last of them needs is checked; bank_open() finds out what else is wrong.
 */
static inline bool bank_may_have_ip(const struct segment *segment, uint64_t ip_hash)
{
    uint64_t sequence = bank_sequence(segment);
    const struct bank *bank = bank_numbered(segment, sequence);
    uint64_t buckets = __atomic_load_n(&bank->ip_buckets, __ATOMIC_RELAXED);
    uint64_t table_at = __atomic_load_n(&bank->ip_table_at, __ATOMIC_RELAXED) & ~UINT64_C(3);
    uint64_t at = table_at + (ip_hash & (buckets - 1)) * sizeof(uint32_t);
    const void *bucket = (const unsigned char *)(const void *)bank + at;

    return UNLIKELY(at >= segment->bank_size) ||
           __atomic_load_n((const uint32_t *)bucket, __ATOMIC_RELAXED) != 0 ||
           !bank_sequence_is(segment, sequence);
}

/*
 * The fast question of connect(): may this IP (port aside) mean a service? One hash probe, no copy.
 * Returns index + 1 of the first entry of its bucket, 0 = certainly not ours.
 */
uint32_t bank_ip_first(const struct bank_view *view, const struct address *address);
bool bank_ip(const struct bank_view *view, uint32_t entry,
             struct ip_entry *out); /* entry = index + 1 */

/* The same for a normalised host name (text_host_name). */
uint32_t bank_name_first(const struct bank_view *view, uint64_t hash);

#endif
