# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One audit from its settings to its result. It takes no lock and changes nothing, so a run may go on beside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..database.ordered import OrderedRows
from ..database.rows import Rows, open_rows
from ..errors import MediaError, RequestFailed, StoreError
from ..event_loop.loop import Loop
from ..proof.object_index import ask
from ..s3.bucket import Bucket
from ..s3.client import Client
from ..settings.homeserver import DatabaseSettings
from ..settings.store import StoreSettings
from . import counts
from .comparison import Comparison, Known, Rule
from .confirmation import Confirmation
from .counts import date_of, printable
from .sources import FileSource, ObjectSource, RowSource

# What has no row and is at most so many seconds old may have one by now.
NEW_SECONDS = 3600.0
_CONCURRENCY = 64
# Seconds without an answer after which a store counts as not reachable.
_PATIENCE = 30.0

# Objects, rows and files compared so far.
Observer = Callable[[int, int, int], None]


@dataclass(frozen=True)
class AuditSettings:
    """What is asked. Each of the three is None, with the reason in its `..._failure`, if it cannot be asked."""

    root: str | None
    database: DatabaseSettings | None
    store: StoreSettings | None
    root_failure: str | None = None
    database_failure: str | None = None
    store_failure: str | None = None


@dataclass
class Audit:
    """What was found. `failures` says why "disk", "database" or "bucket" could not be asked, or not all of it."""

    comparison: Comparison
    failures: dict[str, str] = field(default_factory=dict)
    knows_thumbnails: bool = True
    counted: dict[str, int] = field(default_factory=dict)
    left: dict[str, dict[str, Any]] = field(default_factory=dict)
    settled: int = 0
    unusable_rows: int = 0
    url_cache_rows: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    started: float = 0.0
    seconds: float = 0.0
    # Whether an object could be read with the keys there are; None if there was none to try.
    readable: bool | None = None
    read_problem: str | None = None

    @property
    def findings(self) -> dict[str, counts.Finding]:
        return self.comparison.findings

    def as_dict(self) -> dict[str, Any]:
        comparison = self.comparison
        return {
            **{name: finding.as_dict() for name, finding in self.findings.items()},
            "counted": self.counted,
            "not_asked_because": dict(self.failures),
            "equal_rests_on": "length",
            "knows_thumbnails": self.knows_thumbnails,
            "left_aside": self.left,
            "settled": self.settled,
            "unconfirmed": comparison.unconfirmed,
            "unusable_rows": self.unusable_rows,
            "url_cache_rows": self.url_cache_rows,
            "run_would": {
                "move": comparison.due.as_dict(),
                "upload": comparison.due_upload.as_dict(),
                "verify": comparison.due_present.as_dict(),
                "decide": comparison.due_conflict.as_dict(),
                "leave": {reason: tally.as_dict() for reason, tally in sorted(comparison.stays.items())},
            },
            "requests": {name: number for name, number in sorted(self.requests.items()) if number},
            "started": date_of(self.started),
            "seconds": round(self.seconds, 3),
        }


def audit(settings: AuditSettings, rule: Rule, observe: Observer | None = None, now: float | None = None) -> Audit:
    """Compares all three. Whatever cannot be asked is said in the result; it raises nothing but for a bug or a signal.

    `rule` says why a file would stay if the migrate job ran now. `observe` is called after each part.
    """
    started = time.time() if now is None else now
    began = time.monotonic()
    failures = {
        name: failure
        for name, failure in (
            ("disk", settings.root_failure),
            ("database", settings.database_failure),
            ("bucket", settings.store_failure),
        )
        if failure is not None
    }
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(contextlib.closing(Loop()))
        ordered = _ordered_rows(stack, settings, failures)
        rows = None if ordered is None else _rows(stack, settings, failures)
        bucket = _bucket(stack, loop, settings, failures)
        files = FileSource(loop, settings.root, failures.get("disk"))
        objects = ObjectSource(loop, bucket, failures.get("bucket"))
        row_source = RowSource(loop, ordered, failures.get("database"))
        comparison = Comparison(
            rule, files.hides, started - NEW_SECONDS, (date_of(started - NEW_SECONDS) or "").rstrip("Z")
        )
        result = Audit(comparison, failures, started=started)
        confirmation = Confirmation(loop, settings.root, bucket, rows)
        with _cancelling(ordered, rows):
            loop.run(_compare(objects, files, row_source, result, observe))
            loop.run(confirmation.confirm(comparison))
            loop.run(_try_to_read(bucket, result))
        for name, source in (("disk", files), ("database", row_source), ("bucket", objects)):
            if source.failure is not None:
                failures[name] = source.failure
        for name, failure in (("database", confirmation.rows_failure), ("bucket", confirmation.bucket_failure)):
            if failure is not None:
                failures.setdefault(name, failure)
        if ordered is not None:
            result.knows_thumbnails = ordered.knows_thumbnails
            result.unusable_rows, result.url_cache_rows = ordered.unusable, ordered.url_cache
            result.counted["database_rows"] = ordered.sent
        result.settled = confirmation.settled
        result.requests = {} if bucket is None else dict(bucket.requests)
        result.left = {
            reason: {
                "files": number,
                "bytes": files.left_bytes[reason],
                "examples": [printable(left.path) for left in files.left[reason]],
            }
            for reason, number in files.left_count.items()
        }
        files.close()
    result.seconds = time.monotonic() - began
    return result


