# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The history's media, with the same names as in store/history.c, so that the database has a row for each."""

from __future__ import annotations

from collections.abc import Iterator

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SIZE = 19000
ORIGINS = 100
THUMBNAIL = "32-32-image-png-crop"
ORDERED = 6
_64_BITS = (1 << 64) - 1


def _mixed(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _64_BITS
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _64_BITS
    return value ^ (value >> 31)


def _letters(value: int, count: int) -> str:
    """The lowest letter first."""
    letters = []
    for _place in range(count):
        value, letter = divmod(value, 52)
        letters.append(LETTERS[letter])
    return "".join(letters)


def _media_id(index: int, position: int, count: int) -> str:
    ordered = _letters(position * 52**ORDERED // count, ORDERED)[::-1]
    noise = _mixed(index)
    return ordered + _letters(noise, 9) + _letters(_mixed(noise // 52**9), 9)


def media(count: int) -> Iterator[tuple[str, str]]:
    """Yield (origin, filesystem id) of each media; the origin of local media is empty."""
    local = count // 2
    for index in range(local):
        yield "", _media_id(index, index, local)
    remote = count - local
    for position in range(remote):
        origin = position * ORIGINS // remote
        first, end = (-(-bound * remote // ORIGINS) for bound in (origin, origin + 1))
        yield f"server{origin:02}.example.org", _media_id(local + position, position - first, end - first)


def keys(origin: str, filesystem_id: str) -> tuple[str, str]:
    """Yield the keys of the original and the thumbnail."""
    path = f"{filesystem_id[:2]}/{filesystem_id[2:4]}/{filesystem_id[4:]}"
    if origin:
        return f"remote_content/{origin}/{path}", f"remote_thumbnail/{origin}/{path}/{THUMBNAIL}"
    return f"local_content/{path}", f"local_thumbnails/{path}/{THUMBNAIL}"
