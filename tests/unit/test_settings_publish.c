/* Publishing a file: names resolved, what does not resolve said, everything found again. */
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "settings/resolve.h"
#include "settings/settings.h"
#include "state/bank.h"
#include "state/discovery.h"
#include "state/secrets.h"
#include "unit.h"

static char directory[64];
static char said[8][512];
static unsigned said_count;

static void say(const char *line)
{
    if (said_count < COUNT_OF(said))
        text_copy(said[said_count++], sizeof(said[0]), line);
}

/* ---- Sentinels that answer what the test wants ---- */

static unsigned asked;
static uint16_t asked_ports[SENTINELS_MAX];
static struct found answers; /* count 0: none */
static uint64_t given_ns;    /* how long they were to take */

static void answer(struct discovery_question *questions, size_t count, uint64_t patience_ns)
{
    given_ns = patience_ns;
    for (size_t i = 0; i < count; i++) {
        asked++;
        questions[i].found = answers;
        for (uint32_t s = 0; s < questions[i].settings->count; s++)
            asked_ports[s] = questions[i].settings->sentinels[s].port;
    }
}

/* Of servers on 127.0.0.1 at these ports; 0 ends them. The first is the master. */
static void will_answer(const uint16_t *ports)
{
    memset(&answers, 0, sizeof(answers));
    asked = 0;
    for (; ports[answers.count] != 0; answers.count++) {
        struct address *server = &answers.servers[answers.count];

        ck_assert_int_eq(address_parse_ip("127.0.0.1", server), 0);
        server->port = ports[answers.count];
    }
    answers.master = answers.servers[0];
}

static struct place place_of(const char *instance)
{
    struct place_request request = {.runtime_dir = directory,
                                    .instance = instance,
                                    .config = "/x.conf",
                                    .create = true};
    struct place place;
    const char *why = "";

    ck_assert_msg(place_find(&place, &request, &why) == 0, "%s", why);
    return place;
}

static uint64_t patience_ns; /* of the publisher */

static enum publish_result publish_text(const struct place *place, const char *text)
{
    static struct complaints complaints;
    const struct publish_ways ways = {.patience_ns = patience_ns, .ask = answer, .say = say};
    enum publish_result result;
    struct settings *settings;

    said_count = 0;
    ck_assert_msg(settings_parse(text, strlen(text), &settings, &complaints) == 0, "%s",
                  complaints.list[0].text);
    text_copy(settings->path, sizeof(settings->path), "/x.conf");
    ck_assert_msg(settings_publish(settings, place, &ways, &result) == 0, "%s", said[0]);
    settings_free(settings);
    return result;
}

struct seen {
    struct bank front;
    struct service_settings service;
    struct endpoint_settings endpoint;
    struct endpoint_label label;
    struct match_settings match;
};

static void open_published(const struct place *place, struct segment *segment,
                           struct bank_view *view)
{
    const char *why = "";

    ck_assert_msg(segment_attach(segment, place, &why) == 0, "%s", why);
    ck_assert(bank_open(segment, view));
}

/* The first service with its first endpoint and match. */
static struct seen look(const struct place *place)
{
    struct segment segment;
    struct bank_view view;
    struct seen seen;

    open_published(place, &segment, &view);
    bank_front(&view, &seen.front);
    ck_assert(bank_service(&view, 0, &seen.service));
    ck_assert(bank_endpoint(&view, 0, &seen.endpoint));
    ck_assert(bank_label(&view, 0, &seen.label));
    ck_assert(bank_match(&view, 0, &seen.match));
    segment_detach(&segment);
    return seen;
}

