# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verb `offload`, and what it has in common with the module: the right user, one report, a true exit status."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import pwd
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from ..config import SourceSettings, read_config
from ..errors import MediaError
from ..privileges import become, worker
from ..signals import Stopped, hold_signals
from ..sizes import in_words
from ..source import Source, resolve
from ..state_directory import make_state_dir
from ..store import StoreSettings
from ..upstream.environment import apply, run_environment
from .engine import Observer, exit_status, run, words
from .progress import FileCount, Progress, failure_line
from .report import Failure, Report
from .settings import OffloadSettings


@dataclass(frozen=True)
class Job:
    """One run as it was asked for, from whichever side."""

    source: Source
    store: StoreSettings
    settings: OffloadSettings
    rehearse: bool

    def prepare(self, user: str | None) -> pwd.struct_passwd | None:
        """Makes what only root may make. Returns whom to become for the run, None for who this is already."""
        account = worker(user, self.source.media_path, root_may_own=True)
        if account is not None:
            self._import_all()
        if not self.rehearse:
            make_state_dir(self.settings.state_dir, account)
        return account

    def _import_all(self) -> None:
        """What is imported only when it is needed: the worker may not be able to read where it lies."""
        names = ["encodings.idna", "urllib.request"]
        if not (self.store.access_key_id and self.store.endpoint_url):
            names.append(f"{__package__.rpartition('.')[0]}.store_client")
        for name in names:
            # Whoever needs one that is missing says so itself.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def job_of(source: SourceSettings, store: StoreSettings, settings: OffloadSettings, *, rehearse: bool) -> Job:
    """With what Synapse's configuration says filled in. Raises ConfigurationError."""
    deletes = settings.delete_local and settings.provider_check
    return Job(resolve(source, read_always=True, with_processes=deletes), store, settings, rehearse)


def attempt(
    job: Job,
    *,
    observe: Observer | None = None,
    keep_names: bool = False,
    on_failure: Callable[[Failure], None] | None = None,
) -> tuple[Report, int]:
    """The report and the exit status, whatever happens in the run. This process is the worker already, and stays so."""
    # An AWS_PROFILE or a PGHOST in somebody's shell must not lead the run elsewhere.
    apply(run_environment(os.environ, job.store, None))
    try:
        report = run(
            job.source,
            job.store,
            job.settings,
            rehearse=job.rehearse,
            observe=observe,
            keep_names=keep_names,
            on_failure=on_failure,
        )
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return failed(error, rehearse=job.rehearse)
    return report, 1 if report.failures else 0


def failed(error: BaseException, *, rehearse: bool) -> tuple[Report, int]:
    """The report that an error carries, or an empty one for an error before the run."""
    report = getattr(error, "report", None)
    if not isinstance(report, Report):
        report = Report(dry_run=rehearse)
        report.error = words(error)
    if not isinstance(error, (MediaError, Stopped, KeyboardInterrupt)):
        # A mistake of ours: where it happened is all that helps.
        report.exception = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return report, exit_status(error, report)


def offload(options: argparse.Namespace) -> int:
    """What `python -m synapse_media offload` does; the exit status."""
    report, status = _offload(options)
    hold_signals()
    name = options.command
    for line in remarks(report):
        _say(sys.stderr, f"{name}: {line}")
    if report.exception is not None:
        _say(sys.stderr, report.exception)
    _say(sys.stdout, json.dumps(report.as_dict()) if options.json else f"{name}: {summary(report)}")
    return status


def _offload(options: argparse.Namespace) -> tuple[Report, int]:
    try:
        config = read_config(options.config, os.environ)
        settings = OffloadSettings.from_mapping(config.offload, f"offload in {config.path}")
        job = job_of(config.source, config.store, settings, rehearse=options.dry_run)
        account = job.prepare(options.user)
        if account is not None:
            become(account)
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return failed(error, rehearse=options.dry_run)
    name = options.command
    if not options.progress:
        return attempt(job, on_failure=lambda failure: _say(sys.stderr, f"{name}: {failure_line(failure)}"))
    count = None
    if sys.stderr.isatty():
        count = FileCount(job.source.media_path, settings.shard.count)
        count.start()
    progress = Progress(sys.stderr, name, count)
    try:
        return attempt(
            job,
            observe=progress.observe,
            on_failure=lambda failure: progress.write(f"{name}: {failure_line(failure)}"),
        )
    finally:
        progress.clear()


def remarks(report: Report) -> list[str]:
    """What the summary does not say: what went wrong beside the files, and why the run ended early."""
    return [*report.warnings, *([report.error] if report.error is not None else [])]


def started(job: Job) -> str:
    """How a run begins, for a journal."""
    place = f"the bucket {job.store.bucket}{f', prefix {job.store.prefix}' if job.store.prefix else ''}"
    return f"{'dry run' if job.rehearse else 'run'} started by Ansible: {job.source.media_path} to {place}"


def summary(report: Report) -> str:
    """One line for a journal."""
    would_be = "would be " if report.dry_run else ""
    counts = [
        f"{tally.files} files ({in_words(tally.bytes)}) {would_be}{name}"
        for name, tally in (
            ("uploaded", report.uploaded),
            ("uploaded again over an object that differed", report.repaired),
            ("deleted", report.deleted),
        )
        if tally.files or name != "uploaded again over an object that differed"
    ]
    counts.append(f"{report.verified.files} were in the bucket")
    counts += [f"{tally.files} left ({reason})" for reason, tally in sorted(report.skipped.items())]
    if report.failures:
        counts.append(f"{report.failures} failed")
    if report.unanswered:
        counts.append(f"up to {report.unanswered} uploads were under way, and the next run finds out what has arrived")
    ended = "ended early: " if report.error is not None else ""
    return f"{ended}{', '.join(counts)}; {report.seconds:.1f} s"


def _say(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()
