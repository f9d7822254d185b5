# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media.cli offload``: moves media to the bucket, each file proven there before it is deleted."""

from __future__ import annotations

import argparse
import os
import sys

from ..offload.job import attempt, failed, job_of
from ..offload.progress import FileCount, OffloadProgress
from ..offload.report import Report
from ..offload.settings import OffloadSettings
from ..process.privileges import become
from ..process.signals import Stopped
from ..settings.config import read_config
from .arguments import add_output, add_verb
from .running import shown, tell


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
    return tell(options, *_run(options))


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

    def progress() -> OffloadProgress:
        count = None
        if sys.stderr.isatty():
            count = FileCount(job.source.media_path, settings.shard.count)
            count.start()
        return OffloadProgress(sys.stderr, options.command, count)

    return shown(options, attempt, progress, job)
