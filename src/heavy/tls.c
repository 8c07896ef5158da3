#include "heavy/tls.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/address.h"
#include "heavy/tls_cause.h"
#include "state/place.h"

/* What was made of one kind of settings. */
struct context {
    struct context *next;
    struct tls_settings settings;
    struct file_stamp stamps[3]; /* ca, cert, key, as they were read */
    SSL_CTX *ssl;
};

struct stream {
    SSL *ssl;
    short events; /* that it waits for */
    bool asked;   /* for a certificate */
    bool heard;   /* something behind the handshake */
    enum check_cause cause;
};

static struct context *contexts;

/* ---- contexts ---- */

static void read_stamps(const struct tls_settings *settings, struct file_stamp stamps[3])
{
    const char *const files[3] = {settings->ca, settings->cert, settings->key};

    memset(stamps, 0, 3 * sizeof(stamps[0]));
    for (unsigned i = 0; i < 3; i++)
        if (files[i][0])
            file_stamp_read(files[i], &stamps[i]);
}

static bool same_stamps(const struct file_stamp a[3], const struct file_stamp b[3])
{
    return file_stamp_equal(&a[0], &b[0]) && file_stamp_equal(&a[1], &b[1]) &&
           file_stamp_equal(&a[2], &b[2]);
}

/* A key with a pass phrase: nobody is here to be asked for it. */
static int no_pass_phrase(char *to, int size, int writing, void *context)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

/* The server asks for a certificate. It gets what the context has, if anything. */
static int note_question(SSL *ssl, void *context)
{
    struct stream *stream = SSL_get_app_data(ssl);

    (void)context;
    stream->asked = true;
    return 1;
}

static bool trust(SSL_CTX *ssl, const struct tls_settings *settings)
{
    if (settings->ca[0])
        return SSL_CTX_load_verify_locations(ssl, settings->ca, NULL) == 1;
    SSL_CTX_set_default_verify_paths(ssl);
    return true;
}

static bool identify(SSL_CTX *ssl, const struct tls_settings *settings)
{
    if (!settings->cert[0])
        return true;
    return SSL_CTX_use_certificate_chain_file(ssl, settings->cert) == 1 &&
           SSL_CTX_use_PrivateKey_file(ssl, settings->key, SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_check_private_key(ssl) == 1;
}

static SSL_CTX *make(const struct tls_settings *settings, enum check_cause *why)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());

    *why = CHECK_TLS_HANDSHAKE;
    if (!ssl)
        return NULL;
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_default_passwd_cb(ssl, no_pass_phrase);
    SSL_CTX_set_cert_cb(ssl, note_question, NULL);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ssl, settings->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    *why = CHECK_TLS_CA_FILE;
    if (trust(ssl, settings)) {
        *why = CHECK_TLS_CERT_FILE;
        if (identify(ssl, settings))
            return ssl;
    }
    ERR_clear_error();
    SSL_CTX_free(ssl);
    return NULL;
}

static struct context *find(const struct tls_settings *settings)
{
    for (struct context *context = contexts; context; context = context->next)
        if (memcmp(&context->settings, settings, sizeof(*settings)) == 0)
            return context;
    struct context *context = calloc(1, sizeof(*context));
    if (!context)
        return NULL;
    context->settings = *settings;
    context->next = contexts;
    contexts = context;
    return context;
}

static SSL_CTX *context_of(const struct tls_settings *settings, enum check_cause *why)
{
    struct context *context = find(settings);
    struct file_stamp now[3];

    *why = CHECK_TLS_HANDSHAKE;
    if (!context)
        return NULL;
    read_stamps(settings, now);
    if (context->ssl && same_stamps(now, context->stamps))
        return context->ssl;
    SSL_CTX_free(context->ssl); /* connections keep what they have */
    context->ssl = make(settings, why);
    memcpy(context->stamps, now, sizeof(now));
    return context->ssl;
}

/* ---- streams ---- */

/* Whose certificate it must be; names, unlike addresses, are also told to the server (SNI). */
static bool set_name(SSL *ssl, const struct tls_settings *settings)
{
    X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
    struct address address;

    if (address_parse_ip(settings->server_name, &address) == 0)
        return X509_VERIFY_PARAM_set1_ip_asc(rules, settings->server_name) == 1;
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, settings->server_name) == 1 &&
           X509_VERIFY_PARAM_set1_host(rules, settings->server_name, 0) == 1;
}

