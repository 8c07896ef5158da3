/*
 * layout: the bytes of the shared segment. Nobody but src/state looks at it by offset.
 *
 *     head            one page; read-only in programs
 *     bank 0, bank 1  two copies of the settings; read-only in programs
 *     live            services, endpoints, events; atomics only, written by every program
 *
 * Fixed-width fields, 64-bit ones aligned by hand, no pointers: 32-bit and 64-bit processes share
 * it. `live` starts on a 64 KiB boundary, the largest page size Linux has on the machines we know.
 *
 * The sequence number picks the bank in force (sequence & 1). A publisher, alone by a lock file,
 * fills the other bank and then stores sequence + 1 (release; partner: the reader's acquire). So
 * the bank in force is never written, what was read from it counts if the sequence is still the
 * same afterwards, and a publisher that dies half way leaves the old bank in force.
 */
#ifndef STATE_LAYOUT_H
#define STATE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/shared.h"
#include "policy/breaker.h"
#include "policy/rules.h"

#define SEGMENT_MAGIC "rdsteer"

enum {
    SEGMENT_ABI = 6, /* raised by any change to this file or to policy/rules.h, breaker.h */
    SEGMENT_ALIGN = 64 * 1024,
    SEGMENT_HEAD_SIZE = 4096,
    SEGMENT_MAX_SIZE = 256 * 1024 * 1024,
    ENDPOINT_SLOTS_MIN = 64, /* room for reloads that add endpoints */
    ENDPOINT_SLOTS_MAX = SERVICES_MAX * ENDPOINTS_MAX,
    SERVICE_SLOTS_MIN = 16,
    EVENT_SLOTS = 512,
    CONTENDERS_MAX = 62,
    PAST_ADDRESSES_MAX = 4, /* addresses an endpoint had before, still known by old look-ups */
    PROGRAMS_MAX = 32,
    PROGRAM_TEXT = 32,
    PATH_TEXT = 512,
    INSTANCE_TEXT = 64,
    CHECK_TEXT = 768,
    CHECK_WORDS_MAX = 32,
    EXPECT_TEXT = 128,
    MASTER_TEXT = 128,
    NAMES_MAX = ENDPOINTS_MAX + SENTINELS_MAX + 1, /* that a service asks for; 1: SRV */
    NO_SLOT = 0xffff,
};

struct segment_head {
    char magic[8];
    uint32_t abi;
    uint32_t flags;         /* SEGMENT_SHARED: readable by a group, trusted when root's */
    SHARED64 uint64_t size; /* of the whole file */
    uint8_t boot_id[16];
    SHARED64 uint64_t time_namespace; /* inode numbers; 0 = this kernel has none */
    SHARED64 uint64_t network_namespace;
    SHARED64 uint64_t created_ns; /* CLOCK_BOOTTIME */
    uint32_t service_slots;
    uint32_t endpoint_slots;
    uint32_t event_slots;
    uint32_t spare;
    SHARED64 uint64_t bank_at[2];
    SHARED64 uint64_t bank_size;
    SHARED64 uint64_t live_at; /* the rest of the file; offsets below are from here */
    SHARED64 uint64_t services_at;
    SHARED64 uint64_t endpoints_at;
    SHARED64 uint64_t events_at;
    SHARED64 atomic_u64 superseded; /* not 0: a newer segment has taken this one's place */
    SHARED64 atomic_u64 sequence;   /* of the settings */
};
enum { SEGMENT_SHARED = 1 };

/* ---- a bank: the settings, and the tables that answer "is this ours?" ---- */

