# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations have the same meaning as in upstream's script."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.units import (
    in_seconds,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("12h", timedelta(hours=12)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(days=14)),
        ("1m", timedelta(days=30)),
        ("2y", timedelta(days=730)),
        (" 7d ", timedelta(days=7)),
    ],
)
def test_accepts_upstreams_suffixes(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "1", "d", "-1d", "1.5d", "1 d", "1D", "1min", "1d2h", "²d"])
def test_refuses_what_is_not_a_duration(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"synapse_s3_migrate_older_than is .*no duration.*12h"):
        parse_duration(text, "synapse_s3_migrate_older_than")


@pytest.mark.parametrize("text", ["3000y", "99999999999999999999d"])
def test_refuses_a_duration_longer_than_the_calendar(text: str) -> None:
    with pytest.raises(ConfigurationError, match="longer than the calendar"):
        parse_duration(text)


def test_the_script_receives_seconds() -> None:
    assert in_seconds(parse_duration("1w")) == "604800s"
    assert in_seconds(parse_duration("1m")) == "2592000s"
