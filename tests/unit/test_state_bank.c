/* Reading settings: what the tables answer, and that nothing written there can crash a reader. */
#include "state/bank.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "state/decision.h"
#include "state/events.h"
#include "state_world.h"

static struct segment segment;
static struct bank_view view;

static void open_world(struct world *world)
{
    world_publish(world);
    segment = world_attach(world);
    ck_assert(bank_open(&segment, &view));
}

/* The entries for an address, by kind; a bit set of services. */
static uint32_t services_of(const char *ip, enum ip_kind kind)
{
    struct address address = world_address(ip, 0);
    struct ip_entry entry;
    uint32_t found = 0;

    for (uint32_t at = bank_ip_first(&view, &address); at != 0; at = entry.next) {
        ck_assert(bank_ip(&view, at, &entry));
        if (entry.kind == (uint8_t)kind && address_same_ip(&entry.address, &address))
            found |= 1u << entry.service;
    }
    ck_assert(found == 0 || bank_may_have_ip(&segment, address_hash_ip(&address)));
    return found;
}

static int service_of_name(const char *name)
{
    uint64_t hash = hash_bytes(name, strlen(name));
    struct match_settings match;

    for (uint32_t at = bank_name_first(&view, hash); at != 0; at = match.next) {
        ck_assert(bank_match(&view, at - 1, &match));
        if (match.hash == hash && strcmp(match.host, name) == 0)
            return (int)match.service;
    }
    return -1;
}

START_TEST(addresses_find_their_services)
{
    struct world *world = world_new();

    world_add_ip_match(world_add_service(world, "a", 3), "192.0.2.5", 6380);
    world_add_ip_match(world_add_service(world, "b", 3), "2001:db8::5", 6379);
    world_add_ip_match(world_add_service(world, "c", 3), "192.0.2.5", 6381);
    world->services[1].settings.resolve = RESOLVE_VIRTUAL;
    world->services[2].settings.resolve = RESOLVE_REAL;
    world_add_endpoint(&world->services[0], "shared", "10.3.3.3", 7000);
    open_world(world);

    ck_assert_uint_eq(services_of("192.0.2.5", IP_MATCH), 1 << 0 | 1 << 2);
    ck_assert_uint_eq(services_of("2001:db8::5", IP_MATCH), 1 << 1);
    ck_assert_uint_eq(services_of("10.0.0.2", IP_MEMBER), 1 << 0);
    ck_assert_uint_eq(services_of("10.1.0.2", IP_MEMBER), 0); /* virtual: look-ups give none */
    ck_assert_uint_eq(services_of("10.2.0.2", IP_MEMBER), 0); /* real: matches alone count */
    ck_assert_uint_eq(services_of("192.0.2.6", IP_MATCH), 0);
}
END_TEST

START_TEST(address_of_two_services_leads_to_both)
{
    struct world *world = world_new();

    world_add_endpoint(world_add_service(world, "a", 1), "x", "10.9.9.9", 7000);
    world_add_endpoint(world_add_service(world, "b", 1), "x", "10.9.9.9", 7000);
    open_world(world);
    ck_assert_uint_eq(services_of("10.9.9.9", IP_MEMBER), 3);
}
END_TEST

START_TEST(past_address_still_leads_to_its_endpoint)
{
    struct world *world = world_new();

    world_add_service(world, "a", 1);
    world_publish(world);
    world->endpoints[0][0].settings.addresses[0] = world_address("10.8.8.8", 7000);
    open_world(world);
    ck_assert_uint_eq(services_of("10.8.8.8", IP_MEMBER), 1);
    ck_assert_uint_eq(services_of("10.0.0.1", IP_MEMBER), 1);
}
END_TEST

/* An address of "a" has become one of "b": in a look-up "b" comes first, however they are told. */
static void expect_to_mean_b(const char *ip)
{
    struct address address = world_address(ip, 0);
    struct ip_entry entry;
    uint32_t at = bank_ip_first(&view, &address);

    while (bank_ip(&view, at, &entry) && !address_same_ip(&entry.address, &address))
        at = entry.next;
    ck_assert_uint_eq(entry.service, 1);
    at = entry.next;
    while (bank_ip(&view, at, &entry) && !address_same_ip(&entry.address, &address))
        at = entry.next;
    ck_assert_uint_eq(entry.service, 0); /* for who has the address of "a" alone */
    ck_assert_uint_eq(entry.endpoint, 0);
}

