# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each step did, or in a dry run would do, and the error that includes what was done before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from ..errors import ScriptError
from ..reporting import Diff


@dataclass
class StepResult:
    """`changed` is true if any of the counts that stand for a change is not zero."""

    counted_as_change: ClassVar[tuple[str, ...]] = ()

    diff: Diff = field(default_factory=Diff)

    @property
    def changed(self) -> bool:
        return any(getattr(self, name) for name in self.counted_as_change)

    def counts(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "diff"}


@dataclass
class UpdateDbResult(StepResult):
    counted_as_change: ClassVar[tuple[str, ...]] = ("rows_synced", "rows_reoffered")

    rows_synced: int = 0
    rows_reoffered: int = 0


@dataclass
class CheckDeletedResult(StepResult):
    counted_as_change: ClassVar[tuple[str, ...]] = ("marked_deleted",)

    marked_deleted: int = 0


@dataclass
class UploadResult(StepResult):
    counted_as_change: ClassVar[tuple[str, ...]] = ("files_uploaded", "files_deleted", "marked_deleted")

    media_total: int = 0
    media_uploaded: int = 0
    files_uploaded: int = 0
    bytes_uploaded: int = 0
    media_deleted: int = 0
    files_deleted: int = 0
    bytes_deleted: int = 0
    marked_deleted: int = 0
    # Created or changed while the script ran; the next run moves them.
    left_alone: list[str] = field(default_factory=list)
    failed_files: list[dict[str, str]] = field(default_factory=list)
    differing_files: list[str] = field(default_factory=list)


class StepFailedError(ScriptError):
    """A step did not complete; `result` says what it did until then."""

    def __init__(self, message: str, reason: str, lines: Sequence[str] = (), result: StepResult | None = None) -> None:
        super().__init__(message, reason, lines)
        self.result = result
