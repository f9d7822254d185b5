# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers of bytes, parsed from settings and printed in messages."""

from __future__ import annotations

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.units import (
    in_words,
    parse_size,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), ("512", 512), ("10K", 10240), ("10M", 10 * 1024**2), (" 1G ", 1024**3), ("2T", 2 * 1024**4)],
)
def test_parses_suffixes(value: object, expected: int) -> None:
    assert parse_size(value, "bandwidth_limit") == expected


@pytest.mark.parametrize("value", ["", "fast", "10MB", "1.5M", "-1", "10 M", "10m", "²", 0, "0K", True, 1.5, ["1"]])
def test_refuses_what_is_not_a_size(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"bandwidth_limit is .* no size.*10M"):
        parse_size(value, "bandwidth_limit")


def test_formats_sizes() -> None:
    assert [in_words(count) for count in (0, 1023, 1024, 1536, 1024**2, 5 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "1.0 MiB",
        "5.0 TiB",
    ]
