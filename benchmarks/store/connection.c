// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#define _GNU_SOURCE
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "body.h"
#include "exchange.h"
#include "wire.h"

enum { IN_ROOM = 64 * 1024, SCRATCH = 256 * 1024 };

struct connection {
    struct wire wire;
    enum { READING_HEAD, READING_BODY, HOLDING, SENDING, CLOSED } state;
    uint64_t serial;  // of the request; never used twice, so that a late timer can detect that it is late
    struct connection *next_free;

    size_t in_length, head_length;
    char in[IN_ROOM + 1];
    struct exchange exchange;
    struct text head, path;

    struct body body;
    bool ends;  // with this response

    struct text out;
    size_t sent;
};

static struct connection *free_list;
static char scratch[SCRATCH];

struct connection *connection_open(int descriptor)
{
    struct connection *connection = free_list;
    if (connection)
        free_list = connection->next_free;
    else
        connection = calloc(1, sizeof *connection);
    wire_start(&connection->wire, descriptor);
    connection->state = READING_HEAD;
    connection->serial++;
    connection->in_length = 0;
    if (++counters.connections > counters.most_connections)
        counters.most_connections = counters.connections;
    return connection;
}

static void end_exchange(struct connection *connection)
{
    struct exchange *exchange = &connection->exchange;
    blob_drop(exchange->body);
    blob_drop(exchange->blob);
    exchange->body = exchange->blob = NULL;
    connection->serial++;
}

static bool close_it(struct connection *connection)
{
    end_exchange(connection);
    wire_stop(&connection->wire);
    connection->state = CLOSED;
    connection->next_free = free_list;
    free_list = connection;
    counters.connections--;
    return false;
}

static void perform(struct connection *connection)
{
    struct exchange *exchange = &connection->exchange;
    exchange->headers.length = exchange->content.length = 0;
    exchange->blob = NULL;
    exchange->from = exchange->length = 0;
    exchange->length_only = false;
    if (body_end(&connection->body))
        s3_answer(exchange);
    counters.kinds[exchange->kind]++;
    connection->out.length = connection->sent = 0;
    exchange_compose(exchange, &connection->out, connection->serial, connection->ends);
}

// False if the connection was closed.
static bool send_out(struct connection *connection)
{
    struct exchange *exchange = &connection->exchange;
    size_t head = connection->out.length, total = head + (exchange->blob ? exchange->length : 0);
    while (connection->sent < total) {
        struct iovec parts[2];
        int count = 0;
        size_t in_blob = connection->sent > head ? connection->sent - head : 0;
        if (connection->sent < head)
            parts[count++] = (struct iovec){connection->out.bytes + connection->sent, head - connection->sent};
        if (exchange->blob)
            parts[count++] = (struct iovec){exchange->blob->bytes + exchange->from + in_blob, exchange->length - in_blob};
        long moved = wire_send(&connection->wire, parts, count);
        if (moved == WIRE_WAIT)
            return true;
        if (moved == WIRE_CLOSED)
            return close_it(connection);
        connection->sent += (size_t)moved;
    }
    if (connection->ends)
        return close_it(connection);
    end_exchange(connection);
    connection->state = READING_HEAD;
    return true;
}

static bool send_now(struct connection *connection)
{
    connection->state = SENDING;
    return send_out(connection);
}

// Processes the buffer as far as possible; false if the connection was closed.
static bool work_off(struct connection *connection)
{
    struct exchange *exchange = &connection->exchange;
    if (connection->state == READING_HEAD) {
        connection->in[connection->in_length] = 0;
        char *end = connection->in_length ? memmem(connection->in, connection->in_length, "\r\n\r\n", 4) : NULL;
        if (!end)
            return connection->in_length < IN_ROOM || close_it(connection);
        connection->head_length = (size_t)(end - connection->in) + 4;
        char first_of_body = end[4];
        end[4] = 0;
        if (!exchange_parse(exchange, connection->in, &connection->path))
            return close_it(connection);
        size_t length;
        connection->ends = header_is(exchange_header(exchange, "connection", &length), "close");
        body_expect(&connection->body, exchange);
        bool asks = header_is(exchange_header(exchange, "expect", &length), "100-continue");
        connection->state = READING_BODY;
        end[4] = first_of_body;
        size_t taken = body_take(&connection->body, connection->in + connection->head_length,
                                 connection->in_length - connection->head_length);
        // The head stays in place until the response is made; bytes after this request are kept behind it.
        size_t used = connection->head_length + taken;
        connection->in_length -= used;
        memmove(connection->in + connection->head_length, connection->in + used, connection->in_length);
        connection->in[connection->head_length - 1] = 0;
        if (asks && !body_is_whole(&connection->body))
            hold(connection, connection->serial, true);
    }
    if (connection->state == READING_BODY && body_is_whole(&connection->body)) {
        bool at_once = strncmp(exchange->path, "-/", 2) == 0 || options.delay_ns == 0;
        perform(connection);
        memmove(connection->in, connection->in + connection->head_length, connection->in_length);
        connection->state = HOLDING;
        if (at_once)
            return send_now(connection);
        hold(connection, connection->serial, false);
    }
    return true;
}

static long receive(struct connection *connection, size_t *asked)
{
    if (connection->state == READING_HEAD) {
        *asked = IN_ROOM - connection->in_length;
        long got = wire_receive(&connection->wire, connection->in + connection->in_length, *asked);
        if (got > 0)
            connection->in_length += (size_t)got;
        return got;
    }
    struct body *body = &connection->body;
    if (body_is_dropped(body) && !connection->wire.session) {
        long got = wire_receive(&connection->wire, NULL, *asked = body->wire_left);
        if (got > 0)
            body_dropped(body, (size_t)got);
        return got;
    }
    char *place = body_place(body, scratch, sizeof scratch, asked);
    long got = wire_receive(&connection->wire, place, *asked);
    if (got > 0)
        body_take(body, place, (size_t)got);
    return got;
}

bool connection_ready(struct connection *connection)
{
    if (connection->state == SENDING && !send_out(connection))
        return false;
    while (connection->state == READING_HEAD || connection->state == READING_BODY) {
        size_t asked;
        uint64_t serial = connection->serial;
        long got = receive(connection, &asked);
        if (got == WIRE_CLOSED)
            return close_it(connection);
        if (got == WIRE_WAIT)
            return true;
        if (!work_off(connection))
            return false;
        // A short count from a socket means that it is empty: an event will announce the next bytes.
        if (!connection->wire.session && (size_t)got < asked && serial == connection->serial)
            return true;
    }
    return true;
}

bool connection_due(struct connection *connection, uint64_t serial, bool go_on)
{
    if (connection->state == CLOSED || connection->serial != serial)
        return true;
    if (go_on) {
        static char words[] = "HTTP/1.1 100 Continue\r\n\r\n";
        struct iovec part = {words, sizeof words - 1};
        if (connection->state == READING_BODY)
            wire_send(&connection->wire, &part, 1);
        return true;
    }
    if (!send_now(connection))
        return false;
    // The next request may have arrived with this one, so that no event announces it.
    if (connection->state == READING_HEAD && connection->in_length && !work_off(connection))
        return false;
    return connection_ready(connection);
}
