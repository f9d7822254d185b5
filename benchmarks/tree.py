"""Makes a media store and the rows about it: tree.py DIRECTORY COUNT real|tiny. Run by the user who is to own it.

Of five files one is a local original, two are its thumbnails, one is a remote original and one its thumbnail. Real
ones have 19,000 bytes on average, spread exponentially as media is: many small, few large. Tiny ones have up to 2,000
bytes, all zero and never written, so that a million take no memory in tmpfs. The same arguments make the same tree.
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
CONTENTS = 100
ORIGINS = 20  # of the hundred that the history has
AGE = 30 * 86400
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
THUMBNAILS = ("32-32-image-png-crop", "320-240-image-jpeg-scale")


def noise(seed: str, length: int) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(length)


def media_id(index: int) -> str:
    return "".join(LETTERS[byte % 52] for byte in noise(f"id {index}", 24))


def sizes(count: int) -> Iterator[int]:
    """Exponential, each from its own slice of the distribution, in no order of size; MEAN within a percent."""
    step = int(count * 0.618) | 1
    while math.gcd(step, count) != 1:
        step += 2
    for index in range(count):
        place = (index * step % count + 0.5) / count
        yield max(1, round(-MEAN * math.log(1 - place)))


def names(count: int) -> Iterator[tuple[str, str, str, bool]]:
    """(path, origin, filesystem id, whether it is an original) of each file."""
    for index in range(-(-count // 5)):
        local, remote = media_id(2 * index), media_id(2 * index + 1)
        origin = f"server{index % ORIGINS:02}.example.org"
        split_local, split_remote = (f"{name[:2]}/{name[2:4]}/{name[4:]}" for name in (local, remote))
        group = [
            (f"local_content/{split_local}", "", local, True),
            *((f"local_thumbnails/{split_local}/{thumbnail}", "", local, False) for thumbnail in THUMBNAILS),
            (f"remote_content/{origin}/{split_remote}", origin, remote, True),
            (f"remote_thumbnail/{origin}/{split_remote}/{THUMBNAILS[0]}", origin, remote, False),
        ]
        yield from group[: count - 5 * index]


class Maker:
    def __init__(self, directory: Path, count: int, tiny: bool) -> None:
        self.root = directory / "media_store"
        self._count = count
        self._made: set[str] = set()
        self._then = time.time() - AGE
        self._contents = [_about(bytes(1 + 20 * index)) for index in range(CONTENTS)] if tiny else []

    def make(self, directory: Path) -> None:
        created = int(self._then * 1000)
        with (
            (directory / "local.tsv").open("w") as local,
            (directory / "remote.tsv").open("w") as remote,
            (directory / "manifest.tsv").open("w") as manifest,
        ):
            for index, ((path, origin, name, original), size) in enumerate(
                zip(names(self._count), sizes(self._count), strict=False)
            ):
                length, md5, sha256 = self._make_file(path, index, size)
                manifest.write(f"{path}\t{length}\t{md5}\n")
                if original and origin:
                    remote.write(f"{origin}\t{name}\timage/png\t{created}\t{length}\t{name}\t{created}\t{sha256}\n")
                elif original:
                    local.write(f"{name}\timage/png\t{length}\t{created}\t{created}\t{sha256}\n")

    def _make_file(self, path: str, index: int, size: int) -> tuple[int, str, str]:
        place = self.root / path
        parent = os.path.dirname(path)  # noqa: PTH120 a million times
        if parent not in self._made:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(parent)
        if self._contents:
            about = self._contents[index % CONTENTS]
            with place.open("wb") as file:
                file.truncate(about[0])
        else:
            content = noise(f"file {index}", size)
            about = _about(content)
            place.write_bytes(content)
        os.utime(place, (self._then, self._then))
        return about


def _about(content: bytes) -> tuple[int, str, str]:
    return len(content), hashlib.md5(content, usedforsecurity=False).hexdigest(), hashlib.sha256(content).hexdigest()


def main() -> None:
    directory, count, form = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    directory.mkdir()
    Maker(directory, count, form == "tiny").make(directory)


if __name__ == "__main__":
    main()
