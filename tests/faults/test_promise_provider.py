# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No file is deleted that Synapse could not read from S3. Every run reads Synapse's configuration anew."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from library import Library
from media_host import provider_entry
from media_inventory import MediaInventory
from offload_engine import Engine, Outcome

OTHER_MODULE = "s3_storage_provider.S3StorageProvider"


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([1000] * 4, thumbnails=1)
    inventory.record_files()
    return library


def config(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"server_name": "synapse.example", "media_storage_providers": list(entries), **changes}


def assert_refused(outcome: Outcome, inventory: MediaInventory, *words: str) -> None:
    assert outcome.status == 2, (outcome.status, outcome.errors)
    lines = outcome.errors.strip().splitlines()
    assert len(lines) == 1 and "Synapse could not fetch what this run would delete" in lines[0], outcome.errors
    for word in words:
        assert word in lines[0], lines[0]
    assert outcome.report["changed"] is False and outcome.files("deleted") == outcome.files("uploaded") == 0
    assert inventory.on_disk() == inventory.known
    assert inventory.in_bucket() == {}


def test_right_entry(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    engine.synapse_config = config({"module": "file_system", "config": {}}, provider_entry(engine.s3))
    outcome = engine.run()
    assert (outcome.status, outcome.errors) == (0, "")
    inventory.assert_all_moved()


def near_misses() -> dict[str, tuple[Any, list[str]]]:
    """Return each wrong configuration: how to make it from the engine's settings, and the words that name it."""
    return {
        "no entry": (lambda s3: config(), ["no entry in media_storage_providers", "role storage_provider"]),
        "no list": (lambda s3: {"server_name": "x"}, ["no entry in media_storage_providers"]),
        "misspelt": (
            lambda s3: {"media_store_providers": [provider_entry(s3)]},
            ["media_store_providers", "Rename it to media_storage_providers"],
        ),
        "module": (
            lambda s3: config({**provider_entry(s3), "module": OTHER_MODULE}),
            [OTHER_MODULE, "s3_storage_provider.S3StorageProviderBackend"],
        ),
        "bucket": (lambda s3: config(provider_entry(s3, bucket="other")), ["bucket is 'other' there"]),
        "prefix": (lambda s3: config(provider_entry(s3, prefix="old/")), ["prefix is 'old/' there and '' here"]),
        "endpoint": (
            lambda s3: config(provider_entry(s3, endpoint_url="https://s3.example.org")),
            ["endpoint_url is https://s3.example.org there"],
        ),
        "customer key": (
            lambda s3: config(provider_entry(s3, sse_customer_key="k" * 32)),
            ["sse_customer_key is set there only"],
        ),
        "media turned off": (
            lambda s3: config(provider_entry(s3), enable_media_repo=False),
            ["enable_media_repo is false", "synapse_configs"],
        ),
    }


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["run", "dry run"])
@pytest.mark.parametrize("miss", near_misses())
def test_wrong_entry(
    filled: Library, engine: Engine, inventory: MediaInventory, miss: str, options: tuple[str, ...]
) -> None:
    make, words = near_misses()[miss]
    engine.synapse_config = make(engine.s3)
    outcome = engine.run(*options)
    assert_refused(outcome, inventory, *words)
    assert "k" * 32 not in outcome.output + outcome.errors


def test_entry_that_is_commented_out(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    path = filled.directory / "homeserver.yaml"
    lines = yaml.safe_dump(config(provider_entry(engine.s3))).splitlines()
    path.write_text("".join(f"# {line}\n" for line in lines) + "server_name: synapse.example\n")
    engine.content["synapse_configs"] = [[str(path)]]
    assert_refused(engine.run(), inventory, "commented out", f"{path}, line ")


def test_entry_that_changes_between_two_runs(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """As when an operator's own playbook rewrites homeserver.yaml between two starts by the timer."""
    assert engine.run().status == 0
    inventory.assert_all_moved()
    moved = inventory.in_bucket()
    new = filled.add([1000] * 2, thumbnails=1)
    inventory.record_files()
    engine.synapse_config = config(provider_entry(engine.s3, bucket="other"))
    outcome = engine.run()
    assert outcome.status == 2 and "bucket is 'other' there" in outcome.errors
    assert sorted(inventory.on_disk()) == sorted(path for item in new for path in item.paths)
    assert inventory.in_bucket() == moved
    engine.synapse_config = None
    assert engine.run().status == 0
    inventory.assert_all_moved()


def test_homeserver_config_alone(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """The main process is checked where no others are given, including a configuration directory."""
    engine.content.update(
        homeserver_config=[str(filled.config), str(filled.directory / "conf.d")], synapse_configs=None
    )
    (filled.directory / "conf.d").mkdir()
    (filled.directory / "conf.d").chmod(0o755)
    assert_refused(engine.run(), inventory, "no entry in media_storage_providers")
    entry = filled.directory / "conf.d" / "media.yaml"
    entry.write_text(yaml.safe_dump({"media_storage_providers": [provider_entry(engine.s3)]}))
    filled.own(entry)
    assert engine.run().status == 0
    inventory.assert_all_moved()


def test_worker_that_serves_media(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    worker = filled.directory / "worker.yaml"
    listeners = [{"type": "http", "port": 8083, "resources": [{"names": ["media"]}]}]
    content: dict[str, Any] = {
        "worker_app": "synapse.app.generic_worker",
        "worker_name": "media1",
        "worker_listeners": listeners,
        "enable_media_repo": True,
    }
    engine.synapse_config = config(provider_entry(engine.s3), enable_media_repo=False)
    engine.content["synapse_configs"] = [[str(engine.synapse)], [str(engine.synapse), str(worker)]]
    worker.write_text(yaml.safe_dump({**content, "media_storage_providers": []}))
    filled.own(worker)
    assert_refused(engine.run(), inventory, "the worker media1")
    worker.write_text(yaml.safe_dump(content))
    assert engine.run().status == 0
    inventory.assert_all_moved()


def test_copying_needs_no_provider(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    engine.synapse_config = config()
    engine.offload["delete_local"] = False
    outcome = engine.run()
    assert (outcome.status, outcome.errors) == (0, "")
    assert inventory.on_disk() == inventory.known and len(inventory.in_bucket()) == 8


@pytest.mark.parametrize(
    ("content", "offload", "words"),
    [
        ({"synapse_configs": None}, {}, "configuration is not known"),
        ({}, {"provider_check": False}, "provider_check is false"),
    ],
)
def test_the_report_says_what_is_not_checked(
    filled: Library,
    engine: Engine,
    inventory: MediaInventory,
    content: dict[str, Any],
    offload: dict[str, Any],
    words: str,
) -> None:
    engine.synapse_config = config()
    engine.content.update(content)
    engine.offload.update(offload)
    outcome = engine.run()
    assert outcome.status == 0 and words in outcome.errors
    assert len(outcome.report["warnings"]) == 1 and words in outcome.report["warnings"][0]
    inventory.assert_all_moved()


@pytest.mark.parametrize("value", ["/etc/homeserver.yaml", ["/etc/homeserver.yaml"], [[]], [[5]]])
def test_synapse_configs_of_a_wrong_type(
    filled: Library, engine: Engine, inventory: MediaInventory, value: Any
) -> None:
    engine.content["synapse_configs"] = value
    outcome = engine.run()
    assert outcome.status == 2 and "no list of lists of paths" in outcome.errors
    assert inventory.on_disk() == inventory.known
