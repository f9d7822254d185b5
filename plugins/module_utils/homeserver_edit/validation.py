# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let Synapse parse the planned configuration, as its own user, before any file is written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import media_store_path, parse, read_merged, read_text
from .entry import KEY, MASK, PROVIDER_MODULES
from .plan import Plan

ACCEPTED = "Config parses OK!"
TIMEOUT = 120  # seconds
LAST_LINES = 15
# A file system in memory, so that no secret is left on a disk.
MEMORY = "/run"
# Not the paths of files with secrets, nor the servers that give public keys: Synapse's messages need those.
_SECRET_KEY = re.compile(
    r"^(?!.*(_path|_servers|_warning)$).*(secret|passw|token|key|pepper|salt|credential|dsn)", re.IGNORECASE
)
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Validator:
    """Runs Synapse's own parser: with Synapse's Python, as its user, in its working directory."""

    python: str
    uid: int
    gid: int
    groups: Sequence[int]
    home: str
    working_directory: str
    keys_directory: str | None

    def provider_import_error(self, module: str) -> str | None:
        """Why Synapse's Python cannot import this storage provider; None if it can."""
        status, output = self._run(["-c", f"import {module.partition('.')[0]}"])
        return None if status == 0 else output.strip().rpartition("\n")[2] or f"exit status {status}"

    def rejection(self, files: Sequence[str], staged: Mapping[str, str], config: Mapping[str, Any]) -> str | None:
        """The last lines that Synapse printed about the configuration; None if it accepts it.

        `files`: the configuration files, in the order in which Synapse reads them.
        `staged`: the new text of those that are not written yet, by path.
        `config`: the merged configuration, whose secrets are masked in the lines.
        """
        with self._stage(staged) as copies, _new_directories_removed(config, self.working_directory):
            arguments = [argument for path in files for argument in ("-c", copies.get(path, path))]
            # Explicit, because Synapse's default is the directory of the last file, which may be a copy.
            keys_directory = self.keys_directory or str(Path(files[-1]).parent)
            status, output = self._run(["-m", "synapse.config", *arguments, "--keys-directory", keys_directory])
        if status == 0 and ACCEPTED in output:
            return None
        for path, copy in copies.items():
            output = output.replace(copy, path)
        return mask_secrets(last_lines(output) or f"exit status {status}", config)

    @contextlib.contextmanager
    def _stage(self, staged: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Temporary copies that only Synapse's user can read."""
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        directory = Path(tempfile.mkdtemp(prefix="synapse-s3-", dir=memory))
        copies = {}
        try:
            for number, (path, text) in enumerate(staged.items()):
                copy = directory / f"{number}.yaml"
                descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(text.encode("utf-8"))
                os.chown(copy, self.uid, self.gid)
                copies[path] = str(copy)
            # Last, so that no process of Synapse's user can create a file in it before.
            os.chown(directory, self.uid, self.gid)
            yield copies
        finally:
            shutil.rmtree(directory)

    def _run(self, arguments: Sequence[str]) -> tuple[int, str]:
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}
        elif os.geteuid() != self.uid:
            raise ConfigurationError(
                "Synapse's configuration can be validated only as root or as Synapse's user. Use become: true."
            )
        try:
            finished = subprocess.run(
                # Without bytecode: check mode must not write anything.
                [self.python, "-B", *arguments],
                cwd=self.working_directory,
                env={"PATH": os.defpath, "HOME": self.home, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT,
                check=False,
                **user,
            )
        except subprocess.TimeoutExpired:
            return 1, f"{self.python} did not finish within {TIMEOUT} seconds."
        except OSError as error:
            raise ConfigurationError(
                f"{self.python} cannot be started as Synapse's user in {self.working_directory} ({error.strerror}). "
                "Correct synapse_s3_synapse_python or synapse_s3_synapse_user, or the WorkingDirectory of the service."
            ) from error
        return finished.returncode, finished.stdout


def validate_plan(plan: Plan, validator: Validator, check_mode: bool) -> str | None:
    """Raises ConfigurationError if Synapse rejects the planned configuration.

    Returns None if Synapse accepts it. In check mode a storage provider that is not installed yet is no error: then
    the configuration cannot be validated, and the reason is returned.
    """
    config = _merged_after(plan)
    staged = {change.path: change.after for change in plan.changes if change.after is not None}
    rejection = validator.rejection(plan.files, staged, config)
    if rejection is None:
        return None
    modules = [validator.provider_import_error(module) for module in _used_providers(config)]
    error = next(filter(None, modules), None)
    if error and check_mode:
        return f"The storage provider is not installed in {validator.python} yet ({error})."
    if error:
        raise ConfigurationError(
            f"The storage provider cannot be imported by {validator.python} ({error}), and Synapse would not start "
            "with it, so nothing was changed. Install synapse-s3-storage-provider there, as the role storage_provider "
            "does."
        )
    raise ConfigurationError(
        f"Synapse refuses the configuration with this change, so nothing was changed. {_present_state(plan, validator)}"
        f"Correct what Synapse reports, and run again. Its last lines:\n{rejection}"
    )


def _merged_after(plan: Plan) -> dict[str, Any]:
    """The configuration as Synapse would read it after the plan."""
    texts = {change.path: change.after for change in plan.changes}
    merged: dict[str, Any] = {}
    for path in plan.files:
        text = texts.get(path)
        content = parse(read_text(path) if text is None else text, path)
        merged.update(content if isinstance(content, dict) else {})
    return merged


def _used_providers(config: Mapping[str, Any]) -> list[str]:
    providers = config.get(KEY)
    entries = [item for item in providers if isinstance(item, dict)] if isinstance(providers, list) else []
    return [item["module"] for item in entries if item.get("module") in PROVIDER_MODULES]


def _present_state(plan: Plan, validator: Validator) -> str:
    """A sentence if Synapse rejects the present configuration too, so the change is not the cause."""
    created = {change.path for change in plan.changes if change.before is None}
    removed = [change.path for change in plan.changes if change.after is None]
    files = [path for path in plan.files if path not in created]
    if removed:
        return ""
    rejected = validator.rejection(files, {}, read_merged(files))
    return "It refuses the configuration as it is now, too. " if rejected else ""


@contextlib.contextmanager
def _new_directories_removed(config: Mapping[str, Any], working_directory: str) -> Iterator[None]:
    """Removes the media store that Synapse creates while it parses, if it did not exist before."""
    try:
        missing = [Path(media_store_path(config, working_directory))]
    except ConfigurationError:
        # Synapse reports the wrong path itself.
        missing = []
    while missing and not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    missing = [directory for directory in missing if not directory.exists()]
    try:
        yield
    finally:
        for directory in missing:
            with contextlib.suppress(OSError):
                directory.rmdir()


def last_lines(output: str) -> str:
    """The last LAST_LINES lines that are not empty."""
    return "\n".join([line for line in output.splitlines() if line.strip()][-LAST_LINES:])


def mask_secrets(text: str, config: Any) -> str:
    """The text with every value masked whose key, or a key above it, has the name of a secret."""
    for secret in sorted(set(_secrets(config, False)), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _secrets(value: Any, is_secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _secrets(child, is_secret or bool(_SECRET_KEY.match(str(key))))
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _secrets(child, is_secret)
    elif is_secret and value not in (None, True, False) and len(str(value)) >= _SHORTEST_SECRET:
        yield str(value)
