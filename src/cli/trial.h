/* trial: one check of one endpoint, now, by this process: before an operator switches to it. */
#ifndef CLI_TRIAL_H
#define CLI_TRIAL_H

#include "cli/overview.h"
#include "probe/probe.h"

/* Its checks one after the other, as the health checks do them. The result that decided. */
struct probe_result trial(const struct service_row *row, uint32_t index, const char *secrets_path);

#endif
