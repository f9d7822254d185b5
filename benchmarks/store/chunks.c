// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#include "chunks.h"

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static void framing(struct chunks *chunks, char c)
{
    switch (chunks->state) {
    case CHUNK_SIZE:
        if (digit(c) >= 0) {
            chunks->left = chunks->left * 16 + (uint64_t)digit(c);
            break;
        }
        chunks->state = CHUNK_EXTENSION;
        // fall through
    case CHUNK_EXTENSION:
        if (c == '\n') {
            chunks->state = chunks->left ? CHUNK_DATA : TRAILER;
            chunks->trailer_length = 0;
        }
        break;
    case CHUNK_END:
        if (c == '\n')
            chunks->state = CHUNK_SIZE;
        break;
    case TRAILER:
        if (c != '\r' && chunks->kept < sizeof chunks->trailers)
            chunks->trailers[chunks->kept++] = c;
        if (c == '\n') {
            if (chunks->trailer_length == 0)
                chunks->state = CHUNKS_DONE;
            chunks->trailer_length = 0;
        } else if (c != '\r') {
            chunks->trailer_length++;
        }
        break;
    default:
        break;
    }
}

size_t chunks_feed(struct chunks *chunks, const char *bytes, size_t length, chunk_sink *sink, void *to)
{
    size_t at = 0;
    while (at < length && chunks->state != CHUNKS_DONE) {
        if (chunks->state != CHUNK_DATA) {
            framing(chunks, bytes[at++]);
            continue;
        }
        size_t take = length - at < chunks->left ? length - at : (size_t)chunks->left;
        sink(to, bytes + at, take);
        at += take;
        chunks->left -= take;
        if (chunks->left == 0)
            chunks->state = CHUNK_END;
    }
    return at;
}