static struct stream *tls_open(int fd, const struct tls_settings *settings, enum check_cause *why)
{
    SSL_CTX *context = context_of(settings, why);
    struct stream *stream;

    if (!context)
        return NULL;
    *why = CHECK_TLS_HANDSHAKE;
    stream = calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    stream->ssl = SSL_new(context);
    if (!stream->ssl || SSL_set_fd(stream->ssl, fd) != 1 || !set_name(stream->ssl, settings)) {
        ERR_clear_error();
        SSL_free(stream->ssl);
        free(stream);
        return NULL;
    }
    SSL_set_app_data(stream->ssl, stream);
    SSL_set_connect_state(stream->ssl);
    return stream;
}

static void tls_close(struct stream *stream)
{
    SSL_free(stream->ssl);
    free(stream);
}

/* It asked for a certificate and hung up then. */
static enum check_cause cause_of_hanging_up(const struct stream *stream)
{
    return SSL_get_certificate(stream->ssl) ? CHECK_TLS_CLIENT_REFUSED : CHECK_TLS_CLIENT_MISSING;
}

static enum check_cause cause_of(const struct stream *stream, unsigned long error)
{
    long result = SSL_get_verify_result(stream->ssl);

    /* Where nothing is verified the result says what would have been wrong. */
    if (result != X509_V_OK && SSL_get_verify_mode(stream->ssl) != SSL_VERIFY_NONE)
        return tls_cause_of_certificate(result);
    /* TLS 1.2 has no alert of its own for this. */
    if (stream->asked && ERR_GET_REASON(error) == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
        return cause_of_hanging_up(stream);
    return tls_cause_of_error(error);
}

/* What a call that returned `result` means: -EAGAIN, 0 for the end, or -errno. */
static ssize_t outcome(struct stream *stream, int result)
{
    int saved = errno;
    unsigned long error = ERR_peek_error();

    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        stream->events = POLLIN;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        stream->events = POLLOUT;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        if (saved == ECONNRESET || saved == EPIPE || saved == ETIMEDOUT)
            return -saved;
        return 0;
    default:
        ERR_clear_error();
        if (ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return 0;
        stream->cause = cause_of(stream, error);
        return -EPROTO;
    }
}

static int tls_handshake(struct stream *stream)
{
    ssize_t status;
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(stream->ssl);
    if (result == 1)
        return 0;
    status = outcome(stream, result);
    if (status == -EAGAIN || status == -EPROTO)
        return (int)status;
    /* Hung up on. */
    stream->cause = stream->asked ? cause_of_hanging_up(stream) : CHECK_TLS_HANDSHAKE;
    return -EPROTO;
}

static short tls_events(const struct stream *stream)
{
    return stream->events;
}

static ssize_t tls_send(struct stream *stream, const void *bytes, size_t length)
{
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_write(stream->ssl, bytes, (int)length);
    if (result > 0)
        return result;
    ssize_t status = outcome(stream, result);
    return status == 0 ? -EPIPE : status;
}

static ssize_t tls_receive(struct stream *stream, void *bytes, size_t length)
{
    ssize_t status;
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_read(stream->ssl, bytes, (int)length);
    if (result > 0) {
        stream->heard = true;
        return result;
    }
    status = outcome(stream, result);
    /* In TLS 1.3 a certificate is judged behind the handshake, and the reset of a server that hangs
     * up may overtake its alert. */
    if (stream->asked && !stream->heard && status != -EAGAIN && status != -EPROTO) {
        stream->cause = cause_of_hanging_up(stream);
        return -EPROTO;
    }
    return status;
}

static bool tls_has_more(const struct stream *stream)
{
    return SSL_pending(stream->ssl) > 0;
}

static enum check_cause tls_cause(const struct stream *stream)
{
    return stream->cause;
}

const struct stream_driver tls_driver = {
    .open = tls_open,
    .close = tls_close,
    .handshake = tls_handshake,
    .events = tls_events,
    .send = tls_send,
    .receive = tls_receive,
    .has_more = tls_has_more,
    .cause = tls_cause,
};
