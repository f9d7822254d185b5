// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// The bucket's contents: objects in the byte order of their keys, and a history that needs no memory.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "checksum.h"
#include "history.h"

// Bytes shared by an object and the responses that are still being sent from it.
struct blob {
    int holders;
    size_t size;
    char bytes[];
};

struct object {
    uint64_t size;
    unsigned char md5[16];  // of the content, or of its parts' digests if parts > 0
    int parts;
    time_t modified;
    struct blob *content;  // NULL if only size and digest are kept
    char *headers;         // header lines to return, or NULL
    struct checksum *checksum;  // the stored x-amz-checksum, or NULL
    size_t key_length;
    char *key;
    struct object *next[];
};

// One entry of a listing: a stored object, or one of the history, computed when it is read.
struct entry {
    const char *key;
    size_t key_length;
    uint64_t size;
    unsigned char md5[16];
    int parts;
    time_t modified;
    const struct object *object;  // NULL for history
    char history_key[HISTORY_KEY_ROOM];
};

struct blob *blob_new(size_t size);
void blob_hold(struct blob *blob);
void blob_drop(struct blob *blob);

// With a history of this many media, two objects each.
void objects_start(uint64_t media);
uint64_t objects_count(void);
void objects_clear(void);

// The object to fill in: a new one, or the existing one emptied.
struct object *objects_put(const char *key, size_t length);
void objects_keep_checksum(struct object *object, const struct checksum *checksum);
bool objects_find(const char *key, size_t length, struct entry *entry);
bool objects_delete(const char *key, size_t length);

// A position in the listing, valid until the next put or delete.
struct cursor {
    const struct object *object;
    uint64_t index;  // in the history
};

// Moves to the first key that is not before the given one (or, exclusive, comes after it).
struct cursor objects_seek(const char *key, size_t length, bool inclusive);
// Returns the entry there and moves behind it; false at the end.
bool objects_next(struct cursor *cursor, struct entry *entry);