START_TEST(rules_and_labels_are_published)
{
    struct place place = place_of("rules");

    ck_assert_int_eq(
        publish_text(&place, "zone = z\nservice a { match = { 'R.x:*' } mode = observe\n"
                             " endpoint e { address = 127.0.0.7:7001 weight = 0.25 zone = z }\n"
                             " breaker { refused = 9 } connect { timeout = 7s }\n"
                             " retry { attempts = 4 } failback { grace = 8s }\n"
                             " health { fall = 6 } when_all_down = wait:5s }\n"),
        PUBLISHED_NEW);
    struct seen seen = look(&place);

    ck_assert_str_eq(seen.service.name, "a");
    ck_assert_int_eq(seen.service.mode, MODE_OBSERVE);
    ck_assert_uint_eq(seen.service.breaker.refused, 9);
    ck_assert_uint_eq(seen.service.connect.timeout_ns, UINT64_C(7000000000));
    ck_assert_uint_eq(seen.service.retry.attempts, 4);
    ck_assert_uint_eq(seen.service.failover.grace_ns, UINT64_C(8000000000));
    ck_assert_uint_eq(seen.service.health.fall, 6);
    ck_assert_int_eq(seen.service.when_all_down, ALL_DOWN_WAIT);
    ck_assert_uint_eq(seen.service.wait_ns, UINT64_C(5000000000));
    ck_assert_uint_eq(seen.endpoint.weight_milli, 250);
    ck_assert(seen.endpoint.same_zone);
    ck_assert_uint_eq(seen.endpoint.address_count, 1);
    ck_assert_uint_eq(seen.endpoint.addresses[0].port, 7001);
    ck_assert_str_eq(seen.label.name, "e");
    ck_assert_str_eq(seen.label.host, "127.0.0.7");
    ck_assert_str_eq(seen.label.ip_text[0], "127.0.0.7");
    ck_assert_str_eq(seen.label.source, "file");
    ck_assert_str_eq(seen.match.host, "r.x");
    ck_assert(seen.match.any_port && seen.match.is_name);
    ck_assert_uint_eq(said_count, 0);
}
END_TEST

START_TEST(name_is_resolved)
{
    struct place place = place_of("name");

    publish_text(&place, "service a { match = { r } endpoint e { address = localhost:7 } }\n");
    struct seen seen = look(&place);
    bool loopback = false;

    ck_assert_uint_ge(seen.endpoint.address_count, 1);
    for (uint32_t i = 0; i < seen.endpoint.address_count; i++) {
        ck_assert_uint_eq(seen.endpoint.addresses[i].port, 7);
        loopback = loopback || text_equal(seen.label.ip_text[i], "127.0.0.1") ||
                   text_equal(seen.label.ip_text[i], "::1");
        for (uint32_t j = 0; j < i; j++)
            ck_assert_str_ne(seen.label.ip_text[i], seen.label.ip_text[j]);
    }
    ck_assert(loopback);
}
END_TEST

START_TEST(name_that_does_not_resolve_is_said_and_published_without_address)
{
    static const char start[] =
        "endpoint bad of service a: no-such-name.invalid does not resolve (";
    struct place place = place_of("unknown");

    publish_text(&place,
                 "service a { match = { r } endpoint bad { address = no-such-name.invalid }\n"
                 " endpoint good { address = 127.0.0.1 } }\n");
    ck_assert_uint_eq(said_count, 1);
    ck_assert_msg(text_starts(said[0], start), "%s", said[0]);
    ck_assert_ptr_nonnull(strstr(said[0], "it has no address"));
    struct seen seen = look(&place);
    ck_assert_uint_eq(seen.endpoint.address_count, 0);
    ck_assert_uint_eq(seen.service.endpoint_count, 2);
}
END_TEST

