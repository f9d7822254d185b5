# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A media store as Synapse writes it, with its rows, from one seeded random generator."""

from __future__ import annotations

import hashlib
import os
import random
import string
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from homeserver_database import HomeserverDatabase
from media_host import DAY_SECONDS, MediaHost, age_ms

MIB = 1024 * 1024
_ROWS_A_STATEMENT = 500


class Item(NamedTuple):
    """One media; `paths` are relative to the media store, the original first."""

    media_id: str
    origin: str
    filesystem_id: str
    paths: list[str]

    @property
    def original(self) -> str:
        return self.paths[0]


class Library(MediaHost):
    def __init__(self, directory: Path, database: HomeserverDatabase, bucket: str, seed: str = "library") -> None:
        super().__init__(directory, database, bucket)
        self.random = random.Random(seed)

    def add(
        self,
        sizes: Iterable[int],
        *,
        origin: str = "",
        thumbnails: int = 1,
        age_days: float = 30,
        used_days: float | None = None,
        url_cache: str | None = None,
        with_sha256: bool = True,
    ) -> list[Item]:
        """Media of these sizes: files as old as `age_days`, rows last used `used_days` ago (default: the same)."""
        items: list[Item] = []
        rows: list[tuple[Any, ...]] = []
        for size in sizes:
            media_id, filesystem_id = self._identifier(), self._identifier()
            item = self.write(media_id if not origin else filesystem_id, origin, size, thumbnails, age_days)
            content = (self.media_path / item.original).read_bytes()
            sha256 = hashlib.sha256(content).hexdigest() if with_sha256 else None
            last_used = age_ms(age_days if used_days is None else used_days)
            items.append(item._replace(media_id=media_id))
            if origin:
                rows.append((origin, media_id, last_used, size, filesystem_id, last_used, sha256))
            else:
                rows.append((media_id, last_used, size, None, url_cache, sha256))
        self._insert(rows, remote=bool(origin))
        return items

    def write(
        self, filesystem_id: str, origin: str = "", size: int = 1000, thumbnails: int = 1, age_days: float = 30
    ) -> Item:
        """Write only the files, without a row."""
        folder = "/".join([*([origin] if origin else []), *_levels(filesystem_id)])
        first, second = ("remote_content", "remote_thumbnail") if origin else ("local_content", "local_thumbnails")
        paths = [f"{first}/{folder}"]
        paths += [f"{second}/{folder}/{32 * (n + 1)}-96-image-png-scale" for n in range(thumbnails)]
        for position, path in enumerate(paths):
            self.put(path, self.random.randbytes(size if position == 0 else min(size, 2000)), age_days)
        return Item(filesystem_id, origin, filesystem_id, paths)

    def add_row(self, media_id: str, size: int | None, *, sha256: str | None = None, days: float = 30) -> None:
        self._insert([(media_id, age_ms(days), size, None, None, sha256)], remote=False)

    def add_remote_row(self, origin: str, filesystem_id: str, size: int | None) -> None:
        self._insert([(origin, self._identifier(), age_ms(30), size, filesystem_id, None, None)], remote=True)

    def add_thumbnail_row(self, item: Item, length: int) -> None:
        """Add Synapse's row about one thumbnail's length; the first call creates the tables."""
        columns = "media_id text, thumbnail_length integer"
        self.database.execute(f"CREATE TABLE IF NOT EXISTS local_media_repository_thumbnails ({columns})")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS remote_media_cache_thumbnails "
            f"(media_origin text, filesystem_id text, {columns})"
        )
        if item.origin:
            remote = (item.origin, item.filesystem_id, item.media_id, length)
            self.database.execute("INSERT INTO remote_media_cache_thumbnails VALUES (%s, %s, %s, %s)", remote)
        else:
            local = (item.media_id, length)
            self.database.execute("INSERT INTO local_media_repository_thumbnails VALUES (%s, %s)", local)

    def rewrite(self, relative: str, content: bytes, age_days: float = 30) -> None:
        """Replace a file as a program does that writes a temporary file and renames it."""
        path = self.media_path / relative
        beside = path.with_name("beside")
        beside.write_bytes(content)
        self.own(beside)
        then = time.time() - age_days * DAY_SECONDS
        os.utime(beside, (then, then))
        beside.replace(path)

    def _identifier(self) -> str:
        return "".join(self.random.choices(string.ascii_letters, k=24))

    def _insert(self, rows: Sequence[tuple[Any, ...]], *, remote: bool) -> None:
        table, columns = (
            (
                "remote_media_cache",
                "media_origin, media_id, created_ts, media_length, filesystem_id, last_access_ts, sha256",
            )
            if remote
            else ("local_media_repository", "media_id, created_ts, media_length, last_access_ts, url_cache, sha256")
        )
        one = "(" + ", ".join(["%s"] * len(columns.split(","))) + ")"
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            some = rows[start : start + _ROWS_A_STATEMENT]
            values = tuple(value for row in some for value in row)
            self.database.execute(f"INSERT INTO {table} ({columns}) VALUES {', '.join([one] * len(some))}", values)


def _levels(filesystem_id: str) -> tuple[str, str, str]:
    return filesystem_id[:2], filesystem_id[2:4], filesystem_id[4:]
