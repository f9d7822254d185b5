# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands `migrate` and `prepare`: all three steps in order, or the files for running them by hand."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from ..config import ConfigFile, flag, read_config, refuse_unknown, text
from ..durations import parse_duration
from ..errors import ConfigurationError
from ..privileges import become, worker
from ..signals import hold_signals
from ..source import resolve
from ..state_directory import make_state_dir
from .command import COMMANDS, Command, check_synapse, run_step
from .report import report_of_error, report_of_result
from .script import default_path
from .session import SessionSettings, open_job, prepare
from .summary import combined, summary_line

_KEYS = ("older_than", "delete_local", "provider_check", "state_dir", "script")


def migrate(options: argparse.Namespace) -> int:
    started = time.monotonic()
    reports: dict[str, dict[str, Any]] = {}
    step = None
    status = 0
    try:
        config = read_config(options.config, os.environ)
        commands = _commands(config)
        deletes = any(command.delete and command.provider_check for command in commands)
        settings = _settings(config, deletes=deletes, rehearse=options.dry_run, show_progress=options.progress)
        for command in commands:
            unchecked = check_synapse(command, settings)
            if unchecked:
                sys.stderr.write(f"{options.command}: {unchecked}\n")
        _start(settings, options.user)
        with open_job(settings) as job:
            for command in commands:
                step = command.name
                reports[step] = report_of_result(run_step(job, command))
    except Exception as error:
        reports["error"] = {**report_of_error(error), "step": step}
        status = getattr(error, "exit_status", 1)
    # The steps before the failure are reported too.
    hold_signals()
    report = combined(reports, options.dry_run, time.monotonic() - started)
    _print_report(report, options.command, as_json=options.json)
    return status


def prepare_by_hand(options: argparse.Namespace) -> int:
    settings = _settings(read_config(options.config, os.environ))
    _start(settings, options.user)
    prepare(settings)
    return 0


def _settings(
    config: ConfigFile, *, deletes: bool = False, rehearse: bool = False, show_progress: bool = False
) -> SessionSettings:
    where = f"migrate in {config.path}"
    refuse_unknown(config.migrate, _KEYS, where)
    state_dir = text(config.migrate, "state_dir", where)
    if state_dir is None or not state_dir.startswith("/"):
        raise ConfigurationError(f"state_dir of {where} is {state_dir!r}. Write the directory in full.")
    return SessionSettings(
        source=resolve(config.source, with_processes=deletes),
        store=config.store,
        state_dir=state_dir,
        script=text(config.migrate, "script", where) or default_path(),
        rehearse=rehearse,
        show_progress=show_progress,
    )


def _commands(config: ConfigFile) -> list[Command]:
    where = f"migrate in {config.path}"
    older_than = text(config.migrate, "older_than", where) or "1d"
    # Refused before the first step, not after it.
    parse_duration(older_than, f"older_than of {where}")
    delete = flag(config.migrate, "delete_local", where, default=True)
    provider_check = flag(config.migrate, "provider_check", where, default=True)
    return [Command(name, older_than, delete and name == "upload", provider_check) for name in COMMANDS]


def _start(settings: SessionSettings, user: str | None) -> None:
    account = worker(user, settings.source.media_path)
    if not settings.rehearse:
        make_state_dir(settings.state_dir, account)
    if account is not None:
        become(account)


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
