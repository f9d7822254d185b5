# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A media store, a database and a scripted store that gives objects whole and in ranges, for tests of restores."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.restore.job import Job, attempt
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.restore.report import Report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.restore.settings import (
    RestoreSettings,
    Selection,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.source import Source
from audit_state import NOW, TABLES, Media
from object_store import NO_SUCH_KEY, ListedStore, Object
from scripted_store import Reply, Request, ScriptedStore, answer, scripted_store

FIRST = ("local_content", "local_thumbnails", "remote_content", "remote_thumbnail")


class Contents(ListedStore):  # type: ignore[misc] # for mypy the modules beside the tests are Any
    """Serves objects of these contents, whole and in ranges."""

    def __init__(self, store: ScriptedStore, page: int) -> None:
        super().__init__(store, page)
        self.objects: dict[str, bytes] = {}
        self.classes: dict[str, str] = {}
        self.etags: dict[str, str] = {}

    def count(self, method: str) -> int:
        """Requests of this method; those of listings apart, as LIST."""
        found = ["LIST" if "list-type=2" in request.target else request.method for request in self.server.requests]
        return found.count(method)

    def etag(self, key: str) -> str:
        return self.etags.get(key) or hashlib.md5(self.objects[key], usedforsecurity=False).hexdigest()

    def keys(self) -> list[str]:
        return sorted(self.objects, key=str.encode)

    def described(self, key: str) -> tuple[Object, str]:
        return Object(len(self.objects[key]), storage_class=self.classes.get(key, "STANDARD")), self.etag(key)

    def reply_about(self, key: str, request: Request) -> Reply:
        if key not in self.objects:
            return NO_SUCH_KEY
        content = self.objects[key]
        headers = (f'ETag: "{self.etag(key)}"', f"x-amz-storage-class: {self.classes.get(key, 'STANDARD')}")
        if request.method == "HEAD":
            return answer(200, content, *headers)[: -len(content) or None]
        if self.classes.get(key) == "GLACIER":
            return answer(403, b"<Error><Code>InvalidObjectState</Code></Error>")
        if request.headers.get("if-match", headers[0][6:]) != headers[0][6:]:
            return answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        if "range" in request.headers:
            first, last = request.headers["range"].removeprefix("bytes=").split("-")
            return answer(206, content[int(first) : int(last) + 1], *headers)
        return answer(200, content, *headers)


class Host:
    def __init__(self, directory: Path, contents: Contents) -> None:
        self.contents = contents
        self.root = directory / "media_store"
        for name in FIRST:
            (self.root / name).mkdir(parents=True)
        self.state_dir = directory / "state"
        self.state_dir.mkdir(mode=0o700)
        self.database = directory / "homeserver.db"
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(TABLES)

    def row(
        self,
        media: Media,
        content: bytes | None = None,
        *,
        user: str = "@a:b",
        length: int | None = None,
        sha256: str | None = None,
    ) -> None:
        """A row of this content, which has a length and a SHA-256 unless they are given."""
        if content is not None:
            length = len(content) if length is None else length
            sha256 = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
        used = None if media.used is None else media.used * 1000
        with closing(sqlite3.connect(self.database)) as connection, connection:  # pylint: disable=confusing-with-statement
            if media.origin:
                values = (media.origin, media.key or media.media_id, media.media_id, length, used, sha256 or None)
                connection.execute("INSERT INTO remote_media_cache VALUES (?, ?, 'x', ?, ?, ?, NULL, ?)", values)
            else:
                url = "https://example.org" if media.url_cache else None
                local = (media.media_id, length, used, url, user, sha256 or None)
                connection.execute("INSERT INTO local_media_repository VALUES (?, 'x', ?, ?, NULL, ?, ?, ?)", local)

    def put(self, media: Media, content: bytes, *thumbnails: bytes, **row: Any) -> list[str]:
        """Objects and a row; the paths, the original first."""
        self.row(media, content, **row)
        paths = [media.path, *(media.thumbnail(32 + number, "crop") for number in range(len(thumbnails)))]
        for path, each in zip(paths, (content, *thumbnails)):
            self.contents.objects[path] = each
        return paths

    def write(self, path: str, content: bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def restore(self, *, rehearse: bool = False, verify: bool = False, prefix: str = "", **chosen: Any) -> Report:
        return self.attempt(rehearse=rehearse, verify=verify, prefix=prefix, **chosen)[0]

    def attempt(
        self, *, rehearse: bool = False, verify: bool = False, prefix: str = "", **chosen: Any
    ) -> tuple[Report, int]:
        settings = RestoreSettings(str(self.state_dir), Selection.from_mapping(chosen), concurrency=8, verify=verify)
        source = Source(str(self.root), DatabaseSettings("sqlite3", {"database": str(self.database)}))
        return attempt(Job(source, self.contents.server.settings(prefix=prefix), settings, rehearse))

    def files(self) -> dict[str, bytes]:
        """Everything in the media store that is a file, temporary files included."""
        found = (Path(folder, name) for folder, dummy, names in os.walk(self.root) for name in names)
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found if not path.is_symlink()}


@contextmanager
def restore_host(directory: Path, page: int = 1000) -> Iterator[Host]:
    with scripted_store(b"") as server:
        yield Host(directory, Contents(server, page))


def media(number: int, origin: str = "", **more: Any) -> Media:
    return Media(origin, f"AbCd{number:08d}", used=more.pop("used", NOW), **more)
