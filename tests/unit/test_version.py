# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version that requests carry is that of the collection."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.version import USER_AGENT, VERSION

GALAXY = Path(__file__).parents[2] / "galaxy.yml"


def test_the_package_and_the_collection_have_one_version() -> None:
    assert yaml.safe_load(GALAXY.read_text(encoding="utf-8"))["version"] == VERSION
    assert f"matrix_ops.synapse_s3/{VERSION}" == USER_AGENT
