# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML whose aliases expand beyond the memory is refused before any value is built."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.config import read_config
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import parse
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.yaml_loader import (
    MOST_ALIASED,
    AliasError,
    load,
)

PACKAGE = Path(__file__).parents[2] / "plugins" / "module_utils"
# 10 ** 12 values in a kilobyte, by lists and by merge keys.
LISTS = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 13))
MERGES = "a0: &a0 {k: lol}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 13)
)
ITSELF = "a: &a\n  b: *a\n"


@pytest.mark.parametrize("text", [LISTS, MERGES, ITSELF], ids=["lists", "merges", "itself"])
def test_aliases_that_expand_enormously_are_refused_at_once(text: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(AliasError):
        load(text)
    with pytest.raises(ConfigurationError) as homeserver:
        parse(text, "/etc/matrix-synapse/homeserver.yaml")
    own = tmp_path / "migrate.yml"
    own.write_text(text)
    own.chmod(0o600)
    with pytest.raises(ConfigurationError) as config:
        read_config(str(own), {})
    assert time.monotonic() - began < 2
    for message, path in (
        (str(homeserver.value), "/etc/matrix-synapse/homeserver.yaml"),
        (str(config.value), str(own)),
    ):
        assert path in message and "Write the values out" in message and "\n" not in message


def test_the_command_refuses_them_with_one_line_and_little_memory(tmp_path: Path) -> None:
    (tmp_path / "homeserver.yaml").write_text(MERGES)
    config = tmp_path / "migrate.yml"
    config.write_text(
        f"homeserver_config: {tmp_path}/homeserver.yaml\n"
        "s3: {bucket: b, access_key_id: i, secret_access_key: s, endpoint_url: 'http://127.0.0.1:9'}\n"
        f"offload: {{state_dir: {tmp_path}/state}}\n"
    )
    config.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-m", "synapse_media.cli", "offload", "--config", str(config)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (512 * 1024**2, 512 * 1024**2)),
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1 and f"{tmp_path}/homeserver.yaml is refused" in done.stderr


def test_ordinary_aliases_are_read() -> None:
    text = "base: &base {a: 1, b: [1, 2]}\nlist:\n" + "  - {<<: *base, c: 2}\n" * 500
    assert load(text)["list"] == [{"a": 1, "b": [1, 2], "c": 2}] * 500


def test_the_limit_applies_to_aliases_only() -> None:
    count = MOST_ALIASED + 1
    assert len(load(f"[{'1,' * count}]")) == count
