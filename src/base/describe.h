/* describe: addresses as text where inet_ntop() may not be called: look-ups, the log, events.
 * [hook]
 */
#ifndef BASE_DESCRIBE_H
#define BASE_DESCRIBE_H

#include "base/address.h"

/* "10.0.0.5" or "fd00:0:0:0:0:0:0:5" (valid for getaddrinfo; not the short form). Returns `out`. */
const char *describe_ip(const struct address *address, char out[static ADDRESS_IP_TEXT]);

/* With the port: "10.0.0.5:6379", "[fd00:0:0:0:0:0:0:5]:6379". Returns `out`. */
const char *describe_address(const struct address *address, char out[static ADDRESS_TEXT]);

#endif
