#include "cli/cli.h"

#include "base/text.h"
#include "cli/nearest.h"

static const struct command_option run_options[] = {
    [RUN_FAIL_OPEN] = {"fail-open", NULL, "start PROGRAM unsteered when steering cannot be set up"},
    {0},
};

static const struct command_option status_options[] = {
    [STATUS_JSON] = {"json", NULL, "one JSON object"},
    [STATUS_WATCH] = {"watch", NULL, "refresh every second until interrupted"},
    [STATUS_CHECK] = {"check", NULL, "exit 1 unless every service has an eligible endpoint"},
    [STATUS_HISTORY] = {"history", NULL, "with the last health checks of each endpoint"},
    {0},
};

static const struct command_option monitor_options[] = {
    [MONITOR_DETACH] = {"detach", NULL, "return once it runs and holds the lease"},
    {0},
};

static const struct command_option switch_options[] = {
    [SWITCH_FOR] = {"for", "T", "only for that long, such as 10m"},
    [SWITCH_FORCE] = {"force", NULL, "without checking ENDPOINT first"},
    {0},
};

static const struct command_option events_options[] = {
    [EVENTS_FOLLOW] = {"follow", NULL, "go on with new events until interrupted"},
    [EVENTS_JSON] = {"json", NULL, "one JSON object a line"},
    [EVENTS_SINCE] = {"since", "T", "only from T on: \"10m\" ago, or 2026-01-01T00:00:00Z"},
    {0},
};

static const struct command_option publish_options[] = {
    [PUBLISH_RUNTIME_DIR] = {"runtime-dir", "DIR", "where the segment lies"},
    {0},
};

const struct command commands[] = {
    {"run", "[--fail-open] [--] PROGRAM [ARG...]",
     "start PROGRAM with its Redis connections steered", command_run, run_options, 1, OPERANDS_ANY,
     false},
    {"check", "[FILE]", "say what the configuration file means, or what is wrong with it",
     command_check, NULL, 0, 1, false},
    {"status", "[--json] [--watch] [--check] [--history]",
     "show services, endpoints and their state", command_status, status_options, 0, 0, false},
    {"monitor", "[--detach]", "check the endpoints of this host, instead of a program's thread",
     command_monitor, monitor_options, 0, 0, false},
    {"events", "[--follow] [--json] [--since T]",
     "show what happened: failovers, breakers, changes", command_events, events_options, 0, 0,
     false},
    {"explain", "HOST[:PORT]", "say what happens to a connection to HOST, and why", command_explain,
     NULL, 1, 1, false},
    {"endpoint", "SERVICE", "print where a new connection goes now", command_endpoint, NULL, 1, 1,
     false},
    {"switch", "[--for T] [--force] SERVICE ENDPOINT",
     "send new connections of SERVICE to ENDPOINT", command_switch, switch_options, 2, 2, false},
    {"auto", "SERVICE", "end a switch: redisteer chooses again", command_auto, NULL, 1, 1, false},
    {"off", "SERVICE", "stop steering SERVICE; running programs follow at once", command_mode, NULL,
     1, 1, false},
    {"observe", "SERVICE", "decide and count for SERVICE, but change no connection", command_mode,
     NULL, 1, 1, false},
    {"on", "SERVICE", "steer SERVICE again", command_mode, NULL, 1, 1, false},
    {"reload", "", "publish the configuration file now; running programs follow at once",
     command_reload, NULL, 0, 0, false},
    {"publish", "[--runtime-dir DIR]", "publish for a program that found nothing published",
     command_publish, publish_options, 0, 0, true},
    {"attend", "[--runtime-dir DIR]", "check the endpoints for as long as programs are steered",
     command_attend, publish_options, 0, 0, true},
    {0},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++)
        if (text_equal(command->name, name))
            return command;
    return NULL;
}

const char *command_nearest(const char *name)
{
    struct nearest nearest = nearest_to(name);

    for (const struct command *command = commands; command->name != NULL; command++)
        if (!command->hidden)
            nearest_offer(&nearest, command->name);
    return nearest_found(&nearest);
}
