# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that modules share are written twice, as documentation and as argument spec: both must say the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.doc_fragments import connection, homeserver
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_options import (
    HOMESERVER_ARGUMENTS,
    public_database_values,
    source_from,
)

FACTS = ("type", "required", "default", "choices", "elements")


def facts_of(options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {fact: option.get(fact) for fact in FACTS} for name, option in options.items()}


@pytest.mark.parametrize(
    ("documentation", "arguments"),
    [
        (connection.ModuleDocFragment.DOCUMENTATION, CONNECTION_ARGUMENTS),
        (homeserver.ModuleDocFragment.DOCUMENTATION, HOMESERVER_ARGUMENTS),
    ],
)
def test_documentation_equals_the_argument_spec(documentation: str, arguments: dict[str, dict[str, Any]]) -> None:
    assert facts_of(yaml.safe_load(documentation)["options"]) == facts_of(arguments)


@pytest.mark.parametrize(
    ("arguments", "secrets"),
    [
        (CONNECTION_ARGUMENTS, {"secret_access_key", "session_token", "sse_customer_key"}),
        (HOMESERVER_ARGUMENTS, {"database"}),
    ],
)
def test_exactly_the_secrets_are_hidden(arguments: dict[str, dict[str, Any]], secrets: set[str]) -> None:
    assert {name for name, option in arguments.items() if option.get("no_log")} == secrets


def test_parameters_of_other_options_are_ignored() -> None:
    settings = settings_from({"bucket": "media", "prefix": "a/", "region_name": None, "state": "present"})
    assert (settings.bucket, settings.prefix, settings.region_name) == ("media", "a/", None)


def test_the_source_has_the_values_of_the_parameters() -> None:
    params = dict.fromkeys(HOMESERVER_ARGUMENTS)
    source = source_from({**params, "homeserver_config": ["/a"], "synapse_configs": [["/a"], ["/a", "/b"]]})
    assert (source.homeserver_config, source.synapse_configs) == (("/a",), (("/a",), ("/a", "/b")))
    assert source_from(params).homeserver_config == ()


def test_all_of_the_database_but_its_passwords_may_be_shown() -> None:
    database = {"name": "psycopg2", "args": {"user": "synapse", "password": "s3cret", "port": 5432, "sslpassword": "k"}}
    assert public_database_values(database) == {"psycopg2", "synapse", "5432"}
    assert public_database_values({"args": {"user": "same", "password": "same"}}) == set()
    assert public_database_values(None) == public_database_values({"args": "s3cret"}) == set()
