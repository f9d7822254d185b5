# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media.cli status``: what is on the disk, in the bucket, on both and nowhere; changes nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys

from ..errors import MediaError
from ..offload.settings import OffloadSettings
from ..process.privileges import become
from ..process.signals import hold_signals
from ..settings.config import read_config
from ..status.job import prepare, status_job, status_of, usage_of
from ..status.report import NOT_KNOWN
from ..status.text import check_line, full_report, report
from ..status.units import DEFAULT_UNIT, ask_systemd, migrate_job
from .arguments import add_verb

_EVERY = 100_000


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser], command: str | None = None) -> None:
    parser = add_verb(verbs, "status", command, "compare database, disk and bucket, and say whether media is safe")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument(
        "--check",
        action="store_true",
        help="print one line, and exit as a monitoring plugin: 0 OK, 1 warning, 2 critical, 3 unknown",
    )
    parser.add_argument("--usage", action="store_true", help="say too whose media takes how much")
    # The command on the host asks systemd and the container engine, which cannot be asked from within a container.
    parser.add_argument("--host-facts", metavar="TEXT", help=argparse.SUPPRESS)
    parser.add_argument("--unit", default=DEFAULT_UNIT, help=argparse.SUPPRESS)
    parser.set_defaults(function=status)


def status(options: argparse.Namespace) -> int:
    """Prints the status and returns the exit status: 0, or that of a monitoring plugin."""
    facts = options.host_facts if options.host_facts is not None else ask_systemd(options.unit)
    try:
        config = read_config(options.config, os.environ)
        job = status_job(config.source, config.store, OffloadSettings.of_file(config))
        account = prepare(job, options.user)
        if account is not None:
            become(account)
    except MediaError as error:
        if not options.check:
            raise
        sys.stdout.write(f"SYNAPSE_S3 UNKNOWN - {error}\n".replace("|", "/"))
        return NOT_KNOWN
    watch = _Watch()
    found = status_of(job, migrate_job(facts), watch.observe if sys.stderr.isatty() else None)
    if options.usage:
        found.usage, found.usage_problem = usage_of(job)
    hold_signals()
    watch.clear()
    if options.check:
        sys.stdout.write(check_line(found))
        return found.exit_status
    sys.stdout.write(json.dumps(full_report(found)) + "\n" if options.json else report(found))
    return 0


class _Watch:
    """Shows on a terminal how far the comparison is."""

    def __init__(self) -> None:
        self._next = _EVERY
        self._shown = False

    def observe(self, objects: int, rows: int, files: int) -> None:
        if objects + rows + files < self._next:
            return
        self._next = objects + rows + files + _EVERY
        self._shown = True
        sys.stderr.write(f"\rcompared {objects} objects, {rows} rows, {files} files ")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
