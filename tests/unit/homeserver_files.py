# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Synapse configuration in a temporary directory, edited by the same plan as in the module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.access import Reader, planned_access
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import KEY, ProviderEntry
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.flow_entry import unmarked
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.plan import (
    Layout,
    Plan,
    plan_entry,
    plan_removal,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.writer import apply_plan
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import read_merged
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

US = Reader(os.geteuid(), os.getegid(), os.getgroups(), has_private_group=True)


def entry(secret: str = "s3cr:et#'\"\\ü", **settings: Any) -> ProviderEntry:
    switches = {name: settings.pop(name) for name in list(settings) if name.startswith("store_")}
    given = {"bucket": "media", "prefix": "synapse/", "access_key_id": "AKIA", "secret_access_key": secret, **settings}
    return ProviderEntry(StoreSettings.from_mapping(given), **switches)


class ConfigurationFiles:
    """Files below a directory; a path that ends in a slash is a directory that Synapse reads."""

    def __init__(self, directory: Path, files: Mapping[str, str | bytes], paths: list[str] | None = None) -> None:
        self.directory = directory
        for name, content in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            path.chmod(0o640)
        self.paths = [str(directory / path) for path in paths or ["homeserver.yaml"]]

    def layout(self, **options: Any) -> Layout:
        return Layout(self.paths, **options)

    def put(self, wanted: ProviderEntry | None = None, confirmed: str | None = None, **options: Any) -> Plan:
        wanted = wanted or entry()
        return self._do(plan_entry(self.layout(**options), wanted, confirmed), wanted.holds_secret())

    def remove(self, **options: Any) -> Plan:
        return self._do(plan_removal(self.layout(**options)), False)

    @staticmethod
    def _do(plan: Plan, holds_secret: bool) -> Plan:
        apply_plan(plan, planned_access(plan, US, holds_secret))
        return plan

    def contents(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in sorted(self.directory.rglob("*"))
            if path.is_file()
        }

    def text(self, name: str = "homeserver.yaml") -> str:
        return (self.directory / name).read_bytes().decode()

    def write(self, text: str, name: str = "homeserver.yaml") -> None:
        (self.directory / name).write_bytes(text.encode())

    def merged(self) -> dict[str, Any]:
        return read_merged(self.paths)

    def providers(self) -> Any:
        """Return the entries as Synapse reads them, without the key that marks our entry in flow style."""
        entries = self.merged().get(KEY)
        return [unmarked(item) for item in entries] if isinstance(entries, list) else entries


def others(text: str) -> str:
    """Return every setting except our entry, in a form that can be compared."""
    content = yaml.safe_load(text)
    return repr({key: value for key, value in (content or {}).items() if key != KEY})
