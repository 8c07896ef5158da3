#include "heavy/web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "heavy/tls_cause.h"

enum { RETRIES = 2 };

/* What libcurl calls back with. */
struct transfer {
    struct job *job;
    struct web_answer answer;
    size_t most;
};

static size_t take(char *bytes, size_t one, size_t count, void *argument)
{
    struct transfer *transfer = argument;
    struct web_answer *answer = &transfer->answer;
    size_t kept = count < transfer->most - answer->length ? count : transfer->most - answer->length;

    (void)one; /* 1 */
    memcpy(answer->body + answer->length, bytes, kept);
    answer->length += kept;
    answer->cut = kept < count;
    return kept; /* less than it has: the rest is not wanted */
}

static int go_on(void *argument, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *transfer = argument;

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load(&transfer->job->cancelled);
}

static void set_tls(CURL *curl, const struct tls_settings *tls)
{
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (tls->ca[0])
        curl_easy_setopt(curl, CURLOPT_CAINFO, tls->ca);
    if (tls->cert[0]) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, tls->cert);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, tls->key);
        curl_easy_setopt(curl, CURLOPT_KEYPASSWD, ""); /* nobody is here to be asked */
    }
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, tls->verify ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, tls->verify ? 2L : 0L);
}

static void set_options(CURL *curl, struct transfer *transfer, const char *url, char *error)
{
    const struct probe_target *target = &transfer->job->worker->target;

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)job_left_ms(transfer->job));
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "redisteer");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, go_on);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    set_tls(curl, &target->tls_settings);
    if (target->username[0] || target->password[0]) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, target->username);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, target->password);
    }
}

/* libcurl hands OpenSSL's errors on as words alone. */
static enum check_cause cause_of_words(const char *error, enum check_cause otherwise)
{
    static const struct {
        const char *words;
        enum check_cause cause;
    } known[] = {
        {"certificate required", CHECK_TLS_CLIENT_MISSING},
        {"alert handshake failure", CHECK_TLS_HANDSHAKE},
        {"alert unknown ca", CHECK_TLS_CLIENT_REFUSED},
        {"alert bad certificate", CHECK_TLS_CLIENT_REFUSED},
        {"alert certificate", CHECK_TLS_CLIENT_REFUSED},
        {"alert decrypt error", CHECK_TLS_CLIENT_REFUSED},
        {"wrong version number", CHECK_TLS_PLAIN},
        {"packet length too long", CHECK_TLS_PLAIN},
        {"protocol version", CHECK_TLS_VERSION},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strstr(error, known[i].words))
            return known[i].cause;
    return otherwise;
}

static enum check_cause cause_of(CURL *curl, CURLcode code, const char *error)
{
    long detail = 0;

    switch ((int)code) { /* of a hundred codes those that can be told apart */
    case CURLE_COULDNT_RESOLVE_HOST:
        return CHECK_HTTP_RESOLVE;
    case CURLE_COULDNT_CONNECT:
        curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &detail);
        return detail == ECONNREFUSED ? CHECK_HTTP_REFUSED : CHECK_HTTP_CONNECTION;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_ABORTED_BY_CALLBACK:
        return CHECK_HTTP_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
        /* Names are compared by libcurl itself, and then this is not set. */
        curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &detail);
        return detail <= 1 ? CHECK_TLS_NAME : tls_cause_of_certificate(detail);
    case CURLE_SSL_CACERT_BADFILE:
        return CHECK_TLS_CA_FILE;
    case CURLE_SSL_CERTPROBLEM:
        return CHECK_TLS_CERT_FILE;
    case CURLE_SSL_CONNECT_ERROR:
        return cause_of_words(error, CHECK_TLS_HANDSHAKE);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return cause_of_words(error, CHECK_HTTP_CONNECTION);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_BAD_CONTENT_ENCODING:
        return CHECK_HTTP_PROTOCOL;
    default:
        return CHECK_HTTP_CONNECTION;
    }
}

/*
 * A connection that broke before anything came: it may have been kept for too long, or its reset
 * has overtaken the alert that says why.
 */
static bool worth_another(const struct transfer *transfer, CURLcode code, const char *error)
{
    return (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) && transfer->answer.length == 0 &&
           cause_of_words(error, CHECK_HTTP_CONNECTION) == CHECK_HTTP_CONNECTION &&
           job_left_ms(transfer->job) > 0 && !atomic_load(&transfer->job->cancelled);
}

/*
 * TLS 1.3 judges the client behind the handshake, and the reset of a server that hangs up can
 * overtake what it says. TLS 1.2 judges within: it refuses the handshake. So that is asked, once.
 */
static enum check_cause cause_of_reset(struct worker *worker, const char *error)
{
    bool has_certificate = worker->target.tls_settings.cert[0] != '\0';

    curl_easy_setopt(worker->curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(worker->curl, CURLOPT_SSLVERSION,
                     (long)CURL_SSLVERSION_TLSv1_2 | (long)CURL_SSLVERSION_MAX_TLSv1_2);
    if (curl_easy_perform(worker->curl) == CURLE_SSL_CONNECT_ERROR &&
        strstr(error, "alert handshake failure"))
        return has_certificate ? CHECK_TLS_CLIENT_REFUSED : CHECK_TLS_CLIENT_MISSING;
    return CHECK_HTTP_CONNECTION;
}

struct web_answer web_get(struct job *job, const char *url, const char *accept, size_t most)
{
    struct transfer transfer = {.job = job, .most = most};
    struct web_answer *answer = &transfer.answer;
    char error[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    struct worker *worker = job->worker;
    unsigned tries = 0;
    CURLcode code;

    if (!worker->curl)
        worker->curl = curl_easy_init();
    answer->body = calloc(1, most + 1);
    answer->cause = CHECK_HTTP_CONNECTION;
    if (!worker->curl || !answer->body)
        return *answer;
    curl_easy_reset(worker->curl);
    set_options(worker->curl, &transfer, url, error);
    if (accept)
        headers = curl_slist_append(NULL, accept);
    curl_easy_setopt(worker->curl, CURLOPT_HTTPHEADER, headers);
    do
        code = curl_easy_perform(worker->curl);
    while (worth_another(&transfer, code, error) && tries++ < RETRIES);
    curl_easy_getinfo(worker->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    answer->cause = CHECK_FINE;
    if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && answer->cut))
        answer->cause = worth_another(&transfer, code, error) && strncmp(url, "https:", 6) == 0
                            ? cause_of_reset(worker, error)
                            : cause_of(worker->curl, code, error);
    curl_easy_setopt(worker->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(worker->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return *answer;
}

enum probe_outcome web_outcome(enum check_cause cause)
{
    if (cause == CHECK_FINE)
        return PROBE_PASSED;
    return cause == CHECK_TLS_CA_FILE || cause == CHECK_TLS_CERT_FILE ? PROBE_VOID : PROBE_FAILED;
}