/* As if a name server had known the name before: publish it by hand with an address. */
START_TEST(name_that_no_longer_resolves_keeps_its_addresses)
{
    struct place place = place_of("kept");
    struct publish_endpoint endpoint = {.settings = {.address_count = 1, .weight_milli = 1000}};
    struct match_settings match = {.host = "r", .port = 6379, .is_name = 1};
    struct publish_service service = {.endpoint_count = 1,
                                      .endpoints = &endpoint,
                                      .match_count = 1,
                                      .matches = &match};
    struct publication before = {.service_count = 1,
                                 .services = &service,
                                 .share_group = (gid_t)-1};
    enum publish_result result;
    const char *why = "";

    text_copy(service.settings.name, sizeof(service.settings.name), "a");
    text_copy(endpoint.label.name, sizeof(endpoint.label.name), "e");
    text_copy(endpoint.label.host, sizeof(endpoint.label.host), "no-such-name.invalid");
    ck_assert_int_eq(address_parse_ip("10.9.8.7", &endpoint.settings.addresses[0]), 0);
    endpoint.settings.addresses[0].port = 7;
    ck_assert_msg(publish(&place, &before, &result, &why) == 0, "%s", why);

    publish_text(&place,
                 "service a { match = { r } endpoint e { address = no-such-name.invalid:8 } }\n");
    ck_assert_uint_eq(said_count, 1);
    ck_assert_ptr_nonnull(strstr(said[0], "its last known addresses stay in use"));
    struct seen seen = look(&place);
    ck_assert_uint_eq(seen.endpoint.address_count, 1);
    ck_assert_str_eq(seen.label.ip_text[0], "10.9.8.7");
    ck_assert_uint_eq(seen.endpoint.addresses[0].port, 8);
}
END_TEST

/* A driver of ours that knows the addresses of all names: 10.0.0.1 and so on. */
static size_t known_count;

static bool knows(struct lookup *lookup)
{
    if (address_parse_ip(lookup->host, &lookup->addresses[0]) == 0)
        return false;
    lookup->error = known_count ? 0 : EAI_NONAME;
    lookup->count = known_count;
    for (size_t i = 0; i < known_count; i++) {
        char text[32];

        text_format(text, sizeof(text), "10.0.0.%u", (unsigned)i + 1);
        ck_assert_int_eq(address_parse_ip(text, &lookup->addresses[i]), 0);
        lookup->addresses[i].port = lookup->port;
    }
    return true;
}

static const struct name_driver driver = {.known = knows};

static struct discover_settings look_at_discovery(const struct place *place)
{
    struct discover_settings discover;
    struct segment segment;
    struct bank_view view;

    open_published(place, &segment, &view);
    ck_assert(bank_discover(&view, 0, &discover));
    segment_detach(&segment);
    return discover;
}

START_TEST(a_sentinel_that_no_longer_resolves_keeps_its_address)
{
    static const char text[] = "service a { match = { r } endpoint e { address = ::1 }\n"
                               " discover { sentinels = { s.test:7 } master_name = m\n"
                               " refresh = 9s } }\n";
    struct place place = place_of("sentinel");
    struct discover_settings discover;

    name_driver = &driver;
    known_count = 1;
    publish_text(&place, text);
    ck_assert_uint_eq(said_count, 0);
    known_count = 0;
    publish_text(&place, text);
    name_driver = NULL;
    ck_assert_uint_eq(said_count, 1);
    ck_assert_ptr_nonnull(strstr(said[0], "its last known address stays in use"));
    discover = look_at_discovery(&place);
    ck_assert_uint_eq(discover.sentinels[0].port, 7);
    ck_assert_uint_eq(look(&place).front.refresh_ns, UINT64_C(9000000000));
}
END_TEST

static struct endpoint_label last_label(const struct place *place)
{
    struct endpoint_label label;
    struct segment segment;
    struct bank_view view;

    open_published(place, &segment, &view);
    ck_assert(bank_label(&view, view.endpoint_count - 1, &label));
    segment_detach(&segment);
    return label;
}

START_TEST(endpoints_that_find_no_room_are_counted)
{
    static const char text[] = "service a { match = { r } discover { dns = true }\n"
                               " endpoint e { address = e.test:7 }\n"
                               " endpoint f { address = f.test:8 }\n"
                               " endpoint g { address = ::1 } }\n";
    struct place place = place_of("full");

    name_driver = &driver;
    known_count = ENDPOINTS_MAX - 2;
    publish_text(&place, text);
    name_driver = NULL;
    ck_assert_uint_eq(look(&place).service.endpoint_count, ENDPOINTS_MAX);
    ck_assert_str_eq(last_label(&place).name, "g"); /* those of the file have their place */
    ck_assert_uint_eq(said_count, 1);
    ck_assert_str_eq(said[0], "discover of service a: 13 more than the 16 endpoints that a service "
                              "can have; left out");
}
END_TEST

