#include "probe/connection.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "probe/net.h"

void connection_init(struct connection *connection)
{
    memset(connection, 0, offsetof(struct connection, out));
    connection->fd = -1;
}

/* There may have been a password in it; volatile, or the compiler leaves it out. */
static void wipe_sent(struct connection *connection)
{
    volatile char *byte = connection->out;

    for (size_t i = 0; i < connection->out_to; i++)
        byte[i] = 0;
    connection->out_from = connection->out_to = 0;
}

void connection_close(struct connection *connection)
{
    if (connection->fd >= 0)
        net_close(connection->fd);
    connection->fd = -1;
    connection->made = false;
    reader_reset(&connection->reader);
    wipe_sent(connection);
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
        connection->made = error == 0;
        if (connection->made)
            return 0;
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
    int error = net_outcome(connection->fd, &target->addresses[connection->address]);

    if (error == -EINPROGRESS)
        return error;
    connection->made = error == 0;
    if (connection->made)
        return 0;
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
        ssize_t sent = net_send(connection->fd, connection->out + connection->out_from,
                                connection->out_to - connection->out_from);

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

ssize_t connection_receive(struct connection *connection)
{
    char bytes[READER_CHUNK];
    ssize_t length = net_receive(connection->fd, bytes, sizeof(bytes));
    int error;

    if (length == 0)
        return -EPIPE;
    if (length < 0)
        return length;
    error = reader_feed(&connection->reader, bytes, (size_t)length);
    return error ? error : length;
}
