# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One report of several steps, and its one-line summary for a journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..settings.units import in_words

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
