# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of database, disk and bucket, and what an audit must say of each: worked out path by path, without streams."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from object_store import Object

NOW = 1_790_000_000
DAY = 86_400
TABLES = """
CREATE TABLE local_media_repository (
    media_id TEXT, media_type TEXT, media_length INTEGER, created_ts BIGINT, last_access_ts BIGINT, url_cache TEXT,
    user_id TEXT, sha256 TEXT
);
CREATE UNIQUE INDEX local_id ON local_media_repository (media_id);
CREATE TABLE local_media_repository_thumbnails (
    media_id TEXT, thumbnail_width INTEGER, thumbnail_height INTEGER, thumbnail_type TEXT, thumbnail_method TEXT,
    thumbnail_length INTEGER
);
CREATE TABLE remote_media_cache (
    media_origin TEXT, media_id TEXT, media_type TEXT, filesystem_id TEXT, media_length INTEGER, created_ts BIGINT,
    last_access_ts BIGINT, sha256 TEXT
);
CREATE UNIQUE INDEX remote_id ON remote_media_cache (media_origin, media_id);
CREATE TABLE remote_media_cache_thumbnails (
    media_origin TEXT, media_id TEXT, filesystem_id TEXT, thumbnail_width INTEGER, thumbnail_height INTEGER,
    thumbnail_type TEXT, thumbnail_method TEXT, thumbnail_length INTEGER
);
"""


class Media(NamedTuple):
    """A row; the origin of local media is empty. Times in seconds."""

    origin: str
    media_id: str
    length: int | None = 10
    used: int | None = NOW - 30 * DAY
    url_cache: bool = False
    thumbnails: tuple[tuple[int, str], ...] = ()
    # Of remote media, if it is not the id.
    key: str = ""

    @property
    def directory(self) -> str:
        parts = [self.media_id[:2], self.media_id[2:4], self.media_id[4:]]
        return "/".join([*([self.origin] if self.origin else []), *parts])

    @property
    def path(self) -> str:
        return f"{'remote' if self.origin else 'local'}_content/{self.directory}"

    def thumbnail(self, width: int, method: str) -> str:
        return (
            f"{'remote_thumbnail' if self.origin else 'local_thumbnails'}/{self.directory}/{width}-9-image-png-{method}"
        )

    @property
    def usable(self) -> bool:
        names = [self.media_id[:2], self.media_id[2:4], self.media_id[4:]] + ([self.origin] if self.origin else [])
        return all(name not in ("", ".", "..") and "/" not in name and name.isprintable() for name in names)


class File(NamedTuple):
    size: int
    seconds: int = NOW - 30 * DAY


@dataclass
class State:
    rows: list[Media] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    objects: dict[str, Object] = field(default_factory=dict)

    def write(self, directory: Path) -> DatabaseSettings:
        """Makes the media store and the database below a directory."""
        root = directory / "media_store"
        for name in ("local_content", "local_thumbnails", "remote_content", "remote_thumbnail"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for path, file in self.files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"x" * file.size)
            os.utime(target, (file.seconds, file.seconds))
        database = directory / "homeserver.db"
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(TABLES)
            for number, row in enumerate(self.rows):
                _insert(connection, number, row)
            connection.commit()
        return DatabaseSettings("sqlite3", {"database": str(database)})


def _insert(connection: sqlite3.Connection, number: int, row: Media) -> None:
    used = None if row.used is None else row.used * 1000
    if row.origin:
        media_id = row.key or f"{row.media_id} {number}"
        connection.execute(
            "INSERT INTO remote_media_cache VALUES (?, ?, 'image/png', ?, ?, ?, NULL, NULL)",
            (row.origin, media_id, row.media_id, row.length, used),
        )
        for width, method in row.thumbnails:
            connection.execute(
                "INSERT INTO remote_media_cache_thumbnails VALUES (?, ?, ?, ?, 9, 'image/png', ?, 5)",
                (row.origin, media_id, row.media_id, width, method),
            )
        return
    connection.execute(
        "INSERT INTO local_media_repository VALUES (?, 'image/png', ?, ?, NULL, ?, '@a:b', NULL)",
        (row.media_id, row.length, used, "https://example.org" if row.url_cache else None),
    )
    for width, method in row.thumbnails:
        connection.execute(
            "INSERT INTO local_media_repository_thumbnails VALUES (?, ?, 9, 'image/png', ?, 5)",
            (row.media_id, width, method),
        )


def is_of_layout(path: str) -> bool:
    first, *names = path.split("/")
    depth = {"local_content": 3, "local_thumbnails": 4, "remote_content": 4, "remote_thumbnail": 5}.get(first)
    if depth != len(names) or any(name in ("", ".", "..") or not name.isprintable() for name in names):
        return False
    pairs = names[1:3] if first.startswith("remote") else names[:2]
    return all(len(pair) == 2 for pair in pairs)


