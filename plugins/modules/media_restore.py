#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_restore
short_description: Bring a homeserver's media back from S3 to the disk, each file verified before it is put in place
version_added: 1.2.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - Downloads objects whose media has a row in Synapse's database and whose file is not on the disk.
  - Writes each file under a temporary name in its directory, verifies it by the length and the SHA-256 of its row, by
    the ETag or by a checksum that the store keeps, syncs it to the disk and only then gives it its name.
  - Replaces no file. What is on the disk with the length of its object is left alone. What is there and different is
    left alone too, and is a failure, and so is an object that contradicts its row.
  - Compares the free space with what is missing before it downloads anything.
  - May be killed at any moment. No file on the disk is then incomplete, and the next run continues.
  - Follows no symbolic link below the media store, and writes nothing outside of it, whatever a key or a row says.
  - Started as root, it switches to O(user) before it writes any file. It stays root only if the media store belongs to
    root. Modes are those of the directory above, without the right to execute.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.homeserver
  - matrix_ops.synapse_s3.media_job
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
attributes:
  check_mode:
    details: Queries the database, the bucket and the disk as in a real run, downloads nothing, and writes nothing.
  diff_mode:
    support: full
    details: Shows the first hundred files with their state before and after.
  idempotent:
    details: A second run restores only what has left the disk since.
