# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wrong setting is refused with its cause and remedy, and the report says what happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine, Outcome
from s3_server import S3Server
from wire_faults import refuse
from wire_proxy import WireProxy


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([1000] * 4, thumbnails=1)
    inventory.record_files()
    return library


def assert_refused(outcome: Outcome, inventory: MediaInventory, *words: str) -> None:
    assert outcome.status == 2, (outcome.status, outcome.errors)
    lines = outcome.errors.strip().splitlines()
    assert len(lines) == 1, outcome.errors
    for word in words:
        assert word in lines[0], lines[0]
    assert inventory.on_disk() == inventory.known
    assert inventory.in_bucket() == {}


WRONG = {
    "no duration": ("offload", "older_than", "soon", "older_than"),
    "a number": ("offload", "older_than", 5, "older_than"),
    "no grace": ("offload", "grace", "-1s", "grace"),
    "no boolean": ("offload", "delete_local", "yes please", "delete_local"),
    "no concurrency": ("offload", "concurrency", 0, "concurrency"),
    "too much": ("offload", "concurrency", 100_000, "concurrency"),
    "no bandwidth": ("offload", "bandwidth_limit", "fast", "bandwidth_limit"),
    "no proof": ("offload", "verify", "never", "verify"),
    "relative": ("offload", "state_dir", "state", "state_dir"),
    "unknown": ("offload", "colour", "red", "colour"),
    "unknown of S3": ("s3", "bukket", "x", "bukket"),
    "storage class": ("s3", "storage_class", "GLACIER", "storage_class"),
    "dots in the prefix": ("s3", "prefix", "a/../b", "prefix"),
    "endpoint": ("s3", "endpoint_url", "127.0.0.1:9000", "endpoint_url"),
}


@pytest.mark.parametrize(("section", "key", "value", "word"), WRONG.values(), ids=WRONG.keys())
def test_wrong_settings(
    filled: Library, engine: Engine, inventory: MediaInventory, section: str, key: str, value: object, word: str
) -> None:
    settings: dict[str, Any] = getattr(engine, section)
    settings[key] = value
    assert_refused(engine.run(), inventory, word)
    assert not filled.state_dir.exists()


def test_unknown_section(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    engine.content["ofload"] = {}
    assert_refused(engine.run(), inventory, "ofload")


def test_media_path_that_is_missing(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    engine.media_path = filled.directory / "nowhere"
    assert_refused(engine.run(), inventory, "nowhere")


def test_media_path_that_is_no_media_store(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """Most likely its parent directory: nothing in it is media."""
    engine.media_path = filled.directory
    assert_refused(engine.run(), inventory, str(filled.directory))


def test_media_path_that_is_a_file(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    engine.media_path = filled.config
    assert_refused(engine.run(), inventory, str(filled.config))


@pytest.mark.parametrize("setting", ["prefix", "bucket"])
def test_another_location_than_before(
    filled: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str, setting: str
) -> None:
    """With half of the media in each location, Synapse could not read all of it."""
    assert engine.run().status == 0
    filled.add([1000] * 2)
    inventory.record_files()
    other = f"{bucket}-other"
    s3.make_bucket(other)
    engine.s3[setting] = {"prefix": "elsewhere/", "bucket": other}[setting]
    outcome = engine.run()
    assert outcome.status == 2, outcome.errors
    assert engine.s3[setting].strip("/") in outcome.errors and str(filled.state_dir) in outcome.errors
    assert len(inventory.on_disk()) == 4 and s3.keys(other) == []
    inventory.assert_nothing_lost()


def test_synapse_without_local_media_storage(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    config = yaml.safe_load(filled.config.read_text())
    config["enable_local_media_storage"] = False
    filled.config.write_text(yaml.safe_dump(config))
    engine.content["homeserver_config"] = [str(filled.config)]
    assert_refused(engine.run(), inventory, "enable_local_media_storage")


def test_all_settings_from_synapses_configuration(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    engine.content.update(homeserver_config=[str(filled.config)], media_path=None, database=None)
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    inventory.assert_all_moved()


def test_config_that_others_can_read(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    write: Callable[[], Any] = engine.write

    def write_for_all() -> Any:
        path = write()
        path.chmod(0o644)
        return path

    engine.write = write_for_all  # type: ignore[method-assign]
    assert_refused(engine.run(), inventory, "0600")


def test_the_report(filled: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy) -> None:
    filled.write("orphanorphan", thumbnails=0)
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    report = outcome.report
    assert outcome.output.count("\n") == 1 and json.loads(outcome.output) == report
    sizes = 8 * 1000
    moved = {"files": 8, "bytes": sizes}
    nothing = {"files": 0, "bytes": 0}
    assert report["changed"] is True
    assert report["scanned"] == {"files": 9, "bytes": sizes + 1000}
    assert report["uploaded"] == report["deleted"] == moved
    assert report["verified"] == report["repaired"] == nothing
    assert report["skipped"] == {"orphan": {"files": 1, "bytes": 1000}}
    assert (report["failed"], report["database_rows"]) == ([], 4)
    assert 0 < report["seconds"] < 60
    assert {kind: number for kind, number in report["requests"].items() if number} == {
        kind: number for kind, number in wire.counts().items() if number
    }
    again = engine.run()
    assert (again.status, again.report["changed"], again.files("scanned")) == (0, False, 1)


def test_no_secret_is_shown(filled: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy) -> None:

    secrets = [engine.s3["secret_access_key"]]
    wire.add("PutObject", refuse(403, "SignatureDoesNotMatch"), skip=3)
    outcome = engine.run()
    assert outcome.status in (1, 2)
    for secret in secrets:
        assert secret not in outcome.output + outcome.errors


def test_bandwidth_limit(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    """The limit applies to both directions together; one second's worth may be sent at once."""
    library.add([500_000] * 8, thumbnails=0)
    inventory.record_files()
    engine.offload["bandwidth_limit"] = "1M"
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert 2 < outcome.report["seconds"] < 12
    inventory.assert_all_moved()
