# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data that every step needs, and the one function that runs the script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..settings.homeserver import DatabaseSettings
from ..settings.store import StoreSettings
from .failures import Context, reason_of
from .media_store import MediaStore
from .output import Output
from .results import StepFailedError
from .script import Confinement, Ended, Script, run_script
from .state import Workspace


@dataclass(frozen=True)
class Job:
    script: Script
    media_store: MediaStore
    store: StoreSettings | None = None
    database: DatabaseSettings | None = None

    @property
    def workspace(self) -> Workspace:
        return self.script.workspace

    @property
    def root(self) -> str:
        return self.media_store.root

    def run(
        self,
        arguments: Sequence[str],
        confinement: Confinement,
        is_planned: Callable[[str], bool],
    ) -> tuple[Output, Ended, str | None]:
        """Return the script's output, how it ended, and the reason if it failed."""
        output = Output(self.root, is_planned)
        ended = run_script(self.script, arguments, confinement, output.read)
        return output, ended, reason_of(ended, output, arguments[0], Context(self.store, self.database))

    def run_or_fail(self, arguments: Sequence[str]) -> Output:
        """For the commands that only update cache.db."""
        output, ended, reason = self.run(arguments, Confinement(self.root), is_planned=lambda _: False)
        if reason:
            raise StepFailedError(f"s3_media_upload {arguments[0]} failed: {reason}", reason, ended.last_lines)
        return output

    def remember_media_store(self) -> None:
        if not self.workspace.rehearsal:
            self.media_store.remember()
