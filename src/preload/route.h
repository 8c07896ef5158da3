/*
 * route: which service, if any, an address or a name means to the program.
 *
 * An address means a service when `match` lists it, when it is the service's virtual address, or
 * when it is an endpoint's address that a look-up of one of the service's names led this process
 * to, with a port of that name or the endpoint's own. Everything else is the program's own
 * business. All [hook].
 */
#ifndef PRELOAD_ROUTE_H
#define PRELOAD_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "state/bank.h"
#include "state/decision.h"

/* The service that `destination` means, copied out. */
bool route_address(const struct segment *segment, const struct address *destination,
                   struct service_view *out);

struct named_service {
    struct service_view service;
    uint64_t name_hash;
    char name[ADDRESS_HOST_TEXT]; /* normalised */
};

/*
 * The service that the name means for `port`; 0: the program has not said, the first that has the
 * name. Names of services that are off or resolve `real` mean nothing.
 */
bool route_name(const struct segment *segment, const char *name, uint16_t port,
                struct named_service *out);

/* The name of endpoint `index`, for the log. */
void route_endpoint_name(const struct service_view *service, unsigned index,
                         char out[static NAME_TEXT]);

/* The service and endpoint that live in these slots, as track.h remembers them. */
bool route_slots(const struct segment *segment, uint32_t service_slot, uint32_t endpoint_slot,
                 uint32_t generation, struct service_view *out, unsigned *index);

#endif