async def _compare(
    objects: ObjectSource, files: FileSource, rows: RowSource, result: Audit, observe: Observer | None
) -> None:
    number_of_objects = number_of_rows = number_of_files = 0
    while True:
        # All three at once: each reads its first batch while the others do.
        for source in (rows, files, objects):
            source.begin()
        for source in (rows, files, objects):
            await source.fill()
        lasts = [last for last in (objects.last, files.last, rows.last) if last is not None]
        if not lasts:
            break
        limit = min(lasts)
        known = Known(rows.failure is None, files.failure is None, objects.failure is None)
        some_objects, some_files, some_rows = objects.take(limit), files.take(limit), rows.take(limit)
        result.comparison.take(some_objects, some_files, some_rows, known)
        number_of_objects += len(some_objects.paths)
        number_of_files += len(some_files.paths)
        number_of_rows += len(some_rows.paths)
        if observe is not None:
            observe(number_of_objects, number_of_rows, number_of_files)
    result.counted.update(objects=number_of_objects, files=number_of_files)


async def _try_to_read(bucket: Bucket | None, result: Audit) -> None:
    """Asks about one object, which needs the right to read it, and its customer key."""
    path = next((path for name in (counts.BUCKET_ONLY, counts.EQUAL) for path in result.findings[name].examples), None)
    if bucket is None or path is None or "bucket" in result.failures:
        return
    try:
        found = await ask(bucket, bucket.key(path))
    except StoreError as error:
        result.readable, result.read_problem = False, str(error)
        return
    if isinstance(found, RequestFailed):
        result.readable, result.read_problem = False, str(found)
    elif found is not None:
        result.readable = True


def _ordered_rows(stack: contextlib.ExitStack, settings: AuditSettings, failures: dict[str, str]) -> OrderedRows | None:
    if settings.database is None:
        return None
    try:
        ordered = OrderedRows(settings.database)
        stack.callback(ordered.close)
        ordered.open()
    except MediaError as error:
        failures["database"] = str(error)
        return None
    return ordered


def _rows(stack: contextlib.ExitStack, settings: AuditSettings, failures: dict[str, str]) -> Rows | None:
    """For the look at the end, on a connection of its own: the other one sees the rows as they were."""
    if settings.database is None:
        return None
    try:
        return stack.enter_context(open_rows(settings.database))
    except MediaError as error:
        failures["database"] = str(error)
        return None


def _bucket(
    stack: contextlib.ExitStack, loop: Loop, settings: AuditSettings, failures: dict[str, str]
) -> Bucket | None:
    if settings.store is None:
        return None
    try:
        client = Client(loop, settings.store, concurrency=_CONCURRENCY, patience=_PATIENCE)
    except MediaError as error:
        failures["bucket"] = str(error)
        return None
    stack.callback(client.close)
    return Bucket(client, settings.store)


@contextlib.contextmanager
def _cancelling(ordered: OrderedRows | None, rows: Rows | None) -> Iterator[None]:
    """A signal, or an error, does not wait for a database that is silent."""
    try:
        yield
    except BaseException:
        for each in (ordered, rows):
            if each is not None:
                each.cancel()
        raise
