# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The location in S3 that was used before, protected against typing mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.preflight import UsedLocation
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings


def location(state_dir: Path, **others: Any) -> UsedLocation:
    given = {"bucket": "media", "prefix": "a/", "endpoint_url": "https://s3.example.org", **others}
    return UsedLocation(str(state_dir), StoreSettings.from_mapping(given))


def test_the_same_location_passes(tmp_path: Path) -> None:
    first = location(tmp_path)
    first.check()
    first.record()
    location(tmp_path).check()
    location(tmp_path, endpoint_url="HTTPS://S3.example.org:443/", storage_class="STANDARD_IA").check()
    location(tmp_path, access_key_id="another", secret_access_key="key", region_name="garage").check()


@pytest.mark.parametrize(
    "others", [{"bucket": "other"}, {"prefix": ""}, {"prefix": "b"}, {"endpoint_url": "https://s4.example.org"}]
)
def test_another_location_is_refused_with_both_remedies(tmp_path: Path, others: dict[str, Any]) -> None:
    location(tmp_path).record()
    name = next(iter(others))
    with pytest.raises(ConfigurationError, match=rf"synapse_s3_{name} is .*Set it back.*remove {tmp_path}/location"):
        location(tmp_path, **others).check()


def test_aws_is_a_location_of_its_own(tmp_path: Path) -> None:
    location(tmp_path, endpoint_url=None).record()
    location(tmp_path, endpoint_url="").check()
    with pytest.raises(ConfigurationError, match="synapse_s3_endpoint_url"):
        location(tmp_path).check()


def test_no_secret_is_recorded(tmp_path: Path) -> None:
    location(tmp_path, access_key_id="the-id", secret_access_key="the-secret").record()
    path = tmp_path / "location"
    assert sorted(json.loads(path.read_text())) == ["bucket", "customer_key", "endpoint_url", "prefix"]
    assert path.stat().st_mode & 0o777 == 0o600


KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (KEY, KEY[::-1], "is another key, but media of this server was stored with a customer key"),
        (KEY, "", "is empty, but media of this server was stored with a customer key"),
        ("", KEY, "is set, but media of this server was stored without a customer key"),
    ],
)
def test_another_customer_key_is_another_location(tmp_path: Path, before: str, now: str, words: str) -> None:
    location(tmp_path, sse_customer_key=before).record()
    location(tmp_path, sse_customer_key=before).check()
    with pytest.raises(ConfigurationError, match=rf"synapse_s3_sse_customer_key {words}") as refusal:
        location(tmp_path, sse_customer_key=now).check()
    assert KEY not in str(refusal.value) and KEY[::-1] not in str(refusal.value)
    assert KEY not in (tmp_path / "location").read_text()


@pytest.mark.parametrize("key", ["", KEY])
def test_a_record_of_an_earlier_release_is_completed_and_kept(tmp_path: Path, key: str) -> None:
    path = tmp_path / "location"
    path.write_text(json.dumps({"bucket": "media", "prefix": "a/", "endpoint_url": "https://s3.example.org"}))
    adopting = location(tmp_path, sse_customer_key=key)
    adopting.check()
    adopting.record()
    adopting.withdraw()
    assert bool(json.loads(path.read_text())["customer_key"]) == bool(key)
    written = path.read_bytes()
    location(tmp_path, sse_customer_key=key).record()
    assert path.read_bytes() == written
    with pytest.raises(ConfigurationError, match="synapse_s3_sse_customer_key"):
        location(tmp_path, sse_customer_key=KEY[::-1]).check()


def test_a_slash_that_earlier_releases_added_is_explained(tmp_path: Path) -> None:
    location(tmp_path, prefix="media/").record()
    with pytest.raises(ConfigurationError, match="write synapse_s3_prefix: 'media/'"):
        location(tmp_path, prefix="media").check()


def test_only_the_record_of_this_run_is_withdrawn(tmp_path: Path) -> None:
    first = location(tmp_path)
    first.record()
    first.withdraw()
    assert list(tmp_path.iterdir()) == []
    location(tmp_path).record()
    later = location(tmp_path)
    later.record()
    later.withdraw()
    assert (tmp_path / "location").exists()


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"{", b"\xff"])
def test_a_damaged_record_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "location").write_bytes(text)
    with pytest.raises(ConfigurationError, match=r"makes sense.*remove the file"):
        location(tmp_path).check()


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be written.*Free space"):
        location(tmp_path / "absent").record()
