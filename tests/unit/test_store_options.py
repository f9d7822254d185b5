# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection options are written twice, as documentation and as argument spec: both must be equal."""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.doc_fragments.connection import ModuleDocFragment
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)

DOCUMENTED: dict[str, dict[str, Any]] = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
SECRETS = {"secret_access_key", "session_token", "sse_customer_key"}


def test_documentation_equals_the_argument_spec() -> None:
    facts = ("type", "required", "default", "choices")
    documented = {name: {fact: option.get(fact) for fact in facts} for name, option in DOCUMENTED.items()}
    specified = {name: {fact: option.get(fact) for fact in facts} for name, option in CONNECTION_ARGUMENTS.items()}
    assert documented == specified


def test_exactly_the_secrets_are_no_log() -> None:
    assert {name for name, option in CONNECTION_ARGUMENTS.items() if option.get("no_log")} == SECRETS


def test_parameters_of_other_options_are_left_alone() -> None:
    settings = settings_from({"bucket": "media", "prefix": "a/", "region_name": None, "state": "present"})
    assert (settings.bucket, settings.prefix, settings.region_name) == ("media", "a/", None)
