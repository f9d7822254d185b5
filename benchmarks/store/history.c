// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#include "history.h"

#include <stdbool.h>
#include <string.h>

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum {
    ID_LENGTH = 24,
    ORDERED = 6,  // leading letters that ascend with the index; the others are random
};

static uint64_t mixed(uint64_t value)
{
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

static void media_id(uint64_t index, uint64_t position, uint64_t count, char id[ID_LENGTH])
{
    uint64_t ordered = (uint64_t)((__uint128_t)position * 19770609664 / count);  // 52 to the power of ORDERED
    for (int letter = ORDERED - 1; letter >= 0; letter--, ordered /= 52)
        id[letter] = LETTERS[ordered % 52];
    uint64_t noise = mixed(index);
    for (int letter = ORDERED; letter < ID_LENGTH; letter++) {
        if (letter == ORDERED + 9)
            noise = mixed(noise);
        id[letter] = LETTERS[noise % 52];
        noise /= 52;
    }
}

static char *append(char *to, const char *from, size_t length)
{
    memcpy(to, from, length);
    return to + length;
}

// Writes the origin and the id: the positions are distributed so that all origins have the same number, or one less.
static char *remote_media(char *to, uint64_t media, uint64_t position, uint64_t count, char id[ID_LENGTH])
{
    uint64_t origin = position * HISTORY_ORIGINS / count;
    uint64_t first = (origin * count + HISTORY_ORIGINS - 1) / HISTORY_ORIGINS;
    uint64_t end = ((origin + 1) * count + HISTORY_ORIGINS - 1) / HISTORY_ORIGINS;
    media_id(media, position - first, end - first, id);
    to = append(to, "server", 6);
    *to++ = (char)('0' + origin / 10);
    *to++ = (char)('0' + origin % 10);
    return append(to, ".example.org/", 13);
}

size_t history_key(uint64_t index, uint64_t count, char key[HISTORY_KEY_ROOM])
{
    char id[ID_LENGTH], *to = key;
    uint64_t local = count / 2, remote = count - local;
    bool is_local = index < 2 * local, thumbnail;
    if (is_local) {
        thumbnail = index >= local;
        to = thumbnail ? append(to, "local_thumbnails/", 17) : append(to, "local_content/", 14);
        uint64_t media = thumbnail ? index - local : index;
        media_id(media, media, local, id);
    } else {
        uint64_t position = index - 2 * local;
        thumbnail = position >= remote;
        to = thumbnail ? append(to, "remote_thumbnail/", 17) : append(to, "remote_content/", 15);
        position -= thumbnail ? remote : 0;
        to = remote_media(to, local + position, position, remote, id);
    }
    to = append(to, id, 2);
    *to++ = '/';
    to = append(to, id + 2, 2);
    *to++ = '/';
    to = append(to, id + 4, ID_LENGTH - 4);
    if (thumbnail)
        to = append(to, "/32-32-image-png-crop", 21);
    return (size_t)(to - key);
}

void history_digest(uint64_t index, unsigned char digest[16])
{
    uint64_t words[2] = {mixed(index ^ 0x5a5a5a5a), mixed(~index)};
    memcpy(digest, words, 16);
}
