# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the media went before: a bucket, prefix or endpoint that changed by mistake would split the media in two."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import ConfigurationError
from ..store import StoreSettings
from ..whole_file import write_whole

LOCATION_NAME = "location"


class Location:
    """The place in S3 that the state directory remembers. It holds no secret."""

    def __init__(self, state_dir: str, store: StoreSettings) -> None:
        self._path = Path(state_dir) / LOCATION_NAME
        self._now = {
            "bucket": store.bucket,
            "prefix": store.prefix,
            "endpoint_url": (store.endpoint_url or "").rstrip("/"),
        }
        self._recorded = False

    def check(self) -> None:
        """Raises ConfigurationError where the settings name another place than the one used before."""
        before = self._read()
        if before is None:
            return
        for name, value in self._now.items():
            if before.get(name) != value:
                raise ConfigurationError(
                    f"synapse_s3_{name} is {value!r}, but media of this server is at {before.get(name)!r} "
                    f"({self._path} says so). Set it back. If the objects were moved to the new place, remove "
                    f"{self._path}."
                )

    def record(self) -> None:
        """Before the first object is put; raises ConfigurationError where that cannot be written."""
        if self._path.exists():
            return
        try:
            write_whole(self._path, json.dumps(self._now) + "\n")
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be written ({error.strerror}). "
                "Free space there, and give its directory to the user this runs as."
            ) from error
        self._recorded = True

    def withdraw(self) -> None:
        """For a run that found and put nothing there: the place may have been a mistake. What was known stays."""
        if self._recorded:
            self._path.unlink(missing_ok=True)
            self._recorded = False

    def _read(self) -> dict[str, object] | None:
        try:
            content = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be read ({error.strerror}). Give it to the user this runs as."
            ) from error
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise ConfigurationError(
                f"{self._path} says nothing that makes sense about where the media is. "
                "Make sure that the bucket, prefix and endpoint are the ones used before, then remove the file."
            )
        return content
