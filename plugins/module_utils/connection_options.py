# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 options that most modules share; documented in the doc fragment ``connection``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import (
    ADDRESSING_STYLES,
    ALL_STORAGE_CLASSES,
    StoreSettings,
)

CONNECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": ""},
    "endpoint_url": {"type": "str"},
    "region_name": {"type": "str"},
    # The id is no secret, and Ansible would mask a short one such as "synapse" in every message and path.
    "access_key_id": {"type": "str", "no_log": False},
    "secret_access_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
    "sse_customer_key": {"type": "str", "no_log": True},
    "sse_customer_algo": {"type": "str", "default": "AES256"},
    "storage_class": {"type": "str", "default": "STANDARD", "choices": list(ALL_STORAGE_CLASSES)},
    "addressing_style": {"type": "str", "default": "auto", "choices": list(ADDRESSING_STYLES)},
    "ca_bundle": {"type": "path"},
}


def settings_from(params: Mapping[str, Any]) -> StoreSettings:
    """The S3 settings in a module's parameters. Raises ConfigurationError."""
    return StoreSettings.from_mapping({name: params.get(name) for name in CONNECTION_ARGUMENTS})