def expected(
    state: State,
    *,
    objects_until: str | None = None,
    objects_known: bool = True,
    rows_known: bool = True,
    files_known: bool = True,
) -> dict[str, set[str]]:
    """The paths of each finding. `objects_until`: the listing failed after this path."""
    found: dict[str, set[str]] = {}
    originals: dict[str, Media] = {}
    directories: dict[str, Media] = {}
    named: dict[str, Media] = {}
    for row in state.rows if rows_known else []:
        if not row.usable:
            continue
        other = originals.get(row.path)
        if other is None or (other.used is not None and (row.used is None or row.used > other.used)):
            originals[row.path] = row
    for row in state.rows if rows_known else []:
        if row.usable:
            speaks = originals[row.path]
            directories[row.thumbnail(1, "").rpartition("/")[0]] = speaks
            for width, method in row.thumbnails:
                named[row.thumbnail(width, method)] = speaks
    expected_paths = {**originals, **named}

    def add(finding: str, path: str) -> None:
        found.setdefault(finding, set()).add(path)

    for path in set(expected_paths) | set(state.files if files_known else ()) | set(state.objects):
        listed = objects_known and (objects_until is None or path <= objects_until)
        file = state.files.get(path) if files_known else None
        there = state.objects.get(path) if listed else None
        row_of = expected_paths.get(path) or directories.get(path.rpartition("/")[0])
        if there is None and file is None and path not in expected_paths:
            # Nothing that was asked names it.
            continue
        if not is_of_layout(path):
            add("trash" if path.startswith("synapse-s3-trash/") else "foreign_in_bucket", path)
            continue
        if row_of is None and rows_known:
            if there is not None:
                new = there.modified >= stamp(NOW - 3600) or (file is not None and file.seconds > NOW - 3600)
                add("new" if new else "orphans_in_bucket", path)
            if file is not None:
                add("new" if file.seconds > NOW - 3600 else "orphans_on_disk", path)
            continue
        if row_of is not None and row_of.url_cache:
            if there is not None or file is not None:
                add("url_cache", path)
            continue
        original = "_content/" in path
        length = row_of.length if row_of is not None and original else None
        if there is not None and there.storage_class in ("GLACIER", "DEEP_ARCHIVE"):
            add("archived", path)
        if there is not None and file is not None:
            add("both_equal" if there.size == file.size else "both_different", path)
            if there.size == file.size != length and length is not None:
                add("wrong_length", path)
        elif there is not None:
            add("bucket_only" if files_known else "not_asked", path)
            if files_known and length not in (None, there.size):
                add("wrong_length", path)
        elif file is not None:
            add("disk_only" if listed else "not_asked", path)
            if listed and length not in (None, file.size):
                add("wrong_length", path)
        elif not (listed and files_known):
            add("not_asked", path)
        elif path.startswith("local_content/") and row_of is not None and row_of.length is None:
            add("awaited", path)
        else:
            add("nowhere", path)
    return found


def stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


# Bytes before and after the slash, and characters whose order differs in UTF-16.
LETTERS = "aab!-.+0~é\uffdc\U0001f600"
ORIGINS = ("a", "a-b", "a.b", "a+b", "a:84", "a0", "é", "a~", "ab", "\U0001f600.org")


def random_state(number: random.Random) -> State:
    """Some media in any of the places, orphans, what is not of the layout, and rows that name no possible path."""
    state = State()
    taken: set[tuple[str, str]] = set()
    for dummy in range(number.randrange(12)):
        media = _random_media(number)
        if not media.origin and (media.origin, media.media_id) in taken:
            continue
        taken.add((media.origin, media.media_id))
        has_row = number.random() < 0.8
        if has_row:
            state.rows.append(media)
        if media.usable:
            for path in _paths(number, media):
                _place(number, state, path)
            if number.random() < 0.2:
                directory = media.thumbnail(1, "").rpartition("/")[0]
                state.objects[directory + number.choice(("/", "/line\nbreak", "/a/b"))] = _object(number)
    for dummy in range(number.randrange(4)):
        state.objects[number.choice(_FOREIGN)(number)] = _object(number)
    return state


def _random_media(number: random.Random) -> Media:
    origin = number.choice(ORIGINS) if number.random() < 0.5 else ""
    # Short ones, and ones with a dot or two for a directory, name no possible path.
    letters = number.choice((LETTERS, "ab0"))
    media_id = "".join(number.choice(letters) for dummy in range(number.choice((5, 5, 6, 7, 4, 3))))
    thumbnails = tuple(
        {(number.choice((3, 32, 320)), number.choice(("crop", "scale"))) for dummy in range(number.randrange(4))}
    )
    used = number.choice((NOW - 30 * DAY, NOW - 60, None, NOW - 40 * DAY))
    url_cache = not origin and number.random() < 0.1
    return Media(origin, media_id, number.choice((10, 10, 10, 7, None, 0)), used, url_cache, thumbnails)


def _paths(number: random.Random, media: Media) -> Iterator[str]:
    yield media.path
    for width, method in media.thumbnails:
        yield media.thumbnail(width, method)
    if number.random() < 0.3:
        yield media.thumbnail(64, "crop")


def _place(number: random.Random, state: State, path: str) -> None:
    place = number.randrange(6)
    if place in (0, 1, 2):
        state.files[path] = File(number.choice((10, 10, 7)), number.choice((NOW - 30 * DAY, NOW - 10, NOW - 50 * DAY)))
    if place in (1, 2, 3, 4):
        state.objects[path] = _object(number)


def _object(number: random.Random) -> Object:
    modified = stamp(number.choice((NOW - 20 * DAY, NOW - 5, NOW - 90 * DAY))) + ".000Z"
    return Object(number.choice((10, 10, 7)), modified, number.choice(("STANDARD", "STANDARD", "GLACIER", "")))


_FOREIGN: tuple[Callable[[random.Random], str], ...] = (
    lambda number: f"other/{number.randrange(5)}",
    lambda number: "../x",
    lambda number: f"local_content/{number.randrange(9)}",
    lambda number: "local_content/aa/bb/cc/dd",
    lambda number: "remote_content/a/aa/bbb/c",
    lambda number: "url_cache/2026-01-01/abc",
    lambda number: "local_content/aa/bb/line\nbreak",
    lambda number: "remote_thumbnail/aa/bb/cc/dd",
    lambda number: "zz",
    lambda number: "synapse-s3-trash/20260131T120000Z-0a1b2c3d/local_content/aa/bb/c",
)
