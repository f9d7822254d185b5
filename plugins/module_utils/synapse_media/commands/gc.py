# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media.cli gc``: takes objects out of the bucket whose media has no row any more."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys

from ..collect.job import Job, attempt, job_of
from ..collect.progress import CollectProgress
from ..collect.report import Report
from ..collect.settings import DEFAULT_MAX_PERCENT, DEFAULT_MIN_AGE, DEFAULT_TRASH_KEEP, CollectSettings
from ..offload.settings import OffloadSettings
from ..process.privileges import become
from ..process.signals import Stopped
from ..runs.job import failed
from ..settings.config import read_config
from ..settings.key_pair import read_key_pair
from .arguments import add_output, add_verb
from .running import shown, tell


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser], command: str | None = None) -> None:
    purpose = "find objects whose media has no row any more, and with --confirm put them into the trash"
    parser = add_verb(verbs, "gc", command, purpose)
    add_output(
        parser,
        progress="show how far it is: a bar on a terminal, a line every 30 seconds otherwise (default: show it)",
        progress_default=True,
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--confirm", action="store_true", help="act; without it the run records what has no row, and deletes nothing"
    )
    action.add_argument("--undo", metavar="LOG", help="bring back what the run of this log has put into the trash")
    parser.add_argument(
        "--min-age",
        metavar="AGE",
        help=f"nothing younger, and nothing known to have no row for less long (default: {DEFAULT_MIN_AGE})",
    )
    parser.add_argument(
        "--max-percent",
        type=int,
        metavar="NUMBER",
        help=f"refuse if more of the objects have no row (default: {DEFAULT_MAX_PERCENT})",
    )
    parser.add_argument("--no-trash", dest="trash", action="store_false", help="delete at once, with no way back")
    parser.add_argument(
        "--trash-keep",
        metavar="AGE",
        help=f"how long objects stay in the trash (default: {DEFAULT_TRASH_KEEP})",
    )
    parser.add_argument(
        "--keys-from-stdin",
        action="store_true",
        help="read access_key_id and secret_access_key, as YAML or JSON, from the standard input: those of the job "
        "should not be able to delete",
    )
    parser.set_defaults(function=gc)


def gc(options: argparse.Namespace) -> int:
    """Runs it, prints the report, and returns the exit status."""
    return tell(options, *_run(options))


def _run(options: argparse.Namespace) -> tuple[Report, int]:
    try:
        job = _job(options)
        account = job.prepare(options.user)
        if account is not None:
            become(account)
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return failed(error, Report(dry_run=options.dry_run, confirmed=options.confirm))
    return shown(options, attempt, lambda: CollectProgress(sys.stderr, options.command), job)


def _job(options: argparse.Namespace) -> Job:
    keys = read_key_pair(sys.stdin) if options.keys_from_stdin else {}
    config = read_config(options.config, os.environ)
    of_job = OffloadSettings.of_file(config)
    settings = CollectSettings.from_mapping(vars(options), of_job.state_dir, of_job.concurrency)
    store = dataclasses.replace(config.store, **keys) if keys else config.store
    return job_of(config.source, store, settings, rehearse=options.dry_run)
