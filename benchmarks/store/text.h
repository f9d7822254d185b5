// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Growing buffers, and the encodings of S3: percent, XML, hex, base64.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct text {
    char *bytes;
    size_t length, room;
};

char *text_room(struct text *text, size_t more);  // at least this many free bytes
void text_add(struct text *text, const void *bytes, size_t length);
void text_say(struct text *text, const char *words);
void text_number(struct text *text, uint64_t number);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_hex(struct text *text, const unsigned char *bytes, size_t length);
void text_base64(struct text *text, const unsigned char *bytes, size_t length);
void text_percent(struct text *text, const char *bytes, size_t length);  // all but unreserved characters and '/'
void text_xml(struct text *text, const char *bytes, size_t length);
void text_iso_time(struct text *text, time_t moment);
void text_http_time(struct text *text, time_t moment);

// Decodes in place of `to`, which has room for `length` bytes; returns the length.
size_t percent_decode(const char *from, size_t length, char *to, bool plus_is_space);
size_t xml_decode(const char *from, size_t length, char *to);
// Decodes exactly `wanted` bytes into `to`; false if it is no base64 or another number of bytes.
bool base64_decode(const char *from, size_t length, unsigned char *to, size_t wanted);