options:
  state_dir:
    description:
      - Directory of the migrate job, with its lock and the record of the location that it used.
      - The run is refused if the record names another location than the options.
      - It is created, with mode 0700 and owned by O(user), if it does not exist.
    type: path
    required: true
  kind:
    description: Whether only this server's own media is restored, only that of other servers, or both.
    type: str
    default: all
    choices: [all, local, remote]
  origins:
    description: Only media of these servers.
    type: list
    elements: str
    default: []
  users:
    description: Only media that these users of this server uploaded, such as V(@alice:example.org).
    type: list
    elements: str
    default: []
  media_ids:
    description:
      - Only these media, such as V(mxc://example.org/abc). An id alone is that of local media.
      - The bucket is not listed for up to a thousand of them.
    type: list
    elements: str
    default: []
  newer_than:
    description:
      - Only media that was last used within this time.
      - A whole number with V(s), V(h), V(d), V(w), V(m) (months of 30 days) or V(y) (years of 365 days).
    type: str
  originals_only:
    description: Whether thumbnails are left out. Synapse makes them again as they are asked for.
    type: bool
    default: false
  without_rows:
    description:
      - Whether objects are restored too whose media has no row in Synapse's database any more.
      - Synapse does not serve them. Only what is of Synapse's layout is restored.
    type: bool
    default: false
  verify:
    description:
      - Whether files that are on the disk already are read, and compared with their rows and objects.
      - By default their length is compared.
    type: bool
    default: false
  concurrency:
    description: Maximum number of concurrent requests, from 1 to 1024.
    type: int
    default: 64
  bandwidth_limit:
    description:
      - Bytes per second, such as V(10M). The suffixes V(K), V(M), V(G) and V(T) are powers of 1024.
      - By default there is no limit.
    type: str
notes:
  - One run at a time uses a state directory and a media store, whether it restores or moves; a second one fails at
    once and does nothing.
  - The migrate job moves what is old enough to the bucket again. Stop its timer first, as the playbook
    C(matrix_ops.synapse_s3.restore) does.
  - The runs are logged to the systemd journal, see C(journalctl -t synapse-s3-restore).
  - A signal ends the run within seconds, and the result says what was done until then.
  - The results are those of C(synapse-s3 restore --json), except that C(failed) and C(skipped), which mean something
    else in Ansible, are RV(failed_files) and RV(skipped_files).
seealso:
  - module: matrix_ops.synapse_s3.media_offload
  - module: matrix_ops.synapse_s3.media_info
"""

EXAMPLES = r"""
- name: Bring all media back to the disk
  matrix_ops.synapse_s3.media_restore:
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
  register: restored

- name: Bring back what was used in the last month, without thumbnails
  matrix_ops.synapse_s3.media_restore:
    newer_than: 30d
    originals_only: true
    bandwidth_limit: 50M
    state_dir: /var/lib/synapse-s3
    homeserver_config: [/etc/matrix-synapse/homeserver.yaml]
    bucket: synapse-media

- name: Bring back two media
  matrix_ops.synapse_s3.media_restore:
    media_ids: [mxc://example.org/abcdefghijklmnopqrstuvwx, mxc://matrix.org/yz]
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
selected:
  description: Objects that are to be on the disk, as C(files) and C(bytes).
  returned: always
  type: dict
  sample: {files: 605, bytes: 12114600}
missing:
  description: Those that were not on the disk and can be restored.
  returned: always
  type: dict
  sample: {files: 585, bytes: 11796480}
restored:
  description: Files that were put on the disk.
  returned: always
  type: dict
  sample: {files: 585, bytes: 11796480}
present:
  description: Files that were on the disk already, with the right length, or the right content with O(verify=true).
  returned: always
  type: dict
  sample: {files: 20, bytes: 318120}
by_length:
  description:
    - Those of RV(restored) that are verified by their length alone, because their rows have no SHA-256, their ETags are
      no digests, and the store keeps no checksum of them.
  returned: always
  type: dict
  sample: {files: 0, bytes: 0}
skipped_files:
  description:
    - Objects that were not to be restored, by reason, V(no_row) (no row in the database), V(url_cache), or V(foreign)
      (not of Synapse's layout).
  returned: always
  type: dict
  sample: {no_row: {files: 20, bytes: 318120}}
failed_files:
  description: Files that could not be restored, the first ten thousand of them.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path below the media store, or a media id that names no media.
      type: str
    key:
      description: Its key in the bucket.
      type: str
    error:
      description: The reason.
      type: str
  sample: []
failures:
  description: Number of files that could not be restored.
  returned: always
  type: int
  sample: 0
free_bytes:
  description: Free space of the media store's file system before anything was downloaded.
  returned: always
  type: int
  sample: 53687091200
removed_temporaries:
  description: Number of temporary files of a killed run that were removed.
  returned: always
  type: int
  sample: 0
requests:
  description: Number of requests to the store by kind, such as C(list), C(head) and C(get), including repeated ones.
  returned: always
  type: dict
  sample: {list: 1, get: 585}
database_rows:
  description: Number of rows that the database sent.
  returned: always
  type: int
  sample: 702
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
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    DEFAULT_CONCURRENCY,
    OffloadSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.signals import (
    Stopped,
    stop_on_signals,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.restore.job import attempt, job_of
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.restore.report import Report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.restore.settings import (
    ALL,
    KINDS,
    RestoreSettings,
    Selection,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.job import failed

SELECTION: dict[str, dict[str, Any]] = {
    "kind": {"type": "str", "default": ALL, "choices": list(KINDS)},
    "origins": {"type": "list", "elements": "str", "default": []},
    "users": {"type": "list", "elements": "str", "default": []},
    "media_ids": {"type": "list", "elements": "str", "default": []},
    "newer_than": {"type": "str"},
    "originals_only": {"type": "bool", "default": False},
    "without_rows": {"type": "bool", "default": False},
}

# As those of media_offload.
SETTINGS: dict[str, dict[str, Any]] = {
    "state_dir": {"type": "path", "required": True},
    "concurrency": {"type": "int", "default": DEFAULT_CONCURRENCY},
    "bandwidth_limit": {"type": "str"},
}

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CONNECTION_ARGUMENTS,
    **HOMESERVER_ARGUMENTS,
    **SETTINGS,
    **SELECTION,
    "verify": {"type": "bool", "default": False},
    "user": {"type": "str"},
}

IDENTIFIER = "synapse-s3-restore"


def main() -> None:
    module = media_module(ARGUMENTS)
    stop_on_signals()
    try:
        answer = _perform(module.params, rehearse=module.check_mode)
    except (MediaError, Stopped) as error:
        answer = refused(IDENTIFIER, *failed(error, Report(dry_run=module.check_mode)))
    exit_with(module, answer, "restored")


def _perform(params: dict[str, Any], *, rehearse: bool) -> Answer:
    job_settings = OffloadSettings.from_mapping({name: params[name] for name in SETTINGS}, "the task")
    settings = RestoreSettings(
        job_settings.state_dir,
        Selection.from_mapping({name: params[name] for name in SELECTION}),
        job_settings.concurrency,
        job_settings.bandwidth_limit,
        params["verify"],
    )
    job = job_of(source_from(params), settings_from(params), settings, rehearse=rehearse)
    return perform(job, params["user"], IDENTIFIER, lambda on_failure: attempt(job, on_failure=on_failure))


if __name__ == "__main__":
    main()
