# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module documents its options and results, and its settings are those of the migrate job."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.audit.comparison import Comparison
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.audit.run import Audit
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    OffloadSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.status.report import Disk, Status
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.status.text import full_report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.status.units import MigrateJob
from ansible_collections.matrix_ops.synapse_s3.plugins.modules import media_info
from ansible_collections.matrix_ops.synapse_s3.plugins.modules.media_info import ARGUMENTS, SETTINGS
from ansible_collections.matrix_ops.synapse_s3.plugins.modules.media_offload import SETTINGS as OFFLOAD_SETTINGS
from module_documentation import check_option, documented


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_the_documentation_equals_the_argument_spec(name: str) -> None:
    check_option(ARGUMENTS[name], documented(media_info)[name])


def test_the_settings_are_those_of_the_migrate_job() -> None:
    assert {name: OFFLOAD_SETTINGS[name] for name in SETTINGS} == SETTINGS
    given = {name: option.get("default") for name, option in SETTINGS.items()} | {"state_dir": "/state"}
    assert OffloadSettings.from_mapping(given, "the task") == OffloadSettings("/state")


@pytest.mark.parametrize("name", ["secret_access_key", "session_token", "sse_customer_key", "database"])
def test_secrets_are_marked_no_log(name: str) -> None:
    assert ARGUMENTS[name]["no_log"] is True


def test_every_return_value_is_documented() -> None:
    nothing = Audit(Comparison(lambda file, row: None, lambda path: False, 0, ""))
    status = Status("s3://bucket", "/media", nothing, MigrateJob(), Disk(), usage={})
    assert set(yaml.safe_load(media_info.RETURN)) == set(full_report(status))
