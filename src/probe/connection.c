#include "probe/connection.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "base/wipe.h"
#include "probe/net.h"

const struct stream_driver *stream_tls;

void connection_init(struct connection *connection)
{
    memset(connection, 0, offsetof(struct connection, out));
    connection->fd = -1;
}

/* There may have been a password in it. */
static void wipe_sent(struct connection *connection)
{
    wipe(connection->out, connection->out_to);
    connection->out_from = connection->out_to = 0;
}

void connection_close(struct connection *connection)
{
    if (connection->stream && stream_tls)
        stream_tls->close(connection->stream);
    connection->stream = NULL;
    if (connection->fd >= 0)
        net_close(connection->fd);
    connection->fd = -1;
    connection->joined = false;
    connection->made = false;
    reader_reset(&connection->reader);
    wipe_sent(connection);
}

static int shake_hands(struct connection *connection)
{
    int error;

    if (!stream_tls)
        return -EPROTO;
    error = stream_tls->handshake(connection->stream);
    if (error == -EAGAIN)
        return -EINPROGRESS;
    connection->made = error == 0;
    if (error)
        connection->trouble = stream_tls->cause(connection->stream);
    return error;
}

/* TCP's part is done. */
static int join(struct connection *connection, const struct probe_target *target)
{
    connection->joined = true;
    connection->trouble = CHECK_FINE;
    if (!target->tls) {
        connection->made = true;
        return 0;
    }
    connection->trouble = CHECK_NEEDS_PROGRAM;
    if (stream_tls)
        connection->stream =
            stream_tls->open(connection->fd, &target->tls_settings, &connection->trouble);
    return connection->stream ? shake_hands(connection) : -EPROTO;
}

/* Goes on with connection->address, the last error being `error`. */
static int try_addresses(struct connection *connection, const struct probe_target *target,
                         int error)
{
    for (; connection->address < target->address_count; connection->address++) {
        const struct address *address = &target->addresses[connection->address];

        connection_close(connection);
        connection->fd = net_open(address);
        error = connection->fd < 0 ? connection->fd : net_connect(connection->fd, address);
        if (error == 0)
            error = net_outcome(connection->fd, address);
        if (error == -EINPROGRESS)
            return error;
        if (error == 0)
            return join(connection, target);
    }
    connection_close(connection);
    return error;
}

int connection_open(struct connection *connection, const struct probe_target *target)
{
    connection->address = 0;
    return try_addresses(connection, target, -EADDRNOTAVAIL);
}

int connection_finish(struct connection *connection, const struct probe_target *target)
{
    int error;

    if (connection->joined)
        return shake_hands(connection);
    error = net_outcome(connection->fd, &target->addresses[connection->address]);
    if (error == -EINPROGRESS)
        return error;
    if (error == 0)
        return join(connection, target);
    connection->address++;
    return try_addresses(connection, target, error);
}

bool connection_queue(struct connection *connection, const char *bytes, size_t length)
{
    if (length > CONNECTION_OUT - connection->out_to)
        return false;
    memcpy(connection->out + connection->out_to, bytes, length);
    connection->out_to += length;
    return true;
}

void connection_flush(struct connection *connection)
{
    while (connection_is_sending(connection)) {
        const char *from = connection->out + connection->out_from;
        size_t length = connection->out_to - connection->out_from;
        ssize_t sent = connection->stream ? stream_tls->send(connection->stream, from, length)
                                          : net_send(connection->fd, from, length);

        if (sent == -EAGAIN)
            return;
        if (sent < 0) /* the other side has gone; what it said before can still be read */
            break;
        connection->out_from += (size_t)sent;
    }
    wipe_sent(connection);
}

bool connection_is_sending(const struct connection *connection)
{
    return connection->out_from < connection->out_to;
}

short connection_events(const struct connection *connection)
{
    if (!connection->joined)
        return POLLOUT;
    if (!connection->made)
        return stream_tls->events(connection->stream);
    return connection_is_sending(connection) ? POLLIN | POLLOUT : POLLIN;
}

bool connection_has_more(const struct connection *connection)
{
    return connection->stream && stream_tls->has_more(connection->stream);
}

ssize_t connection_receive(struct connection *connection)
{
    char bytes[READER_CHUNK];
    ssize_t length;
    int error;

    if (connection->stream)
        length = stream_tls->receive(connection->stream, bytes, sizeof(bytes));
    else
        length = net_receive(connection->fd, bytes, sizeof(bytes));
    if (length == -EPROTO)
        connection->trouble = stream_tls->cause(connection->stream);
    if (length == 0)
        return -EPIPE;
    if (length < 0)
        return length;
    error = reader_feed(&connection->reader, bytes, (size_t)length);
    return error ? error : length;
}
