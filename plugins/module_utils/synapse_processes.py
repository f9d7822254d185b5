# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of one Synapse: its main process and its workers, each with the files that it reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .synapse_media.errors import ConfigurationError
from .synapse_media.settings.homeserver import absolute, config_files
from .synapse_service import SynapseCommand, command_of, is_worker, synapse_services
from .systemd_unit import Run, Unit


@dataclass(frozen=True)
class Process:
    """One process of Synapse.

    `service`: None if Synapse was found without a service.
    `stopped`: whether nobody wants it to run; a service that failed is neither active nor stopped.
    `named`: whether the operator has named the service; otherwise it was found by the files that it reads.
    `config_paths`: absolute, in the order of its -c options.
    """

    service: str | None
    worker: bool
    active: bool
    stopped: bool
    named: bool
    python: str
    config_paths: list[str]
    working_directory: str
    keys_directory: str
    user: str
    group: str


def main_of(units: Sequence[Unit]) -> Unit:
    """The first unit that starts a main process; the first worker on a host that has only workers."""
    return next((unit for unit in units if not is_worker(unit)), units[0])


def workers_alone(run: Run) -> Unit | None:
    """The first service of a worker, for a host on which no main process runs; None if there is none."""
    return next((unit for unit, _command in synapse_services(run) if is_worker(unit)), None)


def processes(run: Run, main: Process, named: Sequence[Unit]) -> list[dict[str, Any]]:
    """The main process, the named ones, and every worker that reads one of their files.

    Two Synapses on one host have files of their own, so a worker that shares a file belongs to this one. Raises
    ConfigurationError if a named service does not start Synapse in a known way.
    """
    found = [main, *(_process(unit, command_of(unit), main, named=True) for unit in named)]
    read = {path for process in found for path in _real_files(process.config_paths)}
    services = {process.service for process in found}
    for unit, command in synapse_services(run):
        if unit.name in services or not is_worker(unit):
            continue
        process = _process(unit, command, main, named=False)
        # Of a worker that was removed its unit may be left: without its files it cannot start.
        can_start = all(os.access(path, os.R_OK) for path in process.config_paths)
        if can_start and read.intersection(_real_files(process.config_paths)):
            found.append(process)
    return [asdict(process) for process in found]


def same_python(one: str, other: str) -> bool:
    """Whether both are of one virtualenv."""
    # Their directories are compared, because the Pythons of all virtualenvs are links to the same file.
    return os.path.realpath(Path(one).parent) == os.path.realpath(Path(other).parent)


def _process(unit: Unit, command: SynapseCommand, main: Process, *, named: bool) -> Process:
    directory = unit.working_directory or "/"
    directory = main.working_directory if directory == "~" else directory
    paths = [absolute(path, directory) for path in command.config_paths]
    if named and not paths:
        raise ConfigurationError(
            f"{unit.name} names no configuration file. Correct synapse_s3_synapse_services, or its ExecStart."
        )
    keys_directory = command.keys_directory or str(Path(_files(paths)[-1]).parent if paths else directory)
    user = unit.user or "root"
    return Process(
        service=unit.name,
        worker=is_worker(unit),
        active=unit.active,
        stopped=unit.stopped,
        named=named,
        python=absolute(command.python, directory),
        config_paths=paths,
        working_directory=directory,
        keys_directory=absolute(keys_directory, directory),
        user=user,
        group=unit.group or (main.group if user == main.user else ""),
    )


def _files(paths: Sequence[str]) -> list[str]:
    return config_files(paths) or list(paths)


def _real_files(paths: Sequence[str]) -> set[str]:
    return {os.path.realpath(path) for path in _files(paths)}


def media_services(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the processes that serve media and that somebody wants to run."""
    return [process for process in found if process["serves_media"] and process["service"] and not process["stopped"]]
