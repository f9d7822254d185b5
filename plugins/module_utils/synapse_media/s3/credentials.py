# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys that sign: those of the settings, or those that boto3 finds for this host and renews."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from ..errors import ConfigurationError, StoreError
from ..event_loop.loop import Loop
from ..settings.store import StoreSettings
from .explain import explain

# Seconds for which keys of a role are used before botocore is asked whether they must be renewed.
_FRESH = 60.0


class Keys(NamedTuple):
    """What a signature needs."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None


class Credentials:
    """Keys at the moment they are needed. Raises StoreError if this host has none."""

    def __init__(self, loop: Loop, settings: StoreSettings) -> None:
        self._loop = loop
        self._settings = settings
        self._keys: Keys | None = None
        self._fresh_until = float("inf")
        self._chain: Any = None
        self._replaced_at = float("-inf")
        if settings.access_key_id and settings.secret_access_key:
            self._keys = Keys(settings.access_key_id, settings.secret_access_key, settings.session_token)

    @property
    def renewable(self) -> bool:
        """Whether refused keys may be replaced by newer ones."""
        return not self._settings.access_key_id

    async def keys(self) -> Keys:
        if self._keys is None or time.monotonic() >= self._fresh_until:
            self._keys = await self._loop.in_thread(self._look_up)
            self._fresh_until = time.monotonic() + _FRESH
        return self._keys

    def replace(self, refused: Keys, *, certain: bool) -> bool:
        """The store refuses these: whether the next keys() gives others, which are worth another attempt.

        Where it is not ``certain`` that the keys are what was refused, newer ones are looked for once a minute at most.
        """
        if not self.renewable:
            return False
        if self._keys is not None and self._keys == refused:
            now = time.monotonic()
            if not certain and now - self._replaced_at < _FRESH:
                return False
            self._replaced_at = now
            self._keys = None
            self._chain = None
        return True

    def _look_up(self) -> Keys:
        # Not above: boto3 takes a third of a second, and those who name their keys do without.
        from .boto.client import BOTO3_IMPORT_ERROR, CLIENT_EXCEPTIONS

        if BOTO3_IMPORT_ERROR is not None:
            raise ConfigurationError(
                "No S3 keys are set, and boto3, which asks this host for its role, cannot be imported. "
                "Set synapse_s3_access_key_id and synapse_s3_secret_access_key, or install boto3."
            )
        import boto3
        import botocore.exceptions

        try:
            if self._chain is None:
                self._chain = boto3.session.Session().get_credentials()
            if self._chain is None:
                raise botocore.exceptions.NoCredentialsError
            frozen = self._chain.get_frozen_credentials()
        except CLIENT_EXCEPTIONS as error:
            refusal: StoreError = explain(error, self._settings, "looking for the keys of this host")
            raise refusal from error
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)