struct bank {
    SHARED64 uint64_t size;          /* bytes used */
    SHARED64 uint64_t file_mtime_ns; /* the configuration file as it was read */
    SHARED64 uint64_t file_size;
    SHARED64 uint64_t file_inode;
    SHARED64 uint64_t published_wall_ns;
    SHARED64 uint64_t refresh_ns; /* the shortest of services that have names; 0 = none has */
    uint32_t service_count, services_at; /* arrays: count, offset from the bank */
    uint32_t endpoint_count, endpoints_at;
    uint32_t label_count, labels_at; /* one per endpoint, same index */
    uint32_t match_count, matches_at;
    uint32_t ip_count, ips_at;
    uint32_t ip_buckets, ip_table_at;     /* powers of two; uint32_t index + 1, 0 = empty */
    uint32_t name_buckets, name_table_at; /* the same, to matches */
    uint32_t only_count, skip_count;      /* programs { only skip } */
    uint32_t monitor;                     /* enum monitor: who may check the endpoints */
    uint32_t needs_program;               /* 1: some of it is beyond a program's thread */
    uint32_t check_count, checks_at;
    uint32_t tls_count, tls_at;
    uint32_t discover_count, discovers_at;
    char path[PATH_TEXT]; /* of the configuration file, absolute */
    char instance[INSTANCE_TEXT];
    char zone[NAME_TEXT];
    char only[PROGRAMS_MAX][PROGRAM_TEXT];
    char skip[PROGRAMS_MAX][PROGRAM_TEXT];
};

struct service_settings {
    char name[NAME_TEXT];
    struct breaker_rules breaker;
    struct connect_rules connect;
    struct retry_rules retry;
    struct failover_rules failover;
    struct health_rules health;
    SHARED64 uint64_t wait_ns;      /* when_all_down = wait:… */
    struct address virtual_address; /* resolve = virtual: what look-ups answer, no port */
    uint32_t slot;                  /* of its live part */
    uint32_t first_endpoint;        /* index in the bank */
    uint32_t endpoint_count;
    uint32_t first_match;
    uint32_t match_count;
    uint32_t discover;  /* index + 1 of how its endpoints are found, 0 = as the file says */
    uint32_t sentinels; /* how many are asked, whether or not they have an address */
    uint8_t strategy;
    uint8_t resolve;
    uint8_t mode;
    uint8_t when_all_down;
};

/* What a decision needs of an endpoint: the first words of struct endpoint_settings. */
struct endpoint_brief {
    uint32_t slot;       /* of its live part */
    uint32_t generation; /* of that slot */
    uint32_t weight_milli;
    uint8_t same_zone;
    uint8_t unrivalled; /* no other endpoint of the service is preferred to it: choose.h */
    uint8_t tier;
    uint8_t role; /* enum role_wanted: what its checks want it to be */
    SHARED64 uint64_t
        health_lasts_ns; /* a verdict without a check for so long is none; 0: no checks */
};

/* A check block. */
struct check_settings {
    char name[NAME_TEXT];
    SHARED64 uint64_t interval_ns; /* 0: that of health */
    SHARED64 uint64_t timeout_ns;  /* the same */
    SHARED64 uint64_t tolerance_ns;
    SHARED64 int64_t expect_from; /* EXPECT_RANGE */
    SHARED64 int64_t expect_to;
    uint32_t tls; /* index + 1, 0 = none */
    uint16_t status_from, status_to;
    uint8_t kind;     /* enum probe_kind */
    uint8_t expect;   /* enum expect_kind */
    uint8_t words;    /* in `text` */
    uint8_t extended; /* lag: ask for the lag too */
    uint32_t secret;  /* what its entry in the file of secrets must carry; 0 = it has none */
    char expected[EXPECT_TEXT];
    /* Words one behind the other, each with its NUL: the command; key and value; url and body. */
    char text[CHECK_TEXT];
};
enum expect_kind { EXPECT_ANY, EXPECT_TEXT_IS, EXPECT_GLOB, EXPECT_RANGE };

/* How a check speaks TLS. */
struct tls_settings {
    char ca[PATH_TEXT]; /* "" = the system's */
    char cert[PATH_TEXT];
    char key[PATH_TEXT];
    char server_name[ADDRESS_HOST_TEXT];
    uint8_t verify;
    uint8_t spare[7];
};

