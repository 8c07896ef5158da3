#include "cli/selectors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/overview.h"
#include "cli/status.h"
#include "heavy/selection.h"
#include "state/decision.h"
#include "state/events.h"
#include "state/words.h"

#define PATIENCE_NS (10 * NS_PER_S)
#define PAUSE_NS    NS_PER_S        /* from start to start */
#define RETRY_NS    (10 * NS_PER_S) /* of one that failed, when nothing changes */

enum { UNKNOWN_SHOWN = 40 };

struct selector {
    char service[NAME_TEXT];
    struct program_words program;
    uint32_t index;            /* of the service, where it was last */
    struct selection *running; /* NULL: it does not */
    uint64_t told;             /* what it was told last, as a hash; 0 = nothing yet */
    uint64_t started_ns;       /* CLOCK_BOOTTIME; 0 = never */
    bool failed;
    char said[SELECTION_WHY]; /* the trouble of the last run, which an event has told; "" = none */
};

/* What those that are due are told, read once for all of them. */
struct scene {
    const struct segment *segment;
    struct overview *overview;
    struct connections connections;
};

/* ---- settings ---- */

static void end(struct selector *selector)
{
    selection_free(selector->running);
    selector->running = NULL;
}

void selectors_stop(struct selectors *selectors)
{
    for (size_t i = 0; i < selectors->count; i++)
        end(&selectors->list[i]);
    free(selectors->list);
    *selectors = (struct selectors){0};
}

/* It goes on as it was; with another program it starts anew, but not sooner. */
static void inherit(struct selector *selector, struct selector *old)
{
    if (memcmp(&selector->program, &old->program, sizeof(old->program)) == 0) {
        *selector = *old;
        old->running = NULL;
    } else {
        selector->started_ns = old->started_ns;
    }
}

void selectors_set(struct selectors *selectors, const struct settings *settings)
{
    struct selectors fresh = {
        .list = calloc(settings->service_count + 1, sizeof(struct selector)),
    };

    if (!fresh.list)
        return;
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct service *service = &settings->services[i];
        struct selector *selector = &fresh.list[fresh.count];

        if (service->strategy != STRATEGY_COMMAND)
            continue;
        fresh.count++;
        text_copy(selector->service, sizeof(selector->service), service->name);
        selector->program = service->selector;
        selector->index = (uint32_t)i;
        for (size_t o = 0; o < selectors->count; o++)
            if (text_equal(selectors->list[o].service, service->name))
                inherit(selector, &selectors->list[o]);
    }
    selectors_stop(selectors);
    *selectors = fresh;
}

/* ---- what it is told ---- */

/* False: the service is not there, or the settings are changing. */
static bool read_service(struct selector *selector, const struct bank_view *view,
                         struct service_view *out)
{
    struct service_settings found;

    if (!bank_service(view, selector->index, &found) || !text_equal(found.name, selector->service))
        for (selector->index = 0; bank_service(view, selector->index, &found); selector->index++)
            if (text_equal(found.name, selector->service))
                break;
    return service_read(view, selector->index, out) &&
           text_equal(out->settings.name, selector->service) && out->count <= ENDPOINTS_MAX &&
           out->settings.strategy == STRATEGY_COMMAND;
}

static uint64_t mixed(uint64_t hash, uint64_t value)
{
    return hash_mix(hash * 31 + value);
}

/* All whose change is a reason to ask again. Not which one is active: that is its own answer. */
static uint64_t hash_of(const struct service_view *service, uint64_t now_ns)
{
    struct candidate candidates[ENDPOINTS_MAX];
    uint64_t hash = mixed(service->segment->head->created_ns, service->bank.sequence);

    service_candidates(service, candidates, now_ns);
    for (uint32_t i = 0; i < service->count; i++) {
        const struct candidate *candidate = &candidates[i];

        hash = mixed(hash, candidate->health);
        hash = mixed(hash, candidate->breaker);
        hash = mixed(hash, candidate->admin);
        hash = mixed(hash, candidate->weight_milli);
        hash = mixed(hash, candidate_why_not(candidates, service->count, i) == NULL);
    }
    return hash ? hash : 1;
}