START_TEST(publishing_the_same_again_changes_nothing)
{
    static const char text[] = "service a { match = { r } endpoint e { address = localhost } }\n";
    struct place place = place_of("same");

    ck_assert_int_eq(publish_text(&place, text), PUBLISHED_NEW);
    ck_assert_int_eq(publish_text(&place, text), PUBLISHED_NOTHING);
    look(&place);
}
END_TEST

static bool needs_program(const char *instance, const char *text)
{
    struct place place = place_of(instance);
    struct segment segment = {0};
    struct bank_view view;
    bool needs;

    publish_text(&place, text);
    open_published(&place, &segment, &view);
    needs = bank_needs_program(&view);
    segment_detach(&segment);
    return needs;
}

START_TEST(a_selector_needs_the_program)
{
    ck_assert(needs_program("selector", "service a { match = { r } strategy = command\n"
                                        " selector = { /x } endpoint e { address = ::1 } }\n"));
    ck_assert(!needs_program("first", "service a { match = { r } strategy = first\n"
                                      " endpoint e { address = ::1 } }\n"));
}
END_TEST

START_TEST(health_rules_of_each_endpoint_are_published)
{
    struct place place = place_of("health");

    publish_text(&place, "monitor = external\nservice a { match = { r }\n"
                         " endpoint e { address = 127.0.0.7 health { fall = 9 } }\n"
                         " health { fall = 6 rise = 5 } }\n");
    struct seen seen = look(&place);

    ck_assert_uint_eq(seen.front.monitor, MONITOR_EXTERNAL);
    ck_assert_uint_eq(seen.service.health.fall, 6);
    ck_assert_uint_eq(seen.endpoint.health.fall, 9);
    ck_assert_uint_eq(seen.endpoint.health.rise, 5);
}
END_TEST

static struct secret secret_at(const struct place *place, const struct seen *seen)
{
    int fd = secrets_open(place->secrets);
    struct secret secret;

    ck_assert_int_ge(fd, 0);
    ck_assert(secrets_read(fd, seen->endpoint.slot, seen->endpoint.generation, &secret));
    close(fd);
    return secret;
}

START_TEST(a_password_is_published_beside_the_segment)
{
    struct place place = place_of("secret");

    publish_text(&place, "service a { match = { r }\n"
                         " endpoint e { address = 127.0.0.7 username = u password = p } }\n");
    struct seen seen = look(&place);
    struct secret secret = secret_at(&place, &seen);

    ck_assert_str_eq(secret.username, "u");
    ck_assert_str_eq(secret.password, "p");
    publish_text(&place, "service a { match = { r } endpoint e { address = 127.0.0.7 } }\n");
    ck_assert_int_eq(secrets_open(place.secrets), -ENOENT);
}
END_TEST

