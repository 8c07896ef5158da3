/*
 * tls_cause: what OpenSSL's numbers mean for whoever looks after the servers. Pure.
 */
#ifndef HEAVY_TLS_CAUSE_H
#define HEAVY_TLS_CAUSE_H

#include "policy/verdict.h"

/* Of SSL_get_verify_result(), which is not X509_V_OK. */
enum check_cause tls_cause_of_certificate(long result);

/* Of ERR_get_error(): an alert of the server, or what it said instead of TLS. 0: it hung up. */
enum check_cause tls_cause_of_error(unsigned long error);

#endif