static json_t *endpoint_json(const struct scene *scene, const struct service_row *row, uint32_t i)
{
    const struct candidate *candidate = &row->candidates[i];
    uint64_t rtt_us = load_relaxed(&row->view.endpoint_live[i]->rtt_us);
    const char *why_not = candidate_why_not(row->candidates, row->view.count, i);

    return json_pack("{s:s, s:s, s:f, s:s, s:s, s:s, s:s, s:b, s:o, s:I}", "name",
                     row->labels[i].name, "address", row->addresses[i], "weight",
                     candidate->weight_milli / 1000.0, "zone", row->labels[i].zone, "health",
                     health_name(candidate->health), "breaker",
                     breaker_state_name(candidate->breaker), "admin", admin_name(candidate->admin),
                     "eligible", why_not == NULL, "rtt_us",
                     rtt_us ? json_integer((json_int_t)rtt_us) : json_null(), "connections",
                     (json_int_t)status_connections(&row->endpoints[i], &scene->connections));
}

/* For free(); NULL: out of memory. */
static char *describe(const struct scene *scene, const struct service_row *row)
{
    json_t *endpoints = json_array(), *whole;
    char *text;

    for (uint32_t i = 0; i < row->view.count; i++)
        json_array_append_new(endpoints, endpoint_json(scene, row, i));
    whole = json_pack("{s:i, s:s, s:s?, s:o}", "schema", 1, "service", row->view.settings.name,
                      "active", row_active_name(row), "endpoints", endpoints);
    text = json_dumps(whole, JSON_COMPACT);
    json_decref(whole);
    return text;
}

/* ---- what it says ---- */

/* `detail` "": there is no trouble. */
static void tell(struct selector *selector, const struct segment *segment, const char *reason,
                 const char *detail)
{
    struct event event = {.type = EVENT_CHECK};

    /* Once per trouble, not once per run. */
    if (text_equal(selector->said, detail))
        return;
    text_copy(selector->said, sizeof(selector->said), detail);
    if (!detail[0])
        return;
    text_copy(event.service, sizeof(event.service), selector->service);
    text_copy(event.reason, sizeof(event.reason), reason);
    text_copy(event.detail, sizeof(event.detail), detail);
    event_write(segment, &event);
}

static void fail(struct selector *selector, const struct segment *segment, const char *why)
{
    selector->failed = true;
    tell(selector, segment, "selector failed", why);
}

/* Of the endpoints, by index. */
struct names {
    uint32_t count;
    char text[ENDPOINTS_MAX][NAME_TEXT];
};

/* What was named, first to last, as indexes of endpoints. */
struct ranking {
    unsigned count;
    uint32_t index[ENDPOINTS_MAX];
    char unknown[UNKNOWN_SHOWN + 1]; /* the first name that is none; "" = all are */
};

static bool is_in(const struct ranking *ranking, uint32_t index)
{
    for (unsigned i = 0; i < ranking->count; i++)
        if (ranking->index[i] == index)
            return true;
    return false;
}

/* Whatever it is, for an event. */
static void show(const char *name, size_t length, char out[static UNKNOWN_SHOWN + 1])
{
    size_t i;

    for (i = 0; i < length && i < UNKNOWN_SHOWN; i++)
        out[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
    out[i] = '\0';
}

static void add_name(struct ranking *ranking, const struct names *names, const char *name,
                     size_t length)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (strlen(names->text[i]) != length || memcmp(names->text[i], name, length) != 0)
            continue;
        if (!is_in(ranking, i))
            ranking->index[ranking->count++] = i;
        return;
    }
    if (!ranking->unknown[0])
        show(name, length, ranking->unknown);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct ranking read_ranking(const struct names *names, const char *text, size_t length)
{
    struct ranking ranking = {0};

    for (size_t from = 0, to; from < length; from = to + 1) {
        for (to = from; to < length && !is_space(text[to]); to++)
            ;
        if (to > from)
            add_name(&ranking, names, text + from, to - from);
    }
    return ranking;
}

static void store_rank(const struct service_view *service, uint32_t index, uint32_t rank)
{
    /* Relaxed: whoever decides meanwhile may see some of them, and decides again. */
    if (service_still_has(service, index))
        store_relaxed(&service->endpoint_live[index]->rank, rank);
}

/* The best first: so the old best and the new are equals for a moment, and none goes between. */
static void store_ranking(const struct service_view *service, const struct ranking *ranking,
                          uint64_t now_ns)
{
    for (unsigned i = 0; i < ranking->count; i++)
        store_rank(service, ranking->index[i], i + 1);
    for (uint32_t i = 0; i < service->count; i++)
        if (!is_in(ranking, i))
            store_rank(service, i, 0);
    /* It rings the bell when the choice has changed. */
    if (service_mode(service, now_ns) != MODE_OFF)
        service_decide(service, now_ns);
}

