# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run from its settings to its report: refusals, locks, the pipeline, and a clean stop."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

from ..errors import ConfigurationError, LockedError, MediaError
from ..lock import LOCK_NAME, RunLock
from ..signals import Stopped, handed_to, hold_signals
from ..source import Source
from ..store import StoreSettings
from .context import Context
from .location import Location
from .metrics import write_metrics
from .pipeline import abort_uploads, offload
from .preflight import check_content, check_metrics_file, check_state_dir, media_store_root
from .provider_check import check_provider
from .report import Failure, Report
from .rows import Rows, open_rows
from .s3 import S3
from .settings import OffloadSettings
from .transport.client import Client
from .transport.loop import Loop

Observer = Callable[[Report], None]

# Seconds between two looks of an observer, and what aborting unfinished uploads may take after a stop.
_OBSERVE_EVERY = 0.25
_ABORT_WITHIN = 10.0
# Threads that read ahead of the connections where opens are slow, and what each may hold open.
_MOST_THREADS = 64
_DESCRIPTORS_A_THREAD = 8


class _TooLateError(Exception):
    """The store does not answer while uploads are aborted; it drops them by itself, or its lifecycle rules do."""


def run(
    source: Source,
    store: StoreSettings,
    settings: OffloadSettings,
    *,
    rehearse: bool,
    observe: Observer | None = None,
    keep_names: bool = False,
    on_failure: Callable[[Failure], None] | None = None,
) -> Report:
    """Moves what may be moved, or in a rehearsal says what would be; this process is already the right user.

    Raises ConfigurationError, StoreError, LockedError or MediaError where the run was refused or ended early, and
    Stopped after a signal. The error carries the report of what was done until then as its attribute `report`.
    Once the work has ended, well or not, signals are held for the rest of the process: the caller tells the report.
    """
    report = Report(dry_run=rehearse, keep_names=keep_names, on_failure=on_failure)
    started = time.monotonic()
    status = 1
    try:
        _run(source, store, settings, report, observe)
        status = 1 if report.failures else 0
    except BaseException as error:
        # What has happened is told in full, and the exit status stays that of this error.
        hold_signals()
        status = exit_status(error, report)
        report.error = words(error)
        error.report = report  # type: ignore[attr-defined] # the one thing that every error of a run carries
        raise
    finally:
        report.seconds = time.monotonic() - started
        # A run that only found another one at work has nothing to tell.
        if settings.metrics_file and not rehearse and status != LockedError.exit_status:
            _write_metrics(settings.metrics_file, report, source.media_path, status)
    return report


def exit_status(error: BaseException, report: Report) -> int:
    """Of the process. Where something was moved already, "refused, nothing done" is not true any more."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    status = int(getattr(error, "exit_status", 1))
    moved = report.changed and not report.dry_run
    return 1 if status == ConfigurationError.exit_status and moved else status


def words(error: BaseException) -> str:
    if isinstance(error, (Stopped, KeyboardInterrupt)):
        name = str(error) or signal.SIGINT.name
        return f"Stopped by {name}. Run it again to go on."
    return str(error) if isinstance(error, MediaError) else f"{type(error).__name__}: {error}"


def _run(
    source: Source, store: StoreSettings, settings: OffloadSettings, report: Report, observe: Observer | None
) -> None:
    rehearse = report.dry_run
    root = media_store_root(source)
    check_state_dir(settings.state_dir, rehearse=rehearse)
    if not rehearse:
        check_metrics_file(settings.metrics_file)
    if source.database is None:
        raise ConfigurationError("No database is named. Set homeserver_config or database.")
    unchecked = check_provider(
        source, store, delete_local=settings.delete_local, enabled=settings.provider_check, rehearse=rehearse
    )
    if unchecked:
        report.warnings.append(unchecked)
    alone = settings.shard.count == 1
    lock = RunLock(
        f"{settings.state_dir}/{LOCK_NAME}", create=not rehearse, part=None if alone else settings.shard.index
    )
    with lock, _lock_on(root, alone):
        location = Location(settings.state_dir, store)
        location.check()
        with open_rows(source.database) as rows:
            check_content(root, rows)
            if not rehearse:
                location.record()
            try:
                _drive(root, rows, store, settings, report, observe)
            finally:
                if not (report.changed or report.verified.files):
                    location.withdraw()


@contextlib.contextmanager
def _lock_on(root: str, alone: bool) -> Iterator[None]:
    """Against a run with another state directory; shards of one media store share it. It needs no file."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some network file systems lock no directories; the lock in the state directory holds there all the same.
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LockedError(
                    f"Another run holds the lock on the media store {root}. Wait until it has ended; nothing was done."
                ) from error
        yield
    finally:
        os.close(descriptor)


