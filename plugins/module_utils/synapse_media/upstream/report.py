# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each step did, or in a dry run would do, also if it failed; its report for JSON and Ansible, and a summary."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

from ..errors import MediaError, ScriptError
from ..reporting import Diff
from ..settings.units import in_words

KEPT = 1000
SHOWN = 5
_COUNTS = (
    "rows_synced",
    "rows_reoffered",
    "marked_deleted",
    "media_total",
    "media_uploaded",
    "files_uploaded",
    "bytes_uploaded",
    "media_deleted",
    "files_deleted",
    "bytes_deleted",
)
_LISTS = ("left_alone", "failed_files", "differing_files")


class Problem(NamedTuple):
    path: str
    error: str


class Problems:
    """Files with problems: the first thousand are named, the others only counted."""

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self._count = 0

    def add(self, path: str, error: str) -> None:
        self._count += 1
        if len(self._kept) < KEPT:
            self._kept.append(Problem(path if path.isprintable() else repr(path), error))

    def extend(self, others: Problems) -> None:
        self._kept = [*self._kept, *others][:KEPT]
        self._count += len(others)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._kept)

    def __len__(self) -> int:
        return self._count

    def __str__(self) -> str:
        """For a message: the first few with their reasons, and how many more there are."""
        shown = "; ".join(f"{problem.path} ({problem.error})" for problem in self._kept[:SHOWN])
        return shown if self._count <= SHOWN else f"{shown}; and {self._count - SHOWN} more"

    def as_list(self) -> list[dict[str, str]]:
        return [problem._asdict() for problem in self._kept]


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


def report_of_result(result: StepResult) -> dict[str, Any]:
    return {"changed": result.changed, **result.counts(), "diff": result.diff.as_dict()}


def report_of_error(error: Exception) -> dict[str, Any]:
    """Include what was done before the error: a failed run may have uploaded half of the files."""
    report: dict[str, Any] = {"failed": True, "changed": False, "msg": str(error), "error": type(error).__name__}
    if isinstance(error, StepFailedError) and error.result is not None:
        report.update(changed=error.result.changed, **error.result.counts())
    if isinstance(error, ScriptError):
        report["script_lines"] = error.lines
    if not isinstance(error, MediaError):
        # A programming error: only the traceback helps.
        report["msg"] = f"{type(error).__name__}: {error}"
        report["exception"] = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return report


def combined(reports: Mapping[str, Mapping[str, Any]], dry_run: bool, seconds: float) -> dict[str, Any]:
    parts = list(reports.values())
    total: dict[str, Any] = {
        "changed": any(part.get("changed") for part in parts),
        "dry_run": dry_run,
        "seconds": round(seconds, 3),
        **{name: sum(part.get(name, 0) for part in parts) for name in _COUNTS},
        **{name: [item for part in parts for item in part.get(name, [])] for name in _LISTS},
    }
    error = reports.get("error")
    if error:
        kept = ("failed", "msg", "error", "step", "script_lines", "exception")
        total.update({name: error[name] for name in kept if name in error})
    return total


def summary_line(report: Mapping[str, Any]) -> str:
    would_be = "would be " if report["dry_run"] else ""
    counts = (
        f"{report['rows_synced']} rows {would_be}added, {report['rows_reoffered']} offered again, "
        f"{report['marked_deleted']} no longer on disk; "
        f"{report['files_uploaded']} files ({in_words(report['bytes_uploaded'])}) {would_be}uploaded, "
        f"{report['files_deleted']} files ({in_words(report['bytes_deleted'])}) {would_be}deleted; "
        f"{report['seconds']:.1f} s"
    )
    left = f"; {len(report['left_alone'])} files left for the next run" if report["left_alone"] else ""
    return f"{'failed after: ' if report.get('failed') else ''}{counts}{left}"
