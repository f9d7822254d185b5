#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_offload
short_description: Move a homeserver's old media to S3, and verify each file there before its local copy is deleted
version_added: 1.0.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - Uploads media that is on the local disk, is in Synapse's database and is old enough, if it is not in the bucket yet.
    Deletes each file from the disk only after the same content has been verified in the bucket.
  - Verifies the content by its ETag, by a checksum that the store keeps, or by reading the object back. That an object
    with this key exists is not enough.
  - If a file and its object differ, uploads the file again only if the database proves the file right or the object
    wrong. Otherwise both stay and are named.
  - May be killed at any moment. Each media is then complete on the disk or complete in the bucket, and the next run
    continues.
  - Requests, database rows and memory depend on what is on the disk, not on what was ever moved.
  - Refuses to delete if Synapse's configuration shows that Synapse could not fetch the media from this bucket and
    prefix. Each run reads the configuration again.
  - Does not touch media without a row in the database, URL previews, files that are new or change during the run,
    symbolic links, and anything outside of the media store.
  - Started as root, it switches to O(user) before it writes any file. It stays root only if the media store belongs to
    root.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.homeserver
  - matrix_ops.synapse_s3.media_job
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
attributes:
  check_mode:
    details: Queries the database and the bucket as in a real run, reads files if needed, and writes nothing.
  diff_mode:
    support: full
    details: Shows the first hundred files with their state before and after.
  idempotent:
    details: A second run moves only media that has become old enough since.
options:
  state_dir:
    description:
      - Directory for the lock and for the file C(location), a record of the bucket, prefix, endpoint and customer key
        (as a salted hash) that were used.
      - It is created, with mode 0700 and owned by O(user), if it does not exist.
    type: path
    required: true
  older_than:
    description:
      - Only media that was last used longer ago than this is moved.
      - A whole number with V(s), V(h), V(d), V(w), V(m) (months of 30 days) or V(y) (years of 365 days).
    type: str
    default: 1d
  grace:
    description: Files that were changed within this time are not moved. Written like O(older_than).
    type: str
    default: 60s
  delete_local:
    description: Whether files that are verified in the bucket are deleted from the disk.
    type: bool
    default: true
  concurrency:
    description: Maximum number of concurrent requests, from 1 to 1024.
    type: int
    default: 64
  bandwidth_limit:
    description:
      - Bytes per second, uploads and downloads together, such as V(10M). The suffixes V(K), V(M), V(G) and V(T) are
        powers of 1024.
      - By default there is no limit.
    type: str
  store_remote:
    description: Whether media of other servers is moved too.
    type: bool
    default: true
  verify:
    description:
      - How to verify an object that was in the bucket before, if neither its ETag nor a checksum of the store does.
      - V(content) reads it back and compares its bytes. V(size) compares only the number of bytes.
    type: str
    default: content
    choices: [content, size]
  metrics_file:
    description:
      - File for the textfile collector of Prometheus's node exporter, as an absolute path.
      - It is replaced after each run, but not in check mode.
    type: path
  shard:
    description:
      - The part of the media that this host moves, such as V(2/3), if several hosts share one file system.
      - An original and its thumbnails are always in the same part.
    type: str
    default: 1/1
  evidence_age:
    description:
      - How old the store's response about an object may be when its local file is deleted, such as V(600s).
      - If it is older, as in a slow run, the store is asked again.
    type: str
    default: 600s
    version_added: 1.1.0
  local_cache_size:
    description:
      - The most bytes of media that stay on the disk, such as V(50G). The suffixes V(K), V(M), V(G) and V(T) are powers
        of 1024.
      - If there is more, media is moved although it was used since O(older_than), that used longest ago first, until at
        most 2.5 % less than this size remains, or one media less. All originals and thumbnails count, also those that
        are not moved, such as files without a row. URL previews do not count.
      - The media store is walked once more before the run, and more often if very much media was last used at about the
        same time. If nothing more may be moved, the module warns, with the numbers.
      - Needs O(delete_local=true). By default there is no limit.
    type: str
    version_added: 1.2.0
  min_free:
    description:
      - The bytes that are to be free on the file system of the media store, such as V(20G), as for O(local_cache_size).
      - If fewer are free, media is moved although it was used since O(older_than), that used longest ago first, until
        so many are free.
      - Needs O(delete_local=true). By default there is no limit.
    type: str
    version_added: 1.2.0
  min_bucket_age:
    description:
      - How long an object must have been in the bucket, by its LastModified, before its local file is deleted, such as
        V(7d). Written like O(older_than). What was uploaded in the same run stays.
      - The time is compared with the store's clock and with this host's. The one that makes the object younger counts.
      - By default files are deleted as soon as they are verified in the bucket.
    type: str
    version_added: 1.2.0
