// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#include "objects.h"

#include <stdlib.h>
#include <string.h>

enum { LEVELS = 14 };

static struct object *head;
static uint64_t count, history_media, history, dice = 0x9e3779b97f4a7c15;

struct blob *blob_new(size_t size)
{
    struct blob *blob = malloc(sizeof *blob + size);
    blob->holders = 1;
    blob->size = size;
    return blob;
}

void blob_hold(struct blob *blob)
{
    if (blob)
        blob->holders++;
}

void blob_drop(struct blob *blob)
{
    if (blob && --blob->holders == 0)
        free(blob);
}

static struct object *object_new(const char *key, size_t length, int levels)
{
    size_t links = (size_t)levels * sizeof(struct object *);
    struct object *object = calloc(1, sizeof *object + links + length + 1);
    object->key = (char *)object->next + links;
    memcpy(object->key, key, length);
    object->key_length = length;
    return object;
}

static void empty(struct object *object)
{
    blob_drop(object->content);
    free(object->headers);
    free(object->checksum);
    object->content = NULL;
    object->headers = NULL;
    object->checksum = NULL;
}

void objects_start(uint64_t media)
{
    history_media = media;
    history = 2 * media;
    head = object_new("", 0, LEVELS);
}

uint64_t objects_count(void)
{
    return count;
}

void objects_clear(void)
{
    for (struct object *object = head->next[0], *next; object; object = next) {
        next = object->next[0];
        empty(object);
        free(object);
    }
    memset(head->next, 0, LEVELS * sizeof *head->next);
    count = 0;
}

static int compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

// The last object before the key on each level; returns the one that follows.
static struct object *locate(const char *key, size_t length, struct object *before[LEVELS])
{
    struct object *at = head;
    for (int level = LEVELS - 1; level >= 0; level--) {
        struct object *next;
        while ((next = at->next[level]) && compare(next->key, next->key_length, key, length) < 0)
            at = next;
        before[level] = at;
    }
    return at->next[0];
}

static struct object *exact(struct object *object, const char *key, size_t length)
{
    return object && compare(object->key, object->key_length, key, length) == 0 ? object : NULL;
}

static int random_levels(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    int levels = 1;
    for (uint64_t bits = dice; levels < LEVELS && (bits & 3) == 0; bits >>= 2)
        levels++;
    return levels;
}

struct object *objects_put(const char *key, size_t length)
{
    struct object *before[LEVELS];
    struct object *object = exact(locate(key, length, before), key, length);
    if (object) {
        empty(object);
    } else {
        int levels = random_levels();
        object = object_new(key, length, levels);
        for (int level = 0; level < levels; level++) {
            object->next[level] = before[level]->next[level];
            before[level]->next[level] = object;
        }
        count++;
    }
    object->modified = time(NULL);
    return object;
}

bool objects_delete(const char *key, size_t length)
{
    struct object *before[LEVELS];
    struct object *object = exact(locate(key, length, before), key, length);
    if (!object)
        return false;
    for (int level = 0; level < LEVELS && before[level]->next[level] == object; level++)
        before[level]->next[level] = object->next[level];
    empty(object);
    free(object);
    count--;
    return true;
}

void objects_keep_checksum(struct object *object, const struct checksum *checksum)
{
    if (checksum->algorithm == NO_CHECKSUM)
        return;
    object->checksum = malloc(sizeof *checksum);
    *object->checksum = *checksum;
}

static void from_object(const struct object *object, struct entry *entry)
{
    entry->key = object->key;
    entry->key_length = object->key_length;
    entry->size = object->size;
    memcpy(entry->md5, object->md5, 16);
    entry->parts = object->parts;
    entry->modified = object->modified;
    entry->object = object;
}

static void from_history(uint64_t index, struct entry *entry)
{
    entry->key_length = history_key(index, history_media, entry->history_key);
    entry->key = entry->history_key;
    entry->size = HISTORY_SIZE;
    history_digest(index, entry->md5);
    entry->parts = 0;
    entry->modified = HISTORY_MODIFIED;
    entry->object = NULL;
}

// The history's first index whose key is not before this one; its keys ascend with their index.
static uint64_t history_from(const char *key, size_t length, bool inclusive)
{
    char other[HISTORY_KEY_ROOM];
    uint64_t low = 0, high = history;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        int order = compare(other, history_key(middle, history_media, other), key, length);
        if (order < 0 || (order == 0 && !inclusive))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool objects_find(const char *key, size_t length, struct entry *entry)
{
    struct cursor cursor = objects_seek(key, length, true);
    return objects_next(&cursor, entry) && compare(entry->key, entry->key_length, key, length) == 0;
}

struct cursor objects_seek(const char *key, size_t length, bool inclusive)
{
    struct object *before[LEVELS];
    struct object *object = locate(key, length, before);
    if (!inclusive && exact(object, key, length))
        object = object->next[0];
    return (struct cursor){object, history_from(key, length, inclusive)};
}

bool objects_next(struct cursor *cursor, struct entry *entry)
{
    const struct object *object = cursor->object;
    if (cursor->index < history) {
        from_history(cursor->index, entry);
        int order = object ? compare(entry->key, entry->key_length, object->key, object->key_length) : -1;
        if (order <= 0)
            cursor->index++;
        if (order < 0)
            return true;
        // Equal: an object that was stored over one of the history hides it.
    }
    if (!object)
        return false;
    from_object(object, entry);
    cursor->object = object->next[0];
    return true;
}