START_TEST(past_address_of_one_service_comes_behind_the_present_one_of_another)
{
    struct world *world = world_new();

    world_add_service(world, "a", 1);
    world_add_service(world, "b", 2);
    world_publish(world);
    world->endpoints[0][0].settings.addresses[0] = world_address("10.0.0.9", 7000);
    world->endpoints[1][1].settings.addresses[0] = world_address("10.0.0.1", 7000);
    open_world(world);
    expect_to_mean_b("10.0.0.1");

    world->endpoints[1][1].settings.addresses[0] = world_address("10.0.0.8", 7000);
    world_add_ip_match(&world->services[1], "10.0.0.9", 6379);
    world->endpoints[0][0].settings.addresses[0] = world_address("10.0.0.7", 7000);
    open_world(world);
    expect_to_mean_b("10.0.0.9");
}
END_TEST

START_TEST(virtual_address_leads_to_its_service)
{
    struct world *world = world_new();
    struct ip_entry entry;
    struct service_settings settings;

    world_add_service(world, "a", 1)->settings.resolve = RESOLVE_VIRTUAL;
    open_world(world);
    ck_assert(bank_service(&view, 0, &settings));
    ck_assert(bank_ip(&view, bank_ip_first(&view, &settings.virtual_address), &entry));
    ck_assert_int_eq(entry.kind, IP_VIRTUAL);
    ck_assert(entry.any_port);
}
END_TEST

START_TEST(most_strange_addresses_are_told_by_one_probe)
{
    struct world *world = world_new();
    unsigned maybe = 0;

    world_add_service(world, "a", 8);
    open_world(world);
    for (unsigned i = 0; i < 1000; i++) {
        struct address address = world_address("172.16.0.0", 0);

        address.ip[14] = (uint8_t)(i >> 8);
        address.ip[15] = (uint8_t)i;
        maybe += bank_may_have_ip(&segment, address_hash_ip(&address));
    }
    ck_assert_uint_lt(maybe, 650); /* the table is half full at most */
}
END_TEST

START_TEST(names_find_their_services)
{
    struct world *world = world_new();

    for (unsigned i = 0; i < 50; i++) {
        char name[8] = {'s', (char)('0' + i / 10), (char)('0' + i % 10)};

        world_add_service(world, name, 1);
    }
    open_world(world);
    ck_assert_int_eq(service_of_name("s00.internal"), 0);
    ck_assert_int_eq(service_of_name("s49.internal"), 49);
    ck_assert_int_eq(service_of_name("s50.internal"), -1);
}
END_TEST

START_TEST(slot_has_a_name_until_the_next_but_one_publication)
{
    struct world *world = world_new();
    char name[NAME_TEXT];
    uint32_t slot;

    world_add_service(world, "a", 2);
    open_world(world);
    slot = world->endpoints[0][1].settings.slot;
    ck_assert(bank_slot_name(&segment, slot, name));
    ck_assert_str_eq(name, "e1");
    world->services[0].endpoint_count = 1;
    world_publish(world);
    ck_assert(bank_slot_name(&segment, slot, name));
    ck_assert_str_eq(name, "e1");
    world->services[0].settings.mode = MODE_OFF;
    world_publish(world);
    ck_assert(!bank_slot_name(&segment, slot, name));
    ck_assert_str_eq(name, "");
}
END_TEST

START_TEST(copies_count_until_the_next_publication)
{
    struct world *world = world_new();

    world_add_service(world, "a", 2);
    open_world(world);
    ck_assert(bank_valid(&view));
    world->services[0].settings.mode = MODE_OFF;
    world_publish(world);
    ck_assert(!bank_valid(&view));
    ck_assert(bank_open(&segment, &view));
    ck_assert(bank_valid(&view));
}
END_TEST

/* ---- hostile content ---- */

/*
 * Everything that a program does with a segment, with nothing taken for granted. The values read
 * are of no interest: that the process lives is (and the sanitizers').
 */
static void use_everything(const struct segment *any)
{
    struct bank_view now;
    struct service_view *service = malloc(sizeof(*service));
    struct bank *front = malloc(sizeof(*front));
    struct address address = world_address("10.0.0.1", 7000);
    struct endpoint_label label;
    struct match_settings match;
    struct ip_entry entry;
    struct event event;
    char name[NAME_TEXT];

    bank_may_have_ip(any, address_hash_ip(&address));
    bank_slot_name(any, 0, name);
    event_write(any, &(struct event){.type = EVENT_CHECK});
    for (uint64_t i = 0; i < 3; i++)
        event_read(any, i, &event);
    if (bank_open(any, &now)) {
        bank_front(&now, front);
        for (uint32_t at = bank_ip_first(&now, &address); bank_ip(&now, at, &entry);)
            at = entry.next;
        for (uint32_t at = bank_name_first(&now, 1); at && bank_match(&now, at - 1, &match);)
            at = match.next;
        for (uint32_t i = 0; i < 4; i++) {
            if (!service_read(&now, i, service))
                continue;
            service_decide(service, UINT64_C(1) << 40);
            service_report(service, i, 111, 1000, UINT64_C(1) << 40);
            for (uint32_t e = 0; e < service->count; e++)
                if (bank_label(&now, service->first_endpoint + e, &label))
                    ck_assert_uint_lt(strlen(label.host), sizeof(label.host));
        }
    }
    free(service);
    free(front);
}

