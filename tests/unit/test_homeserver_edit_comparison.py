# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An existing S3 entry: which differences are refused, and which are named before they change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import (
    KEY,
    PROVIDER_MODULE,
    ProviderEntry,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.location import StoreLocation
from homeserver_files import ConfigurationFiles, entry

CUSTOMER_KEY = "0123456789abcdef0123456789s3cret"
SAME = {
    "bucket": "media",
    "prefix": "synapse/",
    "region_name": "eu-1",
    "endpoint_url": "https://s3.example.org",
    "access_key_id": "AKIA",
    "secret_access_key": "the-s3cret",
    "session_token": "the-token-s3cret",
    "sse_customer_key": CUSTOMER_KEY,
    "sse_customer_algo": "AES256",
    "storage_class": "STANDARD",
}
SWITCHES = {"store_local": True, "store_remote": True, "store_synchronous": True}


def ours(**changes: Any) -> ProviderEntry:
    return entry(
        **{
            "secret": SAME["secret_access_key"],
            **{k: v for k, v in SAME.items() if k != "secret_access_key"},
            **changes,
        }
    )


def there(
    tmp_path: Path, without: str = "", switches: dict[str, Any] | None = None, **config: Any
) -> ConfigurationFiles:
    """Return the operator's entry: the same as ours except for some keys, changed or left out."""
    content = {key: value for key, value in {**SAME, **config}.items() if key != without}
    item = {"module": PROVIDER_MODULE, **(SWITCHES if switches is None else switches), "config": content}
    return ConfigurationFiles(tmp_path, {"homeserver.yaml": yaml.safe_dump({KEY: [item]}, sort_keys=False)})


def refusal_of(files: ConfigurationFiles, wanted: ProviderEntry, confirmed: str | None = None) -> str:
    before = files.contents()
    with pytest.raises(ConfigurationError) as refusal:
        files.put(wanted, confirmed)
    assert files.contents() == before
    assert "s3cret" not in str(refusal.value)
    return str(refusal.value)


def test_an_equal_entry_is_taken_over_without_a_message(tmp_path: Path) -> None:
    plan = there(tmp_path).put(ours())
    assert (plan.action, list(plan.warnings)) == ("adopted", [])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"bucket": "other"},
            ["for the bucket 'media', and synapse_s3_bucket is 'other'", "(synapse_s3_bucket: 'media')"],
        ),
        (
            {"prefix": ""},
            ["with the prefix 'synapse/', and synapse_s3_prefix is ''", "(synapse_s3_prefix: 'synapse/')"],
        ),
        ({"prefix": "synapse"}, ["synapse_s3_prefix is 'synapse'", "(synapse_s3_prefix: 'synapse/')"]),
        ({"endpoint_url": ""}, ["for the endpoint 'https://s3.example.org', and synapse_s3_endpoint_url is empty"]),
        ({"endpoint_url": "https://s4.example.org"}, ["(synapse_s3_endpoint_url: 'https://s3.example.org')"]),
        ({"region_name": ""}, ["with the region_name 'eu-1', and synapse_s3_region_name is empty"]),
        ({"sse_customer_key": ""}, ["with a customer key, and synapse_s3_sse_customer_key is empty", "not shown here"]),
        ({"sse_customer_key": CUSTOMER_KEY[::-1]}, ["synapse_s3_sse_customer_key is another one", "not shown here"]),
    ],
)
def test_a_change_that_makes_media_unreachable_is_refused_with_the_remedy(
    tmp_path: Path, settings: dict[str, str], words: list[str]
) -> None:
    said = refusal_of(there(tmp_path), ours(**settings))
    for part in (
        f"{tmp_path}/homeserver.yaml has an S3 entry",
        "nothing was changed",
        "synapse_s3_confirm_location",
        *words,
    ):
        assert part in said


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("prefix", "with the prefix '', and synapse_s3_prefix is 'synapse/'"),
        ("endpoint_url", "for the endpoint none, and synapse_s3_endpoint_url is 'https://s3.example.org'"),
        ("sse_customer_key", "with no customer key, and synapse_s3_sse_customer_key is set"),
    ],
)
def test_settings_that_the_entry_lacks_are_refused_too(tmp_path: Path, without: str, words: str) -> None:
    assert words in refusal_of(there(tmp_path, without=without), ours())


def test_every_difference_is_named_at_once(tmp_path: Path) -> None:
    said = refusal_of(there(tmp_path), ours(bucket="other", endpoint_url="", sse_customer_key=""))
    for setting in ("bucket", "endpoint_url", "sse_customer_key"):
        assert f"synapse_s3_{setting}" in said


def test_one_endpoint_in_two_spellings_is_one_endpoint(tmp_path: Path) -> None:
    assert there(tmp_path, endpoint_url="https://S3.example.org:443/").put(ours()).action == "adopted"


def test_a_confirmation_permits_only_the_location_it_names(tmp_path: Path) -> None:
    wanted = ours(endpoint_url="https://s4.example.org", sse_customer_key=CUSTOMER_KEY[::-1])
    name = StoreLocation.of(wanted.settings).name()
    assert name.startswith("https://s4.example.org/media/synapse/#customer-key=")
    assert name in refusal_of(there(tmp_path), wanted)
    for other in ("true", "https://s4.example.org/media/synapse/", name + "0", name.replace("s4", "s3")):
        assert "which names another location" in refusal_of(there(tmp_path), wanted, other)
    files = there(tmp_path)
    assert files.put(wanted, name).action == "adopted"
    # If it stays in the settings, it does not permit the next change.
    refusal_of(files, ours(endpoint_url="https://s5.example.org", sse_customer_key=CUSTOMER_KEY[::-1]), name)
    refusal_of(files, ours(endpoint_url="https://s4.example.org"), name)


