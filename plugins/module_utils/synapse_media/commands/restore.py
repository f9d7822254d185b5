# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media.cli restore``: brings media back from the bucket, and proves each file before."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys

from ..offload.settings import OffloadSettings
from ..process.privileges import become
from ..process.signals import Stopped
from ..restore.job import attempt, job_of
from ..restore.progress import RestoreProgress
from ..restore.report import Report
from ..restore.settings import RestoreSettings, Selection
from ..runs.job import failed
from ..settings.config import ConfigFile, read_config
from ..settings.units import parse_size
from .arguments import add_output, add_verb
from .running import shown, tell


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser], command: str | None = None) -> None:
    purpose = "bring media back from the bucket to the disk, each file proven before it is put in place"
    parser = add_verb(verbs, "restore", command, purpose)
    add_output(
        parser,
        progress="show how far it is: a bar on a terminal, a line every 30 seconds otherwise (default: show it)",
        progress_default=True,
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--local", dest="kind", action="store_const", const="local", help="only this server's own media")
    kind.add_argument("--remote", dest="kind", action="store_const", const="remote", help="only media of other servers")
    parser.add_argument(
        "--origin", dest="origins", action="append", metavar="SERVER", help="only media of this server; may be repeated"
    )
    parser.add_argument(
        "--uploaded-by",
        dest="users",
        action="append",
        metavar="USER",
        help="only what this user uploaded, such as @a:b",
    )
    parser.add_argument(
        "--id",
        dest="media_ids",
        action="append",
        metavar="ID",
        help="only this media, such as mxc://example.org/abc or the id alone; may be repeated",
    )
    parser.add_argument("--newer-than", metavar="AGE", help="only media that was used within this time, such as 30d")
    parser.add_argument("--originals-only", action="store_true", help="no thumbnails: Synapse makes them again")
    parser.add_argument(
        "--without-rows", action="store_true", help="also objects whose media is no longer in Synapse's database"
    )
    parser.add_argument("--verify", action="store_true", help="read what is on the disk fully, and compare it")
    parser.add_argument("--bandwidth-limit", metavar="SIZE", help="bytes a second, such as 10M (default: as the job's)")
    parser.set_defaults(function=restore)


def restore(options: argparse.Namespace) -> int:
    """Runs it, prints the report, and returns the exit status."""
    return tell(options, *_run(options))


def _run(options: argparse.Namespace) -> tuple[Report, int]:
    try:
        selection = Selection.from_mapping(vars(options))
        config = read_config(options.config, os.environ)
        settings = _settings(config, selection, options)
        job = job_of(config.source, config.store, settings, rehearse=options.dry_run)
        account = job.prepare(options.user)
        if account is not None:
            become(account)
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return failed(error, Report(dry_run=options.dry_run))
    return shown(options, attempt, lambda: RestoreProgress(sys.stderr, options.command), job)


def _settings(config: ConfigFile, selection: Selection, options: argparse.Namespace) -> RestoreSettings:
    job = OffloadSettings.of_file(config)
    settings = RestoreSettings(job.state_dir, selection, job.concurrency, job.bandwidth_limit, options.verify)
    if options.bandwidth_limit:
        limit = parse_size(options.bandwidth_limit, "--bandwidth-limit")
        settings = dataclasses.replace(settings, bandwidth_limit=limit)
    return settings
