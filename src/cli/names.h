/*
 * names: every name of the settings (of an endpoint, a Sentinel, or SRV) is asked for again when
 * its time to live or `refresh` is over, and at once when an endpoint or a Sentinel of its service
 * has failed. By `redisteer monitor` while it holds the lease. What is found is published; of what
 * is not, an event tells once, and the last good answer stays.
 *
 * For one thread, which never waits for a name server.
 */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "settings/settings.h"
#include "state/segment.h"

struct name;

/* Without c-ares it is as if there were no names. */
struct names {
    size_t count;
    struct name *list;
    uint32_t term;       /* while which it holds the lease; 0 = it does not */
    uint64_t next_event; /* the sequence number of the next to look at; 0 = none yet */
};

#if REDISTEER_DNS

/*
 * From now on publishing asks as names are asked for here, where it needs that: for SRV, and for
 * all names where the environment says which name servers to ask. Once, by whoever publishes.
 */
void names_begin(void);

/* And first what this has been answered: to be called once, by a monitor. `names` must stay. */
void names_share(struct names *names);

/* As the settings have them. Answers to questions that stay are kept. */
void names_set(struct names *names, const struct settings *settings);

/*
 * This process holds the lease for this term; 0: it does not. Before each publication: what was
 * answered in another term may be older than what is in force, so it is asked for again first.
 */
void names_lead(struct names *names, uint32_t term);

/*
 * Takes answers and asks what is due; to be called several times a second. True: something else is
 * known now, so it is to be published. A segment that is not attached is allowed.
 */
bool names_turn(struct names *names, const struct segment *segment);

/* Gives up what is being asked, and forgets all. */
void names_stop(struct names *names);

#else

static inline void names_begin(void)
{
}

static inline void names_share(struct names *names)
{
    (void)names;
}

static inline void names_set(struct names *names, const struct settings *settings)
{
    (void)names;
    (void)settings;
}

static inline void names_lead(struct names *names, uint32_t term)
{
    (void)names;
    (void)term;
}

static inline bool names_turn(struct names *names, const struct segment *segment)
{
    (void)names;
    (void)segment;
    return false;
}

static inline void names_stop(struct names *names)
{
    (void)names;
}

#endif

#endif
