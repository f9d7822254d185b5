# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome of the last run for Prometheus, as a file that the node exporter's textfile collector reads."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..disk.state_directory import write_whole
from ..errors import ConfigurationError
from ..runs.preflight import problem_with_writing
from .report import DELETED, REPAIRED, UPLOADED, VERIFIED, Report

_PREFIX = "synapse_s3_offload_"
_LAST_SUCCESS = f"{_PREFIX}last_success_timestamp_seconds"
_LAST_SUCCESS_LINE = re.compile(rf"^{_LAST_SUCCESS} ([0-9.e+]+)$", re.MULTILINE)
# The exporter runs as a user of its own.
_MODE = 0o644
_FULL = (errno.ENOSPC, errno.EDQUOT)

Samples = Mapping[str, float]


def check_metrics_file(metrics_file: str | None) -> None:
    if metrics_file is None:
        return
    if Path(metrics_file).is_dir():
        raise ConfigurationError(f"metrics_file is {metrics_file}, which is a directory. Name a file in it.")
    error = problem_with_writing(Path(metrics_file).parent)
    # A disk that is full now may have room for metrics at the end of the run.
    if error is not None and error.errno not in _FULL:
        raise ConfigurationError(
            f"The directory of metrics_file {metrics_file} cannot be written to ({error.strerror}). "
            "Make it and give it to the user this runs as, or leave metrics_file out."
        ) from error


def write_metrics(path: str, report: Report, *, media_path: str, exit_status: int) -> None:
    """Replaces the file in one step. Raises OSError."""
    file = Path(path)
    ended = time.time()
    last_success = ended if exit_status == 0 else _last_success(file)
    families = _families(report, media_path, exit_status, ended, last_success)
    write_whole(file, "".join(_lines(families)), _MODE)


def _families(
    report: Report, media_path: str, exit_status: int, ended: float, last_success: float
) -> Iterator[tuple[str, str, str, Samples]]:
    """Name, explanation, label and samples by the label's value; one sample without a label has the value "" for it."""
    tallies = {outcome: getattr(report, outcome) for outcome in (UPLOADED, VERIFIED, REPAIRED, DELETED)}
    tallies["scanned"] = report.scanned
    if report.kept is not None:
        tallies["kept"] = report.kept
    files = {outcome: tally.files for outcome, tally in tallies.items()}
    yield "last_success_timestamp_seconds", "When a run last did all it had to; 0 for never.", "", {"": last_success}
    yield "last_run_timestamp_seconds", "When the last run ended.", "", {"": ended}
    yield "duration_seconds", "How long the last run took.", "", {"": round(report.seconds, 3)}
    yield "success", "Whether the last run did all it had to.", "", {"": int(exit_status == 0)}
    yield "exit_status", "The exit status of the last run.", "", {"": exit_status}
    yield "files", "Files of the last run.", "outcome", {**files, "failed": report.failures}
    yield "bytes", "Their bytes.", "outcome", {outcome: tally.bytes for outcome, tally in tallies.items()}
    skipped = report.skipped
    yield "skipped_files", "Files left alone.", "reason", {name: tally.files for name, tally in skipped.items()}
    yield "skipped_bytes", "Their bytes.", "reason", {name: tally.bytes for name, tally in skipped.items()}
    selected = report.selected
    yield "selected_files", "Files to move, by cause.", "setting", {name: each.files for name, each in selected.items()}
    yield "selected_bytes", "Their bytes.", "setting", {name: each.bytes for name, each in selected.items()}
    yield "requests", "Requests to the store.", "kind", report.requests
    yield "database_rows", "Rows the database sent.", "", {"": report.database_rows}
    try:
        disk = os.statvfs(media_path)
    except OSError:
        # The run has refused a media store that does not exist.
        return
    yield "disk_free_bytes", "Free on the media store's disk.", "", {"": disk.f_bavail * disk.f_frsize}
    yield "disk_size_bytes", "Size of the media store's disk.", "", {"": disk.f_blocks * disk.f_frsize}


def _lines(families: Iterator[tuple[str, str, str, Samples]]) -> Iterator[str]:
    for name, explanation, label, samples in families:
        if not samples:
            continue
        yield f"# HELP {_PREFIX}{name} {explanation}\n# TYPE {_PREFIX}{name} gauge\n"
        for value, sample in sorted(samples.items()):
            labels = f'{{{label}="{value}"}}' if label else ""
            yield f"{_PREFIX}{name}{labels} {sample}\n"


def _last_success(file: Path) -> float:
    """The value from the file of an earlier run, or 0 if there is none."""
    try:
        match = _LAST_SUCCESS_LINE.search(file.read_text(encoding="utf-8"))
        return float(match.group(1)) if match else 0.0
    except (OSError, ValueError):
        return 0.0
