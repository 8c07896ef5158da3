/*
 * tls: TLS on a probe's connection, by OpenSSL. One thread of the process may use it.
 *
 * Contexts (CA, certificate, key) are kept for all connections of the same settings, and made anew
 * when one of the files has changed.
 */
#ifndef HEAVY_TLS_H
#define HEAVY_TLS_H

#include "probe/stream.h"

extern const struct stream_driver tls_driver;

#endif
