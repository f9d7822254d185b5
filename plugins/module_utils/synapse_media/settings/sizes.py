# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Amounts of bytes as an operator writes them."""

from __future__ import annotations

import re

from ..errors import ConfigurationError

_FACTORS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_KIB = 1024
_FORM = re.compile(r"([0-9]+)([KMGT]?)", re.ASCII)


def parse_size(value: object, setting: str) -> int:
    """``10M`` in bytes; the suffixes K, M, G and T are powers of 1024. Raises ConfigurationError; zero is no size."""
    match = None if isinstance(value, bool) else _FORM.fullmatch(str(value).strip())
    size = int(match.group(1)) * _FACTORS[match.group(2)] if match else 0
    if not size:
        raise ConfigurationError(
            f"{setting} is {value!r}, which is no size. Write a whole number above zero of bytes, or one with K, M, G "
            "or T behind it, such as 10M."
        )
    return size


def in_words(count: float) -> str:
    """For people; reports carry exact bytes."""
    value = count
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIB:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KIB
    return f"{value:.1f} TiB"
