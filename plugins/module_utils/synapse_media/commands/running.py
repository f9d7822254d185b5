# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the commands that move media do around their runs: progress and failures as they happen, then the report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

from ..process.signals import hold_signals
from ..runs.progress import Progress
from ..runs.report import RunReport, failure_line

R = TypeVar("R", bound=RunReport)


def shown(
    options: argparse.Namespace, attempt: Callable[..., tuple[R, int]], progress: Callable[[], Progress[R]], job: Any
) -> tuple[R, int]:
    """Runs `attempt` with the job, and shows each failure and, if asked for, how far it is."""
    name = options.command
    if not options.progress:
        return attempt(job, on_failure=lambda failure: _say(sys.stderr, f"{name}: {failure_line(failure)}"))
    drawing = progress()
    try:
        return attempt(
            job,
            observe=drawing.observe,
            on_failure=lambda failure: drawing.write(f"{name}: {failure_line(failure)}"),
        )
    finally:
        drawing.clear()


def tell(options: argparse.Namespace, report: RunReport, status: int) -> int:
    """Prints the report, and returns the exit status. Signals are held from here on: it is about to end."""
    hold_signals()
    name = options.command
    for line in report.remarks():
        _say(sys.stderr, f"{name}: {line}")
    if report.exception is not None:
        _say(sys.stderr, report.exception)
    _say(sys.stdout, json.dumps(report.as_dict()) if options.json else f"{name}: {report.summary()}")
    return status


def _say(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()
