# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment of a run: the same for the script and for the S3 client, whatever the caller's shell has set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..settings.store import StoreSettings, child_environment

# Without configured keys boto3 finds the role of the instance, the container or the web identity by these.
_CREDENTIAL_CHAIN = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
)
_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
# Without a limit, a database host that drops packets would block the run for minutes.
_DATABASE_TIMEOUT = "30"


def run_environment(
    ambient: Mapping[str, str], settings: StoreSettings | None, aws_config_path: Path | None
) -> dict[str, str]:
    """Without variables such as AWS_ENDPOINT_URL and PGHOST, which would lead to another bucket or database."""
    environment = {name: value for name, value in ambient.items() if not name.startswith(("AWS_", "PG", "SSE_"))}
    environment["PGCONNECT_TIMEOUT"] = _DATABASE_TIMEOUT
    if settings is None:
        return environment
    kept: tuple[str, ...] = ()
    if not settings.access_key_id:
        kept += _CREDENTIAL_CHAIN
    if not settings.region_name:
        kept += _REGION
    environment.update({name: ambient[name] for name in kept if name in ambient})
    environment.update(child_environment(settings))
    if aws_config_path is not None:
        environment["AWS_CONFIG_FILE"] = str(aws_config_path)
    return environment


def apply(environment: Mapping[str, str]) -> None:
    """Sets it for this process, for the S3 client and the database driver."""
    os.environ.clear()
    os.environ.update(environment)
