// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Chunked bodies: HTTP's own, and the aws-chunked ones inside, with signatures or trailers. Both have the same grammar.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunks {
    enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, TRAILER, CHUNKS_DONE } state;
    uint64_t left;
    size_t trailer_length, kept;
    char trailers[512];  // the trailers' lines, each with a line feed; more are dropped
};

typedef void chunk_sink(void *to, const char *bytes, size_t length);

// Takes bytes from the connection and passes on the content; returns how many it took (all up to the last trailer).
size_t chunks_feed(struct chunks *chunks, const char *bytes, size_t length, chunk_sink *sink, void *to);
