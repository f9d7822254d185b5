# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the media went before: another bucket, prefix, endpoint or customer key would split the media in two."""

from __future__ import annotations

from pathlib import Path

from ..disk.whole_file import write_whole
from ..errors import ConfigurationError
from ..settings.location import PlaceRecord, StorePlace, moved
from ..settings.store import StoreSettings

LOCATION_NAME = "location"


class Location:
    """The place in S3 that the state directory remembers. It holds no secret."""

    def __init__(self, state_dir: str, store: StoreSettings) -> None:
        self._record = PlaceRecord(Path(state_dir) / LOCATION_NAME, StorePlace.of(store))
        self._recorded = False

    def check(self) -> None:
        """Raises ConfigurationError where the settings name another place than the one used before."""
        before = self._record.read()
        differences = self._record.place.differences(before) if before else []
        if differences:
            raise ConfigurationError(
                f"{moved(differences, self._record.place, str(self._record.path), None)} "
                f"Without Ansible: remove {self._record.path}."
            )

    def record(self) -> None:
        """Before the first object is put; raises ConfigurationError where that cannot be written.

        A record of an earlier release, without the customer key, is completed.
        """
        before = self._record.read()
        if self._record.is_current(before):
            return
        try:
            write_whole(self._record.path, self._record.text())
        except OSError as error:
            raise ConfigurationError(
                f"{self._record.path} cannot be written ({error.strerror}). "
                "Free space there, and give its directory to the user this runs as."
            ) from error
        self._recorded = before is None

    def withdraw(self) -> None:
        """For a run that found and put nothing there: the place may have been a mistake. What was known stays."""
        if self._recorded:
            self._record.path.unlink(missing_ok=True)
            self._recorded = False
