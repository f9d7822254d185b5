# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors an operator can meet. Each reads as a full sentence: the cause, then the remedy."""

from __future__ import annotations

from collections.abc import Sequence


class MediaError(Exception):
    """Base of all errors that are told to the operator."""

    exit_status = 1


class ConfigurationError(MediaError):
    """A setting is missing, wrong or refused."""

    exit_status = 2


class StoreError(MediaError):
    """The bucket, its keys, its permissions or its endpoint stand in the way."""

    exit_status = 2

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class HomeserverError(MediaError):
    """Synapse cannot be reached or refuses a request of its media API."""


class LockedError(MediaError):
    """Another run is at work on the same media store."""

    exit_status = 3


class ScriptError(MediaError):
    """The upstream script failed, whatever its exit status says."""

    exit_status = 1

    def __init__(self, message: str, reason: str, lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.lines = list(lines)


class RequestFailed(MediaError):
    """This one request failed for good, and others need not. ``status`` is 0 if no response came."""

    def __init__(self, message: str, code: str, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
