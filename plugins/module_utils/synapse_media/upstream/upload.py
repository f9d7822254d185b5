# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The step that uploads and optionally deletes. Upstream deletes after any successful HEAD, so files are proven first.

1. List the files of the media in cache.db, and look their keys up in the bucket.
2. Let the script upload the missing ones, without deleting, and look those up too.
3. Only if every file is proven to be in the bucket, unchanged, run the script with --delete.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice

from ..errors import ConfigurationError
from ..reporting import SHOWN
from ..settings.store import StoreSettings
from .candidates import Findings, list_candidates, wait_until_settled
from .job import Job
from .output import Output
from .plan import ABSENT, DELETED, DIFFERS, PRESENT, PROVEN, UPLOADED, Plan, PlannedFile
from .proof import ProofFailures, Prover
from .report import Problems, StepFailedError, UploadResult
from .script import Restrictions
from .workspace import Snapshot, open_cache

_IN_BUCKET = (PRESENT, PROVEN, DIFFERS)


def upload(job: Job, settings: StoreSettings, *, delete: bool) -> UploadResult:
    with Plan(job.workspace.plan_path) as plan:
        run = _Upload(job, settings, plan, delete)
        findings, failures = run.list_and_look_up()
        if job.workspace.rehearsal:
            run.predict_uploads(findings)
            run.stop_if_blocked(findings.blocked, failures)
            if delete:
                run.predict_deletions(findings)
            return run.result
        try:
            run.upload_missing(findings, failures)
            run.stop_if_blocked(findings.blocked, failures)
            if delete:
                run.delete_proven(findings)
        finally:
            run.count()
        job.remember_media_store()
        return run.result


@dataclass
class _FinishedRun:
    output: Output
    reason: str | None
    lines: list[str]


