# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's main process in a container: its Python, its configuration, its user. Nothing is asked that /proc tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import absolute
from ..synapse_service import SynapseCommand, parse_command

PROC = Path("/proc")
_WHOLE_RANGE = ["0", "0", "4294967295"]


@dataclass(frozen=True)
class SynapseProcess:
    """Paths are those in the container."""

    command: SynapseCommand
    uid: int
    gid: int
    home: str
    working_directory: str


def synapse_process(name: str, process_id: int, directory: str) -> SynapseProcess:
    """The main process of Synapse in the container, which starts in this directory there.

    Raises ConfigurationError if it does not run.
    """
    if not process_id:
        raise ConfigurationError(
            f"The container {name} does not run, so nothing shows how it starts Synapse. Start its service and "
            "run again."
        )
    if _uid_map(process_id) != _WHOLE_RANGE:
        raise ConfigurationError(
            f"The container {name} has user ids of its own (userns-remap or a user namespace), which is not supported: "
            "its files have other owners on the host. Run it with --userns=host, or take UserNS= out of its file for "
            "Quadlet."
        )
    for process in _with_descendants(process_id):
        command = _command(process)
        if command is not None:
            return _described(process, command, directory)
    raise ConfigurationError(
        f"No process in the container {name} is Synapse's main process (python -m synapse.app.homeserver). Correct "
        "synapse_s3_synapse_container, or wait until Synapse has started, and run again."
    )


def runs_worker(process_id: int) -> bool:
    """Whether one of Synapse's workers runs in the container with this first process."""
    found = [
        _command(process, workers=True) is not None and _command(process) is None
        for process in _with_descendants(process_id)
    ]
    return any(found)


def _described(process: int, command: SynapseCommand, directory: str) -> SynapseProcess:
    status = dict(
        line.split(":", 1) for line in (PROC / str(process) / "status").read_text().splitlines() if ":" in line
    )
    return SynapseProcess(
        command=SynapseCommand(
            command.python, [absolute(path, directory) for path in command.config_paths], command.keys_directory
        ),
        uid=int(status["Uid"].split()[1]),
        gid=int(status["Gid"].split()[1]),
        home=_environment(process).get("HOME", "/"),
        working_directory=directory,
    )


def _command(process: int, *, workers: bool = False) -> SynapseCommand | None:
    try:
        words = [os.fsdecode(word) for word in (PROC / str(process) / "cmdline").read_bytes().split(b"\0")[:-1]]
        environment = _environment(process)
    except OSError:
        # It has ended meanwhile.
        return None
    if not words:
        return None
    # The search path is that of the container, in which the engine looks a bare name up.
    return parse_command(words, environment, workers=workers, locate=lambda program, _path: program)


def _environment(process: int) -> dict[str, str]:
    words = (PROC / str(process) / "environ").read_bytes().split(b"\0")
    return dict(os.fsdecode(word).split("=", 1) for word in words if b"=" in word)


def _uid_map(process: int) -> list[str]:
    return (PROC / str(process) / "uid_map").read_text().split()


def _with_descendants(process: int) -> Iterator[int]:
    """The process and all below it, nearest first: a container may start with an init or a wrapper."""
    parents: dict[int, list[int]] = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            # The name of the program stands in parentheses and may contain spaces.
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(path.parent.name))
    waiting = [process]
    while waiting:
        found = waiting.pop(0)
        yield found
        waiting += sorted(parents.get(found, []))
