// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#define _GNU_SOURCE
#include "body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool header_is(const char *value, const char *word)
{
    return value && strncasecmp(value, word, strlen(word)) == 0;
}

static void content(void *to, const char *bytes, size_t length)
{
    struct body *body = to;
    struct exchange *exchange = body->exchange;
    if (body->hashes)
        md5_add(&body->sum, bytes, length);
    checksum_add(&body->checksum_sum, bytes, length);
    if (body->keeps && exchange->body && exchange->size + length <= exchange->body->size) {
        char *place = exchange->body->bytes + exchange->size;
        if (place != bytes)
            memcpy(place, bytes, length);
    } else if (body->keeps && !exchange->body && exchange->size + length <= options.keep) {
        text_add(&body->growing, bytes, length);
    } else {
        body->keeps = false;
    }
    exchange->size += length;
}

static void unframed(void *to, const char *bytes, size_t length)
{
    struct body *body = to;
    if (body->in_aws_chunks)
        chunks_feed(&body->inner, bytes, length, content, body);
    else
        content(body, bytes, length);
}

size_t body_take(struct body *body, const char *bytes, size_t length)
{
    counters.received += length;
    if (body->chunked)
        return chunks_feed(&body->outer, bytes, length, unframed, body);
    if (length > body->wire_left)
        length = body->wire_left;
    unframed(body, bytes, length);
    body->wire_left -= length;
    return length;
}

bool body_is_whole(const struct body *body)
{
    return body->chunked ? body->outer.state == CHUNKS_DONE : body->wire_left == 0;
}

bool body_is_dropped(const struct body *body)
{
    bool framed = body->chunked || body->in_aws_chunks, verifies = body->checksum_sum.algorithm != NO_CHECKSUM;
    return !framed && !body->keeps && !body->hashes && !verifies;
}

void body_dropped(struct body *body, size_t length)
{
    counters.received += length;
    body->exchange->size += length;
    body->wire_left -= length;
}

char *body_place(struct body *body, char *scratch, size_t room, size_t *most)
{
    struct exchange *exchange = body->exchange;
    bool framed = body->chunked || body->in_aws_chunks;
    *most = framed || room < body->wire_left ? room : body->wire_left;
    return !framed && body->keeps && exchange->body ? exchange->body->bytes + exchange->size : scratch;
}

// With a trailer the checksum follows the body, but a header names its algorithm before.
static void expect_checksum(struct body *body, bool is_put, uint64_t size)
{
    static const char prefix[] = "x-amz-checksum-";
    struct checksum *told = &body->told_checksum;
    memset(told, 0, sizeof *told);
    body->found_checksum = is_put ? exchange_checksum(body->exchange, told) : CHECKSUM_ABSENT;
    enum algorithm algorithm = told->algorithm;
    size_t length;
    const char *trailer = is_put ? exchange_header(body->exchange, "x-amz-trailer", &length) : NULL;
    body->in_trailer = body->found_checksum == CHECKSUM_ABSENT && header_is(trailer, prefix);
    if (body->in_trailer)
        algorithm = checksum_named(trailer + sizeof prefix - 1, length - (sizeof prefix - 1));
    checksum_start(&body->checksum_sum, size <= options.verify ? algorithm : NO_CHECKSUM);
}

void body_expect(struct body *body, struct exchange *exchange)
{
    size_t length;
    body->exchange = exchange;
    const char *value = exchange_header(exchange, "content-length", &length);
    body->wire_left = value ? strtoull(value, NULL, 10) : 0;
    body->chunked = header_is(exchange_header(exchange, "transfer-encoding", &length), "chunked");
    body->in_aws_chunks = header_is(exchange_header(exchange, "x-amz-content-sha256", &length), "STREAMING-") ||
                          header_is(exchange_header(exchange, "content-encoding", &length), "aws-chunked");
    value = exchange_header(exchange, "x-amz-decoded-content-length", &length);
    uint64_t known = value ? strtoull(value, NULL, 10) : body->wire_left;
    bool length_known = value || !(body->chunked || body->in_aws_chunks);
    memset(&body->outer, 0, sizeof body->outer);
    memset(&body->inner, 0, sizeof body->inner);
    value = exchange_header(exchange, "content-md5", &length);
    body->has_md5 = value && base64_decode(value, length, body->told_md5, 16);
    bool is_put = strcmp(exchange->method, "PUT") == 0;
    body->keeps = !is_put || known <= options.keep;
    body->hashes = is_put && (options.check_md5 || (!body->has_md5 && known <= options.hash));
    md5_start(&body->sum);
    expect_checksum(body, is_put, known);
    body->growing.length = 0;
    exchange->size = 0;
    exchange->body = body->keeps && length_known && known ? blob_new(known) : NULL;
}

static void hand_over(struct body *body)
{
    struct exchange *exchange = body->exchange;
    if (body->keeps && !exchange->body && exchange->size) {
        exchange->body = blob_new(exchange->size);
        memcpy(exchange->body->bytes, body->growing.bytes, exchange->size);
    } else if (!body->keeps) {
        blob_drop(exchange->body);
        exchange->body = NULL;
    }
}

static bool checksum_is_right(struct body *body)
{
    struct exchange *exchange = body->exchange;
    struct checksum right;
    if (body->in_trailer && body->found_checksum == CHECKSUM_ABSENT)
        return fail(exchange, 400, "MalformedTrailerError", "The trailer that x-amz-trailer announces is not there."), false;
    if (refuse_checksum(exchange, body->found_checksum))
        return false;
    if (body->checksum_sum.algorithm == NO_CHECKSUM)
        return true;
    checksum_end(&body->checksum_sum, &right);
    if (right.algorithm != exchange->checksum.algorithm ||
        memcmp(right.value, exchange->checksum.value, sizeof right.value) != 0)
        return fail(exchange, 400, "BadDigest", "The x-amz-checksum does not match the body."), false;
    return true;
}

bool body_end(struct body *body)
{
    struct exchange *exchange = body->exchange;
    hand_over(body);
    if (body->in_trailer)
        body->found_checksum = trailer_checksum(body->inner.trailers, body->inner.kept, &body->told_checksum);
    exchange->checksum = body->told_checksum;
    if (!body->hashes && !body->has_md5) {  // an ETag that is not an MD5, as with SSE-KMS
        md5_add(&body->sum, &exchange->size, sizeof exchange->size);
        md5_add(&body->sum, exchange->checksum.value, sizeof exchange->checksum.value);
    }
    md5_end(&body->sum, exchange->md5);
    bool differs = body->hashes && body->has_md5 && memcmp(exchange->md5, body->told_md5, 16) != 0;
    if (body->has_md5 && !body->hashes)
        memcpy(exchange->md5, body->told_md5, 16);
    exchange->kind = strstr(exchange->query, "partNumber=") ? UPLOAD_PART : PUT;
    if (differs)
        return fail(exchange, 400, "BadDigest", "The Content-MD5 does not match the body."), false;
    return checksum_is_right(body);
}
