# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a media store and the rows about it: tree.py DIRECTORY COUNT SHAPE. Run by the user who is to own it.

Of five files one is a local original, two are its thumbnails, one is a remote original and one its thumbnail; or all
are originals, half of them remote. The same arguments make the same tree. The shapes:

real       19,000 bytes on average, spread exponentially as pictures are: many small, few large
originals  the same, but no thumbnails: each file in a directory of its own
tiny       up to 2,000 bytes, all zero and never written, so that a million take no memory in tmpfs
mixed      90 % from 1 to 100 KB, 9 % to 5 MB, 1 % to 100 MB, each evenly by the logarithm; the larger are originals
videos     originals of 20 MiB each
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MEAN = 19_000
VIDEO = 20 << 20
CONTENTS = 100
ORIGINS = 20  # of the history's hundred origins
AGE = 30 * 86400
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
THUMBNAILS = ("32-32-image-png-crop", "320-240-image-jpeg-scale")


def noise(seed: str, length: int) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(length)


def media_id(index: int) -> str:
    return "".join(LETTERS[byte % 52] for byte in noise(f"id {index}", 24))


def fractions(count: int) -> Iterator[float]:
    """Numbers from 0 to 1, each from its own interval, in random order."""
    step = int(count * 0.618) | 1
    while math.gcd(step, count) != 1:
        step += 2
    for index in range(count):
        yield (index * step % count + 0.5) / count


def exponential(count: int) -> Iterator[int]:
    """With the mean MEAN within a percent."""
    return (max(1, round(-MEAN * math.log(1 - fraction))) for fraction in fractions(count))


def between(low: int, high: int, count: int) -> Iterator[int]:
    """Evenly distributed by the logarithm."""
    return (round(low * (high / low) ** fraction) for fraction in fractions(count))


def names(count: int, thumbnails: bool) -> Iterator[tuple[str, str, str, bool]]:
    """Yield (path, origin, filesystem id, whether it is an original) of each file."""
    size = 5 if thumbnails else 2
    for index in range(-(-count // size)):
        local, remote = media_id(2 * index), media_id(2 * index + 1)
        origin = f"server{index % ORIGINS:02}.example.org"
        split_local, split_remote = (f"{name[:2]}/{name[2:4]}/{name[4:]}" for name in (local, remote))
        group = [
            (f"local_content/{split_local}", "", local, True),
            *((f"local_thumbnails/{split_local}/{thumbnail}", "", local, False) for thumbnail in THUMBNAILS),
            (f"remote_content/{origin}/{split_remote}", origin, remote, True),
            (f"remote_thumbnail/{origin}/{split_remote}/{THUMBNAILS[0]}", origin, remote, False),
        ]
        yield from [file for file in group if thumbnails or file[3]][: count - size * index]


def mixed(count: int) -> Iterator[tuple[str, str, str, bool, int]]:
    """Two of five files are originals: every fourth of them is above 100 KB, and every tenth of those above 5 MB."""
    originals = 2 * (count // 5) + sum(index in (0, 3) for index in range(count % 5))
    larger = -(-originals // 4)
    largest = -(-larger // 10)
    small = between(1000, 100_000, count - larger)
    medium, large = between(100_000, 5_000_000, larger - largest), between(5_000_000, 100_000_000, largest)
    seen = 0
    for name in names(count, True):
        size = small
        if name[3]:
            if seen % 4 == 0:
                size = large if seen % 40 == 0 else medium
            seen += 1
        yield (*name, next(size, 0))


def files(count: int, shape: str) -> Iterator[tuple[str, str, str, bool, int]]:
    """Yield names() with the size of each."""
    if shape == "mixed":
        yield from mixed(count)
        return
    sizes = (VIDEO for _index in range(count)) if shape == "videos" else exponential(count)
    for name, size in zip(names(count, shape in ("real", "tiny")), sizes, strict=True):
        yield (*name, size)


class TreeMaker:
    def __init__(self, directory: Path, count: int, shape: str) -> None:
        self.root = directory / "media_store"
        self._count = count
        self._shape = shape
        self._made: set[str] = set()
        self._then = time.time() - AGE
        self._contents = [_about(bytes(1 + 20 * index)) for index in range(CONTENTS)] if shape == "tiny" else []

    def make(self, directory: Path) -> None:
        created = int(self._then * 1000)
        with (
            (directory / "local.tsv").open("w") as local,
            (directory / "remote.tsv").open("w") as remote,
            (directory / "manifest.tsv").open("w") as manifest,
        ):
            for index, (path, origin, name, original, size) in enumerate(files(self._count, self._shape)):
                length, md5, sha256 = self._make_file(path, index, size)
                manifest.write(f"{path}\t{length}\t{md5}\n")
                if original and origin:
                    remote.write(f"{origin}\t{name}\timage/png\t{created}\t{length}\t{name}\t{created}\t{sha256}\n")
                elif original:
                    local.write(f"{name}\timage/png\t{length}\t{created}\t{created}\t{sha256}\n")

    def _make_file(self, path: str, index: int, size: int) -> tuple[int, str, str]:
        target = self.root / path
        parent = os.path.dirname(path)  # noqa: PTH120 a million times
        if parent not in self._made:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(parent)
        if self._contents:
            about = self._contents[index % CONTENTS]
            with target.open("wb") as file:
                file.truncate(about[0])
        else:
            content = noise(f"file {index}", size)
            about = _about(content)
            target.write_bytes(content)
        os.utime(target, (self._then, self._then))
        return about


def _about(content: bytes) -> tuple[int, str, str]:
    return len(content), hashlib.md5(content, usedforsecurity=False).hexdigest(), hashlib.sha256(content).hexdigest()


def main() -> None:
    directory, count, shape = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    directory.mkdir()
    TreeMaker(directory, count, shape).make(directory)


if __name__ == "__main__":
    main()
