# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checksums that S3 verifies and keeps beside an object, as far as this Python computes them fast.

CRC32 is zlib's, the SHAs are hashlib's; CRC32C and CRC64NVME come from the library awscrt where it is installed.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any

Update = Callable[[Any, int], int]

# Strongest first: what a store keeps of these is compared.
PREFERENCE = ("sha256", "crc64nvme", "sha1", "crc32c", "crc32")
# For parts in place of their MD5: faster than the network, where the store verifies them. Fastest first.
_FOR_PARTS = ("crc64nvme", "crc32")
_BYTES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8}


class Checksum:
    """One checksum in the making; ``update`` takes bytes in order."""

    def __init__(self, name: str) -> None:
        """Raises KeyError for a name that is not in available()."""
        self._name = name
        self._value = 0
        self._crc = _crcs().get(name)
        self._digest = hashlib.new(name, usedforsecurity=False) if name in ("sha1", "sha256") else None
        if self._crc is None and self._digest is None:
            raise KeyError(name)

    def update(self, data: Any) -> None:
        if self._digest is not None:
            self._digest.update(data)
        elif self._crc is not None:
            self._value = self._crc(data, self._value)

    def base64(self) -> str:
        """As S3's headers and documents have it."""
        raw = self._value.to_bytes(_BYTES[self._name], "big") if self._digest is None else self._digest.digest()
        return base64.b64encode(raw).decode()


def available() -> list[str]:
    """Names of PREFERENCE that can be computed here."""
    return [name for name in PREFERENCE if name in ("sha1", "sha256") or name in _crcs()]


def for_parts() -> str:
    """The name of the one to send with parts."""
    return next(name for name in _FOR_PARTS if name in _crcs())


_found: dict[str, Update] = {}


def _crcs() -> Mapping[str, Update]:
    if not _found:
        _found["crc32"] = zlib.crc32
        try:
            # Late, because most runs have no file that is large enough.
            from awscrt import checksums
        except ImportError:
            return _found
        for name in ("crc32c", "crc64nvme"):
            # Releases before 0.21 have no CRC64NVME.
            if hasattr(checksums, name):
                _found[name] = getattr(checksums, name)
    return _found
