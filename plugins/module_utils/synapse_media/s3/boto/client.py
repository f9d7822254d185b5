# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A botocore client for the store, made from the same settings as everything else."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from ...settings.store import CHECKSUM_POLICY, StoreSettings

BOTO3_IMPORT_ERROR: str | None = None
# What a call of the client may raise; explain() knows them all.
CLIENT_EXCEPTIONS: tuple[type[Exception], ...] = ()
try:
    import boto3
    import boto3.exceptions
    import botocore
    import botocore.config
    import botocore.exceptions
except ImportError:
    BOTO3_IMPORT_ERROR = traceback.format_exc()
else:
    CLIENT_EXCEPTIONS = (
        botocore.exceptions.BotoCoreError,
        botocore.exceptions.ClientError,
        boto3.exceptions.Boto3Error,
        RecursionError,  # botocore runs in circles when something that is no S3 store responses with a redirect
    )


def make_client(
    settings: StoreSettings,
    *,
    max_pool_connections: int = 10,
    connect_timeout: float = 10,
    read_timeout: float = 60,
    max_attempts: int = 5,
    signed: bool = True,
) -> Any:
    """A botocore S3 client that every store takes; without keys it uses the instance's role.

    With `signed` false it sends requests as anyone can, without keys.
    """
    if BOTO3_IMPORT_ERROR is not None:
        raise ConfigurationError(
            f"The Python library boto3 cannot be imported by {sys.executable}. "
            "Install it there, or run with a Python that has it."
        )
    if settings.ca_bundle and not Path(settings.ca_bundle).is_file():
        raise ConfigurationError(
            f"synapse_s3_ca_bundle is {settings.ca_bundle!r}, and no such file is on this host. "
            "Put the certificate authority's PEM file there, or leave the setting empty to use the system's."
        )
    options: dict[str, Any] = {
        "connect_timeout": connect_timeout,
        "read_timeout": read_timeout,
        "max_pool_connections": max_pool_connections,
        "retries": {"mode": "standard", "total_max_attempts": max_attempts},
        "s3": {"addressing_style": settings.addressing_style},
    }
    if not signed:
        options["signature_version"] = botocore.UNSIGNED
    # botocore before 1.36 refuses these options, and does not need them.
    if "request_checksum_calculation" in botocore.config.Config.OPTION_DEFAULTS:
        options["request_checksum_calculation"] = CHECKSUM_POLICY
        options["response_checksum_validation"] = CHECKSUM_POLICY
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region_name,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            aws_session_token=settings.session_token,
            verify=settings.ca_bundle,
            config=botocore.config.Config(**options),
        )
    except (ValueError, botocore.exceptions.BotoCoreError) as error:
        raise ConfigurationError(
            f"No S3 client can be made for these settings ({error}). "
            "Correct synapse_s3_endpoint_url, synapse_s3_region_name or synapse_s3_addressing_style."
        ) from error
