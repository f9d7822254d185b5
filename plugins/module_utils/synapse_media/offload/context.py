# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parts of a run share, and where they report what became of each file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..database.rows import Rows
from ..disk.content import CHANGED, VANISHED, Content, ContentProblem
from ..disk.local_file import LocalFile
from ..disk.media_files import MediaFiles
from ..disk.removal import DELETED as UNLINKED
from ..disk.removal import Removals, Removed
from ..errors import MediaError, StoreError
from ..event_loop.loop import Loop
from ..event_loop.semaphore import Semaphore
from ..proof.bucket_age import bucket_age
from ..proof.conflict import refuse_disagreement
from ..proof.evidence import Evidence, Proven
from ..reporting import Tally
from ..s3.bucket import Bucket
from ..s3.uploads import Uploads
from ..settings.store import StoreSettings
from ..settings.units import as_written
from .report import DELETED, REPAIRED, UPLOADED, VERIFIED, Report
from .selection import Candidate
from .settings import VERIFY_SIZE, OffloadSettings

# Files that are read ahead of the connections, of a fast file system.
_READ_AHEAD = 64
# A batch should not take a thread long, so larger files are read alone.
_BATCH_BYTES = 4 * 1024 * 1024


@dataclass
class Context:
    """One run. `now` is the time (seconds since 1970) that ages are measured from."""

    loop: Loop
    files: MediaFiles
    uploads: Uploads
    rows: Rows
    store: StoreSettings
    settings: OffloadSettings
    report: Report
    rehearse: bool
    now: float

    def __post_init__(self) -> None:
        files, settings = self.files, self.settings
        self.evidence = Evidence(files, self.uploads.bucket, size_suffices=settings.verify == VERIFY_SIZE)
        #: Whether an object that a listing names can be read with the keys there are.
        self.listing_proves = not self.store.sse_customer_key
        if settings.min_bucket_age is not None and settings.delete_local:
            self.report.kept = Tally()
            self.report.min_bucket_age = as_written(settings.min_bucket_age)
        grace = settings.grace.total_seconds()
        self.removals = Removals(self.loop, files.root, files.unlinks, grace, self.removed, files.most_threads)
        #: Small files between their reading and the response to their upload.
        self.small_files = Semaphore(self.loop, settings.concurrency + _READ_AHEAD)
        self.batch_turn = Semaphore(self.loop, 1)
        #: Batches of files that are being compared with their objects.
        self.settling = Semaphore(self.loop, settings.concurrency)
        #: Large files that are being uploaded.
        self.large_files = Semaphore(self.loop, settings.concurrency)
        #: Objects whose time, which min_bucket_age asks for, the store did not give.
        self.undated = 0

    @property
    def bucket(self) -> Bucket:
        return self.uploads.bucket

    def key(self, file: LocalFile) -> str:
        return self.store.prefix + file.path

    def batches(self, candidates: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
        """Batches for one thread each: enough to make the hand-over cheap, few enough to keep the connections busy."""
        start = size = 0
        for end, candidate in enumerate(candidates):
            size += candidate.file.size
            if end > start and (end - start >= self.files.pace.batch or size > _BATCH_BYTES):
                yield candidates[start:end]
                start, size = end, candidate.file.size
        if start < len(candidates):
            yield candidates[start:]

    async def read(
        self, candidates: Sequence[Candidate], *, keep: int, to_upload: bool = False
    ) -> list[Content | None]:
        """Keeps the bytes of contents of up to `keep` bytes. None, and reported, for a file that is not to be taken.

        `to_upload`: large files get a checksum in place of an MD5 if the store is known to verify one.
        """
        wanted = [(file, row.sha256 is not None and file.is_original, file.size <= keep) for file, row in candidates]
        contents: list[Content | None] = []
        checks = self.uploads.checks
        found = await self.files.read(wanted, lambda: checks.checksum if to_upload else "")
        pace = self.files.pace
        self.small_files.allow(self.settings.concurrency + max(_READ_AHEAD, pace.threads * pace.batch))
        for (file, row), content in zip(candidates, found):
            try:
                if isinstance(content, ContentProblem):
                    raise content
                refuse_disagreement(file, content.sha256, row)
            except MediaError as problem:
                self.failed(file, problem)
                contents.append(None)
            else:
                contents.append(content)
        return contents

    def taken(self, file: LocalFile, *, repaired: bool) -> None:
        """Reports that the file is in the bucket now, or would be."""
        self.report.done(REPAIRED if repaired else UPLOADED, file.path, file.size)
        if self.rehearse:
            self._would_leave(file, None)

    def proven_only(self, proven: Proven) -> None:
        """Reports that the file was in the bucket, and stays on the disk or would be unlinked."""
        file = proven.file
        self.report.done(VERIFIED, file.path, file.size)
        if self.rehearse:
            self._would_leave(file, proven)

    def keeps(self, proven: Proven) -> bool:
        """Whether the file stays, and is reported, because it has not been in the bucket for min_bucket_age."""
        if not self._is_young(proven):
            return False
        file = proven.file
        if not proven.uploaded:
            self.report.done(VERIFIED, file.path, file.size)
        self._count_kept(file)
        return True

    def removed(self, proven: Proven, outcome: Removed) -> None:
        """Reports what came of the unlink of a file. One that was uploaded counts as that already."""
        file = proven.file
        if isinstance(outcome, OSError):
            self.fail(
                file,
                f"It is in the bucket and could not be taken off the disk ({outcome.strerror}). "
                "Give the file and its directory to Synapse's user.",
            )
            return
        if outcome == UNLINKED:
            if not proven.uploaded:
                self.report.done(VERIFIED, file.path, file.size)
            self.report.done(DELETED, file.path, file.size)
        elif not proven.uploaded:
            self.report.skip(outcome, file.size)

    def failed(self, file: LocalFile, error: MediaError) -> None:
        """Reports the error that ended one file. Raises a StoreError, which ends the run."""
        if isinstance(error, StoreError):
            raise error
        if isinstance(error, ContentProblem) and error.reason in (CHANGED, VANISHED):
            # Synapse is using it; the next run looks at it again.
            self.report.skip(error.reason, file.size)
        else:
            self.fail(file, error)

    def fail(self, file: LocalFile, error: object) -> None:
        self.report.fail(file.path, self.key(file), str(error))

    def _is_young(self, proven: Proven | None) -> bool:
        """Whether the object has not been in the bucket for min_bucket_age; None is one that would be uploaded."""
        least = self.settings.min_bucket_age
        if least is None:
            return False
        if proven is None or proven.uploaded or proven.found is None:
            return True
        age = bucket_age(proven.found)
        self.undated += age is None
        return age is None or age < least.total_seconds()

    def _would_leave(self, file: LocalFile, proven: Proven | None) -> None:
        if not self.settings.delete_local:
            return
        if self._is_young(proven):
            self._count_kept(file)
        else:
            self.report.done(DELETED, file.path, file.size)

    def _count_kept(self, file: LocalFile) -> None:
        if self.report.kept is not None:
            self.report.kept.add(file.size)