notes:
  - One run at a time uses a state directory and a media store; a second one fails at once and does nothing.
  - The runs are logged to the systemd journal. C(journalctl -t synapse-s3-migrate) shows those of the timer and those
    of the module.
  - A signal ends the run within seconds, and the result says what was done until then.
  - The results are those of C(python -m synapse_media.cli offload --json), except that C(failed) and C(skipped), which
    mean something else in Ansible, are RV(failed_files) and RV(skipped_files).
seealso:
  - module: matrix_ops.synapse_s3.s3_media_upload
"""

EXAMPLES = r"""
- name: Move media that nobody used for a month from the disk to the bucket
  matrix_ops.synapse_s3.media_offload:
    older_than: 1m
    state_dir: /var/lib/synapse-s3
    homeserver_config: [/etc/matrix-synapse/homeserver.yaml, /etc/matrix-synapse/conf.d]
    user: matrix-synapse
    bucket: synapse-media
    prefix: example.org/
    endpoint_url: https://s3.example.org
    region_name: eu-central-1
    access_key_id: "{{ synapse_s3_access_key_id }}"
    secret_access_key: "{{ synapse_s3_secret_access_key }}"
  vars:
    ansible_python_interpreter: /opt/synapse-s3/venv/bin/python
  register: moved

- name: Keep at most 50 GiB of media on the disk, and only delete what has been in the bucket for a week
  matrix_ops.synapse_s3.media_offload:
    older_than: 6m
    local_cache_size: 50G
    min_bucket_age: 7d
    state_dir: /var/lib/synapse-s3
    homeserver_config: [/etc/matrix-synapse/homeserver.yaml]
    bucket: synapse-media

- name: Show the freed space
  ansible.builtin.debug:
    msg: "{{ moved.deleted.files }} files, {{ moved.deleted.bytes | human_readable }}"

- name: Copy this host's third of the media on a shared file system to the bucket
  matrix_ops.synapse_s3.media_offload:
    shard: 2/3
    delete_local: false
    concurrency: 256
    bandwidth_limit: 50M
    state_dir: /var/lib/synapse-s3
    homeserver_config: [/etc/matrix-synapse/homeserver.yaml]
    bucket: synapse-media
"""

RETURN = r"""
dry_run:
  description: Whether this was check mode, so that the counts say what would be done.
  returned: always
  type: bool
  sample: false
scanned:
  description: All files of media in the media store, as C(files) and C(bytes).
  returned: always
  type: dict
  sample: {files: 605, bytes: 12114600}
uploaded:
  description: Files that were uploaded because the bucket did not have them.
  returned: always
  type: dict
  sample: {files: 585, bytes: 11796480}
verified:
  description: Files that were in the bucket already, with the same content.
  returned: always
  type: dict
  sample: {files: 0, bytes: 0}
repaired:
  description: Files that were uploaded again over an object that differed.
  returned: always
  type: dict
  sample: {files: 0, bytes: 0}
deleted:
  description: Files that were deleted from the disk.
  returned: always
  type: dict
  sample: {files: 585, bytes: 11796480}
skipped_files:
  description:
    - Files that were not to be moved, by reason, such as V(recent) (used within O(older_than)), V(grace) (changed
      within O(grace)), V(orphan) (no row in the database) or V(url_cache).
  returned: always
  type: dict
  sample: {orphan: {files: 20, bytes: 318120}}
failed_files:
  description: Files that could not be moved, the first ten thousand of them.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path below the media store.
      type: str
    key:
      description: Its key in the bucket.
      type: str
    error:
      description: The reason.
      type: str
  sample: []
failures:
  description: Number of files that could not be moved.
  returned: always
  type: int
  sample: 0
requests:
  description: Number of requests to the store by kind, such as C(list), C(head) and C(put), including repeated ones.
  returned: always
  type: dict
  sample: {list: 1, put: 585}
