# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checksums equal those in S3's documentation and in other libraries."""

from __future__ import annotations

import base64
import hashlib
import sys

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import checksums
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.checksums import (
    Checksum,
    available,
    for_parts,
)

# The check values for the text 123456789, from the catalogue of parametrised CRC algorithms.
CHECK_VALUES = {"crc32": 0xCBF43926, "crc32c": 0xE3069283, "crc64nvme": 0xAE8B14860A799888}
BYTES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8}


@pytest.mark.parametrize("name", available())
def test_checksums(name: str) -> None:
    checksum = Checksum(name)
    checksum.update(b"1234")
    checksum.update(memoryview(bytearray(b"56789")))
    if name in CHECK_VALUES:
        expected = CHECK_VALUES[name].to_bytes(BYTES[name], "big")
    else:
        expected = hashlib.new(name, b"123456789").digest()
    assert checksum.base64() == base64.b64encode(expected).decode()


def test_without_awscrt_parts_still_have_a_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "_found", {})
    monkeypatch.setitem(sys.modules, "awscrt", None)
    assert (for_parts(), available()) == ("crc32", ["sha256", "sha1", "crc32"])


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        Checksum("adler32")
