/*
 * outline: which blocks and options stand where, checked against the grammar before libconfuse
 * reads them: unknown, misplaced and repeated ones, missing braces, signs and values.
 *
 * Each offending statement is complained about and blanked, so that libconfuse reads the rest and
 * its values can be judged in the same run.
 */
#ifndef SETTINGS_OUTLINE_H
#define SETTINGS_OUTLINE_H

#include "settings/grammar.h"
#include "settings/scan.h"
#include "settings/settings.h"

/* The lines of the titled blocks that are left, in the order of the file; libconfuse has no such.
 */
struct outline {
    size_t service_count, endpoint_count, check_count;
    unsigned services[SERVICES_MAX];
    unsigned endpoints[SERVICES_MAX * ENDPOINTS_MAX];
    unsigned checks[CHECKS_MAX];
    unsigned password; /* line of the first password in the file itself; 0 = there is none */
    bool whole;        /* nothing had to be blanked: what is missing is really missing */
};

void outline_read(struct outline *outline, struct scan *scan, struct complaints *complaints);

#endif
