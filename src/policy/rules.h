/*
 * rules: the options of a service as plain numbers, in the form that decisions are made from and
 * that the shared segment holds (fixed width, no pointers, 64-bit fields aligned for 32-bit hosts).
 * Ranges are what the configuration accepts; whoever reads these from shared memory must not rely
 * on them for memory safety.
 */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include <stdint.h>

#include "base/shared.h"

enum {
    SERVICES_MAX = 256,
    ENDPOINTS_MAX = 16, /* per service */
    MATCHES_MAX = 32,   /* per service */
    ADDRESSES_MAX = 8,  /* per endpoint */
    ATTEMPTS_MAX = 16,  /* retry.attempts: endpoints tried in one call, with repetition */
    NAME_TEXT = 48,     /* names of services, endpoints, checks and zones, with their NUL */
    CHECKS_MAX = 64,    /* check blocks of a file */
    EXPRESSION_MAX = 8, /* checks in one all(…), any(…) or majority(…) */
    SENTINELS_MAX = 8,  /* per service */
    NAT_MAX = 16,       /* entries of a nat_map */
};

enum strategy {
    STRATEGY_PRIORITY,
    STRATEGY_FIRST,
    STRATEGY_ROUND_ROBIN,
    STRATEGY_RANDOM,
    STRATEGY_WEIGHTED,
    STRATEGY_LATENCY,
    STRATEGY_LEAST_CONNECTIONS,
    STRATEGY_COMMAND,
};
enum monitor { MONITOR_AUTO, MONITOR_THREAD, MONITOR_PROCESS, MONITOR_EXTERNAL };
enum resolve { RESOLVE_MEMBER, RESOLVE_VIRTUAL, RESOLVE_REAL };
enum service_mode { MODE_STEER, MODE_OBSERVE, MODE_OFF };
enum when_all_down { ALL_DOWN_TRY, ALL_DOWN_REFUSE, ALL_DOWN_WAIT };
enum existing { EXISTING_KEEP, EXISTING_IDLE, EXISTING_CLOSE };

struct breaker_rules {
    SHARED64 uint64_t window_ns; /* time window; 0: the window counts calls */
    SHARED64 uint64_t slow_call_ns;
    SHARED64 uint64_t open_ns;
    SHARED64 uint64_t open_max_ns;
    uint32_t window_calls;        /* 1..512 when window_ns is 0 */
    uint32_t min_calls;           /* calls in the window before a rate counts */
    uint32_t failure_rate;        /* hundredths of a percent, 0 = never trips */
    uint32_t slow_rate;           /* hundredths of a percent, 0 = never trips */
    uint32_t refused;             /* consecutive refusals that trip; 0 = never */
    uint32_t timeouts;            /* consecutive timeouts that trip; 0 = never */
    uint32_t open_backoff_milli;  /* 1000..10000: factor per trip, in thousandths */
    uint32_t half_open_calls;     /* 1..8 trials at once, over the whole host */
    uint32_t half_open_successes; /* 1..255 */
    uint32_t count;               /* OUTCOME_BIT set: failures that are counted */
    uint32_t enabled;
    uint32_t spare;
};

struct connect_rules {
    SHARED64 uint64_t timeout_ns;
    SHARED64 uint64_t
        keepalive_ns; /* idle time before the first probe; 0 = leave keepalive alone */
    SHARED64 uint64_t user_timeout_ns;
    SHARED64 uint64_t max_age_ns;
    uint32_t rate; /* connects per second and endpoint; 0 = no limit */
    uint32_t spare;
};

struct retry_rules {
    SHARED64 uint64_t wait_ns; /* 0: no pause, each endpoint is tried once */
    uint32_t attempts;         /* 1..16, the first included */
    uint32_t backoff_milli;    /* 1000..10000 */
    uint32_t jitter;           /* hundredths of a percent of the pause */
    uint32_t errors;           /* OUTCOME_BIT set */
};

enum probe_policy { PROBES_ALL, PROBES_ANY, PROBES_MAJORITY };

/* Some checks, and how many of them must hold. */
struct expression {
    uint8_t op;                     /* enum probe_policy */
    uint8_t count;                  /* 0: there is none */
    uint8_t checks[EXPRESSION_MAX]; /* an index of check blocks, or CHECK_BUILT_IN | probe_kind */
    uint8_t spare[6];
};
enum { CHECK_BUILT_IN = 0x80 };

struct failover_rules {
    SHARED64 uint64_t failback_check_ns;
    SHARED64 uint64_t grace_ns;
    SHARED64 uint64_t spread_ns;
    SHARED64 uint64_t gate_lasts_ns; /* how long a result of `gate` counts; set by publishing */
    struct expression gate;          /* failback.probe */
    uint8_t failback;                /* 0: stay where the last failover led */
    uint8_t existing;                /* enum existing */
    uint8_t close_connections;
    uint8_t spare[5];
};

struct health_rules {
    SHARED64 uint64_t interval_ns;
    SHARED64 uint64_t fast_interval_ns;
    SHARED64 uint64_t timeout_ns;
    SHARED64 uint64_t gap_ns;
    uint32_t fall;   /* 1..255 */
    uint32_t rise;   /* 1..255 */
    uint32_t probes; /* 1..16 */
    uint32_t jitter; /* hundredths of a percent of the interval */
    struct expression probe;
    uint8_t enabled;
    uint8_t policy; /* enum probe_policy */
    uint8_t role;   /* enum role_wanted */
    uint8_t spare[5];
};
/* What a check asks. The first three need no block; from PROBE_HTTP on only the program can. */
enum probe_kind {
    PROBE_TCP,
    PROBE_PING,
    PROBE_ECHO,
    PROBE_ROLE,
    PROBE_COMMAND,
    PROBE_KEY,
    PROBE_WRITE,
    PROBE_HTTP,
    PROBE_LAG,
    PROBE_EXEC,
    PROBE_KINDS,
};
enum role_wanted { ROLE_ANY, ROLE_MASTER, ROLE_REPLICA };

_Static_assert(sizeof(struct breaker_rules) == 80, "same in every process");
_Static_assert(sizeof(struct connect_rules) == 40, "same in every process");
_Static_assert(sizeof(struct retry_rules) == 24, "same in every process");
_Static_assert(sizeof(struct failover_rules) == 56, "same in every process");
_Static_assert(sizeof(struct health_rules) == 72, "same in every process");

#endif
