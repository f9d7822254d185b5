# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module has the same options as the configuration file, and documents all of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import Report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    OffloadSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.config import SECTIONS
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings
from ansible_collections.matrix_ops.synapse_s3.plugins.modules import media_offload
from ansible_collections.matrix_ops.synapse_s3.plugins.modules.media_offload import ARGUMENTS, SETTINGS
from module_documentation import check_option, documented


def names_of(settings: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(settings)}


def test_the_options_equal_those_of_the_file() -> None:
    of_the_file = set(SECTIONS) - {"s3", "offload", "migrate"}
    assert set(ARGUMENTS) == of_the_file | names_of(StoreSettings) | names_of(OffloadSettings) | {"user"}
    assert set(SETTINGS) == names_of(OffloadSettings)


def test_the_defaults_equal_those_of_the_file() -> None:
    defaults = {name: option.get("default") for name, option in SETTINGS.items()}
    given = {**defaults, "state_dir": "/state"}
    assert OffloadSettings.from_mapping(given, "the task") == OffloadSettings("/state")


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_the_documentation_equals_the_argument_spec(name: str) -> None:
    check_option(ARGUMENTS[name], documented(media_offload)[name])


@pytest.mark.parametrize("name", ["secret_access_key", "session_token", "sse_customer_key", "database"])
def test_secrets_are_marked_no_log(name: str) -> None:
    assert ARGUMENTS[name]["no_log"] is True


def test_every_return_value_is_documented() -> None:
    report = set(Report().as_dict()) - {"failed", "skipped", "changed"}
    returned = set(yaml.safe_load(media_offload.RETURN))
    with_limits = {"selected", "kept"}
    assert report | with_limits | {"failed_files", "skipped_files", "exit_status", "error", "unanswered"} == returned


def test_the_examples_are_valid() -> None:
    for task in yaml.safe_load(media_offload.EXAMPLES):
        options = task.get("matrix_ops.synapse_s3.media_offload", {})
        assert set(options) <= set(ARGUMENTS)
