# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run from its settings to its report: refusals, locks, the pipeline, and a clean stop."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator

from ..database.rows import Rows, open_rows
from ..disk.lock import LOCK_NAME, RunLock, lock_on_media_store
from ..disk.media_files import MediaFiles
from ..errors import ConfigurationError, LockedError
from ..event_loop.loop import Loop
from ..process.signals import Stopped, handed_to, hold_signals
from ..runs.job import exit_status, words
from ..runs.observation import show
from ..runs.preflight import UsedLocation, check_content, check_state_dir, media_store_root
from ..runs.report import Failure
from ..s3.bucket import Bucket
from ..s3.client import Client
from ..s3.uploads import Uploads
from ..settings.provider_check import check_provider
from ..settings.source import Source
from ..settings.store import StoreSettings
from .context import Context
from .disk_limits import check_limits
from .metrics import check_metrics_file, write_metrics
from .pipeline import offload
from .report import Report
from .settings import OffloadSettings

Observer = Callable[[Report], None]

# Seconds for aborting unfinished uploads after a stop.
_ABORT_WITHIN = 10.0
# Threads that read files ahead where opens are slow, and how many descriptors each may hold.
_MOST_THREADS = 64
_DESCRIPTORS_A_THREAD = 8


class _TooLateError(Exception):
    """The store did not answer in time while uploads were aborted. A later run, or a lifecycle rule, removes them."""


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
    """Moves what may be moved, or in a rehearsal counts it. This process runs as the right user already.

    Raises ConfigurationError, StoreError, LockedError or MediaError if the run was refused or ended early, and
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
        # The report is completed, and the exit status stays that of this error.
        hold_signals()
        status = exit_status(error, report)
        report.error = words(error)
        error.report = report  # type: ignore[attr-defined] # the one thing that every error of a run carries
        raise
    finally:
        report.seconds = time.monotonic() - started
        # A run that only found another one at work has no figures of its own.
        if settings.metrics_file and not rehearse and status != LockedError.exit_status:
            _write_metrics(settings.metrics_file, report, source.media_path, status)
    return report


def _run(
    source: Source, store: StoreSettings, settings: OffloadSettings, report: Report, observe: Observer | None
) -> None:
    rehearse = report.dry_run
    root = media_store_root(source)
    check_limits(root, settings)
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
    with lock, lock_on_media_store(root, alone=alone):
        location = UsedLocation(settings.state_dir, store)
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


def _drive(
    root: str,
    rows: Rows,
    store: StoreSettings,
    settings: OffloadSettings,
    report: Report,
    observe: Observer | None,
) -> None:
    with contextlib.closing(Loop()) as loop, contextlib.closing(_connect(loop, store, settings)) as client:
        most_threads = max(
            1, min(settings.concurrency, _MOST_THREADS, client.other_descriptors // _DESCRIPTORS_A_THREAD)
        )
        files = MediaFiles(loop, root, most_threads)
        context = Context(
            loop=loop,
            files=files,
            uploads=Uploads(files, Bucket(client, store), settings.concurrency, report.sent),
            rows=rows,
            store=store,
            settings=settings,
            report=report,
            rehearse=report.dry_run,
            now=time.time(),
        )
        report.requests = context.bucket.requests
        try:
            # A signal that comes after the last file has no effect.
            with handed_to(lambda stopped: _stop(context, stopped)), _finished(context):
                if observe:
                    loop.start(show(loop, observe, report))
                loop.run(offload(context))
        except BaseException:
            context.files.stopping = True
            # A look-up that is under way would delay everything that follows.
            rows.cancel()
            _abort(context)
            raise
        finally:
            report.database_rows = rows.sent
            report.warnings += client.warnings
            report.removed_directories = context.removals.removed_directories
            report.unanswered = min(context.uploads.unanswered, settings.concurrency)
            if observe:
                observe(report)


@contextlib.contextmanager
def _finished(context: Context) -> Iterator[None]:
    """Reports what is still being unlinked when the run ends. Nothing is unlinked afterwards."""
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


def _abort(context: Context) -> None:
    """Aborts the multipart uploads that a stopped run left: their parts cost money and nobody sees them."""
    if not context.uploads.leaves_unfinished:
        return
    requests = Counter(context.report.requests)
    # The old connections were in the middle of requests, so new ones are opened.
    with contextlib.closing(_connect(context.loop, context.store, context.settings)) as client:
        context.uploads.bucket = Bucket(client, context.store)
        with contextlib.suppress(Exception):
            context.loop.start(_give_up(context.loop))
            context.loop.run(context.uploads.abort_unfinished())
    context.report.requests = dict(requests + Counter(context.bucket.requests))


async def _give_up(loop: Loop) -> None:
    await loop.sleep(_ABORT_WITHIN)
    raise _TooLateError


def _stop(context: Context, stopped: Stopped) -> None:
    """Ends the run at the next turn of the loop, not in the middle of a Python statement."""
    context.files.stopping = True
    context.loop.interrupt(stopped)


def _write_metrics(path: str, report: Report, media_path: str, status: int) -> None:
    try:
        write_metrics(path, report, media_path=media_path, exit_status=status)
    except OSError as error:
        report.warnings.append(
            f"The metrics file {path} could not be written ({error.strerror}). "
            "Free space there, and give its directory to the user this runs as."
        )