def _drive(
    root: str,
    rows: Rows,
    store: StoreSettings,
    settings: OffloadSettings,
    report: Report,
    observe: Observer | None,
) -> None:
    with contextlib.closing(Loop()) as loop, contextlib.closing(_connect(loop, store, settings)) as client:
        context = Context(
            loop=loop,
            s3=S3(client, store),
            rows=rows,
            root=root,
            store=store,
            settings=settings,
            report=report,
            rehearse=report.dry_run,
            now=time.time(),
            most_threads=max(
                1, min(settings.concurrency, _MOST_THREADS, client.other_descriptors // _DESCRIPTORS_A_THREAD)
            ),
        )
        report.requests = context.s3.requests
        try:
            # A signal that comes after the last file changes nothing any more.
            with handed_to(lambda stopped: _stop(context, stopped)), _finished(context):
                if observe:
                    loop.start(_show(loop, observe, report))
                loop.run(offload(context))
        except BaseException:
            context.stopping = True
            # A look-up that is under way would hold up all that follows.
            rows.cancel()
            _abort(context)
            raise
        finally:
            report.database_rows = rows.sent
            report.warnings += client.warnings
            report.removed_directories = context.removals.removed_directories
            report.unanswered = min(context.unanswered, settings.concurrency)
            if observe:
                observe(report)


@contextlib.contextmanager
def _finished(context: Context) -> Iterator[None]:
    """What is unlinked when the run ends is told as well, and nothing is unlinked from then on."""
    try:
        yield
    finally:
        under_way = context.removals.finish()
        if under_way:
            context.report.warnings.append(
                f"{under_way} unlinks were still under way when the run ended, and what became of them is not known. "
                "Look after the file system of the media store."
            )


def _connect(loop: Loop, store: StoreSettings, settings: OffloadSettings) -> Client:
    return Client(loop, store, concurrency=settings.concurrency, bandwidth_limit=settings.bandwidth_limit)


async def _show(loop: Loop, observe: Observer, report: Report) -> None:
    while True:
        observe(report)
        await loop.sleep(_OBSERVE_EVERY)


def _abort(context: Context) -> None:
    """Parts of an upload that is never completed cost money and are seen by nobody."""
    if not (context.unfinished or context.beginning):
        return
    requests = Counter(context.report.requests)
    # What was under way on the connections until now is lost.
    with contextlib.closing(_connect(context.loop, context.store, context.settings)) as client:
        context.s3 = S3(client, context.store)
        with contextlib.suppress(Exception):
            context.loop.start(_give_up(context.loop))
            context.loop.run(abort_uploads(context))
    context.report.requests = dict(requests + Counter(context.s3.requests))


async def _give_up(loop: Loop) -> None:
    await loop.sleep(_ABORT_WITHIN)
    raise _TooLateError


def _stop(context: Context, stopped: Stopped) -> None:
    """Ends the loop's turn, not whatever line of Python is being run."""
    context.stopping = True
    context.loop.interrupt(stopped)


def _write_metrics(path: str, report: Report, media_path: str, status: int) -> None:
    try:
        write_metrics(path, report, media_path=media_path, exit_status=status)
    except OSError as error:
        report.warnings.append(
            f"The metrics file {path} could not be written ({error.strerror}). "
            "Free space there, and give its directory to the user this runs as."
        )
