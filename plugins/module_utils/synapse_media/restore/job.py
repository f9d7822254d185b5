# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore as the command line and the module ask for it: the right user, one report, a true exit status."""

from __future__ import annotations

import os
import pwd
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from ..disk.state_directory import make_state_dir
from ..errors import ConfigurationError, MediaError
from ..offload.job import import_late
from ..process.environment import apply, run_environment
from ..process.privileges import worker
from ..process.signals import Stopped
from ..settings.config import SourceSettings
from ..settings.source import Source, resolve
from ..settings.store import StoreSettings
from .engine import Observer, run
from .report import Failure, Report
from .settings import RestoreSettings


@dataclass(frozen=True)
class Job:
    """One restore as it was asked for, on the command line or by the module."""

    source: Source
    store: StoreSettings
    settings: RestoreSettings
    rehearse: bool

    def prepare(self, user: str | None) -> pwd.struct_passwd | None:
        """Makes what only root may make. Returns the user to become for the run, or None for no change."""
        account = worker(user, self.source.media_path, root_may_own=True)
        if account is not None:
            import_late(self.store)
        if not self.rehearse:
            make_state_dir(self.settings.state_dir, account)
        return account


def job_of(source: SourceSettings, store: StoreSettings, settings: RestoreSettings, *, rehearse: bool) -> Job:
    """Fills in what Synapse's configuration says. Raises ConfigurationError."""
    return Job(resolve(source, read_always=True), store, settings, rehearse)


def attempt(
    job: Job, *, observe: Observer | None = None, on_failure: Callable[[Failure], None] | None = None
) -> tuple[Report, int]:
    """Runs the job, and returns the report and the exit status, whatever happens. The user is the right one already."""
    # An AWS_PROFILE or a PGHOST in the caller's shell must not change where the run reads.
    apply(run_environment(os.environ, job.store, None))
    report = Report(dry_run=job.rehearse, on_failure=on_failure)
    try:
        run(job.source, job.store, job.settings, report, observe)
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return failed(error, report)
    return report, 1 if report.failures else 0


def failed(error: BaseException, report: Report) -> tuple[Report, int]:
    """The report of a run that ended with this error, and its exit status."""
    report.error = _words(error)
    if not isinstance(error, (MediaError, Stopped, KeyboardInterrupt)):
        # A bug: the traceback is what helps.
        report.exception = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if isinstance(error, KeyboardInterrupt):
        return report, 128 + signal.SIGINT
    status = int(getattr(error, "exit_status", 1))
    # Not the one for "refused, nothing done".
    changed = report.changed and not report.dry_run
    return report, 1 if status == ConfigurationError.exit_status and changed else status


def _words(error: BaseException) -> str:
    if isinstance(error, (Stopped, KeyboardInterrupt)):
        return f"Stopped by {str(error) or signal.SIGINT.name}. Every file on the disk is whole. Run it again to go on."
    return str(error) if isinstance(error, MediaError) else f"{type(error).__name__}: {error}"


def remarks(report: Report) -> list[str]:
    """What the summary leaves out: warnings, and why the run ended early."""
    return [*report.warnings, *([report.error] if report.error is not None else [])]


def started(job: Job) -> str:
    """The line for the journal at the start of a run."""
    location = f"the bucket {job.store.bucket}{f', prefix {job.store.prefix}' if job.store.prefix else ''}"
    kind = "dry run of a restore" if job.rehearse else "restore"
    return f"{kind} started by Ansible: {location} to {job.source.media_path}"
