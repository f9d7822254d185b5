// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// ListMultipartUploads, with prefix and pages.
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "multipart.h"

static int key_order(const struct upload *upload, const char *key, size_t length)
{
    size_t shared = upload->key_length < length ? upload->key_length : length;
    int order = memcmp(upload->key, key, shared);
    return order ? order : (upload->key_length > length) - (upload->key_length < length);
}

static int order(const void *left, const void *right)
{
    const struct upload *a = *(const struct upload *const *)left, *b = *(const struct upload *const *)right;
    int by_key = key_order(a, b->key, b->key_length);
    return by_key ? by_key : (a->number > b->number) - (a->number < b->number);
}

static bool begins_with(const struct upload *upload, const struct text *prefix)
{
    return upload->key_length >= prefix->length && memcmp(upload->key, prefix->bytes, prefix->length) == 0;
}

// Whether it comes after the page that ended with this key and, if given, this upload of it.
static bool is_behind(const struct upload *upload, const struct text *key, const struct text *id)
{
    int by_key = key_order(upload, key->bytes, key->length);
    size_t number = id->length ? strtoull(id->bytes + strcspn(id->bytes, "0123456789"), NULL, 10) : SIZE_MAX;
    return by_key > 0 || (by_key == 0 && upload->number > number);
}

static void say_upload(struct text *out, const struct upload *upload, bool in_url_encoding)
{
    text_say(out, "<Upload><Key>");
    (in_url_encoding ? text_percent : text_xml)(out, upload->key, upload->key_length);
    text_format(out, "</Key><UploadId>%s</UploadId><StorageClass>STANDARD</StorageClass><Initiated>", upload->id);
    text_iso_time(out, upload->initiated);
    text_say(out, "</Initiated>");
    if (upload->algorithm != NO_CHECKSUM)
        text_format(out, "<ChecksumAlgorithm>%s</ChecksumAlgorithm><ChecksumType>%s</ChecksumType>",
                    checksum_upper_name(upload->algorithm), upload->composite ? "COMPOSITE" : "FULL_OBJECT");
    text_say(out, "</Upload>");
}

void list_uploads_answer(struct exchange *exchange)
{
    struct text prefix = {0}, key_marker = {0}, id_marker = {0}, maximum = {0}, encoding = {0}, *out = &exchange->content;
    exchange->kind = LIST_UPLOADS;
    if (exchange_parameter(exchange, "delimiter", &prefix)) {
        free(prefix.bytes);
        return fail(exchange, 501, "NotImplemented", "This server lists uploads without a delimiter only.");
    }
    // So that neither is NULL.
    text_room(&prefix, 1);
    text_room(&key_marker, 1);
    text_room(&id_marker, 1);
    exchange_parameter(exchange, "prefix", &prefix);
    exchange_parameter(exchange, "key-marker", &key_marker);
    exchange_parameter(exchange, "upload-id-marker", &id_marker);
    bool in_url_encoding = exchange_parameter(exchange, "encoding-type", &encoding);
    size_t limit = exchange_parameter(exchange, "max-uploads", &maximum) ? strtoull(maximum.bytes, NULL, 10) : 1000;
    struct upload **found = malloc((multipart_open() + 1) * sizeof *found);
    size_t count = 0;
    for (struct upload *upload = uploads; upload; upload = upload->next)
        if (begins_with(upload, &prefix) && is_behind(upload, &key_marker, &id_marker))
            found[count++] = upload;
    qsort(found, count, sizeof *found, order);
    limit = limit < 1 || limit > 1000 ? 1000 : limit;
    bool more = count > limit;
    count = more ? limit : count;
    text_say(&exchange->headers, "Content-Type: application/xml\r\n");
    text_format(out,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>%s</Bucket>"
                "<MaxUploads>%zu</MaxUploads><IsTruncated>%s</IsTruncated>%s",
                options.bucket, limit, more ? "true" : "false", in_url_encoding ? "<EncodingType>url</EncodingType>" : "");
    if (more) {
        text_say(out, "<NextKeyMarker>");
        (in_url_encoding ? text_percent : text_xml)(out, found[count - 1]->key, found[count - 1]->key_length);
        text_format(out, "</NextKeyMarker><NextUploadIdMarker>%s</NextUploadIdMarker>", found[count - 1]->id);
    }
    for (size_t i = 0; i < count; i++)
        say_upload(out, found[i], in_url_encoding);
    text_say(out, "</ListMultipartUploadsResult>");
    struct text *own[] = {&prefix, &key_marker, &id_marker, &maximum, &encoding};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        free(own[i]->bytes);
    free(found);
}
