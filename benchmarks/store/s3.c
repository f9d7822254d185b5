// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// S3's operations on one bucket. Signatures are not checked.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exchange.h"

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

static void say_etag(struct text *text, const unsigned char md5[16], int parts)
{
    text_hex(text, md5, 16);
    if (parts)
        text_format(text, "-%d", parts);
}

static void tell_etag(struct exchange *exchange, const unsigned char md5[16])
{
    text_say(&exchange->headers, "ETag: \"");
    say_etag(&exchange->headers, md5, 0);
    text_say(&exchange->headers, "\"\r\n");
}

static void is_xml(struct exchange *exchange)
{
    text_say(&exchange->headers, "Content-Type: application/xml\r\n");
}

bool refuse_present(struct exchange *exchange, const char *key, size_t length)
{
    struct entry entry;
    size_t value_length;
    const char *value = exchange_header(exchange, "if-none-match", &value_length);
    if (!value || *value != '*' || !objects_find(key, length, &entry))
        return false;
    fail(exchange, 412, "PreconditionFailed", "The key exists.");
    return true;
}

static void put(struct exchange *exchange, const char *key, size_t length)
{
    exchange->kind = PUT;
    if (refuse_present(exchange, key, length))
        return;
    struct object *object = objects_put(key, length);
    object->size = exchange->size;
    object->parts = 0;
    memcpy(object->md5, exchange->md5, 16);
    object->content = exchange->body;
    object->headers = headers_to_keep(exchange);
    blob_hold(object->content);
    objects_keep_checksum(object, &exchange->checksum);
    tell_etag(exchange, object->md5);
    tell_checksum(exchange, &exchange->checksum, true);
}

static void copy(struct exchange *exchange, const char *source, size_t source_length, const char *key, size_t length)
{
    exchange->kind = COPY;
    struct text from = {0};
    size_t slash = strlen(options.bucket);
    from.length = percent_decode(source, source_length, text_room(&from, source_length + 1), false);
    char *start = from.bytes + (from.bytes[0] == '/');
    size_t left = from.length - (size_t)(start - from.bytes);
    struct entry entry;
    if (left <= slash || strncmp(start, options.bucket, slash) != 0 || start[slash] != '/' ||
        !objects_find(start + slash + 1, left - slash - 1, &entry)) {
        fail(exchange, 404, "NoSuchKey", "The source does not exist.");
        free(from.bytes);
        return;
    }
    struct blob *content = entry.object ? entry.object->content : NULL;
    blob_hold(content);
    size_t directive;
    const char *replace = exchange_header(exchange, "x-amz-metadata-directive", &directive);
    bool keep = !replace || strncasecmp(replace, "REPLACE", 7) != 0;
    char *headers = keep ? entry.object && entry.object->headers ? strdup(entry.object->headers) : NULL
                         : headers_to_keep(exchange);
    struct checksum checksum = {0};
    if (entry.object && entry.object->checksum)
        checksum = *entry.object->checksum;
    struct object *object = objects_put(key, length);
    objects_keep_checksum(object, &checksum);
    object->size = entry.size;
    object->parts = entry.parts;
    memcpy(object->md5, entry.md5, 16);
    object->content = content;
    object->headers = headers;
    is_xml(exchange);
    text_say(&exchange->content, XML "<CopyObjectResult><LastModified>");
    text_iso_time(&exchange->content, object->modified);
    text_say(&exchange->content, "</LastModified><ETag>&quot;");
    say_etag(&exchange->content, object->md5, object->parts);
    text_say(&exchange->content, "&quot;</ETag></CopyObjectResult>");
    free(from.bytes);
}

// The requested range, cut to the object's size; false if it begins after the end.
static bool range(const char *value, uint64_t size, uint64_t *from, uint64_t *length)
{
    char *end;
    if (strncasecmp(value, "bytes=", 6) != 0)
        return false;
    value += 6;
    uint64_t last = size - 1;
    if (*value == '-') {
        uint64_t tail = strtoull(value + 1, &end, 10);
        *from = tail < size ? size - tail : 0;
    } else {
        *from = strtoull(value, &end, 10);
        if (*end == '-' && end[1] >= '0' && end[1] <= '9')
            last = strtoull(end + 1, &end, 10);
    }
    if (*from >= size || last < *from)
        return false;
    *length = (last < size ? last : size - 1) - *from + 1;
    return true;
}

static void get(struct exchange *exchange, const char *key, size_t length, bool head)
{
    exchange->kind = head ? HEAD : GET;
    struct entry entry;
    if (!objects_find(key, length, &entry)) {
        fail(exchange, 404, "NoSuchKey", "The key does not exist.");
        exchange->length_only = head;
        return;
    }
    const struct object *object = entry.object;
    uint64_t from = 0, wanted = entry.size;
    size_t value_length;
    const char *value = exchange_header(exchange, "range", &value_length);
    if (value) {
        if (!range(value, entry.size, &from, &wanted)) {
            fail(exchange, 416, "InvalidRange", "The range begins after the end of the object.");
            exchange->length_only = head;
            return;
        }
        exchange->status = 206;
        text_format(&exchange->headers, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)from,
                    (unsigned long long)(from + wanted - 1), (unsigned long long)entry.size);
    }
    if (!head && entry.size && !(object && object->content)) {
        fail(exchange, 501, "NotImplemented", "This server keeps the size and digest of this object, not its bytes.");
        return;
    }
    text_say(&exchange->headers, "ETag: \"");
    say_etag(&exchange->headers, entry.md5, entry.parts);
    text_say(&exchange->headers, "\"\r\nAccept-Ranges: bytes\r\nLast-Modified: ");
    text_http_time(&exchange->headers, entry.modified);
    text_say(&exchange->headers, "\r\n");
    if (object && object->headers)
        text_say(&exchange->headers, object->headers);
    size_t mode_length;
    const char *mode = exchange_header(exchange, "x-amz-checksum-mode", &mode_length);
    if (mode && strncasecmp(mode, "ENABLED", 7) == 0 && object && object->checksum && wanted == entry.size)
        tell_checksum(exchange, object->checksum, true);
    exchange->length_only = head;
    exchange->length = wanted;
    if (!head && entry.size) {
        exchange->blob = object->content;
        exchange->from = from;
    }
}

