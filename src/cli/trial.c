#include "cli/trial.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "state/secrets.h"

static void describe(const struct endpoint_settings *endpoint, const char *secrets_path,
                     struct probe_target *target)
{
    struct secret secret;
    int secrets = secrets_open(secrets_path);

    target->address_count = endpoint->address_count;
    memcpy(target->addresses, endpoint->addresses, sizeof target->addresses);
    target->kind = endpoint->health.probe;
    if (secrets < 0)
        return;
    if (secrets_read(secrets, endpoint->slot, endpoint->generation, &secret)) {
        text_copy(target->username, sizeof target->username, secret.username);
        text_copy(target->password, sizeof target->password, secret.password);
        explicit_bzero(&secret, sizeof secret);
    }
    close(secrets);
}

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

struct probe_result trial(const struct service_row *row, uint32_t index, const char *secrets_path)
{
    const struct endpoint_settings *endpoint = &row->endpoints[index];
    struct probe_result result = {.outcome = PROBE_VOID};
    struct probe_target target = {0};
    struct probe *probe = calloc(1, probe_size());
    uint64_t now_ns = clock_boot_ns();

    if (probe == NULL)
        return result;
    describe(endpoint, secrets_path, &target);
    probe_init(probe, &target);
    probe_start(probe, now_ns, now_ns + endpoint->health.timeout_ns);
    while (!probe_take(probe, &result))
        wait_for_answer(probe);
    probe_close(probe);
    explicit_bzero(probe, probe_size());
    explicit_bzero(&target, sizeof target);
    free(probe);
    return result;
}