@pytest.mark.parametrize(
    "settings", [{"bucket": "b"}, {"prefix": "p/"}, {"endpoint_url": ""}, {"sse_customer_key": ""}]
)
def test_the_location_of_our_own_block_is_protected_too(tmp_path: Path, settings: dict[str, str]) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "server_name: a\n"})
    files.put(ours())
    wanted = ours(**settings)
    refusal_of(files, wanted)
    assert files.put(wanted, StoreLocation.of(wanted.settings).name()).action == "updated"
    assert files.put(wanted).changes == []


def test_switches_and_the_storage_class_are_named_before_they_change(tmp_path: Path) -> None:
    files = there(tmp_path, switches={"store_local": False, "store_remote": True}, storage_class="STANDARD_IA")
    assert [warning.partition(" is taken over: ")[2] for warning in files.put(ours()).warnings] == [
        "store_local changes from false to true (synapse_s3_storage_provider_store_local).",
        "store_synchronous changes from not written, which is false to true "
        "(synapse_s3_storage_provider_store_synchronous).",
        "storage_class changes from 'STANDARD_IA' to 'STANDARD' (synapse_s3_storage_class).",
    ]
    # Once the entry is ours, a run that changes nothing prints nothing.
    assert list(files.put(ours()).warnings) == []


def test_keys_that_change_are_named_and_not_shown(tmp_path: Path) -> None:
    files = there(tmp_path, access_key_id="OLD", secret_access_key="old-s3cret", without="session_token")
    said = [warning.partition(" is taken over: ")[2] for warning in files.put(ours()).warnings]
    assert said == [
        "access_key_id changes: synapse_s3_access_key_id is another than in the entry.",
        "secret_access_key changes: synapse_s3_secret_access_key is another than in the entry.",
        "session_token changes: synapse_s3_session_token is set, and the entry has none.",
    ]
    said = list(there(tmp_path).put(ours(secret="", access_key_id="", session_token="")).warnings)
    assert sum("the entry has one, and synapse_s3_" in warning for warning in said) == 3
    assert "s3cret" not in str(said)


def test_a_region_that_the_entry_lacks_is_named(tmp_path: Path) -> None:
    (warning,) = there(tmp_path, without="region_name").put(ours()).warnings
    assert "region_name changes from none to 'eu-1' (synapse_s3_region_name)" in warning


def test_keys_that_the_provider_ignores_are_named(tmp_path: Path) -> None:
    switches = {**SWITCHES, "store_thumbnails": "s3cret"}
    mistyped: dict[str, Any] = {"s3cret: s3cret": 1}
    files = there(tmp_path, switches=switches, threadpool_size=20, **mistyped)
    (warning,) = files.put(ours()).warnings
    assert "store_thumbnails, config.threadpool_size, a key that is no name is left out" in warning
    assert "s3cret" not in warning


@pytest.mark.parametrize(
    ("written", "kind"),
    [("2024", "a number"), ("1.5", "a number"), ("true", "true or false"), ("[a]", "a list"), ("2026-01-01", "a date")],
)
def test_a_prefix_that_is_not_text_gets_a_message(tmp_path: Path, written: str, kind: str) -> None:
    text = f"{KEY}:\n- module: {PROVIDER_MODULE}\n  config:\n    bucket: media\n    prefix: {written}\n"
    said = refusal_of(ConfigurationFiles(tmp_path, {"homeserver.yaml": text}), entry())
    assert f"which YAML reads as {kind}" in said
    assert "Put it in quotes" in said


@pytest.mark.parametrize("prefix", ["synapse", "a//", "/a", "a//b", "/", "folder/sub"])
def test_a_prefix_of_any_form_is_taken_over_unchanged(tmp_path: Path, prefix: str) -> None:
    files = there(tmp_path, prefix=prefix)
    # The remedy in the message works.
    assert f"(synapse_s3_prefix: {prefix!r})" in refusal_of(files, ours())
    plan = files.put(ours(prefix=prefix))
    assert (plan.action, list(plan.warnings)) == ("adopted", [])
    assert files.providers()[0]["config"]["prefix"] == prefix
    assert files.put(ours(prefix=prefix)).changes == []


@pytest.mark.parametrize("config", ["", ", prefix: ''", ", prefix: null"])
def test_an_entry_without_a_prefix_equals_an_empty_one(tmp_path: Path, config: str) -> None:
    text = f"{KEY}:\n- module: {PROVIDER_MODULE}\n  config: {{bucket: media{config}}}\n"
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": text})
    assert files.put(entry(prefix="")).action == "adopted"


def test_an_unusual_prefix_is_explained_where_nothing_names_it_yet(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "server_name: a\n"})
    (warning,) = files.put(entry(prefix="synapse")).warnings
    assert "keys will begin with 'synapselocal_content/'" in warning
    assert list(files.put(entry(prefix="synapse")).warnings) == []
