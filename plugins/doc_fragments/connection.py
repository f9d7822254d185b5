# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 options that every module takes; their argument spec is in module_utils/connection_options.py."""

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
      - What the keys of all media begin with, such as V(media/).
      - It is put in front of each path as it is written, so a folder ends in a slash.
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
      - AWS needs it. Garage wants the region of its own configuration, Cloudflare R2 wants V(auto).
    type: str
  access_key_id:
    description:
      - Id of the access key.
      - Without keys the role of the instance is used, or whatever else boto3 finds by itself.
    type: str
  secret_access_key:
    description: Secret of the access key. Required where O(access_key_id) is given.
    type: str
  session_token:
    description: Session token of temporary keys.
    type: str
  sse_customer_key:
    description:
      - Key with which the store encrypts each object (SSE-C), as 32 characters.
      - Objects can be read with the same key only.
    type: str
  sse_customer_algo:
    description: Algorithm of O(sse_customer_key).
    type: str
    default: AES256
  storage_class:
    description:
      - Storage class of new objects.
      - The storage provider inside Synapse does not take V(ONEZONE_IA).
    type: str
    default: STANDARD
    choices: [STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA]
  addressing_style:
    description:
      - Whether the bucket's name goes into the path or into the host name of a URL.
      - V(auto) puts it into the path where O(endpoint_url) is given.
    type: str
    default: auto
    choices: [auto, path, virtual]
  ca_bundle:
    description: File of PEM certificates to trust for the endpoint, in place of the system's.
    type: path
"""