static void delete_objects(struct exchange *exchange)
{
    exchange->kind = DELETE_OBJECTS;
    is_xml(exchange);
    text_say(&exchange->content, XML "<DeleteResult>");
    const char *at = exchange->body->bytes, *end = at + exchange->body->size;
    bool quiet = memmem(at, exchange->size, "<Quiet>true", 11);
    while ((at = memmem(at, (size_t)(end - at), "<Key>", 5))) {
        at += 5;
        const char *stop = memmem(at, (size_t)(end - at), "</Key>", 6);
        if (!stop)
            break;
        size_t raw = (size_t)(stop - at);
        char *key = malloc(raw + 1);
        objects_delete(key, xml_decode(at, raw, key));
        free(key);
        if (!quiet) {
            text_say(&exchange->content, "<Deleted><Key>");
            text_add(&exchange->content, at, raw);
            text_say(&exchange->content, "</Key></Deleted>");
        }
    }
    text_say(&exchange->content, "</DeleteResult>");
}

static void bucket(struct exchange *exchange)
{
    struct text ignored = {0};
    if (strcmp(exchange->method, "POST") == 0 && exchange_parameter(exchange, "delete", &ignored) && exchange->body) {
        delete_objects(exchange);
    } else if (strcmp(exchange->method, "GET") != 0) {
        // HEAD, or PUT of the existing bucket: success.
        exchange->kind = BUCKET;
        text_say(&exchange->headers, "x-amz-bucket-region: us-east-1\r\n");
    } else if (exchange_parameter(exchange, "location", &ignored)) {
        exchange->kind = BUCKET;
        is_xml(exchange);
        text_say(&exchange->content, XML "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>");
    } else if (exchange_parameter(exchange, "versioning", &ignored)) {
        exchange->kind = BUCKET;
        is_xml(exchange);
        text_say(&exchange->content, XML "<VersioningConfiguration/>");
    } else if (exchange_parameter(exchange, "uploads", &ignored)) {
        list_uploads_answer(exchange);
    } else {
        list_answer(exchange);
    }
    free(ignored.bytes);
}

static void object(struct exchange *exchange, const char *key, size_t length)
{
    struct text id = {0}, number = {0};
    size_t source_length;
    const char *method = exchange->method, *source = exchange_header(exchange, "x-amz-copy-source", &source_length);
    bool in_parts = exchange_parameter(exchange, "uploadId", &id);
    if (strcmp(method, "PUT") == 0 && in_parts && exchange_parameter(exchange, "partNumber", &number))
        multipart_part(exchange, id.bytes, (unsigned)atoi(number.bytes));
    else if (strcmp(method, "PUT") == 0 && source)
        copy(exchange, source, source_length, key, length);
    else if (strcmp(method, "PUT") == 0)
        put(exchange, key, length);
    else if (strcmp(method, "POST") == 0 && in_parts)
        multipart_complete(exchange, key, length, id.bytes);
    else if (strcmp(method, "POST") == 0 && exchange_parameter(exchange, "uploads", &number))
        multipart_create(exchange, key, length);
    else if (strcmp(method, "DELETE") == 0 && in_parts)
        multipart_abort(exchange, id.bytes);
    else if (strcmp(method, "DELETE") == 0) {
        exchange->kind = DELETE;
        exchange->status = 204;
        objects_delete(key, length);
    } else if (!in_parts && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
        get(exchange, key, length, *method == 'H');
    else
        fail(exchange, 501, "NotImplemented", "This server does not support this operation.");
    free(id.bytes);
    free(number.bytes);
}

void s3_answer(struct exchange *exchange)
{
    char *path = exchange->path, *end = path + exchange->path_length;
    char *slash = memchr(path, '/', exchange->path_length);
    size_t name = (size_t)((slash ? slash : end) - path);
    exchange->kind = BUCKET;
    exchange->status = 200;
    if (name == 0) {
        is_xml(exchange);
        text_format(&exchange->content,
                    XML "<ListAllMyBucketsResult><Owner><ID>bench</ID></Owner><Buckets><Bucket><Name>%s</Name>"
                        "<CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>",
                    options.bucket);
    } else if (name == 1 && *path == '-') {
        control_answer(exchange, slash ? slash + 1 : "");
    } else if (name != strlen(options.bucket) || memcmp(path, options.bucket, name) != 0) {
        fail(exchange, 404, "NoSuchBucket", "The bucket does not exist.");
        exchange->length_only = *exchange->method == 'H';
    } else if (!slash || slash + 1 == end) {
        bucket(exchange);
        exchange->length_only = *exchange->method == 'H';
    } else {
        object(exchange, slash + 1, (size_t)(end - slash - 1));
    }
}
