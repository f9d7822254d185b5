# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 options that most modules share; their argument spec is in module_utils/connection_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  bucket:
    description: Name of the bucket, without C(s3://) and without a folder.
    type: str
    required: true
  prefix:
    description:
      - The beginning of the keys of all media, such as V(media/).
      - No slash is added, so the prefix for a folder must end in one.
    type: str
    default: ""
  endpoint_url:
    description:
      - URL of the store's S3 endpoint, with its scheme, such as V(https://s3.example.org).
      - Leave it out for AWS.
    type: str
  region_name:
    description:
      - Region of the bucket.
      - AWS needs it. For Garage it is the region in its configuration, for Cloudflare R2 it is V(auto).
    type: str
  access_key_id:
    description:
      - Id of the access key.
      - By default boto3 finds credentials itself, such as those of the role of an instance.
    type: str
  secret_access_key:
    description: Secret of the access key. Required if O(access_key_id) is given.
    type: str
  session_token:
    description: Session token of temporary credentials.
    type: str
  sse_customer_key:
    description:
      - Key with which the store encrypts each object (SSE-C), as 32 characters.
      - Objects can be read only with the same key.
    type: str
  sse_customer_algo:
    description: Algorithm of O(sse_customer_key).
    type: str
    default: AES256
  storage_class:
    description:
      - Storage class of new objects.
      - Upstream's storage provider does not accept V(ONEZONE_IA) and V(GLACIER_IR); upstream's script does not accept
        V(GLACIER_IR), which was added in version 1.2.0.
    type: str
    default: STANDARD
    choices: [STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR]
  addressing_style:
    description:
      - Whether the name of the bucket is in the path or in the host name of a URL.
      - V(auto) puts it into the path if O(endpoint_url) is given.
    type: str
    default: auto
    choices: [auto, path, virtual]
  ca_bundle:
    description: File of PEM certificates to trust for the endpoint, instead of those of the system.
    type: path
"""
