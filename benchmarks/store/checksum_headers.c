// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Checksums in S3's headers, trailers and documents.
#define _GNU_SOURCE
#include <string.h>
#include <strings.h>

#include "exchange.h"

static const char PREFIX[] = "x-amz-checksum-";

// Parses one line, "NAME: VALUE", that ends at `end`.
static int from_line(const char *line, const char *end, struct checksum *checksum)
{
    static const char *const others[] = {"algorithm", "type", "mode"};
    size_t prefix = sizeof PREFIX - 1;
    if ((size_t)(end - line) <= prefix || strncasecmp(line, PREFIX, prefix) != 0)
        return CHECKSUM_ABSENT;
    const char *name = line + prefix, *colon = memchr(name, ':', (size_t)(end - name));
    if (!colon)
        return CHECKSUM_ABSENT;
    size_t name_length = (size_t)(colon - name);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (name_length == strlen(others[i]) && strncasecmp(name, others[i], name_length) == 0)
            return CHECKSUM_ABSENT;
    enum algorithm algorithm = checksum_named(name, name_length);
    if (algorithm == NO_CHECKSUM)
        return CHECKSUM_UNKNOWN;
    const char *value = colon + 1;
    while (value < end && *value == ' ')
        value++;
    // A composed one ends in "-N".
    const char *stop = memchr(value, '-', (size_t)(end - value));
    if (!base64_decode(value, (size_t)((stop ? stop : end) - value), checksum->value, checksum_size(algorithm))) {
        memset(checksum, 0, sizeof *checksum);
        return CHECKSUM_MALFORMED;
    }
    checksum->algorithm = algorithm;
    return CHECKSUM_THERE;
}

int exchange_checksum(const struct exchange *exchange, struct checksum *checksum)
{
    int found = CHECKSUM_ABSENT;
    const char *line = strstr(exchange->head, "\r\n");
    while (found == CHECKSUM_ABSENT && line && line[2] && line[2] != '\r') {
        line += 2;
        const char *end = strstr(line, "\r\n");
        if (!end)
            break;
        found = from_line(line, end, checksum);
        line = end;
    }
    return found;
}

int trailer_checksum(const char *trailers, size_t length, struct checksum *checksum)
{
    int found = CHECKSUM_ABSENT;
    for (const char *line = trailers, *stop = trailers + length, *end;
         found == CHECKSUM_ABSENT && line < stop && (end = memchr(line, '\n', (size_t)(stop - line))); line = end + 1)
        found = from_line(line, end, checksum);
    return found;
}

bool refuse_checksum(struct exchange *exchange, int found)
{
    if (found == CHECKSUM_MALFORMED)
        fail(exchange, 400, "InvalidRequest", "The value of the x-amz-checksum header is invalid.");
    else if (found == CHECKSUM_UNKNOWN)
        fail(exchange, 501, "NotImplemented", "Supported checksums: CRC32, CRC32C, CRC64NVME and SHA256.");
    return found == CHECKSUM_MALFORMED || found == CHECKSUM_UNKNOWN;
}

void say_checksum(struct text *text, const struct checksum *checksum)
{
    text_base64(text, checksum->value, checksum_size(checksum->algorithm));
    if (checksum->parts)
        text_format(text, "-%d", checksum->parts);
}

const char *checksum_type(const struct checksum *checksum)
{
    return checksum->parts ? "COMPOSITE" : "FULL_OBJECT";
}

void tell_checksum(struct exchange *exchange, const struct checksum *checksum, bool of_object)
{
    if (checksum->algorithm == NO_CHECKSUM)
        return;
    text_format(&exchange->headers, "%s%s: ", PREFIX, checksum_lower_name(checksum->algorithm));
    say_checksum(&exchange->headers, checksum);
    text_say(&exchange->headers, "\r\n");
    if (of_object)
        text_format(&exchange->headers, "x-amz-checksum-type: %s\r\n", checksum_type(checksum));
}
