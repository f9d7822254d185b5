# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""PNG pictures with only the standard library: one seed always gives the same picture, two seeds never do."""

from __future__ import annotations

import random
import struct
import zlib

# Synapse's default thumbnail_sizes.
THUMBNAILS = ((32, 32, "crop"), (96, 96, "crop"), (320, 240, "scale"), (640, 480, "scale"), (800, 600, "scale"))


def thumbnails_of(width: int, height: int) -> list[tuple[int, int, str]]:
    """Return the thumbnails that Synapse creates of a 4:3 picture; it enlarges none."""
    return [size for size in THUMBNAILS if size[0] <= width and size[1] <= height]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, seed: str) -> bytes:
    """Return a colour gradient with noise, so that it compresses about as badly as a photograph."""
    noise = random.Random(seed)
    red, green, blue = noise.randbytes(3)
    rows = bytearray()
    for y in range(height):
        grain = noise.randbytes(width)
        row = bytearray(3 * width)
        row[0::3] = bytes((red + x // 4 + (g & 31)) & 255 for x, g in enumerate(grain))
        row[1::3] = bytes((green + y // 4 + (g >> 3)) & 255 for g in grain)
        row[2::3] = bytes((blue + (x + y) // 8 + (g & 15)) & 255 for x, g in enumerate(grain))
        rows += b"\0" + row
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 6)), _chunk(b"IEND", b""))
    )
