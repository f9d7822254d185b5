# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of the engine, as an operator writes them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    OffloadSettings,
    Shard,
)

WHERE = "offload in /etc/offload.yml"


def settings(**given: Any) -> OffloadSettings:
    return OffloadSettings.from_mapping({"state_dir": "/var/lib/synapse-s3", **given}, WHERE)


def test_settings_that_are_not_set_have_defaults() -> None:
    expected = OffloadSettings("/var/lib/synapse-s3")
    assert settings() == expected
    assert settings(**{field.name: None for field in dataclasses.fields(OffloadSettings)[1:]}) == expected
    assert settings(older_than="", bandwidth_limit="", metrics_file="", shard="") == expected
    assert (expected.older_than, expected.grace) == (timedelta(days=1), timedelta(seconds=60))
    assert (expected.delete_local, expected.store_remote, expected.verify) == (True, True, "content")
    assert (expected.concurrency, expected.bandwidth_limit, expected.shard) == (64, None, Shard(1, 1))


def test_all_settings_of_the_file() -> None:
    text = """
        {older_than: 0s, grace: 0s, delete_local: false, concurrency: 256, bandwidth_limit: 10M, store_remote: false,
         verify: size, state_dir: /var/lib/synapse-s3/, metrics_file: /var/lib/node_exporter/offload.prom, shard: 2/3}
    """
    assert OffloadSettings.from_mapping(yaml.safe_load(text), WHERE) == OffloadSettings(
        state_dir="/var/lib/synapse-s3",
        older_than=timedelta(0),
        grace=timedelta(0),
        delete_local=False,
        concurrency=256,
        bandwidth_limit=10 * 1024**2,
        store_remote=False,
        verify="size",
        metrics_file="/var/lib/node_exporter/offload.prom",
        shard=Shard(2, 3),
    )


def test_limits_of_the_disk_and_the_age_in_the_bucket() -> None:
    limited = settings(local_cache_size="50G", min_free=1000, min_bucket_age="7d")
    assert (limited.local_cache_size, limited.min_free) == (50 * 1024**3, 1000)
    assert limited.min_bucket_age == timedelta(days=7) and limited.limits_disk
    assert settings(min_bucket_age="0s") == settings(local_cache_size="", min_free="", min_bucket_age="") == settings()
    assert settings(min_free="1K").limits_disk and not settings(min_bucket_age="1h", delete_local=False).limits_disk


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"older": "1d"}, "Unknown setting older in offload in /etc/offload.yml"),
        ({"state_dir": None}, "state_dir in offload .* is not set"),
        ({"state_dir": "synapse-s3"}, "beginning with a slash"),
        ({"state_dir": 5}, "no text"),
        ({"metrics_file": "offload.prom"}, "metrics_file .* beginning with a slash"),
        ({"older_than": "1"}, "older_than in .* no duration"),
        ({"older_than": 0}, "older_than in .* no duration"),
        ({"grace": "5min"}, "grace in .* no duration"),
        ({"delete_local": "no"}, "delete_local .* true or false"),
        ({"store_remote": 1}, "store_remote .* true or false"),
        ({"concurrency": 0}, "from 1 to 1024"),
        ({"concurrency": 1025}, "from 1 to 1024"),
        ({"concurrency": "64"}, "from 1 to 1024"),
        ({"concurrency": True}, "from 1 to 1024"),
        ({"bandwidth_limit": "10 Mbit"}, "bandwidth_limit in .* no size"),
        ({"verify": "existence"}, "Choose one of content, size"),
        ({"verify": ["content"]}, "Choose one of content, size"),
        ({"local_cache_size": 0}, "local_cache_size in .* no size"),
        ({"local_cache_size": "0G"}, "local_cache_size in .* no size"),
        ({"local_cache_size": "-5G"}, "local_cache_size in .* no size"),
        ({"min_free": "some"}, "min_free in .* no size"),
        ({"min_free": True}, "min_free in .* no size"),
        ({"min_bucket_age": "7"}, "min_bucket_age in .* no duration"),
        ({"min_bucket_age": 0}, "min_bucket_age in .* no duration"),
        ({"local_cache_size": "50G", "delete_local": False}, "delete_local is false, .* leave local_cache_size out"),
        ({"min_free": "20G", "delete_local": False}, "delete_local is false, .* leave min_free out"),
        ({"shard": "4/3"}, "4/3"),
        ({"shard": 1}, "shard in .* no text"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        settings(**given)
