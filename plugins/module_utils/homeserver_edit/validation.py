# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's own judgement of a configuration that is not in place yet."""

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
from ..synapse_media.homeserver import media_store_path
from .entry import MASK

ACCEPTED = "Config parses OK!"
TIMEOUT = 120
LAST_LINES = 15
# A file system in memory, so that a secret is not left on a disk.
MEMORY = "/run"
# Not the paths of files with secrets, nor the servers that give public keys: Synapse's words need those.
_SECRET_KEY = re.compile(
    r"^(?!.*(_path|_servers|_warning)$).*(secret|passw|token|key|pepper|salt|credential|dsn)", re.IGNORECASE
)
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Validator:
    """How Synapse is run: with its Python, as its user, in its working directory."""

    python: str
    uid: int
    gid: int
    groups: Sequence[int]
    home: str
    working_directory: str
    keys_directory: str | None

    def provider_error(self) -> str | None:
        """Why the storage provider cannot be imported in Synapse's Python; None where it can."""
        status, output = self._run(["-c", "import s3_storage_provider"])
        return None if status == 0 else output.strip().rpartition("\n")[2] or f"exit status {status}"

    def refusal(self, files: Sequence[str], staged: Mapping[str, str], config: Mapping[str, Any]) -> str | None:
        """Synapse's last words about the files, some with another text; None where it accepts them."""
        with self._stage(staged) as places, _without_new_directories(config, self.working_directory):
            arguments = [argument for path in files for argument in ("-c", places.get(path, path))]
            # Said outright: Synapse's own default is the directory of the last file, and that may be a copy.
            keys_directory = self.keys_directory or str(Path(files[-1]).parent)
            status, output = self._run(["-m", "synapse.config", *arguments, "--keys-directory", keys_directory])
        if status == 0 and ACCEPTED in output:
            return None
        for path, place in places.items():
            output = output.replace(place, path)
        return masked_words(last_lines(output) or f"exit status {status}", config)

    @contextlib.contextmanager
    def _stage(self, staged: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Copies that nobody but Synapse's user can read, for as long as they are needed."""
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        directory = Path(tempfile.mkdtemp(prefix="synapse-s3-", dir=memory))
        places = {}
        try:
            for number, (path, text) in enumerate(staged.items()):
                place = directory / f"{number}.yaml"
                descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(text.encode("utf-8"))
                os.chown(place, self.uid, self.gid)
                places[path] = str(place)
            # Last, so that no process of Synapse's user can put anything in our way.
            os.chown(directory, self.uid, self.gid)
            yield places
        finally:
            shutil.rmtree(directory)

    def _run(self, arguments: Sequence[str]) -> tuple[int, str]:
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}
        elif os.geteuid() != self.uid:
            raise ConfigurationError(
                "Synapse's configuration can be validated as root or as Synapse's user only. Use become: true."
            )
        try:
            finished = subprocess.run(
                # No bytecode: a validation in check mode must leave no trace.
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


@contextlib.contextmanager
def _without_new_directories(config: Mapping[str, Any], working_directory: str) -> Iterator[None]:
    """Synapse makes its media store while it parses; what was not there before goes again."""
    try:
        missing = [Path(media_store_path(config, working_directory))]
    except ConfigurationError:
        # Synapse itself is about to say what is wrong with it.
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
    return "\n".join([line for line in output.splitlines() if line.strip()][-LAST_LINES:])


def masked_words(text: str, config: Any) -> str:
    """The text with every value hidden that stands under a key with a secret's name."""
    for secret in sorted(set(_secrets(config, False)), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _secrets(value: Any, named: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _secrets(child, named or bool(_SECRET_KEY.match(str(key))))
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _secrets(child, named)
    elif named and value not in (None, True, False) and len(str(value)) >= _SHORTEST_SECRET:
        yield str(value)
