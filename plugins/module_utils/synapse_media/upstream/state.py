# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory in which the script works: owned by the user it runs as, and copied for a dry run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..disk.lock import LOCK_NAME, RunLock
from ..disk.state_directory import check_ours, write_whole
from ..errors import ConfigurationError
from ..settings.homeserver import DatabaseSettings
from ..settings.store import StoreSettings, aws_config_text
from .cache import CACHE_NAME, copy_cache

try:
    import yaml

    HAS_YAML = True
except ImportError:
    HAS_YAML = False

DATABASE_NAME = "database.yaml"
AWS_CONFIG_NAME = "aws-config"
PLAN_NAME = "plan.db"
STORE_ID_NAME = "media-store-id"


@dataclass(frozen=True)
class Workspace:
    """Where the script runs: the state directory itself, or a temporary copy for a dry run."""

    directory: Path
    state_dir: Path
    rehearsal: bool
    lock_descriptor: int | None

    @property
    def plan_path(self) -> Path:
        return self.directory / PLAN_NAME

    @property
    def aws_config_path(self) -> Path:
        return self.directory / AWS_CONFIG_NAME


@contextmanager
def open_workspace(state_dir: str, *, rehearse: bool) -> Iterator[Workspace]:
    """One run at a time; a dry run does not wait either, and writes only to its own copy."""
    directory = Path(state_dir)
    if not rehearse or directory.exists():
        check_ours(directory, (CACHE_NAME, f"{CACHE_NAME}-journal", DATABASE_NAME, LOCK_NAME))
    with RunLock(f"{directory}/{LOCK_NAME}", create=not rehearse) as lock:
        if not rehearse:
            yield Workspace(directory, directory, False, lock.descriptor)
            return
        with tempfile.TemporaryDirectory(prefix="synapse-s3-rehearsal-") as copy:
            copy_cache(directory, Path(copy))
            yield Workspace(Path(copy), directory, True, lock.descriptor)


def write_database(workspace: Workspace, settings: DatabaseSettings) -> None:
    """Write it in the script's own form. The script prefers a database.yaml in its directory, so remove an old one."""
    kind = "sqlite" if settings.name == "sqlite3" else "postgres"
    write_whole(workspace.directory / DATABASE_NAME, _as_yaml({kind: settings.args}))


def write_aws_config(workspace: Workspace, settings: StoreSettings) -> None:
    write_whole(workspace.aws_config_path, aws_config_text(settings))


def _as_yaml(content: dict[str, Any]) -> str:
    if not HAS_YAML:
        raise ConfigurationError(
            "PyYAML is not installed in this Python. Run this with the Python of the migrate role."
        )
    text: str = yaml.safe_dump(content, default_flow_style=False, allow_unicode=True)
    return text
