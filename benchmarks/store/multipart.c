// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Multipart uploads: the parts' sizes, digests, checksums and, if kept, bytes, until they become one object.
#define _GNU_SOURCE
#include "multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exchange.h"
#include "md5.h"

struct upload *uploads;
static size_t made, open_uploads;

// Totals of the parts that the client names.
struct sum {
    int count;
    uint64_t size;
    unsigned char md5[16];
    struct checksum checksum;
    struct blob *content;
    bool kept;  // every part's bytes
};

static struct upload **find(const char *id)
{
    struct upload **at = &uploads;
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

static void forget(struct upload **at)
{
    struct upload *upload = *at;
    *at = upload->next;
    open_uploads--;
    for (int number = 1; number <= upload->last; number++)
        blob_drop(upload->parts[number].content);
    free(upload->headers);
    free(upload->key);
    free(upload);
}

size_t multipart_open(void)
{
    return open_uploads;
}

void multipart_clear(void)
{
    while (uploads)
        forget(&uploads);
}

static void unknown(struct exchange *exchange)
{
    fail(exchange, 404, "NoSuchUpload", "The upload does not exist.");
}

// The checksum that the object is to have; false if it is refused, with a response.
static bool wanted_checksum(struct exchange *exchange, enum algorithm *algorithm, bool *composite)
{
    size_t length;
    const char *value = exchange_header(exchange, "x-amz-checksum-algorithm", &length);
    *algorithm = value ? checksum_named(value, length) : NO_CHECKSUM;
    if (value && *algorithm == NO_CHECKSUM)
        return refuse_checksum(exchange, CHECKSUM_UNKNOWN), false;
    value = exchange_header(exchange, "x-amz-checksum-type", &length);
    *composite = value ? strncasecmp(value, "COMPOSITE", 9) == 0 : *algorithm != CRC64NVME;
    if (*composite ? *algorithm == CRC64NVME : *algorithm == SHA256)
        return fail(exchange, 400, "InvalidRequest", "The checksum type cannot be used with this checksum algorithm."), false;
    return true;
}

void multipart_create(struct exchange *exchange, const char *key, size_t length)
{
    enum algorithm algorithm;
    bool composite;
    exchange->kind = CREATE_MULTIPART;
    if (!wanted_checksum(exchange, &algorithm, &composite))
        return;
    struct upload *upload = calloc(1, sizeof *upload);
    upload->number = ++made;
    upload->initiated = time(NULL);
    snprintf(upload->id, sizeof upload->id, "upload-%zu", upload->number);
    upload->algorithm = algorithm;
    upload->composite = composite;
    upload->key = memcpy(malloc(length), key, length);
    upload->key_length = length;
    upload->headers = headers_to_keep(exchange);
    upload->next = uploads;
    uploads = upload;
    open_uploads++;
    text_say(&exchange->headers, "Content-Type: application/xml\r\n");
    if (algorithm != NO_CHECKSUM)
        text_format(&exchange->headers, "x-amz-checksum-algorithm: %s\r\nx-amz-checksum-type: %s\r\n",
                    checksum_upper_name(algorithm), composite ? "COMPOSITE" : "FULL_OBJECT");
    text_format(&exchange->content,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>",
                options.bucket);
    text_xml(&exchange->content, key, length);
    text_format(&exchange->content, "</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>", upload->id);
}

void multipart_part(struct exchange *exchange, const char *id, unsigned number)
{
    struct upload *upload = *find(id);
    exchange->kind = UPLOAD_PART;
    if (!upload)
        return unknown(exchange);
    if (number < 1 || number > MOST_PARTS)
        return fail(exchange, 400, "InvalidArgument", "Part numbers are 1 to 10000.");
    // AWS would compute a missing one; this server does not read long bodies.
    if (upload->algorithm != NO_CHECKSUM && upload->algorithm != exchange->checksum.algorithm)
        return fail(exchange, 400, "InvalidRequest", "The part has another checksum algorithm than its upload, or none.");
    struct part *part = &upload->parts[number];
    blob_drop(part->content);
    part->there = true;
    part->size = exchange->size;
    part->checksum = exchange->checksum;
    part->content = exchange->body;
    blob_hold(part->content);
    memcpy(part->md5, exchange->md5, 16);
    if ((int)number > upload->last)
        upload->last = (int)number;
    text_say(&exchange->headers, "ETag: \"");
    text_hex(&exchange->headers, part->md5, 16);
    text_say(&exchange->headers, "\"\r\n");
    tell_checksum(exchange, &part->checksum, false);
}

// The text between <NAME> and </NAME> before `end`; NULL if there is none.
static const char *element(const char *xml, const char *end, const char *name, size_t *length)
{
    char open[40], close[40];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    const char *from = memmem(xml, (size_t)(end - xml), open, strlen(open));
    const char *to = from ? memmem(from, (size_t)(end - from), close, strlen(close)) : NULL;
    if (!to)
        return NULL;
    from += strlen(open);
    *length = (size_t)(to - from);
    return from;
}

static bool same_checksum(const struct part *part, const char *value, size_t length)
{
    struct text right = {0};
    say_checksum(&right, &part->checksum);
    bool same = right.length == length && memcmp(right.bytes, value, length) == 0;
    free(right.bytes);
    return same;
}

// The part that one <Part> element names, with its ETag and checksum; NULL if it is refused, with a response.
static const struct part *named(struct exchange *exchange, const struct upload *upload, const char *xml, const char *end,
                                int *last)
{
    size_t number_length, etag_length, value_length;
    const char *number = element(xml, end, "PartNumber", &number_length), *etag = element(xml, end, "ETag", &etag_length);
    int index = number ? atoi(number) : 0;
    if (index <= *last || index > MOST_PARTS)
        return fail(exchange, 400, "InvalidPartOrder", "The parts are not in ascending order."), NULL;
    const struct part *part = &upload->parts[index];
    struct text hex = {0};
    text_hex(&hex, part->md5, 16);
    bool same = part->there && etag && memmem(etag, etag_length, hex.bytes, hex.length) != NULL;
    free(hex.bytes);
    char name[32];
    snprintf(name, sizeof name, "Checksum%s", checksum_upper_name(part->checksum.algorithm));
    const char *value = element(xml, end, name, &value_length);
    if (!same || (value && !same_checksum(part, value, value_length)))
        return fail(exchange, 400, "InvalidPart", "A part is missing, or has another ETag or checksum."), NULL;
    if (upload->composite && upload->algorithm != NO_CHECKSUM && !value)
        return fail(exchange, 400, "InvalidRequest", "The request must have the checksum of each part."), NULL;
    *last = index;
    return part;
}

// Adds up the parts that the client names; false if they are refused, with a response.
static bool add_up(struct exchange *exchange, const struct upload *upload, const char *xml, struct sum *sum,
                   const struct part *chosen[])
{
    struct md5 digest;
    struct checksum_sum composed;
    int last = 0;
    md5_start(&digest);
    checksum_start(&composed, upload->composite ? upload->algorithm : NO_CHECKSUM);
    sum->kept = true;
    for (const char *end; (xml = strstr(xml, "<Part>")) && (end = strstr(xml, "</Part>")); xml = end) {
        const struct part *part = named(exchange, upload, xml, end, &last);
        if (!part)
            return false;
        if (sum->count && chosen[sum->count - 1]->size < SMALLEST_PART)
            return fail(exchange, 400, "EntityTooSmall", "A part but the last has less than 5 MiB."), false;
        md5_add(&digest, part->md5, 16);
        checksum_add(&composed, part->checksum.value, checksum_size(upload->algorithm));
        if (!sum->count)
            sum->checksum = part->checksum;
        else if (upload->algorithm != NO_CHECKSUM && !upload->composite)
            checksum_append(&sum->checksum, &part->checksum, part->size);
        sum->size += part->size;
        sum->kept &= part->content != NULL || part->size == 0;
        chosen[sum->count++] = part;
    }
    if (!sum->count)
        return fail(exchange, 400, "MalformedXML", "No part is named."), false;
    md5_end(&digest, sum->md5);
    if (upload->algorithm == NO_CHECKSUM)
        memset(&sum->checksum, 0, sizeof sum->checksum);
    else if (upload->composite) {
        checksum_end(&composed, &sum->checksum);
        sum->checksum.parts = sum->count;
    }
    return true;
}

// The client's checksum and size of the whole object; false if they are refused, with a response.
static bool whole_is_right(struct exchange *exchange, const struct sum *sum)
{
    struct checksum told = {0};
    size_t length;
    int found = exchange_checksum(exchange, &told);
    if (refuse_checksum(exchange, found))
        return false;
    bool differs = found == CHECKSUM_THERE && (told.algorithm != sum->checksum.algorithm ||
                                               memcmp(told.value, sum->checksum.value, sizeof told.value) != 0);
    if (differs)
        return fail(exchange, 400, "BadDigest", "The x-amz-checksum does not match the parts."), false;
    const char *size = exchange_header(exchange, "x-amz-mp-object-size", &length);
    if (size && strtoull(size, NULL, 10) != sum->size)
        return fail(exchange, 400, "InvalidRequest", "The x-amz-mp-object-size does not match the parts."), false;
    return true;
}

static struct blob *joined(const struct sum *sum, const struct part *chosen[])
{
    if (!sum->kept)
        return NULL;
    struct blob *content = blob_new(sum->size);
    char *to = content->bytes;
    for (int i = 0; i < sum->count; i++)
        if (chosen[i]->size)
            to = mempcpy(to, chosen[i]->content->bytes, chosen[i]->size);
    return content;
}

void multipart_complete(struct exchange *exchange, const char *key, size_t length, const char *id)
{
    static const struct part *chosen[MOST_PARTS];
    struct upload **at = find(id);
    struct sum sum = {0};
    exchange->kind = COMPLETE_MULTIPART;
    if (!*at)
        return unknown(exchange);
    struct text xml = {0};
    text_add(&xml, exchange->body ? exchange->body->bytes : "", exchange->body ? exchange->size : 0);
    text_add(&xml, "", 1);
    bool right = add_up(exchange, *at, xml.bytes, &sum, chosen) && whole_is_right(exchange, &sum) &&
                 !refuse_present(exchange, key, length);
    free(xml.bytes);
    if (!right)
        return;
    struct object *object = objects_put(key, length);
    object->size = sum.size;
    object->parts = sum.count;
    object->content = joined(&sum, chosen);
    memcpy(object->md5, sum.md5, 16);
    objects_keep_checksum(object, &sum.checksum);
    object->headers = (*at)->headers;
    (*at)->headers = NULL;
    forget(at);
    text_say(&exchange->headers, "Content-Type: application/xml\r\n");
    text_say(&exchange->content, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult><Key>");
    text_xml(&exchange->content, key, length);
    text_say(&exchange->content, "</Key><ETag>&quot;");
    text_hex(&exchange->content, object->md5, 16);
    text_format(&exchange->content, "-%d&quot;</ETag>", sum.count);
    if (object->checksum) {
        const char *name = checksum_upper_name(object->checksum->algorithm);
        text_format(&exchange->content, "<Checksum%s>", name);
        say_checksum(&exchange->content, object->checksum);
        text_format(&exchange->content, "</Checksum%s><ChecksumType>%s</ChecksumType>", name,
                    checksum_type(object->checksum));
    }
    text_say(&exchange->content, "</CompleteMultipartUploadResult>");
}

void multipart_abort(struct exchange *exchange, const char *id)
{
    struct upload **at = find(id);
    exchange->kind = ABORT_MULTIPART;
    if (!*at)
        return unknown(exchange);
    forget(at);
    exchange->status = 204;
}
