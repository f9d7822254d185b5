# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One garbage collection, or its undo, from the settings to the report: refusals, locks, the plan, and a clean stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from ..database.ordered import OrderedRows
from ..database.rows import Rows, open_rows
from ..disk.lock import LOCK_NAME, RunLock, lock_on_media_store
from ..disk.state_directory import check_ours
from ..errors import ConfigurationError
from ..event_loop.loop import Loop
from ..process.signals import Stopped, handed_to, hold_signals
from ..runs.observation import show
from ..runs.preflight import UsedLocation, check_content, check_state_dir, media_store_root
from ..runs.spool import temporary_file
from ..s3.changing_bucket import ChangingBucket
from ..s3.client import Client
from ..s3.operations import CHANGING_OPERATIONS
from ..settings.homeserver import DatabaseSettings
from ..settings.source import Source
from ..settings.store import StoreSettings
from .collector import Collector
from .context import Context
from .deletion import Deletion
from .log import ActionLog
from .planning import DueObjects, find_due
from .refusals import check_database, check_share
from .report import Report
from .settings import CollectSettings
from .sightings import SIGHTINGS_NAME, Sightings
from .trash import new_stamp
from .undo import Undo

Observer = Callable[[Report], None]

#: In the state directory: the record of sightings, and the logs.
DIRECTORY_NAME = "gc"


def run(
    source: Source,
    store: StoreSettings,
    settings: CollectSettings,
    report: Report,
    observe: Observer | None = None,
    now: float | None = None,
) -> None:
    """Collects garbage, or undoes that; in a dry run it writes nothing at all. This process runs as the right user.

    Raises ConfigurationError, StoreError, LockedError or MediaError if the run was refused or ended early, and Stopped
    after a signal; `report` says what was done until then. Once the work has ended, well or not, signals are held for
    the rest of the process. `now` in seconds since 1970.
    """
    started = time.monotonic()
    try:
        _run(source, store, settings, report, observe, time.time() if now is None else now)
    finally:
        hold_signals()
        report.seconds = time.monotonic() - started


def _run(
    source: Source,
    store: StoreSettings,
    settings: CollectSettings,
    report: Report,
    observe: Observer | None,
    now: float,
) -> None:
    rehearse = report.dry_run
    root = media_store_root(source)
    check_state_dir(settings.state_dir, rehearse=rehearse)
    with RunLock(f"{settings.state_dir}/{LOCK_NAME}", create=not rehearse), lock_on_media_store(root):
        UsedLocation(settings.state_dir, store).check()
        directory = _directory(settings.state_dir, rehearse=rehearse)
        if settings.undo is not None:
            log = _log_path(settings.undo, directory)
            with _bucket(store, settings, report) as (loop, bucket):
                _drive(loop, Undo(loop, bucket, report).run(log, store), report, observe, lambda: None)
            if not rehearse:
                # What came back would be due at once where a store keeps the times of objects; and whoever undoes a run
                # may have found out that the database was the wrong one.
                Sightings(directory, store, now, writes=False).forget()
            return
        if source.database is None:
            raise ConfigurationError("No database is named. Set homeserver_config or database.")
        with open_rows(source.database) as rows:
            check_database(rows, source.server_name, report)
            check_content(root, rows)
            _collect(directory, rows, source.database, store, settings, report, observe, now)


def _directory(state_dir: str, *, rehearse: bool) -> Path:
    directory = Path(state_dir, DIRECTORY_NAME)
    if not directory.exists():
        if rehearse:
            return directory
        try:
            directory.mkdir(mode=0o700)
        except OSError as error:
            raise ConfigurationError(
                f"{directory} cannot be made ({error.strerror}). Free space there, and give {state_dir} to the user "
                "this runs as."
            ) from error
    check_ours(directory, [SIGHTINGS_NAME])
    return directory


def _log_path(name: str, directory: Path) -> Path:
    """A name without a slash is that of a file in the directory of the logs."""
    return Path(name) if "/" in name else directory / name


def _collect(
    directory: Path,
    rows: Rows,
    database: DatabaseSettings,
    store: StoreSettings,
    settings: CollectSettings,
    report: Report,
    observe: Observer | None,
    now: float,
) -> None:
    with contextlib.ExitStack() as stack:
        loop, bucket = stack.enter_context(_bucket(store, settings, report))
        ordered = OrderedRows(database)
        stack.callback(ordered.close)
        ordered.open()
        sightings = stack.enter_context(Sightings(directory, store, now, writes=not report.dry_run))
        context = Context(loop, bucket, rows, settings, report, now, new_stamp(now))
        log = ActionLog(directory, context.stamp, store)
        stack.callback(log.close)
        orphans, expired = (DueObjects(stack.enter_context(temporary_file(settings.state_dir))) for dummy in range(2))

        async def main() -> None:
            await find_due(context, ordered, sightings, orphans, expired)
            # A transaction that stays open for long would keep the database from cleaning up.
            ordered.close()
            ordered.cancel()
            check_share(report, settings.max_percent)
            sightings.keep()
            report.sightings_recorded = not report.dry_run
            report.planned = True
            if settings.confirm:
                await _act(context, log, orphans, expired)

        def cancel() -> None:
            # A look-up that is under way would delay everything that follows.
            rows.cancel()
            ordered.cancel()

        try:
            _drive(loop, main(), report, observe, cancel)
        finally:
            report.database_rows = rows.sent + ordered.sent
            report.log = str(log.path) if log.is_used else None


async def _act(context: Context, log: ActionLog, orphans: DueObjects, expired: DueObjects) -> None:
    report, deletion = context.report, Deletion(context.bucket)
    if not report.dry_run and (report.due.files or report.trash_due.files):
        report.conditional_deletes = await deletion.learn()
    collector = Collector(context, deletion, log)
    await collector.collect(orphans)
    await collector.purge(expired)


@contextlib.contextmanager
def _bucket(store: StoreSettings, settings: CollectSettings, report: Report) -> Iterator[tuple[Loop, ChangingBucket]]:
    with contextlib.closing(Loop()) as loop:
        client = Client(loop, store, concurrency=settings.concurrency, operations=CHANGING_OPERATIONS)
        with contextlib.closing(client):
            report.requests = client.requests
            try:
                yield loop, ChangingBucket(client, store)
            finally:
                report.warnings += client.warnings


def _drive(
    loop: Loop, main: Coroutine[Any, Any, None], report: Report, observe: Observer | None, cancel: Callable[[], None]
) -> None:
    """Runs it to its end, or until a signal ends it at the next turn of the loop."""

    def stop(stopped: Stopped) -> None:
        loop.interrupt(stopped)

    try:
        with handed_to(stop):
            if observe:
                loop.start(show(loop, observe, report))
            loop.run(main)
    except BaseException:
        cancel()
        raise
    finally:
        if observe:
            observe(report)
