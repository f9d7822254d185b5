# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A garbage collection as the command line and the module ask for it: one report, and a true exit status."""

from __future__ import annotations

from collections.abc import Callable

from ..runs.job import RunJob, attempt_run
from ..runs.report import Failure
from ..settings.config import SourceSettings
from ..settings.source import resolve
from ..settings.store import StoreSettings
from .engine import Observer, run
from .report import Report
from .settings import CollectSettings


class Job(RunJob[CollectSettings]):
    """One collection as it was asked for, on the command line or by the module."""

    def started(self) -> str:
        kind = "undo of a garbage collection" if self.settings.undo else "garbage collection"
        how = "dry run of " if self.rehearse else "" if self.settings.confirm or self.settings.undo else "look of "
        return f"{how}{kind} started by Ansible: {self.location}"

    def report(self, on_failure: Callable[[Failure], None] | None = None) -> Report:
        """An empty report of this job."""
        report = Report(dry_run=self.rehearse, confirmed=self.settings.confirm, on_failure=on_failure)
        report.undoes = self.settings.undo is not None
        return report


def job_of(source: SourceSettings, store: StoreSettings, settings: CollectSettings, *, rehearse: bool) -> Job:
    """Fills in what Synapse's configuration says. Raises ConfigurationError."""
    return Job(resolve(source, read_always=True), store, settings, rehearse)


def attempt(
    job: Job,
    *,
    observe: Observer | None = None,
    on_failure: Callable[[Failure], None] | None = None,
    now: float | None = None,
) -> tuple[Report, int]:
    """Runs the job, and returns the report and the exit status, whatever happens. The user is the right one already."""
    report = job.report(on_failure)
    return attempt_run(job, report, lambda: run(job.source, job.store, job.settings, report, observe, now))
