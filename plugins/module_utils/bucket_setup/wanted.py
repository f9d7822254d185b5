# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wanted of a bucket. None stands for what was left to the default: done where the store can."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..synapse_media.errors import ConfigurationError

UNCHANGED = "unchanged"
VERSIONING = ("enabled", "suspended", UNCHANGED)
ENCRYPTION = ("AES256", "aws:kms", UNCHANGED)
# Media in any other class cannot be read at once, so Synapse could not serve it.
TRANSITION_CLASSES = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR")
DEFAULT_ABORT_DAYS = 7
DEFAULT_NONCURRENT_DAYS = 30


@dataclasses.dataclass(frozen=True)
class Grant:
    """An identity that a statement of the bucket policy names, and whether it may delete objects."""

    principal: str
    delete: bool = False


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The options of the module. Days are whole days; 0 stands for no rule."""

    block_public_access: bool | None = None
    versioning: str | None = None
    encryption: str | None = None
    kms_key_id: str | None = None
    abort_uploads_days: int | None = None
    expire_noncurrent_days: int | None = None
    transition_class: str | None = None
    transition_days: int = 0
    trash_prefix: str | None = None
    expire_trash_days: int = 0
    policy: Mapping[str, Any] | None = None
    grants: Sequence[Grant] | None = None
    cors_rules: Sequence[Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        """Raises ConfigurationError for values that contradict each other."""
        for name in ("abort_uploads_days", "expire_noncurrent_days", "transition_days", "expire_trash_days"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}. Set it to a number of days, or to 0.")
        if self.kms_key_id and self.encryption != "aws:kms":
            raise ConfigurationError("kms_key_id is set and encryption is not aws:kms. Set encryption: aws:kms too.")
        if self.policy is not None and self.grants is not None:
            raise ConfigurationError(
                "policy and grants are both set. Put the statements of the grants into the policy."
            )
        if self.versioning == "suspended" and self.expire_noncurrent_days is None:
            # Suspended by somebody who may want to keep the old versions.
            object.__setattr__(self, "expire_noncurrent_days", 0)
        if self.expire_trash_days and not self.trash_prefix:
            raise ConfigurationError("expire_trash_days is set without trash_prefix, so it would expire all media.")
