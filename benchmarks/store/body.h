// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Receives a request's body: decodes its framing, keeps it if it is short enough, hashes it, and compares it with the
// client's digests.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checksum.h"
#include "chunks.h"
#include "exchange.h"
#include "md5.h"

struct body {
    struct exchange *exchange;
    uint64_t wire_left;  // unless it is chunked
    bool chunked, in_aws_chunks, keeps, hashes, has_md5;
    struct chunks outer, inner;
    struct md5 sum;
    unsigned char told_md5[16];
    bool in_trailer;
    int found_checksum;
    struct checksum told_checksum;
    struct checksum_sum checksum_sum;  // or NO_CHECKSUM if it is not verified
    struct text growing;               // a body of unknown length
};

// Whether a header's value, or NULL, starts with this text.
bool header_is(const char *value, const char *word);

// Reads from the head what follows as the body.
void body_expect(struct body *body, struct exchange *exchange);
// Takes bytes from the connection; returns how many belonged to the body.
size_t body_take(struct body *body, const char *bytes, size_t length);
bool body_is_whole(const struct body *body);
// The whole body belongs to the exchange; false if it is refused, with a response.
bool body_end(struct body *body);

// The bytes are only counted, as body_dropped does.
bool body_is_dropped(const struct body *body);
void body_dropped(struct body *body, size_t length);
// Where the next bytes are to be received, and how many at most: in their final place, or in the scratch buffer.
char *body_place(struct body *body, char *scratch, size_t room, size_t *most);