struct endpoint_settings {
    uint32_t slot; /* as in the brief */
    uint32_t generation;
    uint32_t weight_milli;
    uint8_t same_zone;
    uint8_t unrivalled; /* filled in by publishing, as is what follows the tier */
    uint8_t tier;       /* see choose.h */
    uint8_t role;       /* that of health, filled in by publishing */
    SHARED64 uint64_t health_lasts_ns;
    uint32_t address_count;
    uint32_t past_count;
    uint32_t tls;                            /* index + 1, 0 = none */
    uint32_t needs_program;                  /* 1: a program's thread cannot check it */
    struct health_rules health;              /* the service's, overridden option by option */
    struct address addresses[ADDRESSES_MAX]; /* resolved when published; with the port */
    struct address past[PAST_ADDRESSES_MAX];
};

/* What people call an endpoint: kept apart, because a connection needs none of it. */
struct endpoint_label {
    char name[NAME_TEXT];
    char zone[NAME_TEXT];
    char host[ADDRESS_HOST_TEXT];                 /* as configured */
    char ip_text[ADDRESSES_MAX][ADDRESS_IP_TEXT]; /* for look-ups: hooks format nothing */
    char source[16];                              /* "file" */
};

/* An address that Sentinels name, and where it really is for this host. */
struct nat_entry {
    char host[ADDRESS_HOST_TEXT]; /* as Sentinels say it */
    struct address to;            /* with the port */
    uint32_t port;                /* as Sentinels say it */
    uint32_t spare;
};

/* A discover block. */
struct discover_settings {
    char master_name[MASTER_TEXT];
    char hosts[SENTINELS_MAX][ADDRESS_HOST_TEXT]; /* as configured */
    struct address sentinels[SENTINELS_MAX];      /* resolved when published; port 0 = not */
    struct nat_entry nat[NAT_MAX];
    SHARED64 uint64_t refresh_ns;
    SHARED64 uint64_t identity; /* what was found for another one is not for this one */
    uint32_t count;             /* of sentinels */
    uint32_t quorum;            /* never 0 */
    uint32_t nat_count;
    uint32_t secret; /* what its entry in the file of secrets must carry; 0 = it has none */
    char srv[ADDRESS_HOST_TEXT]; /* "" = none */
    uint32_t dns;                /* 1: each address of a name is an endpoint */
    uint32_t spare;
};

/* One entry of `match`. Names are chained by hash in the name table. */
struct match_settings {
    char host[ADDRESS_HOST_TEXT]; /* lower case, no trailing dot; an IP literal as written */
    SHARED64 uint64_t hash;       /* hash_bytes() of host */
    struct address address;       /* of an IP literal, with the port */
    uint32_t service;
    uint32_t next; /* index + 1, 0 = end; always behind this entry */
    uint16_t port;
    uint8_t any_port;
    uint8_t is_name;
    uint32_t spare;
};

/* One address that may mean a service. Entries of one hash bucket are chained; those of addresses
 * that an endpoint had in the past come last. */
struct ip_entry {
    struct address address; /* port: of a match (0 with any_port) or the endpoint's own */
    uint32_t service;
    uint32_t endpoint; /* index in the bank, or UINT32_MAX */
    uint32_t next;     /* index + 1, 0 = end; always behind this entry */
    uint8_t kind;      /* enum ip_kind */
    uint8_t any_port;
    uint8_t spare[2];
};
enum ip_kind {
    IP_MATCH,   /* an IP literal of `match`: steered as it is */
    IP_MEMBER,  /* an endpoint's address, present or past: steered where a look-up led there */
    IP_VIRTUAL, /* the fixed address of a service that resolves virtually */
};

/* ---- live: atomics only ---- */

/* A process that may hold the lease, or wait for it. See contender.h. */
struct contender_slot {
    SHARED64 atomic_u64 claim;         /* 0 = free; whose it is, by CAS: see contender.c */
    SHARED64 atomic_u64 pid_namespace; /* inode number */
    SHARED64 atomic_u64 start_ticks;   /* field 22 of /proc/<pid>/stat */
    SHARED64 atomic_u64 heartbeat_ns;  /* CLOCK_BOOTTIME */
};

