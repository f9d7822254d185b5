# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which configuration on this host names the S3 storage provider, whose package must stay for as long as one does."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..synapse_installation import PACKAGED
from ..synapse_media.errors import ConfigurationError
from ..synapse_media.homeserver import YAML_IMPORT_ERROR, config_files, read_text
from ..synapse_service import SynapseCommand, synapse_processes
from ..systemd_unit import Run
from .entry import PROVIDER_MODULE
from .managed_block import BEGIN, remove_block

_MODULE = PROVIDER_MODULE.partition(".")[0]
_COMMENT = re.compile(r"(^|\s)#.*$", re.MULTILINE)


@dataclass(frozen=True)
class Removal:
    """What is about to be removed.

    `config_paths`: what the Synapse that was found is started with, from which the entry is removed; empty where none
    was found. `recorded_paths`: the same at the time of the installation; empty where there is no record.
    `python`: the Python whose packages are to be removed, or an empty string.
    """

    config_paths: Sequence[str]
    recorded_paths: Sequence[str]
    python: str


@dataclass(frozen=True)
class Usage:
    """`left_behind`: files in which the removal would leave an entry that loads the storage provider.

    `used_by`: files that name it for good reason and whose Synapse runs with the same Python, so that the packages have
    to stay.
    """

    left_behind: list[str]
    used_by: list[str]


def usage(run: Run, removal: Removal) -> Usage:
    processes = synapse_processes(run)
    edited = _files(removal.config_paths)
    recorded = _files(removal.recorded_paths)
    if not removal.config_paths and not removal.recorded_paths:
        # Nothing tells which configuration was ours: whatever is there counts.
        recorded = _files([*PACKAGED.config_paths, *(path for process in processes for path in process.config_paths)])
    not_edited = [path for path in recorded if path not in edited]
    left_behind = [
        path
        for path in not_edited
        if _has_block(path) or (not removal.config_paths and removal.python and _names_provider(_text(path)))
    ]
    sharing = [path for process in processes if _same_python(process, removal.python) for path in process.config_paths]
    used_by = [path for path in edited if _names_provider(_without_block(path))]
    used_by += [path for path in [*not_edited, *_files(sharing)] if path not in edited and _names_provider(_text(path))]
    return Usage(left_behind, sorted(set(used_by) - set(left_behind)))


def _files(paths: Sequence[str]) -> list[str]:
    """The files that are there, each once."""
    return list(dict.fromkeys(path for path in config_files(paths) if Path(path).is_file()))


def _same_python(process: SynapseCommand, python: str) -> bool:
    # By their directories: the Pythons of all virtualenvs are links to the same file.
    return bool(python) and os.path.realpath(Path(process.python).parent) == os.path.realpath(Path(python).parent)


def _text(path: str) -> str:
    """What can be read of the file, whatever its encoding: it may be one that Synapse does not start with."""
    return Path(path).read_bytes().decode("utf-8", errors="replace")


def _without_block(path: str) -> str:
    if YAML_IMPORT_ERROR:
        return _text(path)
    try:
        return remove_block(read_text(path), path)
    except ConfigurationError:
        return _text(path)


def _has_block(path: str) -> bool:
    text = _text(path)
    return BEGIN in text or _without_block(path) != text


def _names_provider(text: str) -> bool:
    return _MODULE in _COMMENT.sub("", text)
