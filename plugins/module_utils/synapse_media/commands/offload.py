# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media.cli offload``: moves media to the bucket, each file proven there before it is deleted."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TextIO

from ..offload.job import attempt, failed, job_of
from ..offload.progress import FileCount, Progress, failure_line
from ..offload.report import Report, remarks, summary
from ..offload.settings import OffloadSettings
from ..process.privileges import become
from ..process.signals import Stopped, hold_signals
from ..settings.config import read_config
from .arguments import add_output, add_verb


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser], command: str | None = None) -> None:
    purpose = "move media to the bucket, each file proven there before it is deleted"
    parser = add_verb(verbs, "offload", command, purpose)
    add_output(
        parser,
        progress="show how far it is: a bar on a terminal, a line every 30 seconds otherwise (default: show it)",
        progress_default=True,
    )
    parser.set_defaults(function=offload)


def offload(options: argparse.Namespace) -> int:
    """Runs it, prints the report, and returns the exit status."""
    report, status = _run(options)
    hold_signals()
    name = options.command
    for line in remarks(report):
        _say(sys.stderr, f"{name}: {line}")
    if report.exception is not None:
        _say(sys.stderr, report.exception)
    _say(sys.stdout, json.dumps(report.as_dict()) if options.json else f"{name}: {summary(report)}")
    return status


def _run(options: argparse.Namespace) -> tuple[Report, int]:
    try:
        config = read_config(options.config, os.environ)
        settings = OffloadSettings.from_mapping(config.offload, f"offload in {config.path}")
        job = job_of(config.source, config.store, settings, rehearse=options.dry_run)
        account = job.prepare(options.user)
        if account is not None:
            become(account)
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return failed(error, rehearse=options.dry_run)
    name = options.command
    if not options.progress:
        return attempt(job, on_failure=lambda failure: _say(sys.stderr, f"{name}: {failure_line(failure)}"))
    count = None
    if sys.stderr.isatty():
        count = FileCount(job.source.media_path, settings.shard.count)
        count.start()
    progress = Progress(sys.stderr, name, count)
    try:
        return attempt(
            job,
            observe=progress.observe,
            on_failure=lambda failure: progress.write(f"{name}: {failure_line(failure)}"),
        )
    finally:
        progress.clear()


def _say(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()
