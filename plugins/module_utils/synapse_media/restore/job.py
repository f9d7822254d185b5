# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore as the command line and the module ask for it: the right user, one report, a true exit status."""

from __future__ import annotations

from collections.abc import Callable

from ..runs.job import RunJob, attempt_run
from ..runs.report import Failure
from ..settings.config import SourceSettings
from ..settings.source import resolve
from ..settings.store import StoreSettings
from .engine import Observer, run
from .report import Report
from .settings import RestoreSettings


class Job(RunJob[RestoreSettings]):
    """One restore as it was asked for, on the command line or by the module."""

    def started(self) -> str:
        kind = "dry run of a restore" if self.rehearse else "restore"
        return f"{kind} started by Ansible: {self.location} to {self.source.media_path}"


def job_of(source: SourceSettings, store: StoreSettings, settings: RestoreSettings, *, rehearse: bool) -> Job:
    """Fills in what Synapse's configuration says. Raises ConfigurationError."""
    return Job(resolve(source, read_always=True), store, settings, rehearse)


def attempt(
    job: Job, *, observe: Observer | None = None, on_failure: Callable[[Failure], None] | None = None
) -> tuple[Report, int]:
    """Runs the job, and returns the report and the exit status, whatever happens. The user is the right one already."""
    report = Report(dry_run=job.rehearse, on_failure=on_failure)
    return attempt_run(job, report, lambda: run(job.source, job.store, job.settings, report, observe))