/* The same bytes in private memory that ends where the segment ends, so that one byte too far hits
   the guard page. */
static struct segment private_copy(const struct segment *of)
{
    struct segment copy = *of;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *base;

    base = mmap(NULL, of->size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(base != MAP_FAILED);
    ck_assert_int_eq(mprotect(base, of->size, PROT_READ | PROT_WRITE), 0);
    memcpy(base, of->head, of->size - of->live_size);
    memcpy(base + of->size - of->live_size, of->live, of->live_size);
    copy.head = (const void *)base;
    copy.live = base + of->size - of->live_size;
    return copy;
}

static void flip_and_use(size_t from, size_t to, uint64_t seed, unsigned rounds)
{
    struct segment copy = private_copy(&segment);
    unsigned char *good = malloc(segment.size);
    unsigned char *bytes = copy.live - (segment.size - segment.live_size);

    memcpy(good, bytes, segment.size);
    for (unsigned round = 0; round < rounds; round++) {
        unsigned flips = 1 + unit_below(&seed, 8);

        for (unsigned i = 0; i < flips; i++) {
            size_t at = from + unit_below(&seed, (unsigned)(to - from));

            bytes[at] ^= (unsigned char)(1u << unit_below(&seed, 8));
        }
        use_everything(&copy);
        memcpy(bytes, good, segment.size);
    }
    free(good);
}

static void open_small_world(void)
{
    struct world *world = world_new();

    world_add_ip_match(world_add_service(world, "a", 3), "192.0.2.5", 6380);
    world_add_service(world, "b", 2)->settings.resolve = RESOLVE_VIRTUAL;
    open_world(world);
}

START_TEST(flipped_bits_in_the_bank_crash_nobody)
{
    size_t bank;

    open_small_world();
    bank = segment.bank_at[view.sequence & 1];
    flip_and_use(bank, bank + 128, 1, 3000); /* the counts and offsets */
    flip_and_use(bank + sizeof(struct bank), bank + view.size, 2, 3000);
}
END_TEST

START_TEST(flipped_bits_in_live_state_crash_nobody)
{
    open_small_world();
    flip_and_use(segment.size - segment.live_size, segment.size, 3, 3000);
}
END_TEST

START_TEST(random_bank_crashes_nobody)
{
    struct segment copy;
    unsigned char *bank;
    uint64_t seed = 4;

    open_small_world();
    copy = private_copy(&segment);
    bank = copy.live - (segment.size - segment.live_size) + segment.bank_at[view.sequence & 1];
    for (unsigned round = 0; round < 300; round++) {
        /* The front stays sound in half of the rounds, so that the rest is reached. */
        for (size_t i = round % 2 ? sizeof(struct bank) : 0; i < segment.bank_size; i++)
            bank[i] = (unsigned char)unit_random(&seed);
        use_everything(&copy);
        memcpy(bank, view.base, sizeof(struct bank));
    }
}
END_TEST

START_TEST(circle_in_a_chain_ends)
{
    struct address address = world_address("10.0.0.1", 0);
    struct ip_entry *entries;
    struct segment copy;
    unsigned steps = 0;
    struct ip_entry entry;
    void *at;

    open_small_world();
    copy = private_copy(&segment);
    ck_assert(bank_open(&copy, &view));
    at = copy.live - (segment.size - segment.live_size) + copy.bank_at[view.sequence & 1] +
         view.ips_at;
    entries = at;
    for (uint32_t i = 0; i < view.ip_count; i++)
        entries[i].next = 1;
    for (uint32_t i = bank_ip_first(&view, &address); bank_ip(&view, i, &entry); i = entry.next)
        ck_assert_uint_lt(steps++, 100);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        addresses_find_their_services,
        address_of_two_services_leads_to_both,
        past_address_still_leads_to_its_endpoint,
        past_address_of_one_service_comes_behind_the_present_one_of_another,
        virtual_address_leads_to_its_service,
        most_strange_addresses_are_told_by_one_probe,
        names_find_their_services,
        copies_count_until_the_next_publication,
        slot_has_a_name_until_the_next_but_one_publication,
        flipped_bits_in_the_bank_crash_nobody,
        flipped_bits_in_live_state_crash_nobody,
        random_bank_crashes_nobody,
        circle_in_a_chain_ends,
    };

    return world_run("state_bank", tests, COUNT_OF(tests));
}
