/* Complaints: what this build lacks, checks, secrets, services compared. Each row: a file, and all
 * that must be said about it. */
#include "settings_cases.h"

static const struct settings_case cases[] = {
    /* lag gates failback only */
    {OPEN "health { probe = lag }\n}\n",
     "4: health.probe cannot be a lag check: lag gates failback only (failback.probe): 'lag'\n"},
    {OPEN "health { probe = \"any(ping, lag)\" }\n}\n",
     "4: health.probe cannot be a lag check: lag gates failback only (failback.probe): 'any(ping, "
     "lag)'\n"},
    {"check c { type = lag url = https://x }\n" OPEN "health { probe = c }\n}\n",
     "5: health.probe cannot be a lag check: lag gates failback only (failback.probe): 'c'\n"},
    {OPEN "health { probe = \"all(ping, tcp, echo, ping, ping, ping, ping, ping, ping)\" }\n}\n",
     "4: health.probe has more than 8 checks: 'all(ping, tcp, echo, ping, ping, ping, ping, ping, "
     "ping)'\n"},
    {OPEN "health { probe = c }\n}\n",
     "4: health.probe names no check (ping, echo, tcp or a check block's name): 'c'\n"},
    {OPEN "failback { probe = c }\n}\n",
     "4: failback.probe names no check (ping, echo, tcp or a check block's name): 'c'\n"},
    {OPEN "failback { probe = \"some(ping)\" }\n}\n",
     "4: failback.probe must be a check or all(...), any(...) or majority(...) of checks: "
     "'some(ping)'\n"},
    {OPEN "health { role = slave }\n}\n",
     "4: health.role must be any, master or replica: 'slave'\n"},
    /* TLS */
    {OPEN
     "endpoint w { address = y tls {\n ca = a\n cert = /nonexistent/b\n key = ''\n server_name = "
     "d:1\n verify = no } }\n}\n",
     "5: tls.ca must be an absolute path: 'a'\n"
     "6: tls.cert cannot be read (No such file or directory): '/nonexistent/b'\n"
     "6: tls.cert needs key beside it: '/nonexistent/b'\n"
     "8: tls.server_name has a port, which is none of a certificate's matter: 'd:1'\n"},
    {OPEN "endpoint w { address = y tls { key = /etc/passwd } }\n}\n",
     "4: tls.key needs cert beside it: '/etc/passwd'\n"},
    {"check c { type = write tls { enabled = yes } }\n",
     "1: tls has no place in a check of type write: it is the endpoint's: 'c'\n"},
    /* discovery */
    {OPEN
     "discover {\n sentinels = { s:26379 }\n master_name = m\n srv = s\n dns = perhaps\n }\n}\n",
     "7: discover.srv must be a name such as _redis._tcp.example.com: 's'\n"
     "8: discover.dns must be true or false: 'perhaps'\n"},
    {OPEN "discover {\n master_name = m\n quorum = 2\n username = u\n nat_map = { 'a:1=1.2.3.4:5' "
          "}\n }\n}\n",
     "5: discover.master_name has no place without discover.sentinels: 'm'\n"
     "6: discover.quorum has no place without discover.sentinels: '2'\n"
     "7: discover.username has no place without discover.sentinels or discover.srv: 'u'\n"
     "8: discover.nat_map has no place without discover.sentinels: 'a:1=1.2.3.4:5'\n"},
    {OPEN "discover {\n sentinels = { a, b }\n quorum = 3\n nat_map = { 'a:1=b:2', "
          "'a=1.2.3.4:5', 'a:1=[::1]:7' }\n }\n}\n",
     "5: discover.sentinels needs discover.master_name: 'a'\n"
     "6: discover.quorum is more than there are Sentinels (2): '3'\n"
     "7: discover.nat_map must be host:port=ip:port: 'a:1=b:2'\n"
     "7: discover.nat_map must be host:port=ip:port: 'a=1.2.3.4:5'\n"},
    {OPEN "discover { sentinels = { 'a:*' } master_name = m refresh = 500ms }\n}\n",
     "4: discover.sentinels needs one port, not every port: 'a:*'\n"
     "4: discover.refresh must be from 1s to 24h: '500ms'\n"},
    {"service a { match = x discover { sentinels = { s } master_name = m } }\n"
     "service b { match = y discover { sentinels = { s } master_name = m } health { role = replica "
     "} }\n",
     "2: service b follows the same master as service a (line 1), so all but one of them must say "
     "resolve = virtual: 'm'\n"},
    {OPEN "strategy = latency\n health { enabled = false }\n}\n",
     "4: strategy needs health checks, which measure the latency (health.enabled): 'latency'\n"},
    /* the selector */
    {OPEN "mode = steer\n strategy = command\n}\n",
     "5: strategy needs the program that ranks the endpoints (selector): 'command'\n"},
    {OPEN "strategy = command\n selector = {}\n}\n",
     "4: strategy needs the program that ranks the endpoints (selector): 'command'\n"},
    {OPEN "mode = steer\n selector = { /bin/true, x }\n}\n",
     "5: selector has no place without strategy = command: '/bin/true'\n"},
    {OPEN "strategy = first\n selector = /bin/true\n}\n",
     "5: selector has no place without strategy = command: '/bin/true'\n"},
    {OPEN "strategy = command\n selector = { '', x }\n}\n",
     "5: selector must begin with a program: ''\n"},
    {OPEN "strategy = command\n selector = { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q,\n"
          " r, s, t, u, v, w, x, y, z, 1, 2, 3, 4, 5, 6, 7 }\n}\n",
     "6: selector is too long (32 words, 767 bytes in all): '7'\n"},
    {"monitor = thread\n" OPEN "strategy = command\n selector = /bin/true\n}\n",
     "2: strategy = command needs `redisteer monitor`, which monitor = thread excludes: 'a'\n"},
    {"events { run = { /bin/true } }\n",
     "1: events.run is not available in this build: '/bin/true'\n"},
    {"web { listen = \"127.0.0.1:9379\" }\n",
     "1: web.listen is not available in this build: '127.0.0.1:9379'\n"},
    /* check blocks */
    {"check c { }\n", "1: the check has no type: 'c'\n"},
    {"check c { type = htp }\n",
     "1: type must be command, lag, http, exec, key, role or write: 'htp'\n"},
    {"check c { type = http url = ftp://x status = 20 }\n",
     "1: url must begin with http:// or https://: 'ftp://x'\n"
     "1: status must be a status or a range, such as 200 or 200-299: '20'\n"},
    {"check c { type = lag url = https://x tls { server_name = y } }\n",
     "1: a check's tls takes ca, cert, key and verify: the rest is said by its url: 'c'\n"},
    {"check c { type = exec }\n", "1: the check has no command: 'c'\n"},
    {"check c { type = key key = a expect = 3 }\n",
     "1: expect has no place in a check of type key: '3'\n"
     "1: the check has no value: 'c'\n"},
    {"check c { type = write key = a }\n", "1: key has no place in a check of type write: 'a'\n"},
    {"check ping { type = command command = { PING } timeout = 2m }\n",
     "1: a built-in check has this name: 'ping'\n"
     "1: timeout must be from 1ms to 1m: '2m'\n"},
    {"check c { type = command command = { GET, k } expect = 7-3 }\n",
     "1: expect is a range that begins behind its end: '7-3'\n"},
    {"check c { type = lag url = https://x tolerance = 5 extended = 2 }\n",
     "1: extended must be true or false: '2'\n"
     "1: tolerance must be a duration such as 250ms, 1s, 5m or 1h: '5'\n"},
    {"monitor = thread\ncheck c { type = exec command = x }\n" OPEN "failback { probe = c }\n}\n",
     "5: checks over TLS and of type http, lag or exec need `redisteer monitor`, which monitor = "
     "thread excludes: 'e'\n"},
    /* secrets */
    {OPEN "endpoint w { address = y password = s3cret more }\n}\n",
     "4: unknown option in endpoint: '***'\n"},
    {OPEN "endpoint w { address = y password = \"s3cret }\n}\n",
     "1: the block is not closed by '}': 'service a'\n"
     "4: the string is not closed on its line: '\"'\n"},
    {OPEN "endpoint w { address = y password = s3${cret} }\n}\n",
     "4: the environment is not read here (single quotes keep the text as it is): '${'\n"},
    {OPEN "endpoint w { address = y password = { s3cret } }\n}\n",
     "4: takes one value, not a list: 'password'\n"},
    {OPEN "endpoint w { address = y pasword = s3cret }\n}\n",
     "4: unknown option in endpoint (did you mean 'password'?): 'pasword'\n"},
    {OPEN "endpoint w { address = y password_file = relative }\n}\n",
     "4: password_file must be an absolute path: 'relative'\n"},
    {OPEN "endpoint w { address = y password_file = /nonexistent/file }\n}\n",
     "4: password_file cannot be opened (No such file or directory): '/nonexistent/file'\n"},
    {OPEN "endpoint w { address = y\n password = s3cret\n password_file = /dev/null }\n}\n",
     "6: password_file is not a regular file: '/dev/null'\n"
     "6: password_file cannot stand together with password (line 5): '/dev/null'\n"},
    /* services compared */
    {OPEN "}\nservice b { match = { R. } endpoint e { address = y } }\n",
     "5: match entry of service b stands already on line 2 (service a): 'r:6379'\n"},
    {"service a { match = { r, s,\n r:6379 } endpoint e { address = x } }\n",
     "2: match entry of service a stands already on line 1 (service a): 'r:6379'\n"},
    {OPEN "}\nservice b {\n match = { s }\n endpoint f { address = 127.0.0.1:1 } }\n",
     "7: service b shares an endpoint with service a (line 3), so all but one of them must say "
     "resolve = virtual: '127.0.0.1:1'\n"},
    {"service a { match = { 10.0.0.5, '[::ffff:10.0.0.5]' } endpoint e { address = x } }\n",
     "1: match entry of service a stands already on line 1 (service a): "
     "'[::ffff:10.0.0.5]:6379'\n"},
    {OPEN "}\nservice b { match = { s } endpoint f { address = 127.0.0.1:1 } }\nservice c { match "
          "= { t } resolve = virtual\n endpoint f { address = 127.0.0.1:1 } }\n",
     "5: service b shares an endpoint with service a (line 3), so all but one of them must say "
     "resolve = virtual: '127.0.0.1:1'\n"},
};

START_TEST(complaints_about_what_does_not_go_together)
{
    settings_case_check(&cases[_i]);
}
END_TEST

int main(void)
{
    return settings_cases_run("settings_services", complaints_about_what_does_not_go_together,
                              COUNT_OF(cases));
}
