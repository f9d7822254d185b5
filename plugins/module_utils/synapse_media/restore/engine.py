# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One restore from its settings to its report: refusals, locks, the plan, free space, transfer, and a clean stop."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from ..database.ordered import OrderedRows
from ..database.rows import Rows, open_rows
from ..disk.layout import OFFLOADED_DIRECTORIES
from ..disk.lock import LOCK_NAME, RunLock, lock_on_media_store
from ..disk.placement import Placement, remove_temporaries
from ..disk.state_directory import write_whole
from ..errors import ConfigurationError
from ..event_loop.loop import Loop
from ..process.signals import Stopped, handed_to, hold_signals
from ..runs.observation import show
from ..runs.preflight import UsedLocation, check_content, check_state_dir, media_store_root
from ..runs.spool import temporary_file
from ..s3.bucket import Bucket
from ..s3.client import Client
from ..settings.homeserver import DatabaseSettings
from ..settings.source import Source
from ..settings.store import StoreSettings
from ..settings.units import in_words
from .context import Context
from .named_media import plan_named
from .planning import Plan, Planner
from .report import Report
from .settings import RestoreSettings
from .transfer import Transfer

Observer = Callable[[Report], None]

#: In the state directory while a restore is at work; one that was killed leaves it, and temporary files.
MARK_NAME = "restoring"
_MOST_THREADS = 16
# What is left free beside the files that are restored, for Synapse itself: a share of them, and at least these bytes.
_MARGIN_SHARE = 0.05
_LEAST_MARGIN = 1024 * 1024


def run(
    source: Source,
    store: StoreSettings,
    settings: RestoreSettings,
    report: Report,
    observe: Observer | None = None,
) -> None:
    """Restores what is missing, or in a dry run counts it. This process runs as the right user already.

    Raises ConfigurationError, StoreError, LockedError or MediaError if the run was refused or ended early, and Stopped
    after a signal; `report` says what was done until then. Once the work has ended, well or not, signals are held for
    the rest of the process.
    """
    started = time.monotonic()
    try:
        _run(source, store, settings, report, observe)
    finally:
        hold_signals()
        report.seconds = time.monotonic() - started


def _run(
    source: Source, store: StoreSettings, settings: RestoreSettings, report: Report, observe: Observer | None
) -> None:
    rehearse = report.dry_run
    root = media_store_root(source)
    check_state_dir(settings.state_dir, rehearse=rehearse)
    if source.database is None:
        raise ConfigurationError("No database is named. Set homeserver_config or database.")
    if not rehearse and not os.access(root, os.W_OK):
        raise ConfigurationError(
            f"The media store {root} cannot be written to by the user this runs as. Give it to that user, or set "
            "synapse_s3_synapse_user."
        )
    with RunLock(f"{settings.state_dir}/{LOCK_NAME}", create=not rehearse), lock_on_media_store(root):
        UsedLocation(settings.state_dir, store).check()
        with open_rows(source.database) as rows:
            check_content(root, rows)
            mark = Path(settings.state_dir, MARK_NAME)
            if not rehearse:
                _begin(root, mark, report)
            _drive(root, rows, source.database, store, settings, report, observe)


def _begin(root: str, mark: Path, report: Report) -> None:
    """Removes what a killed run has left, and marks that this one is at work."""
    if mark.exists():
        report.removed_temporaries = remove_temporaries(root, OFFLOADED_DIRECTORIES)
        return
    try:
        write_whole(mark, "")
    except OSError as error:
        raise ConfigurationError(
            f"{mark} cannot be written ({error.strerror}). Free space there, and give its directory to the user this "
            "runs as."
        ) from error


def _drive(
    root: str,
    rows: Rows,
    database: DatabaseSettings,
    store: StoreSettings,
    settings: RestoreSettings,
    report: Report,
    observe: Observer | None,
) -> None:
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(contextlib.closing(Loop()))
        client = stack.enter_context(
            contextlib.closing(
                Client(loop, store, concurrency=settings.concurrency, bandwidth_limit=settings.bandwidth_limit)
            )
        )
        ordered = OrderedRows(database)
        stack.callback(ordered.close)
        ordered.open()
        plan = Plan(stack.enter_context(temporary_file(settings.state_dir)))
        context = Context(
            loop=loop,
            root=root,
            bucket=Bucket(client, store),
            rows=rows,
            ordered=ordered,
            placement=Placement(root),
            settings=settings,
            report=report,
            now=time.time(),
        )
        report.requests = context.bucket.requests
        try:
            with handed_to(lambda stopped: _stop(context, stopped)):
                if observe:
                    loop.start(show(loop, observe, report))
                loop.run(_restore(context, plan))
        except BaseException:
            context.stopping = True
            # A look-up that is under way would delay everything that follows.
            rows.cancel()
            ordered.cancel()
            raise
        finally:
            context.stopping = True
            left = context.placement.stop()
            # Put in place by a thread after the run had ended.
            for path, size in context.placement.unreported.items():
                report.restore(path, size, proven=True)
            if left:
                report.warnings.append(
                    f"{left} temporary files could not be removed. The next restore removes them; look after the file "
                    "system of the media store."
                )
            elif not report.dry_run:
                Path(settings.state_dir, MARK_NAME).unlink(missing_ok=True)
            report.database_rows = rows.sent + ordered.sent
            report.warnings += client.warnings
            if observe:
                observe(report)


async def _restore(context: Context, plan: Plan) -> None:
    planner = Planner(context, plan)
    if context.settings.selection.is_by_media:
        await plan_named(context, planner)
    else:
        await planner.from_listing()
    # A transaction that stays open for hours would keep the database from cleaning up.
    context.ordered.close()
    context.ordered.cancel()
    report = context.report
    _check_space(context.root, plan, report)
    if report.dry_run:
        for batch in plan.batches():
            for wanted in batch:
                if wanted.is_there:
                    report.present.add(wanted.size)
                else:
                    report.restore(wanted.path, wanted.size, proven=True)
        return
    await Transfer(context, _MOST_THREADS).run(plan)


def _check_space(root: str, plan: Plan, report: Report) -> None:
    """Raises ConfigurationError if the disk has not the room for what is missing, or not the inodes."""
    found = os.statvfs(root)
    report.free_bytes = free = found.f_bavail * found.f_frsize
    if not plan.files:
        return
    margin = max(_LEAST_MARGIN, int(plan.needed * _MARGIN_SHARE))
    if free < plan.needed + margin:
        raise ConfigurationError(
            f"The disk of the media store {root} has {in_words(free)} free, and {plan.files} files take "
            f"{in_words(plan.needed)}, with {in_words(margin)} to spare. Nothing was restored. Free space, move the "
            "media store to a larger disk, or restore a part: originals only, newer media, or one kind."
        )
    # File systems that make inodes as they need them name none.
    if found.f_files and found.f_favail < plan.files:
        raise ConfigurationError(
            f"The file system of the media store {root} has room for {found.f_favail} more files, and {plan.files} are "
            "missing. Nothing was restored. Remove files there, or move the media store to another file system."
        )


def _stop(context: Context, stopped: Stopped) -> None:
    """Ends the run at the next turn of the loop, not in the middle of a Python statement."""
    context.stopping = True
    context.loop.interrupt(stopped)
