#include "cli/trial.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "health/describe.h"
#include "heavy/heavy.h"
#include "state/bank.h"
#include "state/secrets.h"

static void wait_for_answer(struct probe *probe)
{
    uint64_t deadline_ns = probe_deadline_ns(probe), now_ns = clock_boot_ns();
    struct pollfd poll_fd = {.fd = probe_fd(probe), .events = probe_events(probe)};

    if (deadline_ns > now_ns)
        poll(&poll_fd, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
    now_ns = clock_boot_ns();
    if (poll_fd.revents != 0)
        probe_handle(probe, poll_fd.revents, now_ns);
    probe_expire(probe, now_ns);
}

static struct probe_result try_once(const struct described *described)
{
    struct probe_result result = {.outcome = PROBE_VOID};
    struct probe *probe = calloc(1, probe_size());
    uint64_t now_ns = clock_boot_ns();

    result.cause = CHECK_NEEDS_PROGRAM;
    if (probe == NULL || !probe_can(&described->target)) {
        free(probe);
        return result;
    }
    probe_init(probe, &described->target);
    probe_start(probe, now_ns, now_ns + described->rules.timeout_ns);
    while (!probe_take(probe, &result))
        wait_for_answer(probe);
    probe_close(probe);
    explicit_bzero(probe, probe_size());
    free(probe);
    return result;
}

/* False: the settings have changed under us. */
static bool describe(const struct service_row *row, uint32_t index, uint8_t check, int secrets,
                     struct described *out)
{
    struct bank_view view;

    return bank_open(row->view.segment, &view) &&
           describe_check(&view, &row->view, index, &row->endpoints[index], check, secrets, out) &&
           bank_valid(&view);
}

struct probe_result trial(const struct service_row *row, uint32_t index, const char *secrets_path)
{
    struct checklist list = checklist_of_health(&row->endpoints[index].health);
    struct probe_result result = {.outcome = PROBE_VOID}, bad = {.outcome = PROBE_PASSED};
    enum health parts[EXPRESSION_MAX + 1];
    struct described described;
    int secrets = secrets_open(secrets_path);

    heavy_begin();
    for (unsigned i = 0; i < list.count; i++) {
        result = (struct probe_result){.outcome = PROBE_VOID};
        if (describe(row, index, list.checks[i], secrets, &described))
            result = try_once(&described);
        parts[i] = result.outcome == PROBE_PASSED   ? HEALTH_HEALTHY
                   : result.outcome == PROBE_FAILED ? HEALTH_UNHEALTHY
                                                    : HEALTH_UNKNOWN;
        if (result.outcome != PROBE_PASSED)
            bad = result;
    }
    explicit_bzero(&described, sizeof described);
    if (secrets >= 0)
        close(secrets);
    if (checklist_health(&list, parts) != HEALTH_HEALTHY)
        return bad;
    result.outcome = PROBE_PASSED;
    return result;
}
