// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Multipart uploads that were created and not yet completed or aborted.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "checksum.h"
#include "objects.h"

enum { MOST_PARTS = 10000, SMALLEST_PART = 5 << 20 };

struct part {
    bool there;
    uint64_t size;
    unsigned char md5[16];
    struct checksum checksum;
    struct blob *content;
};

struct upload {
    char id[32];
    size_t number;  // in the order of creation
    time_t initiated;
    struct upload *next;
    char *headers;
    enum algorithm algorithm;  // of the object's checksum; NO_CHECKSUM: none is stored
    bool composite;            // it is one over the parts' checksums
    int last;                  // the highest part number
    size_t key_length;
    char *key;
    struct part parts[MOST_PARTS + 1];
};

extern struct upload *uploads;
