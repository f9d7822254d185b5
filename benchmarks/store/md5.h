// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// MD5 (RFC 1321), so that the server needs no library.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct md5 {
    uint32_t state[4];
    uint64_t length;
    unsigned char block[64];
};

void md5_start(struct md5 *sum);
void md5_add(struct md5 *sum, const void *data, size_t length);
void md5_end(struct md5 *sum, unsigned char digest[16]);
