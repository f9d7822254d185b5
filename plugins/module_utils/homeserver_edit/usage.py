# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the configuration files that still name the S3 storage provider, before its package is removed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..synapse_installation import PACKAGED
from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import YAML_IMPORT_ERROR, config_files, read_text
from ..synapse_processes import same_python
from ..synapse_service import SynapseCommand, synapse_processes
from ..systemd_unit import Run
from .entry import PROVIDER_MODULES
from .managed_block import BEGIN
from .managed_entry import without_managed_entry

_MODULES = tuple(module.partition(".")[0] for module in PROVIDER_MODULES)
_COMMENT = re.compile(r"(^|\s)#.*$", re.MULTILINE)


@dataclass(frozen=True)
class PlannedRemoval:
    """What will be removed.

    `config_paths`: the files and directories of the Synapse that was found, from which the entry is removed; empty if
    none was found.
    `recorded_paths`: the same at the time of the installation; empty if there is no record.
    `python`: the Python whose packages are removed; an empty string if none are.
    """

    config_paths: Sequence[str]
    recorded_paths: Sequence[str]
    python: str


@dataclass(frozen=True)
class Usage:
    """The files that name the provider.

    `left_behind`: those in which the removal would leave an entry, so that Synapse would not start.
    `used_by`: those with an entry of the operator's whose Synapse runs with the same Python, so that the packages have
    to stay.
    """

    left_behind: list[str]
    used_by: list[str]


def find_usage(run: Run, removal: PlannedRemoval) -> Usage:
    """Reads the files of the removal and of every service that starts Synapse. Raises MediaError and OSError."""
    processes = synapse_processes(run)
    edited = _files(removal.config_paths)
    recorded = _files(removal.recorded_paths)
    if not removal.config_paths and not removal.recorded_paths:
        # The files with the managed entry are unknown, so all that can be found are read.
        recorded = _files([*PACKAGED.config_paths, *(path for process in processes for path in process.config_paths)])
    not_edited = [path for path in recorded if path not in edited]
    left_behind = [
        path
        for path in not_edited
        if _has_managed_entry(path) or (not removal.config_paths and removal.python and _names_provider(_text(path)))
    ]
    sharing = [path for process in processes if _same_python(process, removal.python) for path in process.config_paths]
    used_by = [path for path in edited if _names_provider(_without_managed_entry(path))]
    used_by += [path for path in [*not_edited, *_files(sharing)] if path not in edited and _names_provider(_text(path))]
    return Usage(left_behind, sorted(set(used_by) - set(left_behind)))


def _files(paths: Sequence[str]) -> list[str]:
    """The files that exist, each once."""
    return list(dict.fromkeys(path for path in config_files(paths) if Path(path).is_file()))


def _same_python(process: SynapseCommand, python: str) -> bool:
    return bool(python) and same_python(process.python, python)


def _text(path: str) -> str:
    """The text of the file in any encoding: it may be a file with which Synapse does not start."""
    return Path(path).read_bytes().decode("utf-8", errors="replace")


def _without_managed_entry(path: str) -> str:
    if YAML_IMPORT_ERROR:
        return _text(path)
    try:
        return without_managed_entry(read_text(path), path)
    except ConfigurationError:
        return _text(path)


def _has_managed_entry(path: str) -> bool:
    text = _text(path)
    return BEGIN in text or _without_managed_entry(path) != text


def _names_provider(text: str) -> bool:
    settings = _COMMENT.sub("", text)
    return any(module in settings for module in _MODULES)