class _Upload:
    def __init__(self, job: Job, settings: StoreSettings, plan: Plan, delete: bool) -> None:
        self._job = job
        self._settings = settings
        self._plan = plan
        self._delete = delete
        self._prover = Prover(settings, job.root, plan, compare=delete, database=job.database)
        self._before = Snapshot(0, 0)
        self.result = UploadResult()

    def list_and_look_up(self) -> tuple[Findings, ProofFailures]:
        with open_cache(self._job.workspace.directory) as cache:
            self._job.media_store.check(cache.offered_count())
            self._before = cache.snapshot()
            findings = list_candidates(self._job.root, cache.offered(), self._plan, deleting=self._delete)
            if not self._job.workspace.rehearsal and wait_until_settled(self._plan):
                self._plan.clear()
                findings = list_candidates(self._job.root, cache.offered(), self._plan, deleting=self._delete)
        _refuse("must not be touched", findings.refused, "Put them in order, or take their rows out of cache.db.")
        _refuse("cannot be looked at", findings.hidden, "Give the media store to the user this runs as.")
        self.result.media_total = findings.media
        failures = self._prover.look_up_all()
        self.result.differing_files = [problem.path for problem in failures.differing]
        self._show()
        return findings, failures

    def predict_uploads(self, findings: Findings) -> None:
        """Set the counts that the script would report for a bucket and a disk that do not change."""
        self.result.media_uploaded, self.result.files_uploaded, self.result.bytes_uploaded = self._plan.total(ABSENT)
        self.result.marked_deleted = findings.media_without_files

    def predict_deletions(self, findings: Findings) -> None:
        deleted = self._plan.total(ABSENT, *_IN_BUCKET)
        self.result.media_deleted, self.result.files_deleted, self.result.bytes_deleted = deleted
        self.result.marked_deleted = findings.media

    def upload_missing(self, findings: Findings, failures: ProofFailures) -> None:
        """Also for media without files, unless the second run does it: the script marks their rows."""
        if not self._plan.total(ABSENT).files and (self._delete or not findings.media_without_files):
            return
        ended = self._run(deleting=False)
        self.result.left_alone = [left.path for left in ended.output.left_alone]
        self._fail_if(ended.reason, ended)
        self._check_count(ended, "files_uploaded", UPLOADED)
        self._count_uploaded()
        failures.extend(self._prover.look_up_uploaded())
        lost = [file for file in self._plan.files(UPLOADED, ABSENT) if self._is_unchanged(file)]
        if lost:
            reason = (
                f"the bucket does not hold {_some(lost)}, which the script says it uploaded. Look into the store's log."
            )
            self._fail_if(reason, ended)

    def stop_if_blocked(self, blocked: Problems, failures: ProofFailures) -> None:
        """Delete nothing while one file is not proven: a single difference may be the sign of a larger problem."""
        if self._delete:
            for file in self._plan.files(PROVEN):
                if not self._is_unchanged(file):
                    failures.unreadable.add(file.path, "changed after it was compared with the bucket")
        self.result.differing_files = [problem.path for problem in failures.differing]
        obstacles = Problems()
        obstacles.extend(blocked)
        obstacles.extend(failures.unreadable)
        self.result.failed_files += obstacles.as_list()
        reasons = []
        if failures.differing:
            differing = failures.differing
            reasons.append(f"{len(differing)} files differ from the objects at their keys: {differing}")
        if obstacles:
            reasons.append(f"{len(obstacles)} files cannot be deleted safely: {obstacles}")
        if reasons:
            reason = ". ".join([*reasons, "Nothing was deleted."])
            raise StepFailedError(f"s3_media_upload upload was stopped: {reason}", reason, (), self.result)

    def delete_proven(self, findings: Findings) -> None:
        if not findings.media:
            return
        ended = self._run(deleting=True)
        self.result.left_alone = sorted({*self.result.left_alone, *(left.path for left in ended.output.left_alone)})
        self._fail_if(ended.reason, ended)
        self._check_count(ended, "files_deleted", DELETED)
        kept = [file for file in self._plan.files(PROVEN) if self._is_unchanged(file)]
        if kept:
            self._fail_if(f"it left {_some(kept)} on disk and does not say why.", ended)

    def count(self) -> None:
        """Count by the child's records of each file, so that it is right after a crash too."""
        if not self.result.files_uploaded:
            self._count_uploaded()
        deleted = self._plan.total(DELETED)
        self.result.media_deleted, self.result.files_deleted, self.result.bytes_deleted = deleted
        with open_cache(self._job.workspace.directory) as cache:
            self.result.marked_deleted = cache.snapshot().known_deleted - self._before.known_deleted

    def _count_uploaded(self) -> None:
        uploaded = self._plan.total(UPLOADED)
        self.result.media_uploaded, self.result.files_uploaded, self.result.bytes_uploaded = uploaded

    def _run(self, *, deleting: bool) -> _FinishedRun:
        settings = self._settings
        # With "=" and "--" no value can be parsed as an option.
        arguments = ["upload", f"--storage-class={settings.storage_class}", f"--prefix={settings.prefix}"]
        if settings.endpoint_url:
            arguments.append(f"--endpoint-url={settings.endpoint_url}")
        if settings.sse_customer_key:
            arguments.append(f"--sse-customer-key={settings.sse_customer_key}")
            arguments.append(f"--sse-customer-algo={settings.sse_customer_algo}")
        if deleting:
            arguments.append("--delete")
        arguments += ["--", self._job.root, settings.bucket]
        restrictions = Restrictions(self._job.root, self._plan.path, settings.prefix, deleting)
        output, ended, reason = self._job.run(arguments, restrictions, self._plan.contains)
        return _FinishedRun(output, reason, ended.last_lines)

    def _fail_if(self, reason: str | None, ended: _FinishedRun) -> None:
        if reason:
            self.result.failed_files += ended.output.failed.as_list()
            message = f"s3_media_upload upload failed: {reason}"
            raise StepFailedError(message, reason, ended.lines, self.result)

    def _check_count(self, ended: _FinishedRun, name: str, state: str) -> None:
        reported, counted = ended.output.counts[name], self._plan.total(state).files
        if reported != counted:
            self._fail_if(f"its counts do not add up: {name} is {reported}, and it was {counted}.", ended)

    def _is_unchanged(self, file: PlannedFile) -> bool:
        try:
            status = os.lstat(f"{self._job.root}/{file.path}")
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns, str(status.st_ino)) == (file.size, file.mtime_ns, file.inode)

    def _show(self) -> None:
        """Add to the diff, in a dry run as in a real run, where each file is and where it will be."""
        after = "in the bucket" if self._delete else "on disk and in the bucket"
        for states, before in ((_IN_BUCKET, "on disk and in the bucket"), ((ABSENT,), "on disk")):
            if before == after:
                continue
            for file in islice(self._plan.files(*states), SHOWN):
                self.result.diff.add(f"{file.path} ({file.size} bytes)", before, after)
            self.result.diff.add_uncounted(max(0, self._plan.total(*states).files - SHOWN))


def _refuse(what: str, problems: Problems, remedy: str) -> None:
    if problems:
        raise ConfigurationError(
            f"{len(problems)} of the files or rows {what}, so nothing was done: {problems}. {remedy}"
        )


def _some(files: list[PlannedFile]) -> str:
    shown = ", ".join(file.path for file in files[:5])
    return shown if len(files) <= 5 else f"{shown} and {len(files) - 5} more"