struct live_head {
    SHARED64 atomic_u64 newest_event; /* sequence number taken last */
    SHARED64 atomic_u64 lease;        /* see lease.h; CAS only */
    SHARED64 atomic_u64 deputy;       /* the same packing */
    SHARED64 atomic_u64 spare[5];
    SHARED64 atomic_u32 holder_thread; /* thread id of the holder, or that it died: robust.h */
    atomic_u32 bell;                   /* futex: guards sleep on it */
    atomic_u32 hint;                   /* futex word: hints given so far */
    atomic_u32 bell_announced;         /* the count of the bell that all sleepers were woken for */
    atomic_u32 spare_words[12];
    struct contender_slot contenders[CONTENDERS_MAX];
};

/* What one Sentinel has said; by the holder of the lease alone. */
struct source_live {
    SHARED64 atomic_u64 answered_ms; /* CLOCK_REALTIME; 0 = never */
    SHARED64 atomic_u64 next_ms;     /* CLOCK_REALTIME */
    SHARED64 atomic_u64 failed;      /* {enum check_cause:16, CLOCK_REALTIME ms:48} */
    SHARED64 atomic_u64 troubled;    /* 1: no answer since then */
    SHARED64 atomic_u64 master[3];   /* struct address; port 0 = it has named none */
    SHARED64 atomic_u64 spare;
};

/* What came of one name; by the monitor that holds the lease alone. */
struct name_live {
    SHARED64 atomic_u64 key;         /* of the name: name_key(); 0 = none */
    SHARED64 atomic_u64 answered_ms; /* CLOCK_REALTIME; 0 = never */
    SHARED64 atomic_u64 next_ms;     /* CLOCK_REALTIME */
    SHARED64 atomic_u64 failed;      /* {enum dns_cause:16, CLOCK_REALTIME ms:48} */
    SHARED64 atomic_u64 troubled;    /* 1: no answer since then */
};

/* What is known of a service's servers; see discovery.h. */
struct discovery_live {
    SHARED64 atomic_u64 seal;      /* hash of what follows and of the block it was found for */
    SHARED64 atomic_u64 count;     /* of servers */
    SHARED64 atomic_u64 agreed_ms; /* CLOCK_REALTIME when a quorum was last heard */
    SHARED64 atomic_u64 master[3]; /* that a quorum agrees on; port 0 = none yet */
    SHARED64 atomic_u64 spare[2];
    SHARED64 atomic_u64 servers[ENDPOINTS_MAX][3];
    struct source_live sources[SENTINELS_MAX];
    struct name_live names[NAMES_MAX];
    SHARED64 atomic_u64 names_spare[3];
};

struct service_live {
    SHARED64 atomic_u64 active; /* slot of the active endpoint, epoch: see live.h. CAS only */
    SHARED64 atomic_u64 switches;
    SHARED64 atomic_u64 mode;           /* a mode set at run time, and until when; CAS or store */
    SHARED64 atomic_u64 last_switch;    /* packed from, to, reason, epoch */
    SHARED64 atomic_u64 last_switch_ms; /* CLOCK_REALTIME ms << 16 | epoch: the two must agree */
    SHARED64 atomic_u64 uses;           /* services that have had this slot; 0 = never used */
    SHARED64 atomic_u64 retired_ns;     /* CLOCK_BOOTTIME when its service left the settings */
    SHARED64 atomic_u64 held;           /* the endpoint the operator has switched to: see live.h */
    /* a line of its own: spreading strategies write it with every connection */
    SHARED64 atomic_u64 turns;      /* connections so far */
    SHARED64 atomic_u64 challenger; /* who has been faster, and since when: see live.h */
    SHARED64 atomic_u64 spare[6];
    struct discovery_live discovery;
};

/* See history.c. */
struct check_record {
    SHARED64 atomic_u64 started; /* {sequence:16, CLOCK_BOOTTIME us:48} */
    SHARED64 atomic_u64 result;  /* {sequence:16, cause:8, passed:8, rtt_us:32} */
};

