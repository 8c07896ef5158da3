/*
 * state_world: a private runtime directory on /dev/shm and settings to publish there, for the tests
 * of src/state. Everything lies under one directory that world_run() removes at the end, even when
 * a test died.
 */
#ifndef STATE_WORLD_H
#define STATE_WORLD_H

#include "state/publish.h"
#include "unit.h"

enum { WORLD_SERVICES = SERVICES_MAX };

struct world {
    struct place place;
    struct publication publication;
    struct publish_service services[WORLD_SERVICES];
    struct publish_endpoint endpoints[WORLD_SERVICES][ENDPOINTS_MAX];
    struct match_settings matches[WORLD_SERVICES][MATCHES_MAX];
};

/* unit_run() between making and removing the directory. */
int world_run(const char *name, const TTest *const tests[], size_t count);

/* An empty world in a new directory. It is never freed: a test is a process. */
struct world *world_new(void);

/* Endpoint i: "e<i>", 10.<service>.0.<i+1>:7000+i, weight 1000 - i. Match "<name>.internal". */
struct publish_service *world_add_service(struct world *world, const char *name,
                                          unsigned endpoints);
void world_add_endpoint(struct publish_service *service, const char *name, const char *ip,
                        uint16_t port);
void world_add_ip_match(struct publish_service *service, const char *ip, uint16_t port);

struct address world_address(const char *ip, uint16_t port);

/* Both insist on success. */
enum publish_result world_publish(struct world *world);
struct segment world_attach(const struct world *world);

#endif
