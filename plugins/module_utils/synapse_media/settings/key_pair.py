# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key pair that is handed over for one run, so that keys which may delete need not lie on the host."""

from __future__ import annotations

from typing import Any, TextIO

from ..errors import ConfigurationError
from .yaml_loader import HAS_YAML, NO_YAML, YAML_ERRORS, load

_NAMES = ("access_key_id", "secret_access_key", "session_token")
_MOST = 64 * 1024
_FORM = "It takes access_key_id and secret_access_key, and session_token if there is one, as YAML or JSON."


def read_key_pair(stream: TextIO) -> dict[str, Any]:
    """The three settings of the keys, as the stream has them. Raises ConfigurationError, which quotes nothing of it."""
    if not HAS_YAML:
        raise ConfigurationError(NO_YAML)
    try:
        found: Any = load(stream.read(_MOST))
    except YAML_ERRORS:
        raise ConfigurationError(f"The standard input is not valid YAML. {_FORM}") from None
    if not isinstance(found, dict) or not set(found) <= set(_NAMES):
        raise ConfigurationError(f"The standard input holds no keys. {_FORM}")
    given: dict[str, Any] = {name: found.get(name) or None for name in _NAMES}
    if not all(isinstance(value, str) for value in given.values() if value is not None):
        raise ConfigurationError(f"A key on the standard input is no text. Put it in quotes. {_FORM}")
    if not (given["access_key_id"] and given["secret_access_key"]):
        raise ConfigurationError(f"The standard input lacks one of the two keys. {_FORM}")
    return given
