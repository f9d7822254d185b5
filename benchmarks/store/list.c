// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// ListObjectsV2 and ListObjects, with prefix, delimiter and pages.
#include <stdlib.h>
#include <string.h>

#include "exchange.h"

struct listing {
    struct text prefix, delimiter, after, token, maximum, encoding;
    bool v2, in_url_encoding;
    size_t limit, told;
};

static void say_name(const struct listing *listing, struct text *out, const char *name, size_t length)
{
    if (listing->in_url_encoding)
        text_percent(out, name, length);
    else
        text_xml(out, name, length);
}

static void say_field(const struct listing *listing, struct text *out, const char *name, const struct text *value)
{
    text_format(out, "<%s>", name);
    say_name(listing, out, value->bytes ? value->bytes : "", value->length);
    text_format(out, "</%s>", name);
}

static void say_entry(const struct listing *listing, struct text *out, const struct entry *entry)
{
    text_say(out, "<Contents><Key>");
    say_name(listing, out, entry->key, entry->key_length);
    text_say(out, "</Key><LastModified>");
    text_iso_time(out, entry->modified);
    text_say(out, "</LastModified><ETag>&quot;");
    text_hex(out, entry->md5, 16);
    if (entry->parts)
        text_format(out, "-%d", entry->parts);
    text_say(out, "&quot;</ETag>");
    const struct checksum *checksum = entry->object ? entry->object->checksum : NULL;
    if (checksum)
        text_format(out, "<ChecksumAlgorithm>%s</ChecksumAlgorithm><ChecksumType>%s</ChecksumType>",
                    checksum_upper_name(checksum->algorithm), checksum_type(checksum));
    text_say(out, "<Size>");
    text_number(out, entry->size);
    text_say(out, "</Size><StorageClass>STANDARD</StorageClass></Contents>");
}

static bool begins_with(const char *key, size_t length, const struct text *start)
{
    return length >= start->length && (!start->length || memcmp(key, start->bytes, start->length) == 0);
}

// The length of the part of the key that the delimiter reduces to one common prefix, or 0.
static size_t folded(const struct listing *listing, const char *key, size_t length)
{
    if (!listing->delimiter.length || length < listing->prefix.length)
        return 0;
    for (size_t at = listing->prefix.length; at + listing->delimiter.length <= length; at++)
        if (memcmp(key + at, listing->delimiter.bytes, listing->delimiter.length) == 0)
            return at + listing->delimiter.length;
    return 0;
}

// Moves behind every key with this prefix; no key has the byte 255, because keys are UTF-8.
static struct cursor behind(const char *start, size_t length)
{
    struct text bound = {0};
    text_add(&bound, start, length);
    text_add(&bound, "\xff", 1);
    struct cursor cursor = objects_seek(bound.bytes, bound.length, true);
    free(bound.bytes);
    return cursor;
}

static struct cursor begin(const struct listing *listing)
{
    const struct text *after = &listing->after;
    // After a page that ended with a common prefix, the next begins behind all of its keys.
    if (after->length && after->length == folded(listing, after->bytes, after->length))
        return behind(after->bytes, after->length);
    const struct text *prefix = &listing->prefix;
    bool from_prefix = !after->length || (prefix->length && strcmp(after->bytes, prefix->bytes) < 0);
    if (from_prefix)
        return objects_seek(prefix->bytes ? prefix->bytes : "", prefix->length, true);
    return objects_seek(after->bytes, after->length, false);
}

// Writes a page's entries; `last` is the name it ended with. True if there are more.
static bool entries(struct listing *listing, struct text *out, struct text *last)
{
    struct cursor cursor = begin(listing);
    struct entry entry;
    while (objects_next(&cursor, &entry) && begins_with(entry.key, entry.key_length, &listing->prefix)) {
        if (listing->told == listing->limit)
            return true;
        listing->told++;
        size_t fold = folded(listing, entry.key, entry.key_length);
        last->length = 0;
        text_add(last, entry.key, fold ? fold : entry.key_length);
        if (fold) {
            text_say(out, "<CommonPrefixes><Prefix>");
            say_name(listing, out, last->bytes, fold);
            text_say(out, "</Prefix></CommonPrefixes>");
            cursor = behind(last->bytes, fold);
        } else {
            say_entry(listing, out, &entry);
        }
    }
    return false;
}

// A token is the last name in hex, so that it is valid in XML and in a query.
static void token_decode(const struct text *token, struct text *after)
{
    after->length = 0;
    for (size_t i = 0; i + 1 < token->length; i += 2) {
        char pair[3] = {token->bytes[i], token->bytes[i + 1], 0}, byte = (char)strtol(pair, NULL, 16);
        text_add(after, &byte, 1);
    }
    text_add(after, "", 1);
    after->length--;
}

static void read_parameters(struct exchange *exchange, struct listing *listing)
{
    struct text type = {0};
    listing->v2 = exchange_parameter(exchange, "list-type", &type);
    exchange_parameter(exchange, "prefix", &listing->prefix);
    exchange_parameter(exchange, "delimiter", &listing->delimiter);
    exchange_parameter(exchange, listing->v2 ? "start-after" : "marker", &listing->after);
    if (listing->v2 && exchange_parameter(exchange, "continuation-token", &listing->token))
        token_decode(&listing->token, &listing->after);
    listing->in_url_encoding = exchange_parameter(exchange, "encoding-type", &listing->encoding);
    listing->limit = exchange_parameter(exchange, "max-keys", &listing->maximum) ? (size_t)atol(listing->maximum.bytes) : 1000;
    if (listing->limit > 1000)
        listing->limit = 1000;
    free(type.bytes);
}

void list_answer(struct exchange *exchange)
{
    struct listing listing = {0};
    struct text found = {0}, last = {0}, *out = &exchange->content;
    exchange->kind = LIST;
    read_parameters(exchange, &listing);
    bool more = entries(&listing, &found, &last) && listing.limit > 0;
    text_say(&exchange->headers, "Content-Type: application/xml\r\n");
    text_format(out,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>%s</Name>"
                "<MaxKeys>%zu</MaxKeys><IsTruncated>%s</IsTruncated>",
                options.bucket, listing.limit, more ? "true" : "false");
    say_field(&listing, out, "Prefix", &listing.prefix);
    if (listing.delimiter.length)
        say_field(&listing, out, "Delimiter", &listing.delimiter);
    if (listing.in_url_encoding)
        text_say(out, "<EncodingType>url</EncodingType>");
    if (listing.v2) {
        text_format(out, "<KeyCount>%zu</KeyCount>", listing.told);
        if (more) {
            text_say(out, "<NextContinuationToken>");
            text_hex(out, (unsigned char *)last.bytes, last.length);
            text_say(out, "</NextContinuationToken>");
        }
    } else {
        say_field(&listing, out, "Marker", &listing.after);
        if (more)
            say_field(&listing, out, "NextMarker", &last);
    }
    text_add(out, found.bytes ? found.bytes : "", found.length);
    text_say(out, "</ListBucketResult>");
    struct text *own[] = {&listing.prefix, &listing.delimiter, &listing.after, &listing.token, &listing.maximum,
                          &listing.encoding, &found, &last};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        free(own[i]->bytes);
}
