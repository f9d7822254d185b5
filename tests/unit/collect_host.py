# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host as in tests of restores, with a scripted store that copies and deletes, for tests of garbage collections."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.job import Job, attempt
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.report import Report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.settings import (
    CollectSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import TRASH_FOLDER
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.source import Source
from audit_state import DAY, NOW, Media, stamp
from object_store import NO_SUCH_KEY, Object
from restore_host import Contents, Host, media
from scripted_store import Reply, Request, ScriptedStore, answer, error, scripted_store

# What the store does about If-Match with a DELETE.
HEEDS, IGNORES, REFUSES = "heeds", "ignores", "refuses"


class ChangingContents(Contents):  # type: ignore[misc] # for mypy the modules beside the tests are Any
    """As Contents; and objects are put, copied and deleted. `now` is the store's clock, in seconds since 1970."""

    def __init__(self, store: ScriptedStore, page: int) -> None:
        super().__init__(store, page)
        self.now = float(NOW)
        self.modified: dict[str, float] = {}
        self.condition = HEEDS
        self.copies = True
        self.deleted: list[str] = []

    def described(self, key: str) -> tuple[Object, str]:
        found, etag = super().described(key)
        return found._replace(modified=f"{stamp(int(self.modified.get(key, self.now)))}.000Z"), etag

    def put(self, key: str, content: bytes, modified: float | None = None) -> None:
        self.objects[key] = content
        self.modified[key] = self.now if modified is None else modified

    def reply_about(self, key: str, request: Request) -> Reply:
        source = request.headers.get("x-amz-copy-source")
        if request.method == "PUT" and source is not None:
            return self._copy(unquote(source).removeprefix("/media/"), key, request)
        if request.method == "PUT":
            self.put(key, request.body)
            return answer(200, b"", f'ETag: "{self.etag(key)}"')
        if request.method == "DELETE":
            return self._delete(key, request)
        return super().reply_about(key, request)

    def _copy(self, source: str, key: str, request: Request) -> Reply:
        if source not in self.objects:
            return error(404, "NoSuchKey")
        if request.headers.get("x-amz-copy-source-if-match") != f'"{self.etag(source)}"':
            return error(412, "PreconditionFailed")
        if self.copies:
            self.put(key, self.objects[source])
        return answer(200, b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")

    def _delete(self, key: str, request: Request) -> Reply:
        condition = request.headers.get("if-match")
        if condition is not None and self.condition == REFUSES:
            return error(501, "NotImplemented")
        if condition is not None and self.condition == HEEDS:
            if key not in self.objects:
                return NO_SUCH_KEY
            if condition != f'"{self.etag(key)}"':
                return error(412, "PreconditionFailed")
        if self.objects.pop(key, None) is not None:
            self.deleted.append(key)
        return b"HTTP/1.1 204 No Content\r\n\r\n"


class CollectHost(Host):  # type: ignore[misc] # the same
    """`now` is the time of the host and of the store."""

    contents: ChangingContents

    def __init__(self, directory: Path, contents: ChangingContents, prefix: str = "") -> None:
        super().__init__(directory, contents)
        self.prefix = prefix
        # Enough with a row that the orphans of a test are few among them.
        for number in range(900_000, 900_060):
            self.put_media(media(number), b"with a row")

    @property
    def now(self) -> float:
        return self.contents.now

    def pass_time(self, days: float) -> None:
        self.contents.now += days * DAY

    def put_media(self, one: Media, *contents: bytes, age_days: float = 90, row: bool = True) -> list[str]:
        """Objects of the original and thumbnails, and unless told otherwise a row; the paths."""
        if row:
            self.row(one, contents[0])
        paths = [one.path, *(one.thumbnail(32 + number, "crop") for number in range(len(contents) - 1))]
        for path, content in zip(paths, contents):
            self.contents.put(self.prefix + path, content, self.now - age_days * DAY)
        return paths

    def delete_row(self, one: Media) -> None:
        table, column, value = (
            ("remote_media_cache", "filesystem_id", one.media_id)
            if one.origin
            else ("local_media_repository", "media_id", one.media_id)
        )
        with closing(sqlite3.connect(self.database)) as connection, connection:  # pylint: disable=confusing-with-statement
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (value,))

    def collect(self, *, rehearse: bool = False, server_name: str | None = "b", **options: Any) -> tuple[Report, int]:
        settings = CollectSettings(str(self.state_dir), concurrency=8, **options)
        database = DatabaseSettings("sqlite3", {"database": str(self.database)})
        source = Source(str(self.root), database, server_name=server_name)
        store = self.contents.server.settings(prefix=self.prefix)
        return attempt(Job(source, store, settings, rehearse), now=self.now)

    def collect_after_sighting(self, **options: Any) -> tuple[Report, int]:
        """Lets the clock of what has no row now run out, and collects."""
        report, status = self.collect(**options)
        assert status == 0, report.error
        self.pass_time(31)
        return self.collect(confirm=True, **options)

    def objects(self) -> dict[str, bytes]:
        """What is where Synapse looks for it, by path."""
        start = len(self.prefix)
        return {key[start:]: value for key, value in self.contents.objects.items() if not self._is_trash(key)}

    def trash(self) -> dict[str, bytes]:
        """What is in the trash, by the path that it had."""
        found = {key: value for key, value in self.contents.objects.items() if self._is_trash(key)}
        return {key[len(self.prefix) + len(TRASH_FOLDER) :].partition("/")[2]: value for key, value in found.items()}

    def _is_trash(self, key: str) -> bool:
        return key.startswith(self.prefix + TRASH_FOLDER)

    def log(self, report: Report) -> list[dict[str, Any]]:
        """The lines of a run's log, without the first."""
        return [json.loads(line) for line in Path(str(report.log)).read_text(encoding="utf-8").splitlines()[1:]]


@contextmanager
def collect_host(directory: Path, page: int = 1000, prefix: str = "") -> Iterator[CollectHost]:
    with scripted_store(b"") as server:
        yield CollectHost(directory, ChangingContents(server, page), prefix)


def days(number: float) -> timedelta:
    return timedelta(days=number)
