# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run as the command line and the module ask for it: the right user, one report, a true exit status."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..process.environment import apply, run_environment
from ..process.signals import Stopped
from ..runs.job import RunJob, exit_status, traceback_of, words
from ..runs.report import Failure
from ..settings.config import SourceSettings
from ..settings.source import resolve
from ..settings.store import StoreSettings
from .engine import Observer, run
from .report import Report
from .settings import OffloadSettings


class Job(RunJob[OffloadSettings]):
    """One run as it was asked for, on the command line or by the module."""

    def started(self) -> str:
        return (
            f"{'dry run' if self.rehearse else 'run'} started by Ansible: {self.source.media_path} to {self.location}"
        )


def job_of(source: SourceSettings, store: StoreSettings, settings: OffloadSettings, *, rehearse: bool) -> Job:
    """Fills in what Synapse's configuration says. Raises ConfigurationError."""
    deletes = settings.delete_local and settings.provider_check
    return Job(resolve(source, read_always=True, with_processes=deletes), store, settings, rehearse)


def attempt(
    job: Job,
    *,
    observe: Observer | None = None,
    keep_names: bool = False,
    on_failure: Callable[[Failure], None] | None = None,
) -> tuple[Report, int]:
    """Runs the job, and returns the report and the exit status, whatever happens. The user is the right one already."""
    # An AWS_PROFILE or a PGHOST in the caller's shell must not change where the run reads or writes.
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
    report.exception = traceback_of(error)
    return report, exit_status(error, report)
