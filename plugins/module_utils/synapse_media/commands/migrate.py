# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media.cli migrate``: all three steps of upstream's script, in their order."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from ..process.signals import hold_signals
from ..settings.config import ConfigFile, flag, read_config, text
from ..settings.units import parse_duration
from ..upstream.command import COMMANDS, Command, check_synapse, run_step
from ..upstream.job import become_worker, open_job, settings_of
from ..upstream.report import combined, report_of_error, report_of_result, summary_line
from .arguments import add_output, add_verb


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser], command: str | None = None) -> None:
    parser = add_verb(verbs, "migrate", command, "move media to the bucket with upstream's script")
    add_output(parser, progress="show progress bars (default: on a terminal)", progress_default=sys.stderr.isatty())
    parser.set_defaults(function=migrate)


def migrate(options: argparse.Namespace) -> int:
    started = time.monotonic()
    reports: dict[str, dict[str, Any]] = {}
    step = None
    status = 0
    try:
        config = read_config(options.config, os.environ)
        commands = _commands(config)
        deletes = any(command.delete and command.provider_check for command in commands)
        settings = settings_of(config, deletes=deletes, rehearse=options.dry_run, show_progress=options.progress)
        for command in commands:
            unchecked = check_synapse(command, settings)
            if unchecked:
                sys.stderr.write(f"{options.command}: {unchecked}\n")
        become_worker(settings, options.user)
        with open_job(settings) as job:
            for command in commands:
                step = command.name
                reports[step] = report_of_result(run_step(job, command))
    except Exception as error:
        reports["error"] = {**report_of_error(error), "step": step}
        status = getattr(error, "exit_status", 1)
    # The report is printed in full.
    hold_signals()
    report = combined(reports, options.dry_run, time.monotonic() - started)
    _print_report(report, options.command, as_json=options.json)
    return status


def _commands(config: ConfigFile) -> list[Command]:
    where = f"migrate in {config.path}"
    older_than = text(config.migrate, "older_than", where) or "1d"
    # Checked before the first step.
    parse_duration(older_than, f"older_than of {where}")
    delete = flag(config.migrate, "delete_local", where, default=True)
    provider_check = flag(config.migrate, "provider_check", where, default=True)
    return [Command(name, older_than, delete and name == "upload", provider_check) for name in COMMANDS]


def _print_report(report: dict[str, Any], name: str, *, as_json: bool) -> None:
    if report.get("failed"):
        for line in report.get("script_lines", []):
            sys.stderr.write(f"  {line}\n")
        if "exception" in report:
            sys.stderr.write(f"{report['exception']}\n")
        step = f"{report['step']}: " if report.get("step") else ""
        sys.stderr.write(f"{name}: {step}{report['msg']}\n")
    line = json.dumps(report) if as_json else f"{name}: {summary_line(report)}"
    sys.stdout.write(f"{line}\n")
