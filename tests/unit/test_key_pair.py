# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys that are handed over on the standard input, and refusals that quote nothing of them."""

from __future__ import annotations

import io

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.key_pair import (
    read_key_pair,
)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("access_key_id: id\nsecret_access_key: the-secret\n", None),
        ('{"access_key_id": "id", "secret_access_key": "the-secret", "session_token": ""}', None),
        ('{"access_key_id": "id", "secret_access_key": "the-secret", "session_token": "token"}', "token"),
    ],
)
def test_yaml_and_json(text: str, token: str | None) -> None:
    assert read_key_pair(io.StringIO(text)) == {
        "access_key_id": "id",
        "secret_access_key": "the-secret",
        "session_token": token,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no keys"),
        ("the-secret", "holds no keys"),
        ("[the-secret]", "holds no keys"),
        ("the-secret: the-secret", "holds no keys"),
        ("access_key_id: id\nsecret_access_key: [the-secret", "not valid YAML"),
        ("access_key_id: id\nsecret_access_key: 12345\n", "no text"),
        ("access_key_id: id\nsecret_access_key:\n", "lacks one"),
        ("secret_access_key: the-secret\n", "lacks one"),
    ],
)
def test_refusals_say_what_is_wrong_and_quote_nothing(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        read_key_pair(io.StringIO(text))
    assert "the-secret" not in str(raised.value) and "12345" not in str(raised.value)
