// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Media that a server has moved before: any number, spread evenly over Synapse's keys, computed from their index.
// history.py computes the same names for the rows in the database.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    HISTORY_SIZE = 19000,
    HISTORY_MODIFIED = 1767225600,  // 2026-01-01
    HISTORY_ORIGINS = 100,
    HISTORY_KEY_ROOM = 96,
};

// The key of object `index`, and its length, if `count` media have two objects each: an original and a thumbnail. Half
// of the media are local. Keys ascend with the index: local originals, local thumbnails, remote originals, remote
// thumbnails.
size_t history_key(uint64_t index, uint64_t count, char key[HISTORY_KEY_ROOM]);
void history_digest(uint64_t index, unsigned char digest[16]);
