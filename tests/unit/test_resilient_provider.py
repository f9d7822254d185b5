# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The resilient storage provider in Synapse's configuration: its entry, its options, and the change between the two."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.diff import diffs_of
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import (
    CONFIG_KEYS,
    KEY,
    PROVIDERS,
    RESILIENT_OPTIONS,
    RESILIENT_SETTINGS,
    ProviderEntry,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_summary import storage_providers
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import read_files
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.media_providers import (
    read_media_process,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import (
    ALL_STORAGE_CLASSES,
    StoreSettings,
)
from homeserver_files import ConfigurationFiles

ROLE = Path(__file__).resolve().parents[2] / "roles" / "storage_provider"
PACKAGE = ROLE / "files" / "synapse_s3_resilient_provider"
OFFICIAL, RESILIENT = PROVIDERS["official"], PROVIDERS["resilient"]
OPTIONS = {"threadpool_size": 60, "fetch_timeout": 4.5, "request_checksum_calculation": "when_supported"}


def entry(module: str = RESILIENT, options: dict[str, Any] | None = None, **settings: Any) -> ProviderEntry:
    given = {"bucket": "media", "prefix": "synapse/", "access_key_id": "AKIA", "secret_access_key": "s3cret"}
    return ProviderEntry(
        StoreSettings.from_mapping({**given, **settings}), module=module, options=options if options else {}
    )


@pytest.fixture(scope="module")
def settings_module() -> Any:
    """The module that reads the settings inside Synapse; it needs nothing of Synapse."""
    specification = importlib.util.spec_from_file_location("resilient_settings", PACKAGE / "settings.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules["resilient_settings"] = module
    specification.loader.exec_module(module)
    return module


def test_the_options_are_those_of_the_provider(settings_module: Any) -> None:
    assert set(settings_module.KEYS) == {*CONFIG_KEYS, *RESILIENT_SETTINGS, *RESILIENT_OPTIONS}
    assert set(settings_module.STORAGE_CLASSES) == set(ALL_STORAGE_CLASSES)


def test_the_provider_takes_every_entry_that_is_written(settings_module: Any) -> None:
    data = entry(options=OPTIONS, addressing_style="path", storage_class="GLACIER_IR").data()
    read = settings_module.read_settings(data["config"])
    assert (read.threadpool_size, read.fetch_timeout, read.addressing_style) == (60, 4.5, "path")
    # As many connections as threads, unless it is set.
    assert read.max_pool_connections == 60


def test_the_role_installs_every_file_of_the_provider() -> None:
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    assert variables["__synapse_s3_resilient_files"] == sorted(path.name for path in PACKAGE.glob("*.py"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fetch_timeot": 5}, "'fetch_timeot': fetch_timeout is the nearest"),
        ({"bucket": "other"}, "has no 'bucket'"),
        ({"threadpool_size": [1]}, "threadpool_size: [1]. Give it a number or a text"),
        ({"threadpool_size": True}, "threadpool_size: True"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        entry(options=options)
    assert words in str(refusal.value)
    assert "synapse_s3_storage_provider_options" in str(refusal.value)


def test_the_official_provider_takes_no_options() -> None:
    with pytest.raises(ConfigurationError, match="only the resilient storage provider takes"):
        entry(OFFICIAL, OPTIONS)


@pytest.mark.parametrize("storage_class", ["GLACIER_IR", "ONEZONE_IA"])
def test_only_the_resilient_provider_takes_more_storage_classes(storage_class: str) -> None:
    assert entry(storage_class=storage_class).data()["config"]["storage_class"] == storage_class
    with pytest.raises(ConfigurationError, match=f"synapse_s3_storage_class is {storage_class}"):
        entry(OFFICIAL, storage_class=storage_class)


@pytest.mark.parametrize("before", ["server_name: x\n", '{"server_name": "x"}'], ids=["block", "flow"])
def test_each_provider_follows_the_other_in_one_change(before: str, tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": before})
    files.put(entry(OFFICIAL))
    for wanted in (entry(options=OPTIONS), entry(OFFICIAL)):
        plan = files.put(wanted)
        assert (plan.action, list(plan.warnings)) == ("updated", [])
        assert files.providers() == [wanted.data()]
        assert files.put(wanted).action == "none"
        assert [provider["ours"] for provider in storage_providers(read_files(files.paths))] == [True]
        assert read_media_process(files.paths).providers[0].bucket == "media"
    files.remove()
    assert files.text() == before


def test_an_entry_of_the_operators_for_either_is_taken_over_and_the_change_is_named(tmp_path: Path) -> None:
    theirs = {"bucket": "media", "prefix": "synapse/", "threadpool_size": 10}
    text = yaml.safe_dump({KEY: [{"module": RESILIENT, "store_local": True, "config": theirs}]})
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": text})

    plan = files.put(entry(OFFICIAL))

    assert plan.action == "adopted"
    warnings = " ".join(plan.warnings)
    assert f"its module changes to {OFFICIAL} (synapse_s3_storage_provider)" in warnings
    assert "config.threadpool_size is left out: only the resilient storage provider takes it" in warnings


def test_a_diff_shows_the_module_and_the_options_and_no_secret(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "server_name: x\n"})
    files.put(entry(OFFICIAL))
    plan = files.put(entry(options=OPTIONS, addressing_style="path"))

    shown = str(diffs_of(plan, None))

    assert RESILIENT in shown and OFFICIAL in shown
    assert "threadpool_size: 60" in shown and "fetch_timeout: 4.5" in shown
    assert "s3cret" not in shown
