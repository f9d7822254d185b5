# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was last seen of a container, for one that does not start and is removed by its service."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..synapse_service import SynapseCommand
from .engine import Container, Mount
from .process import SynapseProcess

NAME = "container.json"


def save(directory: Path, container: Container, process: SynapseProcess) -> None:
    """Keeps both for a later run. The directory exists. What changed in no way is not written."""
    text = json.dumps({"container": asdict(container), "process": asdict(process)}, indent=2, sort_keys=True) + "\n"
    path = directory / NAME
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    draft = path.with_name(f".{NAME}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def load(directory: Path) -> tuple[Container, SynapseProcess] | None:
    """Both as they were saved; None if they never were, or in a form that this release does not know."""
    try:
        saved: dict[str, Any] = json.loads((directory / NAME).read_text(encoding="utf-8"))
        mounts = [Mount(**mount) for mount in saved["container"].pop("mounts")]
        command = SynapseCommand(**saved["process"].pop("command"))
        return Container(mounts=mounts, **saved["container"]), SynapseProcess(command=command, **saved["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
