# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A media store, a database and a scripted store whose objects have times, for tests of what a run selects."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload import engine
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import Report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    OffloadSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.source import Source
from audit_state import Media
from object_store import Object
from restore_host import Contents, Host
from scripted_store import Reply, Request, ScriptedStore, scripted_store

DAY = 86_400
# Nothing is moved because of its age.
NEVER = timedelta(days=7000)


class DatedContents(Contents):  # type: ignore[misc] # for mypy the modules beside the tests are Any
    """Objects with times, by key, as a listing gives them and as a HEAD does."""

    def __init__(self, store: ScriptedStore, page: int) -> None:
        super().__init__(store, page)
        self.modified: dict[str, str] = {}
        self.last_modified: dict[str, str] = {}

    def described(self, key: str) -> tuple[Object, str]:
        found, etag = super().described(key)
        return found._replace(modified=self.modified.get(key, found.modified)), etag

    def reply_about(self, key: str, request: Request) -> Reply:
        reply = super().reply_about(key, request)
        if not isinstance(reply, bytes) or key not in self.last_modified:
            return reply
        return reply.replace(b"\r\n", f"\r\nLast-Modified: {self.last_modified[key]}\r\n".encode(), 1)


class OffloadHost(Host):  # type: ignore[misc]
    """`now_ms` is a time shortly before every run, in milliseconds since 1970."""

    def __init__(self, directory: Path, contents: DatedContents) -> None:
        super().__init__(directory, contents)
        self.now_ms = int(time.time() * 1000) - 1000
        self._number = 0

    def add(
        self,
        size: int,
        age_ms: int | None,
        *,
        created_age_ms: int | None = None,
        origin: str = "",
        thumbnails: tuple[int, ...] = (),
        with_object: bool = True,
    ) -> list[str]:
        """A media that was last accessed so long before `now_ms`, its thumbnails, and their objects; the paths.

        None for a row without that time. The files are an hour old.
        """
        self._number += 1
        media = Media(origin, f"AbCd{self._number:08d}")
        accessed = None if age_ms is None else self.now_ms - age_ms
        created = None if created_age_ms is None else self.now_ms - created_age_ms
        with closing(sqlite3.connect(self.database)) as connection, connection:  # pylint: disable=confusing-with-statement
            if origin:
                columns = "media_origin, media_id, filesystem_id, media_length, created_ts, last_access_ts"
                values: tuple[Any, ...] = (origin, f"x{self._number}", media.media_id, size, created, accessed)
                connection.execute(f"INSERT INTO remote_media_cache ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
            else:
                columns = "media_id, media_length, created_ts, last_access_ts"
                values = (media.media_id, size, created, accessed)
                connection.execute(f"INSERT INTO local_media_repository ({columns}) VALUES (?, ?, ?, ?)", values)
        paths = [media.path, *(media.thumbnail(32 + number, "crop") for number in range(len(thumbnails)))]
        for path, length in zip(paths, (size, *thumbnails)):
            self.file(path, length, with_object=with_object)
        return paths

    def file(self, path: str, size: int, *, with_object: bool = False) -> None:
        """A file of an hour ago, and its object."""
        content = bytes(size)
        written = time.time() - 3600
        os.utime(self.write(path, content), (written, written))
        if with_object:
            self.contents.objects[path] = content

    def offload(self, *, rehearse: bool = False, **settings: Any) -> Report:
        settings = {"older_than": NEVER, "provider_check": False, "concurrency": 8, **settings}
        report = engine.run(
            Source(str(self.root), DatabaseSettings("sqlite3", {"database": str(self.database)})),
            self.contents.server.settings(),
            OffloadSettings(str(self.state_dir), **settings),
            rehearse=rehearse,
        )
        report.warnings = [warning for warning in report.warnings if "provider_check" not in warning]
        return report

    def bytes_left(self) -> int:
        return sum(len(content) for content in self.files().values())


@contextmanager
def offload_host(directory: Path, page: int = 1000) -> Iterator[OffloadHost]:
    with scripted_store(b"") as server:
        yield OffloadHost(directory, DatedContents(server, page))
