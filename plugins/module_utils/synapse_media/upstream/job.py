# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data that every step needs, made from settings, and the one function that runs the script."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..disk.state_directory import make_state_dir
from ..errors import ConfigurationError
from ..process.environment import apply, run_environment
from ..process.privileges import become, worker
from ..settings.config import ConfigFile, refuse_unknown, text
from ..settings.homeserver import DatabaseSettings
from ..settings.source import Source, resolve
from ..settings.store import StoreSettings
from .media_store import MediaStore
from .output import Context, Output, reason_of
from .report import StepFailedError
from .script import CompletedScript, Restrictions, Script, default_path, require_script, run_script
from .workspace import Workspace, open_workspace, write_aws_config, write_database

_KEYS = ("older_than", "delete_local", "provider_check", "state_dir", "script")


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
        restrictions: Restrictions,
        is_planned: Callable[[str], bool],
    ) -> tuple[Output, CompletedScript, str | None]:
        """Return the script's output, how it ended, and the reason if it failed."""
        output = Output(self.root, is_planned)
        ended = run_script(self.script, arguments, restrictions, output.read)
        return output, ended, reason_of(ended, output, arguments[0], Context(self.store, self.database))

    def run_or_fail(self, arguments: Sequence[str]) -> Output:
        """For the commands that only update cache.db."""
        output, ended, reason = self.run(arguments, Restrictions(self.root), is_planned=lambda _: False)
        if reason:
            raise StepFailedError(f"s3_media_upload {arguments[0]} failed: {reason}", reason, ended.last_lines)
        return output

    def remember_media_store(self) -> None:
        if not self.workspace.rehearsal:
            self.media_store.remember()


@dataclass(frozen=True)
class JobSettings:
    source: Source
    store: StoreSettings | None
    state_dir: str
    script: str
    rehearse: bool = False
    show_progress: bool = False


def settings_of(
    config: ConfigFile, *, deletes: bool = False, rehearse: bool = False, show_progress: bool = False
) -> JobSettings:
    """The settings of a run that `deletes` or not, from the configuration file. Raises ConfigurationError."""
    where = f"migrate in {config.path}"
    refuse_unknown(config.migrate, _KEYS, where)
    state_dir = text(config.migrate, "state_dir", where)
    if state_dir is None or not state_dir.startswith("/"):
        raise ConfigurationError(f"state_dir of {where} is {state_dir!r}. Write the directory in full.")
    return JobSettings(
        source=resolve(config.source, with_processes=deletes),
        store=config.store,
        state_dir=state_dir,
        script=text(config.migrate, "script", where) or default_path(),
        rehearse=rehearse,
        show_progress=show_progress,
    )


def become_worker(settings: JobSettings, user: str | None) -> None:
    """Makes the state directory, then this process continues as the user whom the media belongs to."""
    account = worker(user, settings.source.media_path)
    if not settings.rehearse:
        make_state_dir(settings.state_dir, account)
    if account is not None:
        become(account)


# The workspace is closed when this generator is, which contextmanager does at the end of the block. ansible-test of
# 2.16 does not know that message yet.
# pylint: disable=unknown-option-value,contextmanager-generator-missing-cleanup
@contextmanager
def open_job(settings: JobSettings) -> Iterator[Job]:
    """Hold the lock until the block ends, and set the environment of the run in this process, for good."""
    require_script(settings.script)
    # All files made from here on must be private, including the script's own cache.db.
    os.umask(0o077)
    with open_workspace(settings.state_dir, rehearse=settings.rehearse) as workspace:
        if settings.store:
            write_aws_config(workspace, settings.store)
        environment = run_environment(os.environ, settings.store, workspace.aws_config_path)
        apply(environment)
        yield Job(
            script=Script(settings.script, workspace, environment, _secrets(settings), settings.show_progress),
            media_store=MediaStore(settings.source.media_path, workspace.state_dir),
            store=settings.store,
            database=settings.source.database,
        )


def prepare(settings: JobSettings) -> None:
    """Write the script's files for running it by hand in the state directory; no lock, since each is replaced
    atomically.
    """
    workspace = Workspace(Path(settings.state_dir), Path(settings.state_dir), False, None)
    if settings.store:
        write_aws_config(workspace, settings.store)
    if settings.source.database:
        write_database(workspace, settings.source.database)


def _secrets(settings: JobSettings) -> tuple[str, ...]:
    secrets: list[object] = []
    if settings.store:
        secrets += [settings.store.secret_access_key, settings.store.session_token, settings.store.sse_customer_key]
    if settings.source.database:
        args = settings.source.database.args
        secrets += [value for name, value in args.items() if "password" in name]
    return tuple(str(secret) for secret in secrets if secret)
