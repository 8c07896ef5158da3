#include "state_world.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

static char directory[64];
static unsigned worlds;

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

int world_run(const char *name, const TTest *const tests[], size_t count)
{
    int status;

    strcpy(directory, "/dev/shm/redisteer-unit-XXXXXX");
    if (!mkdtemp(directory) || chmod(directory, 0755) != 0) {
        perror(directory);
        return EXIT_FAILURE;
    }
    status = unit_run(name, tests, count);
    if (nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
        perror(directory);
    return status;
}

struct world *world_new(void)
{
    struct world *world =
        mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct place_request request = {.instance = "test", .create = true};
    char path[sizeof(directory) + 32];
    const char *why;

    ck_assert(world != MAP_FAILED);
    snprintf(path, sizeof(path), "%s/%d-%u", directory, (int)getpid(), worlds++);
    request.runtime_dir = path;
    ck_assert_int_eq(place_find(&world->place, &request, &why), 0);
    world->publication.services = world->services;
    world->publication.share_group = (gid_t)-1;
    text_copy(world->publication.front.instance, INSTANCE_TEXT, "test");
    return world;
}

struct address world_address(const char *ip, uint16_t port)
{
    struct address address;

    ck_assert_int_eq(address_parse_ip(ip, &address), 0);
    address.port = port;
    return address;
}

void world_add_endpoint(struct publish_service *service, const char *name, const char *ip,
                        uint16_t port)
{
    struct publish_endpoint *endpoint = &service->endpoints[service->endpoint_count++];

    memset(endpoint, 0, sizeof(*endpoint));
    endpoint->settings.addresses[0] = world_address(ip, port);
    endpoint->settings.address_count = 1;
    endpoint->settings.weight_milli = 1001 - service->endpoint_count;
    endpoint->settings.health = service->settings.health;
    text_copy(endpoint->label.name, NAME_TEXT, name);
    text_format(endpoint->label.host, ADDRESS_HOST_TEXT, "%s:%u", ip, (unsigned)port);
    text_copy(endpoint->label.ip_text[0], ADDRESS_IP_TEXT, ip);
}

void world_add_ip_match(struct publish_service *service, const char *ip, uint16_t port)
{
    struct match_settings *match = &service->matches[service->match_count++];

    text_copy(match->host, sizeof(match->host), ip);
    match->address = world_address(ip, port);
    match->port = port;
}

static void add_name_match(struct publish_service *service, const char *name)
{
    struct match_settings *match = &service->matches[service->match_count++];

    text_format(match->host, sizeof(match->host), "%s.internal", name);
    match->is_name = 1;
    match->port = 6379;
}

struct publish_service *world_add_service(struct world *world, const char *name, unsigned endpoints)
{
    uint32_t index = world->publication.service_count++;
    struct publish_service *service = &world->services[index];
    struct service_settings *settings = &service->settings;

    service->endpoints = world->endpoints[index];
    service->matches = world->matches[index];
    text_copy(settings->name, NAME_TEXT, name);
    settings->breaker = (struct breaker_rules){
        .window_ns = 10 * NS_PER_S,
        .slow_call_ns = NS_PER_S,
        .open_ns = NS_PER_S,
        .open_max_ns = 30 * NS_PER_S,
        .min_calls = 5,
        .failure_rate = 5000,
        .refused = 2,
        .timeouts = 2,
        .open_backoff_milli = 2000,
        .half_open_calls = 1,
        .half_open_successes = 2,
        .count = OUTCOME_BIT(OUTCOME_REFUSED) | OUTCOME_BIT(OUTCOME_TIMEOUT),
        .enabled = 1,
    };
    settings->failover.grace_ns = 60 * NS_PER_S;
    settings->failover.failback = 1;
    settings->failover.close_connections = 1;
    settings->health = (struct health_rules){
        .interval_ns = NS_PER_S,
        .fast_interval_ns = 200 * NS_PER_MS,
        .timeout_ns = NS_PER_S,
        .fall = 2,
        .rise = 2,
        .probes = 1,
        .enabled = 1,
        .probe = {.count = 1, .checks = {CHECK_BUILT_IN | PROBE_PING}},
    };
    for (unsigned i = 0; i < endpoints; i++) {
        char endpoint[16];
        char ip[32];

        snprintf(endpoint, sizeof(endpoint), "e%u", i);
        snprintf(ip, sizeof(ip), "10.%u.0.%u", (unsigned)index, i + 1);
        world_add_endpoint(service, endpoint, ip, (uint16_t)(7000 + i));
    }
    add_name_match(service, name);
    return service;
}

enum publish_result world_publish(struct world *world)
{
    enum publish_result result = PUBLISHED_NOTHING;
    const char *why;
    int error = publish(&world->place, &world->publication, &result, &why);

    ck_assert_msg(error == 0, "publish: %s: %s", strerror(-error), why);
    return result;
}

struct segment world_attach(const struct world *world)
{
    struct segment segment;
    const char *why;
    int error = segment_attach(&segment, &world->place, &why);

    ck_assert_msg(error == 0, "attach: %s: %s", strerror(-error), why);
    return segment;
}
