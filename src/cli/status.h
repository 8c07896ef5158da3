/* status: the two faces of `redisteer status`. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <stdio.h>

#include "cli/connections.h"
#include "cli/overview.h"

/* True when the file is not in the state that was published, or gone. */
bool status_config_changed(const struct overview *overview);

/* Established connections of this host to the endpoint, at all its addresses. */
uint64_t status_connections(const struct endpoint_settings *endpoint,
                            const struct connections *connections);

/* `history`: with the last checks of each endpoint. */
void status_text(const struct overview *overview, const struct connections *connections,
                 bool history, FILE *out, bool colours);

/* One object and a newline. 0 or -ENOMEM. */
int status_json(const struct overview *overview, const struct connections *connections,
                bool history, FILE *out);

#endif
