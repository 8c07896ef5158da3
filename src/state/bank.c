#include "state/bank.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"

enum {
    IPS_MAX =
        SERVICES_MAX * (MATCHES_MAX + 1 + ENDPOINTS_MAX * (ADDRESSES_MAX + PAST_ADDRESSES_MAX)),
    BUCKETS_MAX = 256 * 1024,
    TLS_MAX = ENDPOINT_SLOTS_MAX + CHECKS_MAX,
};
_Static_assert(IPS_MAX * 4 <= BUCKETS_MAX, "tables stay sparse");

static uint64_t load64(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static uint32_t load32(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static bool array_fits(uint32_t size, uint32_t at, uint32_t count, uint32_t most, size_t element)
{
    return at % 8 == 0 && count <= most && at + (uint64_t)count * element <= size;
}

/* A table has at least one bucket, and as many as a mask can name. */
static bool table_fits(uint32_t size, uint32_t at, uint32_t buckets)
{
    return at % 4 == 0 && buckets != 0 && (buckets & (buckets - 1)) == 0 &&
           buckets <= BUCKETS_MAX && at + (uint64_t)buckets * sizeof(uint32_t) <= size;
}

static bool open_at(const struct segment *segment, uint64_t sequence, struct bank_view *view)
{
    const struct bank *bank = bank_numbered(segment, sequence);
    uint64_t size = __atomic_load_n(&bank->size, __ATOMIC_RELAXED);
    uint32_t ip_buckets = load32(&bank->ip_buckets);
    uint32_t name_buckets = load32(&bank->name_buckets);

    if (size < sizeof(struct bank) || size > segment->bank_size)
        return false;
    view->base = (const void *)bank;
    view->segment = segment;
    view->sequence = sequence;
    view->size = (uint32_t)size;
    view->service_count = load32(&bank->service_count);
    view->services_at = load32(&bank->services_at);
    view->endpoint_count = load32(&bank->endpoint_count);
    view->endpoints_at = load32(&bank->endpoints_at);
    view->labels_at = load32(&bank->labels_at);
    view->match_count = load32(&bank->match_count);
    view->matches_at = load32(&bank->matches_at);
    view->ip_count = load32(&bank->ip_count);
    view->ips_at = load32(&bank->ips_at);
    view->ip_mask = ip_buckets - 1;
    view->ip_table_at = load32(&bank->ip_table_at);
    view->name_mask = name_buckets - 1;
    view->name_table_at = load32(&bank->name_table_at);
    view->check_count = load32(&bank->check_count);
    view->checks_at = load32(&bank->checks_at);
    view->tls_count = load32(&bank->tls_count);
    view->tls_at = load32(&bank->tls_at);
    view->discover_count = load32(&bank->discover_count);
    view->discovers_at = load32(&bank->discovers_at);

    return array_fits(view->size, view->services_at, view->service_count, SERVICES_MAX,
                      sizeof(struct service_settings)) &&
           array_fits(view->size, view->endpoints_at, view->endpoint_count, ENDPOINT_SLOTS_MAX,
                      sizeof(struct endpoint_settings)) &&
           array_fits(view->size, view->labels_at, view->endpoint_count, ENDPOINT_SLOTS_MAX,
                      sizeof(struct endpoint_label)) &&
           array_fits(view->size, view->matches_at, view->match_count, SERVICES_MAX * MATCHES_MAX,
                      sizeof(struct match_settings)) &&
           array_fits(view->size, view->ips_at, view->ip_count, IPS_MAX, sizeof(struct ip_entry)) &&
           array_fits(view->size, view->checks_at, view->check_count, CHECKS_MAX,
                      sizeof(struct check_settings)) &&
           array_fits(view->size, view->tls_at, view->tls_count, TLS_MAX,
                      sizeof(struct tls_settings)) &&
           array_fits(view->size, view->discovers_at, view->discover_count, SERVICES_MAX,
                      sizeof(struct discover_settings)) &&
           table_fits(view->size, view->ip_table_at, ip_buckets) &&
           table_fits(view->size, view->name_table_at, name_buckets);
}

bool bank_open(const struct segment *segment, struct bank_view *view)
{
    return open_at(segment, bank_sequence(segment), view);
}

bool bank_valid(const struct bank_view *view)
{
    return bank_sequence_is(view->segment, view->sequence);
}

/* ---- copies, made safe for whoever takes them at their word ---- */

#define END_TEXT(text) ((text)[sizeof(text) - 1] = '\0')

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

static void copy_element(const struct bank_view *view, uint32_t at, uint32_t index, void *out,
                         size_t size)
{
    shared_read(out, view->base + at + index * size, size);
}

bool bank_service(const struct bank_view *view, uint32_t index, struct service_settings *out)
{
    if (index >= view->service_count)
        return false;
    copy_element(view, view->services_at, index, out, sizeof(*out));
    END_TEXT(out->name);
    return out->endpoint_count <= ENDPOINTS_MAX && out->match_count <= MATCHES_MAX &&
           out->strategy <= STRATEGY_COMMAND && out->resolve <= RESOLVE_REAL &&
           out->mode <= MODE_OFF && out->when_all_down <= ALL_DOWN_WAIT &&
           out->failover.existing <= EXISTING_CLOSE;
}

bool bank_service_named(const struct bank_view *view, const char *name,
                        struct service_settings *out)
{
    for (uint32_t i = 0; bank_service(view, i, out); i++)
        if (text_equal(out->name, name))
            return true;
    return false;
}

bool bank_endpoint(const struct bank_view *view, uint32_t index, struct endpoint_settings *out)
{
    if (index >= view->endpoint_count)
        return false;
    copy_element(view, view->endpoints_at, index, out, sizeof(*out));
    out->address_count = at_most(out->address_count, ADDRESSES_MAX);
    out->past_count = at_most(out->past_count, PAST_ADDRESSES_MAX);
    return true;
}

uint32_t bank_addresses(const struct bank_view *view, uint32_t index,
                        struct address out[static ADDRESSES_MAX])
{
    const unsigned char *element;
    const void *count;
    uint32_t found;

    if (index >= view->endpoint_count)
        return 0;
    element = view->base + view->endpoints_at + index * sizeof(struct endpoint_settings);
    count = element + offsetof(struct endpoint_settings, address_count);
    found = at_most(load32(count), ADDRESSES_MAX);
    element += offsetof(struct endpoint_settings, addresses);
    for (uint32_t i = 0; i < found; i++, element += sizeof(*out))
        shared_read(&out[i], element, sizeof(*out));
    return found;
}

/* An endpoint whose name did not resolve has no address, and so no port to compare. */
static bool same_port(const struct endpoint_settings *a, const struct endpoint_settings *b)
{
    return a->address_count == 0 || b->address_count == 0 ||
           a->addresses[0].port == b->addresses[0].port;
}

bool bank_same_endpoint(const struct endpoint_settings *a, const struct endpoint_label *a_label,
                        const struct endpoint_settings *b, const struct endpoint_label *b_label)
{
    return text_equal(a_label->name, b_label->name) && text_equal(a_label->host, b_label->host) &&
           same_port(a, b);
}

bool bank_brief(const struct bank_view *view, uint32_t index, struct endpoint_brief *out)
{
    if (index >= view->endpoint_count)
        return false;
    shared_read(out, view->base + view->endpoints_at + index * sizeof(struct endpoint_settings),
                sizeof(*out));
    return true;
}

bool bank_label(const struct bank_view *view, uint32_t index, struct endpoint_label *out)
{
    if (index >= view->endpoint_count)
        return false;
    copy_element(view, view->labels_at, index, out, sizeof(*out));
    END_TEXT(out->name);
    END_TEXT(out->zone);
    END_TEXT(out->host);
    END_TEXT(out->source);
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        END_TEXT(out->ip_text[i]);
    return true;
}

/* A copy in which every word ends within `text`. */
static bool words_end(struct check_settings *check)
{
    size_t at = 0;

    END_TEXT(check->text);
    for (unsigned i = 0; i < check->words; i++) {
        if (at >= sizeof(check->text))
            return false;
        at += strlen(check->text + at) + 1;
    }
    return true;
}

bool bank_check(const struct bank_view *view, uint32_t index, struct check_settings *out)
{
    if (index >= view->check_count)
        return false;
    copy_element(view, view->checks_at, index, out, sizeof(*out));
    END_TEXT(out->name);
    END_TEXT(out->expected);
    return out->kind < PROBE_KINDS && out->words <= CHECK_WORDS_MAX && words_end(out);
}

bool bank_tls(const struct bank_view *view, uint32_t index, struct tls_settings *out)
{
    if (index >= view->tls_count)
        return false;
    copy_element(view, view->tls_at, index, out, sizeof(*out));
    END_TEXT(out->ca);
    END_TEXT(out->cert);
    END_TEXT(out->key);
    END_TEXT(out->server_name);
    return true;
}

bool bank_discover(const struct bank_view *view, uint32_t index, struct discover_settings *out)
{
    if (index >= view->discover_count)
        return false;
    copy_element(view, view->discovers_at, index, out, sizeof(*out));
    END_TEXT(out->master_name);
    END_TEXT(out->srv);
    for (unsigned i = 0; i < SENTINELS_MAX; i++)
        END_TEXT(out->hosts[i]);
    for (unsigned i = 0; i < NAT_MAX; i++)
        END_TEXT(out->nat[i].host);
    return out->count <= SENTINELS_MAX && out->nat_count <= NAT_MAX;
}

static bool find_slot(const struct bank_view *view, uint32_t slot, char name[static NAME_TEXT])
{
    SHARED64 char copy[NAME_TEXT];
    struct endpoint_brief brief;

    for (uint32_t i = 0; bank_brief(view, i, &brief); i++) {
        if (brief.slot != slot)
            continue;
        /* The name alone, which begins the label: hooks run on small stacks. */
        shared_read(copy, view->base + view->labels_at + i * sizeof(struct endpoint_label),
                    sizeof(copy));
        END_TEXT(copy);
        text_copy(name, NAME_TEXT, copy);
        return true;
    }
    return false;
}

bool bank_slot_name(const struct segment *segment, uint32_t slot, char name[static NAME_TEXT])
{
    uint64_t sequence = bank_sequence(segment);
    struct bank_view view;
    bool found;

    found = open_at(segment, sequence, &view) && find_slot(&view, slot, name);
    if (!found && open_at(segment, sequence - 1, &view) && find_slot(&view, slot, name)) {
        /* Whoever rewrites that bank sets its size to 0 first. */
        const struct bank *before = bank_numbered(segment, sequence - 1);

        fence_after_copying();
        found = __atomic_load_n(&before->size, __ATOMIC_RELAXED) == view.size;
    }
    if (found && bank_sequence_is(segment, sequence))
        return true;
    name[0] = '\0';
    return false;
}

/* A chain leads forwards only: following it ends, whatever is written there. */
static bool leads_forwards(uint32_t next, uint32_t index)
{
    return next == 0 || next > index + 1;
}

bool bank_match(const struct bank_view *view, uint32_t index, struct match_settings *out)
{
    if (index >= view->match_count)
        return false;
    copy_element(view, view->matches_at, index, out, sizeof(*out));
    END_TEXT(out->host);
    return leads_forwards(out->next, index);
}

uint64_t bank_refresh_ns(const struct bank_view *view)
{
    const void *bank = view->base;

    return load64(&((const struct bank *)bank)->refresh_ns);
}

uint32_t bank_monitor(const struct bank_view *view)
{
    const void *bank = view->base;

    return load32(&((const struct bank *)bank)->monitor);
}

bool bank_needs_program(const struct bank_view *view)
{
    const void *bank = view->base;

    return load32(&((const struct bank *)bank)->needs_program) != 0;
}

bool bank_endpoint_needs_program(const struct bank_view *view, uint32_t index)
{
    const void *word;

    if (index >= view->endpoint_count)
        return false;
    word = view->base + view->endpoints_at + index * sizeof(struct endpoint_settings) +
           offsetof(struct endpoint_settings, needs_program);
    return load32(word) != 0;
}

void bank_front(const struct bank_view *view, struct bank *out)
{
    shared_read(out, view->base, sizeof(*out));
    END_TEXT(out->path);
    END_TEXT(out->instance);
    END_TEXT(out->zone);
    out->only_count = at_most(out->only_count, PROGRAMS_MAX);
    out->skip_count = at_most(out->skip_count, PROGRAMS_MAX);
    for (unsigned i = 0; i < PROGRAMS_MAX; i++) {
        END_TEXT(out->only[i]);
        END_TEXT(out->skip[i]);
    }
}

struct file_stamp bank_file_stamp(const struct bank *front)
{
    return (struct file_stamp){
        .mtime_ns = front->file_mtime_ns,
        .size = front->file_size,
        .inode = front->file_inode,
    };
}

static uint32_t table_word(const struct bank_view *view, uint32_t at, uint64_t bucket)
{
    const void *table = view->base + at;

    return load32((const uint32_t *)table + bucket);
}

uint32_t bank_ip_first(const struct bank_view *view, const struct address *address)
{
    return table_word(view, view->ip_table_at, address_hash_ip(address) & view->ip_mask);
}

bool bank_ip(const struct bank_view *view, uint32_t entry, struct ip_entry *out)
{
    if (entry == 0 || entry > view->ip_count)
        return false;
    copy_element(view, view->ips_at, entry - 1, out, sizeof(*out));
    return leads_forwards(out->next, entry - 1);
}

uint32_t bank_name_first(const struct bank_view *view, uint64_t hash)
{
    return table_word(view, view->name_table_at, hash & view->name_mask);
}
