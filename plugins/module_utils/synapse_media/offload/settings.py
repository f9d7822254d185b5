# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of a run, as the section `offload` of the configuration file and the module's options name them."""

from __future__ import annotations

import dataclasses
import os.path
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..disk.layout import Media, checksum_of_name
from ..errors import ConfigurationError
from ..settings.config import ConfigFile, flag, refuse_unknown, text
from ..settings.units import parse_duration, parse_size

VERIFY_CONTENT = "content"
VERIFY_SIZE = "size"
VERIFICATIONS = (VERIFY_CONTENT, VERIFY_SIZE)

# Settings that decide what leaves the disk.
OLDER_THAN = "older_than"
LOCAL_CACHE_SIZE = "local_cache_size"
MIN_FREE = "min_free"
MIN_BUCKET_AGE = "min_bucket_age"

DEFAULT_OLDER_THAN = "1d"
DEFAULT_GRACE = "60s"
DEFAULT_CONCURRENCY = 64
MOST_CONCURRENCY = 1024
DEFAULT_SHARD = "1/1"
DEFAULT_EVIDENCE_AGE = "600s"


@dataclasses.dataclass(frozen=True)
class Shard:
    """Share `index` of `count`, counted from 1: the same media on every host that works on the media store."""

    index: int
    count: int

    def owns(self, media: Media) -> bool:
        """An original and its thumbnails are always in the same share, whichever host asks."""
        if self.count == 1:
            return True
        return checksum_of_name(media) % self.count == self.index - 1


_WHOLE = Shard(1, 1)


@dataclasses.dataclass(frozen=True)
class OffloadSettings:
    """`state_dir` and `metrics_file` are absolute paths, `bandwidth_limit` is in bytes a second, None for no limit.

    `provider_check` is whether deleting needs a Synapse whose configuration names the same location in S3.
    `local_cache_size` is the most bytes of media on the disk after a run, `min_free` the least free bytes of its file
    system; `min_bucket_age` is how long an object must have been in the bucket before its file is deleted. None if not
    limited.
    """

    state_dir: str
    older_than: timedelta = timedelta(days=1)
    grace: timedelta = timedelta(seconds=60)
    delete_local: bool = True
    provider_check: bool = True
    concurrency: int = DEFAULT_CONCURRENCY
    bandwidth_limit: int | None = None
    store_remote: bool = True
    verify: str = VERIFY_CONTENT
    metrics_file: str | None = None
    shard: Shard = _WHOLE
    evidence_age: timedelta = timedelta(minutes=10)
    local_cache_size: int | None = None
    min_free: int | None = None
    min_bucket_age: timedelta | None = None

    @property
    def limits_disk(self) -> bool:
        """Whether media may have to be moved before it is `older_than`."""
        return self.local_cache_size is not None or self.min_free is not None

    @classmethod
    def of_file(cls, config: ConfigFile) -> OffloadSettings:
        """Of the engine that the file is for: upstream's script has fewer settings. Raises ConfigurationError."""
        if config.offload:
            return cls.from_mapping(config.offload, f"offload in {config.path}")
        return cls.from_mapping(config.migrate, f"migrate in {config.path}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str) -> OffloadSettings:
        """Settings as an operator writes them: None or an empty text means not set. Raises ConfigurationError.

        `where` says in messages where they were read from.
        """
        refuse_unknown(mapping, [field.name for field in dataclasses.fields(cls)], where)
        given = {name: value for name, value in mapping.items() if value is not None and value != ""}
        older_than = given.get("older_than", DEFAULT_OLDER_THAN)
        delete_local = flag(given, "delete_local", where, default=True)
        for name in (LOCAL_CACHE_SIZE, MIN_FREE):
            if name in given and not delete_local:
                raise ConfigurationError(
                    f"{name} in {where} is {given[name]!r}, and delete_local is false, so nothing leaves the disk. "
                    f"Set delete_local to true, or leave {name} out."
                )
        return cls(
            state_dir=_directory(given, "state_dir", where),
            older_than=parse_duration(older_than, f"older_than in {where}"),
            grace=parse_duration(given.get("grace", DEFAULT_GRACE), f"grace in {where}"),
            delete_local=delete_local,
            provider_check=flag(given, "provider_check", where, default=True),
            concurrency=_concurrency(given.get("concurrency", DEFAULT_CONCURRENCY), where),
            bandwidth_limit=_size(given, "bandwidth_limit", where),
            store_remote=flag(given, "store_remote", where, default=True),
            verify=_verification(given.get("verify", VERIFY_CONTENT), where),
            metrics_file=_path(given, "metrics_file", where),
            shard=parse_shard(text(given, "shard", where) or DEFAULT_SHARD),
            evidence_age=parse_duration(given.get("evidence_age", DEFAULT_EVIDENCE_AGE), f"evidence_age in {where}"),
            local_cache_size=_size(given, LOCAL_CACHE_SIZE, where),
            min_free=_size(given, MIN_FREE, where),
            min_bucket_age=_min_bucket_age(given, where),
        )


def _directory(given: Mapping[str, Any], name: str, where: str) -> str:
    path = _path(given, name, where)
    if path is None:
        raise ConfigurationError(
            f"{name} in {where} is not set. Name a directory that belongs to the user this runs as, in full."
        )
    return path


def _path(given: Mapping[str, Any], name: str, where: str) -> str | None:
    path = text(given, name, where)
    if path is not None and not path.startswith("/"):
        raise ConfigurationError(f"{name} in {where} is {path!r}. Write it in full, beginning with a slash.")
    return None if path is None else os.path.normpath(path)


def _size(given: Mapping[str, Any], name: str, where: str) -> int | None:
    return parse_size(given[name], f"{name} in {where}") if name in given else None


def _min_bucket_age(given: Mapping[str, Any], where: str) -> timedelta | None:
    """None for 0s too: both permit to delete what was uploaded in the same run."""
    if MIN_BUCKET_AGE not in given:
        return None
    return parse_duration(given[MIN_BUCKET_AGE], f"{MIN_BUCKET_AGE} in {where}") or None


def _concurrency(value: object, where: str) -> int:
    # A bool is an int to Python, and YAML makes one of "yes".
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_CONCURRENCY:
        raise ConfigurationError(
            f"concurrency in {where} is {value!r}. Write a whole number from 1 to {MOST_CONCURRENCY}."
        )
    return value


def _verification(value: object, where: str) -> str:
    if value not in VERIFICATIONS:
        raise ConfigurationError(f"verify in {where} is {value!r}. Choose one of {', '.join(VERIFICATIONS)}.")
    return str(value)


def parse_shard(text: str) -> Shard:
    """Such as "2/3". Raises ConfigurationError for anything else."""
    match = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", text)
    if match:
        shard = Shard(int(match.group(1)), int(match.group(2)))
        if 1 <= shard.index <= shard.count:
            return shard
    raise ConfigurationError(
        f"The shard {text!r} is not a share such as 2/3. "
        "Give the number of this host and how many hosts there are, counted from 1."
    )
