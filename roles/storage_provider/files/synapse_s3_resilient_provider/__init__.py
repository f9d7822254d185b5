# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A storage provider for Synapse that keeps Synapse responsive while S3 is not: official's class with bounds."""

from .backend import ResilientS3StorageProviderBackend

__all__ = ["ResilientS3StorageProviderBackend"]
