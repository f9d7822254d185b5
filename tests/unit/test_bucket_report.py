# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of the bucket check; the check itself is tested against real servers in tests/integration."""

from __future__ import annotations

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import StoreError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.probe import (
    ProbeReport,
    refusal_of,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings
from ansible_collections.matrix_ops.synapse_s3.plugins.modules.bucket_info import described, warnings

SETTINGS = StoreSettings(bucket="media", prefix="a/")


def report(tried: list[str], refused: list[str], skew: int | None = 0, left: list[str] | None = None) -> ProbeReport:
    return ProbeReport(
        clock_skew_seconds=skew,
        tried=tried,
        refusals={ability: StoreError(f"No {ability}.", "AccessDenied") for ability in refused},
        left_behind=left or [],
    )


def test_operations_that_were_not_tried_are_null() -> None:
    shown = described(report(["list", "read", "write"], ["write"]), SETTINGS)
    assert (shown["can_list"], shown["can_write"], shown["can_delete"]) == (True, False, None)
    assert shown["exists"] is True
    assert shown["prefix"] == "a/"
    assert shown["refusals"] == {"write": "No write."}


def test_a_bucket_that_refuses_everything_leaves_features_unknown() -> None:
    assert described(report(["list", "read", "write"], ["list", "read", "write"]), SETTINGS)["exists"] is None


@pytest.mark.parametrize(
    ("refused", "required", "message"),
    [
        ([], ["list", "read", "write"], None),
        (["delete"], ["list", "read", "write"], None),
        (["write"], [], None),
        (["write"], ["list", "write"], "No write."),
        (["list", "write"], ["list", "read", "write"], "No list. No write."),
    ],
)
def test_only_required_operations_are_problems(refused: list[str], required: list[str], message: str | None) -> None:
    refusal = refusal_of(report(["list", "read", "write", "delete"], refused), SETTINGS, required)
    assert (str(refusal) if refusal else None) == message


def test_keys_without_any_permission_give_one_message() -> None:
    tried = ["list", "read", "write"]
    refusal = refusal_of(report(tried, tried), SETTINGS, tried)
    assert refusal is not None
    assert "neither list nor read nor write the bucket 'media'" in str(refusal)
    assert "synapse_s3_bucket" in str(refusal)
    assert refusal.code == "AccessDenied"


@pytest.mark.parametrize(
    ("skew", "words"), [(0, None), (-300, None), (301, "301 seconds ahead of"), (-301, "301 seconds behind")]
)
def test_a_wrong_clock_gives_a_warning_before_the_server_refuses_it(skew: int, words: str | None) -> None:
    texts = warnings(report(["list"], [], skew))
    assert bool(texts) == bool(words)
    assert not words or words in texts[0]


def test_an_unknown_clock_gives_no_warning() -> None:
    assert warnings(report(["list"], [], None)) == []


def test_objects_that_could_not_be_removed_give_a_warning() -> None:
    assert warnings(report(["delete"], [], left=["a delete marker at a/b"])) == [
        "The probe could not remove a delete marker at a/b; the keys may not delete it."
    ]
