/*
 * settings: the configuration file, read, checked and understood. Only in the program `redisteer`
 * (libconfuse); never in the library.
 *
 *     file --settings_load()--> struct settings --settings_publish()--> shared segment
 *
 * Everything that can be said against the file is said in one go: each complaint is
 * "file:line: what is wrong: 'the text'".
 */
#ifndef SETTINGS_SETTINGS_H
#define SETTINGS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/address.h"
#include "base/log.h"
#include "policy/rules.h"
#include "state/discovery.h"
#include "state/place.h"
#include "state/publish.h"

struct tls {
    bool enabled;
    struct tls_settings settings; /* server_name as written: "" = to be found out */
};

struct check_block {
    struct check_settings settings;
    struct tls tls;
    char *username; /* NULL when not set; for the file of secrets */
    char *password_file;
    unsigned line;
};

struct match_entry {
    struct host_port at; /* port filled in: 6379 when none was written and not any_port */
    bool is_name;
    struct address address; /* of an IP literal */
    unsigned line;
};

struct endpoint {
    char name[NAME_TEXT];
    char zone[NAME_TEXT];
    struct host_port at; /* port 6379 when none was written */
    unsigned address_line;
    uint32_t weight_milli;      /* default 1000 */
    struct health_rules health; /* the service's, overridden option by option */
    char *username;             /* NULL when not set; secrets: never printed, never published */
    char *password;
    char *password_file;
    struct tls tls;
    unsigned line;
};

/* An entry of a nat_map: what Sentinels say, and where that is for this host. */
struct nat_pair {
    struct host_port from;
    struct address to;
};

struct discover {
    size_t sentinel_count; /* 0: none are asked */
    struct host_port sentinels[SENTINELS_MAX];
    char master_name[MASTER_TEXT];
    uint32_t quorum; /* 0 = more than half of them */
    char *username;  /* NULL when not set; for Sentinels and for the servers they name */
    char *password_file;
    uint64_t refresh_ns;
    size_t nat_count;
    struct nat_pair nat[NAT_MAX];
    unsigned line;               /* of master_name */
    char srv[ADDRESS_HOST_TEXT]; /* "" = none */
    bool dns;
    unsigned srv_line, dns_line;
};

/* A program and its arguments; words as state/words.h has them. */
struct program_words {
    unsigned count; /* 0: none */
    char text[CHECK_TEXT];
};

struct service {
    char name[NAME_TEXT];
    enum strategy strategy;
    struct program_words selector; /* of strategy = command, and only there */
    enum resolve resolve;
    enum service_mode mode;
    enum when_all_down when_all_down;
    uint64_t wait_ns;
    struct breaker_rules breaker;
    struct connect_rules connect;
    struct retry_rules retry;
    struct failover_rules failover;
    struct health_rules health;
    size_t match_count;
    struct match_entry matches[MATCHES_MAX];
    size_t endpoint_count;
    struct endpoint endpoints[ENDPOINTS_MAX];
    struct discover discover;
    unsigned line;
};

struct settings {
    char path[PATH_TEXT];    /* absolute, as given */
    struct file_stamp stamp; /* of what was read */
    char zone[NAME_TEXT];
    enum monitor monitor;
    bool shared; /* share_group was set */
    gid_t share_group;
    size_t only_count, skip_count;
    char only[PROGRAMS_MAX][PROGRAM_TEXT];
    char skip[PROGRAMS_MAX][PROGRAM_TEXT];
    enum log_level log_level;
    char log_file[PATH_TEXT]; /* "" = standard error; of redisteer monitor */
    uint64_t events_timeout_ns;
    bool events_checks;
    size_t check_count;
    struct check_block *checks;
    unsigned password_line; /* of the first password in the file itself; 0 = there is none */
    size_t service_count;
    struct service *services;
};

/*
 * Complaints, in the order of their lines; at most 100 are kept. To be printed as "file:line:
 * text", or "file: text" where line is 0. A password is never quoted.
 */
struct complaints {
    size_t count;
    struct complaint {
        unsigned line; /* 0: about the file as a whole */
        char text[400];
    } list[100];
};

/*
 * Reads and checks the file. 0 with `*out` to be freed by settings_free(); else -errno: -EINVAL
 * with complaints about the content, -EACCES for a file that others can write or a password that
 * others can read, or open's errno; each with at least one complaint in words.
 */
int settings_load(const char *path, struct settings **out, struct complaints *complaints);
void settings_free(struct settings *settings);

/*
 * The same of a text in memory, so without path, stamp and permissions. For tests and fuzzing.
 * 0, -EINVAL with at least one complaint, or -ENOMEM.
 */
int settings_parse(const char *text, size_t length, struct settings **out,
                   struct complaints *complaints);

/*
 * Writes all of it in the file's own grammar, each option with the value in force, passwords as
 * "***". What it writes can be read again.
 */
void settings_print(const struct settings *settings, FILE *out);

/*
 * The file to use: `explicit` (--config), $REDISTEER_CONFIG,
 * $XDG_CONFIG_HOME/redisteer/redisteer.conf where that exists, /etc/redisteer/redisteer.conf.
 * Absolute, not otherwise resolved. 0 or -errno.
 */
int settings_find(const char *explicit_path, char out[static PATH_TEXT]);

/* How a publisher learns what is not in the file. */
struct publish_ways {
    uint64_t
        patience_ns; /* for names to resolve, and Sentinels to answer; 0: as long as it takes */
    /* Asks Sentinels of which nothing is known, at most SERVICES_MAX services', for 350 ms at most.
     * NULL: nobody does. */
    void (*ask)(struct discovery_question *questions, size_t count, uint64_t patience_ns);
    void (*say)(const char *line); /* messages for people, a line each */
};

/*
 * Resolves the names, asks the Sentinels, and publishes. A name that does not resolve keeps the
 * addresses that the segment has; with none, the endpoint is published without address and
 * reported. 0 or -errno.
 */
int settings_publish(const struct settings *settings, const struct place *place,
                     const struct publish_ways *ways, enum publish_result *result);

#endif
