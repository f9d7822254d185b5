# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options about media and the database: their documentation equals their argument spec, and what may be shown."""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.doc_fragments.homeserver import ModuleDocFragment
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_options import (
    HOMESERVER_ARGUMENTS,
    public_database_values,
    source_from,
)

FACTS = ("type", "required", "default", "choices", "elements")


def facts_of(options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {fact: option.get(fact) for fact in FACTS} for name, option in options.items()}


def test_documentation_equals_the_argument_spec() -> None:
    assert facts_of(yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]) == facts_of(HOMESERVER_ARGUMENTS)


def test_exactly_the_secrets_are_no_log() -> None:
    assert {name for name, option in HOMESERVER_ARGUMENTS.items() if option.get("no_log")} == {"database"}


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
