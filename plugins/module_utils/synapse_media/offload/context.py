# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every part of a run shares."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..store import StoreSettings
from .local_file import LocalFile, Proven
from .own_unlinks import OwnUnlinks
from .removal import Removals, Removed
from .report import DELETED, Report
from .rows import Rows
from .s3 import S3
from .settings import OffloadSettings
from .transport.loop import Loop


@dataclass
class Context:
    """One run. `root` is the media store, `now` the time (seconds since 1970) that ages are measured from."""

    loop: Loop
    s3: S3
    rows: Rows
    root: str
    store: StoreSettings
    settings: OffloadSettings
    report: Report
    rehearse: bool
    now: float
    # Multipart uploads that are neither completed nor aborted: key and upload id.
    unfinished: set[tuple[str, str]] = field(default_factory=set)
    stopping: bool = False
    own_unlinks: OwnUnlinks = field(default_factory=OwnUnlinks)
    removals: Removals = field(init=False)

    def __post_init__(self) -> None:
        grace = self.settings.grace.total_seconds()
        self.removals = Removals(self.loop, self.root, self.own_unlinks, grace, self.removed)

    def key(self, file: LocalFile) -> str:
        return self.store.prefix + file.path

    def is_stopping(self) -> bool:
        """For work in threads, which no signal ends."""
        return self.stopping

    def fail(self, file: LocalFile, error: object) -> None:
        self.report.fail(file.path, self.key(file), str(error))

    def removed(self, proven: Proven, outcome: Removed) -> None:
        """Counts what became of a file that was to be taken off the disk."""
        file = proven.file
        if isinstance(outcome, OSError):
            self.fail(
                file,
                f"It is in the bucket and could not be taken off the disk ({outcome.strerror}). "
                "Give the file and its directory to Synapse's user.",
            )
        elif outcome == DELETED:
            self.report.done(DELETED, file.path, file.size)
        else:
            self.report.skip(outcome, file.size)