/* False: the settings are changing. */
static bool take_output(struct selector *selector, const struct segment *segment, const char *text,
                        size_t length)
{
    char said[SELECTION_WHY];
    struct names names;
    struct service_view service;
    struct endpoint_label label;
    struct bank_view view;
    struct ranking ranking;

    if (!bank_open(segment, &view) || !read_service(selector, &view, &service))
        return false;
    names.count = service.count;
    for (uint32_t i = 0; i < service.count; i++) {
        if (!bank_label(&view, service.first_endpoint + i, &label))
            return false;
        text_copy(names.text[i], sizeof(names.text[i]), label.name);
    }
    if (!bank_valid(&view))
        return false;
    ranking = read_ranking(&names, text, length);
    if (ranking.count > 0)
        store_ranking(&service, &ranking, clock_boot_ns());
    if (!ranking.unknown[0])
        text_copy(said, sizeof(said), ranking.count > 0 ? "" : "it named no endpoint");
    else
        text_format(said, sizeof(said), "unknown endpoint '%s'", ranking.unknown);
    if (ranking.count == 0)
        fail(selector, segment, said);
    else
        tell(selector, segment, "selector", said);
    return true;
}

static void collect(struct selector *selector, const struct segment *segment)
{
    char why[SELECTION_WHY];
    size_t length = 0;
    const char *text = selection_result(selector->running, &length, why);

    selector->failed = false;
    if (!text)
        fail(selector, segment, why);
    else if (!take_output(selector, segment, text, length))
        selector->told = 0; /* it is asked again */
    end(selector);
}

/* ---- running ---- */

static bool is_due(const struct selector *selector, uint64_t hash, uint64_t now_ns)
{
    uint64_t since_ns = now_ns - selector->started_ns;

    if (selector->started_ns != 0 && since_ns < PAUSE_NS)
        return false;
    return hash != selector->told || (selector->failed && since_ns >= RETRY_NS);
}

/* False: this host's own trouble, or the segment's; the next turn tries again. */
static bool set_scene(struct scene *scene)
{
    if (scene->overview)
        return true;
    if (overview_read(scene->segment, &scene->overview) != 0) {
        scene->overview = NULL;
        return false;
    }
    if (connections_read(&scene->connections) != 0)
        scene->connections = (struct connections){0};
    return true;
}

static void start(struct selector *selector, struct scene *scene, uint64_t hash, uint64_t now_ns)
{
    const char *words[CHECK_WORDS_MAX + 1];
    char *told;

    if (!set_scene(scene))
        return;
    for (size_t i = 0; i < scene->overview->count; i++) {
        const struct service_row *row = &scene->overview->services[i];

        if (!text_equal(row->view.settings.name, selector->service))
            continue;
        words_split(selector->program.text, sizeof(selector->program.text), selector->program.count,
                    words);
        told = describe(scene, row);
        selector->running = told ? selection_start(words, told, PATIENCE_NS) : NULL;
        selector->told = hash;
        selector->started_ns = now_ns;
        free(told);
        if (!selector->running)
            fail(selector, scene->segment, "no memory, thread or descriptor to run it");
        return;
    }
}

static void turn(struct selector *selector, struct scene *scene, uint64_t now_ns)
{
    struct service_view service;
    struct bank_view view;
    uint64_t hash;

    if (selector->running && selection_done(selector->running))
        collect(selector, scene->segment);
    if (selector->running || !bank_open(scene->segment, &view) ||
        !read_service(selector, &view, &service))
        return;
    hash = hash_of(&service, now_ns);
    if (bank_valid(&view) && is_due(selector, hash, now_ns))
        start(selector, scene, hash, now_ns);
}

void selectors_turn(struct selectors *selectors, const struct segment *segment, bool leads)
{
    struct scene scene = {.segment = segment};

    for (size_t i = 0; i < selectors->count; i++) {
        if (leads && segment->live && segment->writable) {
            turn(&selectors->list[i], &scene, clock_boot_ns());
        } else {
            end(&selectors->list[i]);
            selectors->list[i].told = 0;
        }
    }
    overview_free(scene.overview);
    connections_free(&scene.connections);
}
