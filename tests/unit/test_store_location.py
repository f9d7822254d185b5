# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name of a location, its record, and the confirmation of a change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.location import (
    LocationRecord,
    StoreLocation,
    endpoint_identity,
    moved,
    shown_record,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

KEY = "0123456789abcdef0123456789abcdef"


def place(**settings: Any) -> StoreLocation:
    return StoreLocation.of(StoreSettings.from_mapping({"bucket": "media", **settings}))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "s3://media"),
        ({"prefix": "a/b/"}, "s3://media/a/b/"),
        ({"prefix": "a"}, "s3://media/a"),
        ({"endpoint_url": "https://s3.example.org/"}, "https://s3.example.org/media"),
        ({"endpoint_url": "http://[::1]:9000", "prefix": "a/"}, "http://[::1]:9000/media/a/"),
    ],
)
def test_the_name_is_the_value_that_confirms_the_location(settings: dict[str, str], name: str) -> None:
    assert place(**settings).name() == name
    assert place(**settings).confirmed_by(f" {name}\n")
    for other in ("", None, "true", name + "/", name[:-1]):
        assert not place(**settings).confirmed_by(other)


def test_the_name_distinguishes_customer_keys_without_showing_them() -> None:
    name = place(sse_customer_key=KEY).name()
    assert name.startswith("s3://media#customer-key=")
    assert KEY not in name
    assert place(sse_customer_key=KEY[::-1]).name() not in (name, place().name())
    assert place(sse_customer_key=KEY).name() == name
    assert not place(sse_customer_key=KEY).confirmed_by(place().name())


def test_the_recorded_hash_is_salted() -> None:
    first, second = place(sse_customer_key=KEY).record(), place(sse_customer_key=KEY).record()
    assert first["customer_key"] != second["customer_key"]
    for record in (first, second):
        assert place(sse_customer_key=KEY).differences(record) == []
        assert place().differences(record) and place(sse_customer_key=KEY[::-1]).differences(record)
    assert "pbkdf2" not in shown_record(first) and "********" in shown_record(first)


@pytest.mark.parametrize("damaged", ["x", "pbkdf2-sha256$0$a$b", "pbkdf2-sha256$9999999999$a$b", "pbkdf2-sha256$a$b$c"])
def test_a_damaged_hash_is_refused(damaged: str) -> None:
    record = {"bucket": "media", "prefix": "", "endpoint_url": "", "customer_key": damaged}
    assert place(sse_customer_key=KEY).differences(record)
    assert place().differences(record)


@pytest.mark.parametrize(
    ("written", "one_spelling"),
    [
        (None, ""),
        ("", ""),
        ("https://S3.Example.org:443/", "https://s3.example.org"),
        ("http://s3.example.org:80", "http://s3.example.org"),
        ("http://s3.example.org:9000/path/", "http://s3.example.org:9000/path"),
        ("https://[FD00::1]:443", "https://[fd00::1]"),
        ("https://s3.example.org:port", "https://s3.example.org:port"),
        ("s3.example.org/", "s3.example.org"),
    ],
)
def test_an_endpoint_is_normalised(written: str | None, one_spelling: str) -> None:
    assert endpoint_identity(written) == one_spelling


def test_a_wrong_confirmation_is_refused_with_the_right_one() -> None:
    before = {"bucket": "old", "prefix": ""}
    differences = place().differences(before)
    assert "synapse_s3_bucket is 'media', but media of this server is at 'old'" in moved(
        differences, place(), "/r", None
    )
    assert "names another location" not in moved(differences, place(), "/r", "")
    assert "synapse_s3_confirm_location is 'true', which names another location" in moved(
        differences, place(), "/r", "true"
    )
    assert "synapse_s3_confirm_location: 's3://media'" in moved(differences, place(), "/r", None)


def test_a_record_without_all_parts_is_not_current(tmp_path: Path) -> None:
    record = LocationRecord(tmp_path / "location.json", place())
    assert record.read() is None and not record.is_current(None)
    record.path.write_text(json.dumps({"bucket": "media", "prefix": ""}))
    before = record.read()
    assert before is not None and record.location.differences(before) == [] and not record.is_current(before)
    record.path.write_text(record.text())
    assert record.is_current(record.read())
    record.path.write_text(json.dumps({"bucket": "media"}))
    with pytest.raises(ConfigurationError, match="makes sense"):
        record.read()
