// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HEX[] = "0123456789abcdef";
static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *text_room(struct text *text, size_t more)
{
    if (text->room - text->length < more) {
        text->room = (text->length + more) * 2;
        text->bytes = realloc(text->bytes, text->room);
    }
    return text->bytes + text->length;
}

void text_add(struct text *text, const void *bytes, size_t length)
{
    memcpy(text_room(text, length), bytes, length);
    text->length += length;
}

void text_say(struct text *text, const char *words)
{
    text_add(text, words, strlen(words));
}

void text_number(struct text *text, uint64_t number)
{
    char digits[20], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    text_add(text, at, (size_t)(digits + sizeof digits - at));
}

void text_format(struct text *text, const char *format, ...)
{
    va_list values;
    char line[1024];
    va_start(values, format);
    int length = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    text_add(text, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1);
}

void text_hex(struct text *text, const unsigned char *bytes, size_t length)
{
    char *to = text_room(text, 2 * length);
    for (size_t i = 0; i < length; i++) {
        *to++ = HEX[bytes[i] >> 4];
        *to++ = HEX[bytes[i] & 15];
    }
    text->length += 2 * length;
}

void text_base64(struct text *text, const unsigned char *bytes, size_t length)
{
    char *to = text_room(text, (length + 2) / 3 * 4);
    for (size_t i = 0; i < length; i += 3) {
        size_t there = length - i < 3 ? length - i : 3;
        uint32_t bits = (uint32_t)bytes[i] << 16 | (there > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (there > 2 ? bytes[i + 2] : 0);
        *to++ = BASE64[bits >> 18];
        *to++ = BASE64[bits >> 12 & 63];
        *to++ = there > 1 ? BASE64[bits >> 6 & 63] : '=';
        *to++ = there > 2 ? BASE64[bits & 63] : '=';
    }
    text->length += (length + 2) / 3 * 4;
}

static bool plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '-' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || c == '~';
}

void text_percent(struct text *text, const char *bytes, size_t length)
{
    char *to = text_room(text, 3 * length);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (plain(c)) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = "0123456789ABCDEF"[c >> 4];
            *to++ = "0123456789ABCDEF"[c & 15];
        }
    }
    text->length = (size_t)(to - text->bytes);
}

void text_xml(struct text *text, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (c == '&')
            text_say(text, "&amp;");
        else if (c == '<')
            text_say(text, "&lt;");
        else if (c == '>')
            text_say(text, "&gt;");
        else if (c == '"')
            text_say(text, "&quot;");
        else if ((unsigned char)c < 32)
            text_format(text, "&#%d;", c);
        else
            text_add(text, &c, 1);
    }
}

void text_iso_time(struct text *text, time_t moment)
{
    static time_t last = -1;
    static char words[32];
    struct tm parts;
    if (moment != last) {
        strftime(words, sizeof words, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&moment, &parts));
        last = moment;
    }
    text_say(text, words);
}

void text_http_time(struct text *text, time_t moment)
{
    static time_t last = -1;
    static char words[40];
    struct tm parts;
    if (moment != last) {
        strftime(words, sizeof words, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&moment, &parts));
        last = moment;
    }
    text_say(text, words);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

size_t percent_decode(const char *from, size_t length, char *to, bool plus_is_space)
{
    const char *start = to, *end = from + length;
    while (from < end) {
        if (*from == '%' && end - from > 2 && digit(from[1]) >= 0 && digit(from[2]) >= 0) {
            *to++ = (char)(digit(from[1]) * 16 + digit(from[2]));
            from += 3;
        } else {
            *to++ = *from == '+' && plus_is_space ? ' ' : *from;
            from++;
        }
    }
    return (size_t)(to - start);
}

size_t xml_decode(const char *from, size_t length, char *to)
{
    static const struct {
        const char *name;
        char value;
    } names[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    const char *start = to, *end = from + length;
    while (from < end) {
        size_t taken = 0;
        if (*from == '&') {
            for (size_t i = 0; i < sizeof names / sizeof *names && !taken; i++) {
                size_t size = strlen(names[i].name);
                if ((size_t)(end - from) >= size && memcmp(from, names[i].name, size) == 0) {
                    *to++ = names[i].value;
                    taken = size;
                }
            }
            const char *stop = memchr(from, ';', (size_t)(end - from));
            if (!taken && stop && from[1] == '#') {  // control characters, all below 128
                bool hex = from[2] == 'x';
                *to++ = (char)strtol(from + (hex ? 3 : 2), NULL, hex ? 16 : 10);
                taken = (size_t)(stop + 1 - from);
            }
        }
        if (!taken) {
            *to++ = *from;
            taken = 1;
        }
        from += taken;
    }
    return (size_t)(to - start);
}

bool base64_decode(const char *from, size_t length, unsigned char *to, size_t wanted)
{
    uint32_t bits = 0;
    int held = 0;
    size_t letters = (wanted * 8 + 5) / 6;
    if (length != (wanted + 2) / 3 * 4)
        return false;
    for (size_t i = 0; i < letters; i++) {
        const char *letter = memchr(BASE64, from[i], 64);
        if (!letter)
            return false;
        bits = bits << 6 | (uint32_t)(letter - BASE64);
        if ((held += 6) >= 8)
            *to++ = (unsigned char)(bits >> (held -= 8));
    }
    for (size_t i = letters; i < length; i++)
        if (from[i] != '=')
            return false;
    return true;
}
