#include "policy/agree.h"

static bool names(const struct voice *voice, const struct address *address)
{
    for (unsigned i = 0; i < voice->count; i++)
        if (address_equal(&voice->servers[i], address))
            return true;
    return false;
}

static bool names_as_master(const struct voice *voice, const struct address *address)
{
    return voice->master.port != 0 && address_equal(&voice->master, address);
}

unsigned agree_master(const struct voice voices[], unsigned count, unsigned quorum,
                      struct address *out)
{
    unsigned most = 0;

    for (unsigned i = 0; i < count; i++) {
        unsigned same = 0;

        if (!voices[i].heard || voices[i].master.port == 0)
            continue;
        for (unsigned j = 0; j < count; j++)
            same += voices[j].heard && names_as_master(&voices[j], &voices[i].master);
        if (same >= quorum && same > most) {
            most = same;
            *out = voices[i].master;
        }
    }
    return most;
}

/* How many of those that were heard name it (or, `yes` being false, do not). */
static unsigned votes(const struct voice voices[], unsigned count, const struct address *address,
                      bool yes)
{
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++)
        found += voices[i].heard && names(&voices[i], address) == yes;
    return found;
}

static bool is_among(const struct address servers[], unsigned count, const struct address *address)
{
    for (unsigned i = 0; i < count; i++)
        if (address_equal(&servers[i], address))
            return true;
    return false;
}

static bool add_named(const struct voice voices[], unsigned count, unsigned quorum,
                      struct address servers[static ENDPOINTS_MAX], unsigned *server_count)
{
    bool changed = false;

    for (unsigned v = 0; v < count; v++) {
        for (unsigned i = 0; voices[v].heard && i < voices[v].count; i++) {
            const struct address *address = &voices[v].servers[i];

            if (*server_count == ENDPOINTS_MAX || is_among(servers, *server_count, address) ||
                votes(voices, count, address, true) < quorum)
                continue;
            servers[(*server_count)++] = *address;
            changed = true;
        }
    }
    return changed;
}

bool agree_servers(const struct voice voices[], unsigned count, unsigned quorum,
                   struct address servers[static ENDPOINTS_MAX], unsigned *server_count)
{
    bool changed = add_named(voices, count, quorum, servers, server_count);
    unsigned kept = 0;

    for (unsigned i = 0; i < *server_count; i++)
        if (votes(voices, count, &servers[i], false) < quorum)
            servers[kept++] = servers[i];
    if (kept == 0 || kept == *server_count)
        return changed;
    *server_count = kept;
    return true;
}