database_rows:
  description: Number of rows that the database sent.
  returned: always
  type: int
  sample: 117
selected:
  description:
    - Files that were to be moved, by the setting because of which, V(older_than), V(local_cache_size) or V(min_free).
      The first in this order counts.
  returned: if O(local_cache_size) or O(min_free) is set
  type: dict
  version_added: 1.2.0
  sample: {older_than: {files: 585, bytes: 11796480}, local_cache_size: {files: 20, bytes: 318120}}
kept:
  description:
    - Files that are verified in the bucket and stay on the disk, because they have been there for less than
      O(min_bucket_age). They count as C(uploaded), C(repaired) or C(verified) too.
  returned: if O(min_bucket_age) is set
  type: dict
  version_added: 1.2.0
  sample: {files: 12, bytes: 240204}
removed_directories:
  description: Number of empty directories that were removed from the media store, including those of earlier runs.
  returned: always
  type: int
  version_added: 1.1.0
  sample: 42
unanswered:
  description: Maximum number of uploads that were in progress when the run was ended early, and may have succeeded.
  returned: if there are any
  type: int
  version_added: 1.1.0
  sample: 64
seconds:
  description: Duration of the run.
  returned: always
  type: float
  sample: 1.204
error:
  description: Why the run was refused or ended early.
  returned: if it was
  type: str
exit_status:
  description:
    - That of the command line for the same run. V(0) if all is done, V(1) if files failed or the run ended early, V(2)
      if the run was refused and changed nothing, V(3) if another run is in progress, V(143), V(130) or V(129) if
      SIGTERM, SIGINT or SIGHUP stopped the run early.
  returned: always
  type: int
  sample: 0
"""

from typing import Any

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_options import (
    HOMESERVER_ARGUMENTS,
    media_module,
    source_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.media_run import (
    Answer,
    exit_with,
    perform,
    refused,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.job import (
    attempt,
    failed,
    job_of,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    DEFAULT_CONCURRENCY,
    DEFAULT_EVIDENCE_AGE,
    DEFAULT_GRACE,
    DEFAULT_OLDER_THAN,
    DEFAULT_SHARD,
    VERIFICATIONS,
    VERIFY_CONTENT,
    OffloadSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.journal import IDENTIFIER
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.signals import (
    Stopped,
    stop_on_signals,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "state_dir": {"type": "path", "required": True},
    "older_than": {"type": "str", "default": DEFAULT_OLDER_THAN},
    "grace": {"type": "str", "default": DEFAULT_GRACE},
    "delete_local": {"type": "bool", "default": True},
    "provider_check": HOMESERVER_ARGUMENTS["provider_check"],
    "concurrency": {"type": "int", "default": DEFAULT_CONCURRENCY},
    "bandwidth_limit": {"type": "str"},
    "store_remote": {"type": "bool", "default": True},
    "verify": {"type": "str", "default": VERIFY_CONTENT, "choices": list(VERIFICATIONS)},
    "metrics_file": {"type": "path"},
    "shard": {"type": "str", "default": DEFAULT_SHARD},
    "evidence_age": {"type": "str", "default": DEFAULT_EVIDENCE_AGE},
    "local_cache_size": {"type": "str"},
    "min_free": {"type": "str"},
    "min_bucket_age": {"type": "str"},
}

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CONNECTION_ARGUMENTS,
    **HOMESERVER_ARGUMENTS,
    **SETTINGS,
    "user": {"type": "str"},
}


def main() -> None:
    module = media_module(ARGUMENTS)
    stop_on_signals()
    try:
        answer = _perform(module.params, rehearse=module.check_mode, keep_names=module._diff)
    except (MediaError, Stopped) as error:
        answer = refused(IDENTIFIER, *failed(error, rehearse=module.check_mode))
    exit_with(module, answer, "moved")


def _perform(params: dict[str, Any], *, rehearse: bool, keep_names: bool) -> Answer:
    settings = OffloadSettings.from_mapping({name: params[name] for name in SETTINGS}, "the task")
    job = job_of(source_from(params), settings_from(params), settings, rehearse=rehearse)
    return perform(
        job,
        params["user"],
        IDENTIFIER,
        lambda on_failure: attempt(job, keep_names=keep_names, on_failure=on_failure),
    )


if __name__ == "__main__":
    main()