struct endpoint_live {
    /* what a decision reads */
    SHARED64 atomic_u64 health;         /* struct verdict, policy/verdict.h; CAS only */
    SHARED64 atomic_u64 admin;          /* enum admin */
    SHARED64 atomic_u64 grace_until_ns; /* CLOCK_BOOTTIME */
    SHARED64 atomic_u64 since_ns;       /* CLOCK_BOOTTIME of the last change of health or breaker */
    SHARED64 atomic_u64 last_error; /* {errno or check_cause:16, CLOCK_REALTIME ms:48}: live.h */
    SHARED64 atomic_u64 generation; /* endpoints that have had this slot; 0 = never used */
    SHARED64 atomic_u64 rtt_us;     /* EWMA of the checks */
    SHARED64 atomic_u64 retired_ns; /* CLOCK_BOOTTIME when its endpoint left the settings */
    /* counters, each only ever added to */
    SHARED64 atomic_u64 connects[OUTCOME_COUNTED];
    SHARED64 atomic_u64 checks_ok;
    SHARED64 atomic_u64 checks_failed;
    SHARED64 atomic_u64 steered; /* attempts sent here */
    struct breaker breaker;
    /* of the checks; written by the holder of the lease */
    SHARED64 atomic_u64 checked_ns;  /* CLOCK_BOOTTIME of the last result */
    SHARED64 atomic_u64 hinted_ns;   /* CLOCK_BOOTTIME of the last hint, by anyone */
    SHARED64 atomic_u64 check_count; /* position in `checks` */
    SHARED64 atomic_u64 gate;        /* what failback.probe found: see gate.h */
    SHARED64 atomic_u64 role;        /* enum role_wanted: what ROLE said last; 0 = never asked */
    SHARED64 atomic_u64 latency;     /* peak EWMA and its time: see history.c */
    SHARED64 atomic_u64 census;      /* the host's connections, counted now and then: see live.h */
    SHARED64 atomic_u64 rank;        /* by the selector program, 1 = first; 0 = not named */
    SHARED64 atomic_u64 next_connect_ns; /* connect.rate: see pace.h */
    SHARED64 atomic_u64 recovered_ns;    /* CLOCK_BOOTTIME when it was last well again */
    SHARED64 atomic_u64 standing;        /* as a master: see standing.h */
    SHARED64 atomic_u64 check_spare[5];
    struct check_record checks[64];
};

/* See events.h for the protocol. */
struct event_slot {
    SHARED64 atomic_u64 stamp;
    SHARED64 uint64_t words[45];
};

_Static_assert(sizeof(struct contender_slot) == 32, "same in every process");
_Static_assert(sizeof(struct live_head) == 128 + 32 * CONTENDERS_MAX, "lanes");
_Static_assert(sizeof(struct segment_head) == 152, "same in every process");
_Static_assert(sizeof(struct segment_head) <= SEGMENT_HEAD_SIZE, "fits its page");
_Static_assert(offsetof(struct segment_head, sequence) == 144, "same in every process");
_Static_assert(sizeof(struct service_settings) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct endpoint_settings) % 8 == 0, "copied by words");
_Static_assert(offsetof(struct endpoint_brief, health_lasts_ns) ==
                   offsetof(struct endpoint_settings, health_lasts_ns),
               "the brief begins the settings");
_Static_assert(sizeof(struct endpoint_brief) % 8 == 0, "copied by words");
_Static_assert(offsetof(struct endpoint_settings, addresses) % 8 == 0 &&
                   sizeof(struct address) % 8 == 0,
               "addresses are copied by words");
_Static_assert(offsetof(struct endpoint_label, name) == 0 && NAME_TEXT % 8 == 0, "read alone");
_Static_assert(sizeof(struct check_settings) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct tls_settings) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct endpoint_label) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct match_settings) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct ip_entry) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct bank) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct discovery_live) == 960 + 1024, "same in every process");
_Static_assert(sizeof(struct service_live) == 128 + 1984, "33 cache lines");
_Static_assert(sizeof(struct discover_settings) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct address) == 24, "three words");
_Static_assert(sizeof(struct endpoint_live) == 64 + 64 + sizeof(struct breaker) + 128 + 1024,
               "lanes");
_Static_assert(sizeof(struct event_slot) == 368, "same in every process");

#endif
