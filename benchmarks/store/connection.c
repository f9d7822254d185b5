#define _GNU_SOURCE
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chunks.h"
#include "exchange.h"
#include "md5.h"
#include "wire.h"

enum { IN_ROOM = 64 * 1024, SCRATCH = 256 * 1024 };

struct connection {
    struct wire wire;
    enum { READING_HEAD, READING_BODY, HOLDING, SENDING, CLOSED } state;
    uint64_t serial;  // of the request; never used twice, so that a late timer finds out that it is late
    struct connection *next_free;

    size_t in_length, head_length;
    char in[IN_ROOM + 1];
    struct exchange exchange;
    struct text head, path;

    // The body on its way in.
    uint64_t wire_left;  // where it is not chunked
    bool chunked, in_aws_chunks, keeps, hashes, has_md5, ends;
    struct chunks outer, inner;
    struct md5 sum;
    unsigned char told_md5[16];
    int found_checksum;
    struct checksum told_checksum;
    struct checksum_sum checksum_sum;  // of NO_CHECKSUM where it is not verified
    bool in_trailer;
    struct text growing;  // a body whose length is not known

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

static void content(void *to, const char *bytes, size_t length)
{
    struct connection *connection = to;
    struct exchange *exchange = &connection->exchange;
    if (connection->hashes)
        md5_add(&connection->sum, bytes, length);
    checksum_add(&connection->checksum_sum, bytes, length);
    if (connection->keeps && exchange->body && exchange->size + length <= exchange->body->size)
        memcpy(exchange->body->bytes + exchange->size, bytes, length);
    else if (connection->keeps && !exchange->body && exchange->size + length <= options.keep)
        text_add(&connection->growing, bytes, length);
    else
        connection->keeps = false;
    exchange->size += length;
}

static void unframed(void *to, const char *bytes, size_t length)
{
    struct connection *connection = to;
    if (connection->in_aws_chunks)
        chunks_feed(&connection->inner, bytes, length, content, connection);
    else
        content(connection, bytes, length);
}

static size_t take(struct connection *connection, const char *bytes, size_t length)
{
    counters.received += length;
    if (connection->chunked)
        return chunks_feed(&connection->outer, bytes, length, unframed, connection);
    if (length > connection->wire_left)
        length = connection->wire_left;
    unframed(connection, bytes, length);
    connection->wire_left -= length;
    return length;
}

static bool body_is_whole(const struct connection *connection)
{
    return connection->chunked ? connection->outer.state == CHUNKS_DONE : connection->wire_left == 0;
}

static bool value_is(const char *value, const char *word)
{
    return value && strncasecmp(value, word, strlen(word)) == 0;
}

// With a trailer the checksum follows the body, but a header tells in front of it which one.
static void expect_checksum(struct connection *connection, bool is_put, uint64_t size)
{
    static const char prefix[] = "x-amz-checksum-";
    const struct exchange *exchange = &connection->exchange;
    struct checksum *told = &connection->told_checksum;
    memset(told, 0, sizeof *told);
    connection->found_checksum = is_put ? exchange_checksum(exchange, told) : CHECKSUM_ABSENT;
    enum algorithm algorithm = told->algorithm;
    size_t length;
    const char *trailer = is_put ? exchange_header(exchange, "x-amz-trailer", &length) : NULL;
    connection->in_trailer = trailer && connection->found_checksum == CHECKSUM_ABSENT && value_is(trailer, prefix);
    if (connection->in_trailer)
        algorithm = checksum_named(trailer + sizeof prefix - 1, length - (sizeof prefix - 1));
    checksum_start(&connection->checksum_sum, size <= options.verify ? algorithm : NO_CHECKSUM);
}

static void expect_body(struct connection *connection)
{
    struct exchange *exchange = &connection->exchange;
    size_t length;
    const char *value = exchange_header(exchange, "content-length", &length);
    connection->wire_left = value ? strtoull(value, NULL, 10) : 0;
    connection->chunked = value_is(exchange_header(exchange, "transfer-encoding", &length), "chunked");
    connection->in_aws_chunks = value_is(exchange_header(exchange, "x-amz-content-sha256", &length), "STREAMING-") ||
                                value_is(exchange_header(exchange, "content-encoding", &length), "aws-chunked");
    value = exchange_header(exchange, "x-amz-decoded-content-length", &length);
    uint64_t known = value ? strtoull(value, NULL, 10) : connection->wire_left;
    bool length_known = value || !(connection->chunked || connection->in_aws_chunks);
    memset(&connection->outer, 0, sizeof connection->outer);
    memset(&connection->inner, 0, sizeof connection->inner);
    value = exchange_header(exchange, "content-md5", &length);
    connection->has_md5 = value && base64_decode(value, length, connection->told_md5, 16);
    bool is_put = strcmp(exchange->method, "PUT") == 0;
    connection->keeps = !is_put || known <= options.keep;
    connection->hashes = is_put && (options.check_md5 || (!connection->has_md5 && known <= options.hash));
    md5_start(&connection->sum);
    expect_checksum(connection, is_put, known);
    connection->growing.length = 0;
    exchange->size = 0;
    exchange->body = connection->keeps && length_known && known ? blob_new(known) : NULL;
}

static bool refuse_body_checksum(struct connection *connection)
{
    struct exchange *exchange = &connection->exchange;
    struct checksum right;
    if (connection->in_trailer && connection->found_checksum == CHECKSUM_ABSENT) {
        fail(exchange, 400, "MalformedTrailerError", "The trailer that x-amz-trailer announces is not there.");
        return true;
    }
    if (refuse_checksum(exchange, connection->found_checksum))
        return true;
    if (connection->checksum_sum.algorithm == NO_CHECKSUM)
        return false;
    checksum_end(&connection->checksum_sum, &right);
    if (memcmp(right.value, exchange->checksum.value, sizeof right.value) == 0)
        return false;
    fail(exchange, 400, "BadDigest", "The x-amz-checksum does not match the body.");
    return true;
}

static void perform(struct connection *connection)
{
    struct exchange *exchange = &connection->exchange;
    exchange->headers.length = exchange->content.length = 0;
    exchange->blob = NULL;
    exchange->from = exchange->length = 0;
    exchange->length_only = false;
    if (connection->keeps && !exchange->body && exchange->size) {
        exchange->body = blob_new(exchange->size);
        memcpy(exchange->body->bytes, connection->growing.bytes, exchange->size);
    } else if (!connection->keeps) {
        blob_drop(exchange->body);
        exchange->body = NULL;
    }
    if (connection->in_trailer)
        connection->found_checksum =
            trailer_checksum(connection->inner.trailers, connection->inner.kept, &connection->told_checksum);
    exchange->checksum = connection->told_checksum;
    if (!connection->hashes && !connection->has_md5) {  // an ETag that is no MD5, as of SSE-KMS
        md5_add(&connection->sum, &exchange->size, sizeof exchange->size);
        md5_add(&connection->sum, exchange->checksum.value, sizeof exchange->checksum.value);
    }
    md5_end(&connection->sum, exchange->md5);
    bool differs = connection->hashes && connection->has_md5 && memcmp(exchange->md5, connection->told_md5, 16) != 0;
    if (connection->has_md5 && !connection->hashes)
        memcpy(exchange->md5, connection->told_md5, 16);
    exchange->kind = strstr(exchange->query, "partNumber=") ? UPLOAD_PART : PUT;
    if (differs)
        fail(exchange, 400, "BadDigest", "The Content-MD5 does not match the body.");
    else if (!refuse_body_checksum(connection))
        s3_answer(exchange);
    counters.kinds[exchange->kind]++;
    connection->out.length = connection->sent = 0;
    exchange_compose(exchange, &connection->out, connection->serial, connection->ends);
}

// False where the connection was closed.
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

// What is in the buffer is worked off as far as it goes; false where the connection was closed.
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
        connection->ends = value_is(exchange_header(exchange, "connection", &length), "close");
        expect_body(connection);
        bool asks = value_is(exchange_header(exchange, "expect", &length), "100-continue");
        connection->state = READING_BODY;
        end[4] = first_of_body;
        size_t taken = take(connection, connection->in + connection->head_length,
                            connection->in_length - connection->head_length);
        // The head stays where it is until the answer is made; what follows this request is kept behind it.
        size_t used = connection->head_length + taken;
        connection->in_length -= used;
        memmove(connection->in + connection->head_length, connection->in + used, connection->in_length);
        connection->in[connection->head_length - 1] = 0;
        if (asks && !body_is_whole(connection))
            hold(connection, connection->serial, true);
    }
    if (connection->state == READING_BODY && body_is_whole(connection)) {
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
    struct exchange *exchange = &connection->exchange;
    bool framed = connection->chunked || connection->in_aws_chunks;
    bool to_its_place = !framed && connection->keeps && exchange->body;
    *asked = framed || SCRATCH < connection->wire_left ? SCRATCH : connection->wire_left;
    bool verifies = connection->checksum_sum.algorithm != NO_CHECKSUM;
    if (!framed && !connection->hashes && !verifies && !connection->keeps && !connection->wire.session) {
        long got = wire_receive(&connection->wire, NULL, *asked = connection->wire_left);
        if (got > 0) {
            counters.received += (uint64_t)got;
            exchange->size += (uint64_t)got;
            connection->wire_left -= (uint64_t)got;
        }
        return got;
    }
    char *place = to_its_place ? exchange->body->bytes + exchange->size : scratch;
    long got = wire_receive(&connection->wire, place, *asked);
    if (got > 0 && to_its_place) {
        counters.received += (uint64_t)got;
        if (connection->hashes)
            md5_add(&connection->sum, place, (size_t)got);
        checksum_add(&connection->checksum_sum, place, (size_t)got);
        exchange->size += (uint64_t)got;
        connection->wire_left -= (uint64_t)got;
    } else if (got > 0) {
        take(connection, place, (size_t)got);
    }
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
        // A short count from a socket means that it is empty: the next bytes will be told.
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
    // A next request may have come in behind this one, and its bytes have been told already.
    if (connection->state == READING_HEAD && connection->in_length && !work_off(connection))
        return false;
    return connection_ready(connection);
}
