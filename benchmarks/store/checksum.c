// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#include "checksum.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *upper, *lower;
    size_t size;
    uint64_t polynomial;  // bits reversed, as in all three CRCs; 0: no CRC
} KNOWN[ALGORITHMS] = {
    [NO_CHECKSUM] = {"", "", 0, 0},
    [CRC32] = {"CRC32", "crc32", 4, 0xedb88320},
    [CRC32C] = {"CRC32C", "crc32c", 4, 0x82f63b78},
    [CRC64NVME] = {"CRC64NVME", "crc64nvme", 8, 0x9a6c9329ac4bc9b5},
    [SHA256] = {"SHA256", "sha256", 32, 0},
};

// tables[algorithm][k][b]: the contribution of the byte b with k bytes after it. Eight bytes are processed at a time.
static uint64_t tables[CRC64NVME + 1][8][256];

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "eight bytes are read in memory order");

static uint64_t all_ones(enum algorithm algorithm)
{
    return KNOWN[algorithm].size == 4 ? UINT32_MAX : UINT64_MAX;
}

static void fill_tables(enum algorithm algorithm)
{
    uint64_t(*table)[256] = tables[algorithm];
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ KNOWN[algorithm].polynomial : crc >> 1;
        table[0][byte] = crc;
    }
    for (int behind = 1; behind < 8; behind++)
        for (unsigned byte = 0; byte < 256; byte++)
            table[behind][byte] = table[behind - 1][byte] >> 8 ^ table[0][table[behind - 1][byte] & 255];
}

void checksum_start(struct checksum_sum *sum, enum algorithm algorithm)
{
    sum->algorithm = algorithm;
    sum->crc = all_ones(algorithm);
    if (algorithm == SHA256)
        sha256_start(&sum->sha256);
    else if (algorithm != NO_CHECKSUM && !tables[algorithm][0][1])
        fill_tables(algorithm);
}

void checksum_add(struct checksum_sum *sum, const void *data, size_t length)
{
    if (sum->algorithm == SHA256)
        sha256_add(&sum->sha256, data, length);
    if (sum->algorithm == NO_CHECKSUM || sum->algorithm == SHA256)
        return;
    const uint64_t(*table)[256] = (const uint64_t(*)[256])tables[sum->algorithm];
    const unsigned char *at = data;
    uint64_t crc = sum->crc;
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        crc ^= eight;
        crc = table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^ table[5][crc >> 16 & 255] ^ table[4][crc >> 24 & 255] ^
              table[3][crc >> 32 & 255] ^ table[2][crc >> 40 & 255] ^ table[1][crc >> 48 & 255] ^ table[0][crc >> 56];
    }
    for (; length; at++, length--)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 255];
    sum->crc = crc;
}

static uint64_t crc_of(const struct checksum *checksum)
{
    uint64_t crc = 0;
    for (size_t i = 0; i < KNOWN[checksum->algorithm].size; i++)
        crc = crc << 8 | checksum->value[i];
    return crc;
}

static void set_crc(struct checksum *checksum, uint64_t crc)
{
    for (size_t i = KNOWN[checksum->algorithm].size; i--; crc >>= 8)
        checksum->value[i] = (unsigned char)crc;
}

void checksum_end(struct checksum_sum *sum, struct checksum *checksum)
{
    memset(checksum, 0, sizeof *checksum);
    checksum->algorithm = sum->algorithm;
    if (sum->algorithm == SHA256)
        sha256_end(&sum->sha256, checksum->value);
    else
        set_crc(checksum, sum->crc ^ all_ones(sum->algorithm));
}

// Product of two polynomials modulo the CRC's; the highest bit represents 1, the one below it x.
static uint64_t multiply(enum algorithm algorithm, uint64_t left, uint64_t right)
{
    uint64_t product = 0;
    for (uint64_t bit = all_ones(algorithm) ^ all_ones(algorithm) >> 1; left; bit >>= 1) {
        if (left & bit) {
            product ^= right;
            left ^= bit;
        }
        right = right & 1 ? right >> 1 ^ KNOWN[algorithm].polynomial : right >> 1;
    }
    return product;
}

void checksum_append(struct checksum *first, const struct checksum *second, uint64_t length)
{
    enum algorithm algorithm = first->algorithm;
    uint64_t one = all_ones(algorithm) ^ all_ones(algorithm) >> 1;
    // x^(8 * length): each byte multiplies what is before it by x^8.
    uint64_t power = one, square = one >> 8;
    for (; length; length >>= 1) {
        if (length & 1)
            power = multiply(algorithm, power, square);
        square = multiply(algorithm, square, square);
    }
    set_crc(first, multiply(algorithm, power, crc_of(first)) ^ crc_of(second));
}

size_t checksum_size(enum algorithm algorithm)
{
    return KNOWN[algorithm].size;
}

const char *checksum_upper_name(enum algorithm algorithm)
{
    return KNOWN[algorithm].upper;
}

const char *checksum_lower_name(enum algorithm algorithm)
{
    return KNOWN[algorithm].lower;
}

enum algorithm checksum_named(const char *name, size_t length)
{
    for (enum algorithm algorithm = CRC32; algorithm < ALGORITHMS; algorithm++)
        if (strlen(KNOWN[algorithm].lower) == length && strncasecmp(name, KNOWN[algorithm].lower, length) == 0)
            return algorithm;
    return NO_CHECKSUM;
}
