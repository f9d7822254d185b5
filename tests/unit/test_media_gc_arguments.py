# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module documents its options and results, and has the settings of the command."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.report import Report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.settings import (
    CollectSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.modules import media_gc
from ansible_collections.matrix_ops.synapse_s3.plugins.modules.media_gc import ARGUMENTS, COLLECTION, SETTINGS
from ansible_collections.matrix_ops.synapse_s3.plugins.modules.media_offload import SETTINGS as OFFLOAD_SETTINGS
from module_documentation import check_option, documented


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_the_documentation_equals_the_argument_spec(name: str) -> None:
    check_option(ARGUMENTS[name], documented(media_gc)[name])


def test_the_options_are_those_of_the_engine() -> None:
    assert {*SETTINGS, *COLLECTION} == {field.name for field in dataclasses.fields(CollectSettings)}
    assert {name: OFFLOAD_SETTINGS[name] for name in SETTINGS} == SETTINGS


def test_the_defaults_are_those_of_the_engine() -> None:
    defaults = {name: option.get("default") for name, option in COLLECTION.items()}
    concurrency = SETTINGS["concurrency"]["default"]
    assert CollectSettings.from_mapping(defaults, "/state", concurrency) == CollectSettings("/state")
    assert CollectSettings.from_mapping({}, "/state", concurrency) == CollectSettings("/state")


@pytest.mark.parametrize("name", ["secret_access_key", "session_token", "sse_customer_key", "database"])
def test_secrets_are_marked_no_log(name: str) -> None:
    assert ARGUMENTS[name]["no_log"] is True


def test_every_return_value_is_documented() -> None:
    report = set(Report().as_dict()) - {"failed", "skipped", "changed"}
    returned = set(yaml.safe_load(media_gc.RETURN))
    assert report | {"failed_files", "skipped_files", "exit_status", "error"} == returned


def test_the_examples_are_valid() -> None:
    for task in yaml.safe_load(media_gc.EXAMPLES):
        assert set(task["matrix_ops.synapse_s3.media_gc"]) <= set(ARGUMENTS)