START_TEST(the_first_line_of_a_password_file_is_published)
{
    struct place place = place_of("secretfile");
    char path[128], text[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/password", directory);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fchmod(fileno(file), 0600), 0);
    fputs("from the file\r\nand no more\n", file);
    fclose(file);
    snprintf(text, sizeof(text),
             "service a { match = { r } endpoint e { address = 127.0.0.7 password_file = %s } }\n",
             path);
    publish_text(&place, text);
    struct seen seen = look(&place);

    ck_assert_str_eq(secret_at(&place, &seen).password, "from the file");
    ck_assert_uint_eq(said_count, 0);
}
END_TEST

/* ---- what Sentinels bring ---- */

static const char discovering[] =
    "service a { match = { r } discover { master_name = m quorum = 1\n"
    " sentinels = { '127.0.0.1:26379', '127.0.0.2:26380' } } }\n";

static void assert_ports(const struct place *place, const uint16_t *ports)
{
    struct segment segment;
    struct bank_view view;
    struct endpoint_settings endpoint;
    struct endpoint_label label;
    uint32_t count = 0;

    open_published(place, &segment, &view);
    for (; bank_endpoint(&view, count, &endpoint); count++) {
        ck_assert(bank_label(&view, count, &label));
        ck_assert_str_eq(label.source, "sentinel");
        ck_assert_uint_eq(endpoint.addresses[0].port, ports[count]);
    }
    ck_assert_uint_eq(ports[count], 0);
    segment_detach(&segment);
}

START_TEST(sentinels_are_asked_before_anybody_sees_the_settings)
{
    static const uint16_t ports[] = {7001, 7002, 0};
    struct place place = place_of("sentinels");

    will_answer(ports);
    ck_assert_int_eq(publish_text(&place, discovering), PUBLISHED_NEW);
    ck_assert_uint_eq(asked, 1);
    assert_ports(&place, ports);
    /* From then on it is known. */
    ck_assert_int_eq(publish_text(&place, discovering), PUBLISHED_NOTHING);
    ck_assert_uint_eq(asked, 1);
    ck_assert_uint_eq(said_count, 0);
}
END_TEST

START_TEST(silent_sentinels_are_said)
{
    static const uint16_t none[] = {0};
    struct place place = place_of("silent");

    will_answer(none);
    ck_assert_int_eq(publish_text(&place, discovering), PUBLISHED_NEW);
    ck_assert_uint_eq(said_count, 1);
    ck_assert_str_eq(said[0],
                     "service a has no endpoint: no quorum of its Sentinels has answered yet");
}
END_TEST

/* As one leaves it who was killed while he wrote. */
static void tear_what_was_found(const struct place *place)
{
    struct segment segment;
    struct discovery_live *live;
    const char *why = "";

    ck_assert_msg(segment_attach(&segment, place, &why) == 0, "%s", why);
    live = discovery_of(&segment, "a");
    ck_assert_ptr_nonnull(live);
    store_relaxed(&live->count, 1);
    segment_detach(&segment);
}

START_TEST(what_is_half_written_takes_no_server_away)
{
    static const uint16_t ports[] = {7001, 7002, 0}, none[] = {0};
    struct place place = place_of("torn");

    will_answer(ports);
    publish_text(&place, discovering);
    tear_what_was_found(&place);
    will_answer(none);
    ck_assert_int_eq(publish_text(&place, discovering), PUBLISHED_NOTHING);
    ck_assert_uint_eq(asked, 0);
    assert_ports(&place, ports);
}
END_TEST

static void read_what_was_found(const struct place *place, const char *service, struct found *found)
{
    struct segment segment;
    struct discovery_live *live;
    const char *why = "";

    ck_assert_msg(segment_attach(&segment, place, &why) == 0, "%s", why);
    live = discovery_of(&segment, service);
    ck_assert_ptr_nonnull(live);
    discovery_read(live, look_at_discovery(place).identity, found);
    segment_detach(&segment);
}

/* Its answer comes from those settings in force; whoever checks may be writing a newer one. */
START_TEST(a_service_that_was_not_asked_is_left_to_whoever_checks)
{
    static const char both[] =
        "service a { match = { r } discover { master_name = m quorum = 1\n"
        " sentinels = { '127.0.0.1:26379', '127.0.0.2:26380' } } }\n"
        "service b { match = { s } discover { master_name = n sentinels = { ::1 } } }\n";
    static const uint16_t ports[] = {7001, 7002, 0};
    struct place place = place_of("another");
    struct found found;

    will_answer(ports);
    publish_text(&place, discovering);
    tear_what_was_found(&place);
    publish_text(&place, both);
    ck_assert_uint_eq(asked, 2); /* once each */
    read_what_was_found(&place, "a", &found);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(a_sentinel_whose_name_no_longer_resolves_takes_nothing_away)
{
    static const char text[] = "service a { match = { r } discover { master_name = m quorum = 1\n"
                               " sentinels = { 's.example:26379' } } }\n";
    static const uint16_t ports[] = {7001, 7002, 0}, none[] = {0};
    struct place place = place_of("unnamed");

    name_driver = &driver;
    known_count = 1;
    will_answer(ports);
    publish_text(&place, text);
    ck_assert_uint_eq(asked_ports[0], 26379);
    known_count = 0;
    will_answer(none);
    ck_assert_int_eq(publish_text(&place, text), PUBLISHED_NOTHING);
    assert_ports(&place, ports);
    ck_assert_uint_eq(said_count, 1);
    ck_assert_ptr_nonnull(strstr(said[0], "its last known address stays in use"));
    name_driver = NULL;
}
END_TEST

/* A name server that says nothing. */
static bool keeps_waiting(struct lookup *lookup, uint64_t lookup_patience_ns)
{
    const struct timespec pause = {.tv_sec = (time_t)(lookup_patience_ns / NS_PER_S),
                                   .tv_nsec = (long)(lookup_patience_ns % NS_PER_S)};

    if (address_parse_ip(lookup->host, &lookup->addresses[0]) == 0)
        return false;
    nanosleep(&pause, NULL);
    lookup->error = EAI_AGAIN;
    return true;
}

static bool knows_nothing(struct lookup *lookup)
{
    (void)lookup;
    return false;
}

static const struct name_driver slow = {.ask = keeps_waiting, .known = knows_nothing};

/* A program may be waiting for it. */
START_TEST(names_and_sentinels_share_the_time_there_is)
{
    static const uint16_t ports[] = {7001, 0};
    struct place place = place_of("hurry");
    uint64_t began_ns;

    name_driver = &slow;
    will_answer(ports);
    patience_ns = 400 * NS_PER_MS;
    began_ns = clock_boot_ns();
    publish_text(&place, "service a { match = { r } discover { master_name = m quorum = 1\n"
                         " sentinels = { '127.0.0.1:26379', 's.test' } } }\n");
    ck_assert_uint_eq(asked, 1);
    ck_assert_uint_le(given_ns, 150 * NS_PER_MS);
    ck_assert_uint_ge(clock_boot_ns() - began_ns, 250 * NS_PER_MS);
    name_driver = NULL;
    patience_ns = 0;
}
END_TEST

START_TEST(sentinels_are_not_waited_for_without_end)
{
    static const uint16_t ports[] = {7001, 0};
    struct place place = place_of("leisure");

    will_answer(ports);
    publish_text(&place, discovering);
    ck_assert_uint_eq(given_ns, 350 * NS_PER_MS);
}
END_TEST

/* Whatever the tests left, also one that failed half way. */
static void remove_directory(void)
{
    DIR *listing = opendir(directory);

    for (struct dirent *entry; listing && (entry = readdir(listing));)
        unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing)
        closedir(listing);
    rmdir(directory);
}

int main(void)
{
    const TTest *const tests[] = {
        rules_and_labels_are_published,
        name_is_resolved,
        name_that_does_not_resolve_is_said_and_published_without_address,
        name_that_no_longer_resolves_keeps_its_addresses,
        a_sentinel_that_no_longer_resolves_keeps_its_address,
        endpoints_that_find_no_room_are_counted,
        publishing_the_same_again_changes_nothing,
        a_selector_needs_the_program,
        health_rules_of_each_endpoint_are_published,
        a_password_is_published_beside_the_segment,
        the_first_line_of_a_password_file_is_published,
        sentinels_are_asked_before_anybody_sees_the_settings,
        silent_sentinels_are_said,
        what_is_half_written_takes_no_server_away,
        a_service_that_was_not_asked_is_left_to_whoever_checks,
        a_sentinel_whose_name_no_longer_resolves_takes_nothing_away,
        names_and_sentinels_share_the_time_there_is,
        sentinels_are_not_waited_for_without_end,
    };
    int status;

    snprintf(directory, sizeof(directory), "/dev/shm/redisteer-settings-XXXXXX");
    if (!mkdtemp(directory))
        return EXIT_FAILURE;
    status = unit_run("settings_publish", tests, COUNT_OF(tests));
    remove_directory();
    return status;
}
