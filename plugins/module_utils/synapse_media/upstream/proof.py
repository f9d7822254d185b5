# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves that planned files are in the bucket with the content they have on disk, and sets their states in the plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import tee
from typing import cast

from ..database.lookups import in_batches
from ..errors import StoreError
from ..s3.boto.client import make_client
from ..s3.boto.trial_objects import not_confirmed
from ..s3.explain import error_code, error_status, explain
from ..settings.homeserver import DatabaseSettings
from ..settings.store import StoreSettings, sse_arguments
from .comparison import FileChangedError, Sizes, equal, explain_difference
from .objects import STORE_ERRORS, Found, ReadBack, ReadBackError, RemoteObject, find_by_head, find_by_listing
from .plan import ABSENT, DIFFERS, PRESENT, PROVEN, UNKNOWN, UPLOADED, Plan, PlannedFile
from .report import SHOWN, Problems

_BATCH = 500
# The status of a HEAD with another customer key than the object's, and of one without a key.
_OTHER_KEY = (400, 403)
_KEY_NEEDED = 400


@dataclass
class ProofFailures:
    """Problems that prevent the deletion; the states of the files are in the plan."""

    differing: Problems = field(default_factory=Problems)
    unreadable: Problems = field(default_factory=Problems)

    def extend(self, other: ProofFailures) -> None:
        self.differing.extend(other.differing)
        self.unreadable.extend(other.unreadable)


class Prover:
    def __init__(
        self,
        settings: StoreSettings,
        root: str,
        plan: Plan,
        *,
        compare: bool,
        database: DatabaseSettings | None = None,
    ) -> None:
        """Without `compare` it is enough that an object exists: nothing will be deleted.

        The database, if it is known, may prove which of a file and an object that differ is wrong.
        """
        self._settings = settings
        self._root = root
        self._plan = plan
        self._compare = compare
        self._database = database
        self._client = make_client(settings)
        # Without a customer key one object shows whether objects need one.
        self._check_first_object = not settings.sse_customer_key
        self._just_stored = False

    def look_up_all(self) -> ProofFailures:
        """Look up new files by listing. Files that a listing does not show count as absent for now."""
        return self._look_up(UNKNOWN)

    def look_up_uploaded(self) -> ProofFailures:
        """Look up files that were absent and uploaded since; keys that no listing shows are checked by HEAD."""
        self._just_stored = True
        failures = self._look_up(ABSENT, UPLOADED)
        for batch in in_batches(self._plan.files(ABSENT), _BATCH):
            found = [(file, self._head(file)) for file in batch]
            self._plan.set_states(
                [
                    (file.path, self._state(file, response, failures))
                    for file, response in found
                    if response.remote is not None
                ]
            )
        return failures

    def _look_up(self, *states: str) -> ProofFailures:
        failures = ProofFailures()
        for batch in in_batches(self._listed(*states), _BATCH):
            self._plan.set_states([(file.path, self._state(file, found, failures)) for file, found in batch])
        return failures

    def _listed(self, *states: str) -> Iterator[tuple[PlannedFile, Found]]:
        files, again = tee(self._plan.files(*states))
        keys = (self._key(file) for file in again)
        found = find_by_listing(self._client, self._settings.bucket, self._settings.prefix, keys)
        try:
            yield from zip(files, found)
        except STORE_ERRORS as error:
            raise explain(error, self._settings, "listing the bucket") from error

    def _head(self, file: PlannedFile) -> Found:
        key = self._key(file)
        try:
            remote = find_by_head(self._client, self._settings.bucket, key, sse_arguments(self._settings))
        except STORE_ERRORS as error:
            raise explain(error, self._settings, f"looking for the object {key}") from error
        return Found(key, remote)

    def _state(self, file: PlannedFile, found: Found, failures: ProofFailures) -> str:
        if found.remote is None:
            return ABSENT
        if not self._compare:
            return PRESENT
        refusal = self._unreadable(found)
        if refusal:
            failures.unreadable.add(file.path, refusal)
            return PRESENT
        back = ReadBack(self._client, self._settings.bucket, found.key, sse_arguments(self._settings))
        try:
            if equal(f"{self._root}/{file.path}", file, found.remote, back):
                return PROVEN
        except FileNotFoundError:
            # Deleted by Synapse itself since it was listed.
            return PRESENT
        except FileChangedError as error:
            failures.unreadable.add(file.path, str(error))
            return PRESENT
        except ReadBackError as error:
            doing = f"reading back the object {found.key}"
            raise explain(cast(Exception, error.__cause__), self._settings, doing) from error
        except OSError as error:
            failures.unreadable.add(file.path, f"cannot be compared with its object: {error.strerror}")
            return PRESENT
        failures.differing.add(file.path, self._difference(file, found.remote, failures))
        return DIFFERS

    def _unreadable(self, found: Found) -> str | None:
        """Return why Synapse could not read the object: a listing does not say which key it needs.

        With a customer key each object is checked by HEAD, without one only the first that exists. Raises StoreError if
        that one needs a key.
        """
        key = self._settings.sse_customer_key
        if not key and not self._check_first_object:
            return None
        try:
            remote = find_by_head(self._client, self._settings.bucket, found.key, sse_arguments(self._settings))
        except STORE_ERRORS as error:
            status = error_status(error)
            if key and status in _OTHER_KEY:
                return (
                    f"its object cannot be read with synapse_s3_sse_customer_key ({status}): it was stored with "
                    "another key or without one"
                )
            if not key and status == _KEY_NEEDED:
                raise StoreError(
                    f"The object {found.key} needs a customer key, and synapse_s3_sse_customer_key is not set. "
                    "Set it to the key that the objects were stored with. Nothing was deleted.",
                    error_code(error),
                ) from error
            raise explain(error, self._settings, f"looking for the object {found.key}") from error
        if remote is None:
            # Without a key the next object is checked; the script checks each again before it removes the file.
            return "its object is gone since it was listed" if key else None
        self._check_first_object = False
        if key and self._just_stored and not remote.with_customer_key:
            raise not_confirmed(f"HeadObject of {found.key}")
        return None

    def _difference(self, file: PlannedFile, remote: RemoteObject, failures: ProofFailures) -> str:
        # Only the first few are shown, and a remote media is looked up without an index.
        database = self._database if len(failures.differing) < SHOWN else None
        return explain_difference(self._root, file.path, Sizes(file.size, remote.size), database)

    def _key(self, file: PlannedFile) -> str:
        return self._settings.prefix + file.path
