// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// The checksums that S3 verifies and stores with an object: x-amz-checksum-crc32, -crc32c, -crc64nvme, -sha256.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sha256.h"

enum algorithm { NO_CHECKSUM, CRC32, CRC32C, CRC64NVME, SHA256, ALGORITHMS };

struct checksum {
    enum algorithm algorithm;  // NO_CHECKSUM: there is none
    int parts;                 // number of parts it was composed of; 0: it is of the content ("FULL_OBJECT")
    unsigned char value[32];   // in the byte order of S3's base64
};

struct checksum_sum {
    enum algorithm algorithm;
    uint64_t crc;
    struct sha256 sha256;
};

void checksum_start(struct checksum_sum *sum, enum algorithm algorithm);
void checksum_add(struct checksum_sum *sum, const void *data, size_t length);
void checksum_end(struct checksum_sum *sum, struct checksum *checksum);

// The checksum of two contents in a row, of which the second has `length` bytes; for CRCs only.
void checksum_append(struct checksum *first, const struct checksum *second, uint64_t length);

size_t checksum_size(enum algorithm algorithm);
// "CRC64NVME", "crc64nvme"; and the algorithm of such a name in either case, NO_CHECKSUM if it is unknown.
const char *checksum_upper_name(enum algorithm algorithm);
const char *checksum_lower_name(enum algorithm algorithm);
enum algorithm checksum_named(const char *name, size_t length);
