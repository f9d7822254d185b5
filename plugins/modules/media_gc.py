#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_gc
short_description: Take objects out of the bucket whose media is no longer in Synapse's database
version_added: 1.2.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - Compares all objects under the prefix with all rows of Synapse's database, and finds those of Synapse's layout whose
    media has no row any more. Synapse itself deletes nothing from S3.
  - Without O(confirm) it only records since when each of them is known to have no row, and reports.
  - With O(confirm) it copies what is due to the trash, a folder C(synapse-s3-trash/) under the prefix, looks at each
    copy, asks for the rows again, and only then deletes the object.
  - An object is due if it is older than O(min_age), and if an earlier run saw this very object without a row at least
    O(min_age) ago.
  - A thumbnail belongs to its media, and stays as long as that has a row. URL previews, and what is not of Synapse's
    layout, are never touched.
  - Every object is in the bucket or in the trash at every moment, also if the run is killed.
  - In a bucket with versioning it makes delete markers, and never deletes a version.
  - Started as root, it switches to O(user) before it writes any file.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.homeserver
  - matrix_ops.synapse_s3.media_job
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
attributes:
  check_mode:
    details: Compares as in a real run, and writes nothing at all, not even the record of what has no row.
  diff_mode:
    support: full
    details: Shows the first hundred objects with their state before and after.
  idempotent:
    details: A second run collects only what has become due since.
options:
  state_dir:
    description:
      - Directory of the migrate job, with its lock and the record of the location that it used.
      - The run is refused if the record names another location than the options.
      - The directory C(gc) in it holds the record of what has no row, and the log of each run.
      - It is created, with mode 0700 and owned by O(user), if it does not exist.
    type: path
    required: true
  confirm:
    description:
      - Whether objects are put into the trash and deleted.
      - The keys need C(s3:DeleteObject) for it. Give this task a key pair of its own.
    type: bool
    default: false
  min_age:
    description:
      - How old an object must be, and for how long it must be known to have no row. At least a day.
      - A whole number with V(s), V(h), V(d), V(w), V(m) (months of 30 days) or V(y) (years of 365 days).
    type: str
    default: 30d
  max_percent:
    description: The run is refused if more than this percentage of the objects of Synapse's layout have no row.
    type: int
    default: 10
  trash:
    description: Whether objects are put into the trash. If not, they are deleted at once, with no way back.
    type: bool
    default: true
  trash_keep:
    description: How long objects stay in the trash before a run with O(confirm) deletes them for good.
    type: str
    default: 30d
  undo:
    description:
      - The log of a run, as its result names it. What that run has put into the trash is copied back to where it was,
        unless there is an object already. Nothing else is done.
      - It needs no right to delete. It cannot be combined with O(confirm).
    type: path
  concurrency:
    description: Maximum number of concurrent requests, from 1 to 1024.
    type: int
    default: 64
notes:
  - The run is refused if the database cannot be read, knows no media, or holds the local media of another server than
    C(server_name) in Synapse's configuration, if the store's listing fails or is out of order, and if another run is in
    progress.
  - One run at a time uses a state directory and a media store, whether it moves, restores or collects.
  - Deletes are conditional on the ETag where the store knows C(If-Match). Where it does not, each object is asked for
    directly before it is deleted, and RV(conditional_deletes) says so.
  - The runs are logged to the systemd journal, see C(journalctl -t synapse-s3-gc).
  - The results are those of C(synapse-s3 gc --json), except that C(failed) and C(skipped), which mean something else in
    Ansible, are RV(failed_files) and RV(skipped_files).
seealso:
  - module: matrix_ops.synapse_s3.media_info
  - module: matrix_ops.synapse_s3.media_restore
"""

EXAMPLES = r"""
- name: Record what has no row, and report what is due
  matrix_ops.synapse_s3.media_gc:
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
  register: garbage

- name: Put what is due into the trash, with keys that may delete
  matrix_ops.synapse_s3.media_gc:
    confirm: true
    trash_keep: 90d
    state_dir: /var/lib/synapse-s3
    homeserver_config: [/etc/matrix-synapse/homeserver.yaml]
    bucket: synapse-media
    access_key_id: "{{ synapse_s3_gc_access_key_id }}"
    secret_access_key: "{{ synapse_s3_gc_secret_access_key }}"
  register: collected

- name: Bring it back
  matrix_ops.synapse_s3.media_gc:
    undo: "{{ collected.log }}"
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
confirmed:
  description: Whether O(confirm) was set.
  returned: always
  type: bool
  sample: true
objects:
  description: Objects of Synapse's layout under the prefix, as C(files) and C(bytes).
  returned: always
  type: dict
  sample: {files: 20500, bytes: 410000000}
orphans:
  description: Those whose media has no row.
  returned: always
  type: dict
  sample: {files: 605, bytes: 12114600}
orphans_percent:
  description: Their share of RV(objects).
  returned: always
  type: float
  sample: 2.95
due:
  description: Those that are old enough, and known to have no row for long enough.
  returned: always
  type: dict
  sample: {files: 585, bytes: 11796480}
trash:
  description: Objects that were in the trash when the run began.
  returned: always
  type: dict
  sample: {files: 40, bytes: 819200}
trash_due:
  description: Those that have been there for O(trash_keep).
  returned: always
  type: dict
  sample: {files: 40, bytes: 819200}
trashed:
  description: Objects that were put into the trash.
  returned: always
  type: dict
  sample: {files: 585, bytes: 11796480}
deleted:
  description: Objects that were deleted at once, with O(trash=false).
  returned: always
  type: dict
  sample: {files: 0, bytes: 0}
purged:
  description: Objects that were deleted from the trash for good.
  returned: always
  type: dict
  sample: {files: 40, bytes: 819200}
restored:
  description: Objects that O(undo) has brought back.
  returned: always
  type: dict
  sample: {files: 0, bytes: 0}
present:
  description: Objects of the log that O(undo) has found in their place.
  returned: always
  type: dict
  sample: {files: 0, bytes: 0}
kept_in_trash:
  description:
    - Objects that stay in the trash after O(trash_keep) because their media has a row again, and no equal object is in
      their place. The first thousand of them.
  returned: always
  type: list
  elements: str
  sample: []
kept_in_trash_count:
  description: Number of these objects.
  returned: always
  type: int
  sample: 0
sightings_recorded:
  description: Whether it was recorded since when each object is known to have no row.
  returned: always
  type: bool
  sample: true
conditional_deletes:
  description:
    - Whether the store deletes only an object that has a certain ETag. Null if nothing was to be deleted.
  returned: always
  type: bool
  sample: true
log:
  description: The log of this run, for O(undo). Null if it did nothing.
  returned: always
  type: str
  sample: /var/lib/synapse-s3/gc/log-20260131T120000Z-0a1b2c3d.jsonl
skipped_files:
  description:
    - Objects that were left, by reason. V(young) and V(seen_lately) have no row, and are not due yet; V(undated) are
      those that the store gives no time for. V(row_again) has a row by now, V(changed) was replaced meanwhile, and
      V(purged) is what O(undo) cannot bring back because that run deleted it from the trash.
  returned: always
  type: dict
  sample: {young: {files: 20, bytes: 318120}}
failed_files:
  description: Objects that could not be collected or brought back, the first ten thousand of them.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path below the prefix.
      type: str
    key:
      description: Its key in the bucket.
      type: str
    error:
      description: The reason.
      type: str
  sample: []
failures:
  description: Number of objects that could not be collected or brought back.
  returned: always
  type: int
  sample: 0
requests:
  description: Number of requests to the store by kind, such as C(list), C(copy) and C(delete), including repeated ones.
  returned: always
  type: dict
  sample: {list: 21, head: 1756, copy: 585, delete: 625}
database_rows:
  description: Number of rows that the database sent.
  returned: always
  type: int
  sample: 20702
seconds:
  description: Duration of the run.
  returned: always
  type: float
  sample: 4.204
error:
  description: Why the run was refused or ended early.
  returned: if it was
  type: str
exit_status:
  description:
    - That of the command line for the same run. V(0) if all is done, V(1) if objects failed or the run ended early,
      V(2) if the run was refused and changed nothing, V(3) if another run is in progress, V(143), V(130) or V(129) if
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
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.job import attempt, job_of
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.report import Report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.settings import (
    DEFAULT_MAX_PERCENT,
    DEFAULT_MIN_AGE,
    DEFAULT_TRASH_KEEP,
    CollectSettings,
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
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.job import failed

# As those of media_offload.
SETTINGS: dict[str, dict[str, Any]] = {
    "state_dir": {"type": "path", "required": True},
    "concurrency": {"type": "int", "default": DEFAULT_CONCURRENCY},
}

COLLECTION: dict[str, dict[str, Any]] = {
    "confirm": {"type": "bool", "default": False},
    "min_age": {"type": "str", "default": DEFAULT_MIN_AGE},
    "max_percent": {"type": "int", "default": DEFAULT_MAX_PERCENT},
    "trash": {"type": "bool", "default": True},
    "trash_keep": {"type": "str", "default": DEFAULT_TRASH_KEEP},
    "undo": {"type": "path"},
}

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CONNECTION_ARGUMENTS,
    **HOMESERVER_ARGUMENTS,
    **SETTINGS,
    **COLLECTION,
    "user": {"type": "str"},
}

IDENTIFIER = "synapse-s3-gc"


def main() -> None:
    module = media_module(ARGUMENTS)
    stop_on_signals()
    try:
        answer = _perform(module.params, rehearse=module.check_mode)
    except (MediaError, Stopped) as error:
        report = Report(dry_run=module.check_mode, confirmed=module.params["confirm"])
        answer = refused(IDENTIFIER, *failed(error, report))
    exit_with(module, answer, "brought back" if module.params["undo"] else "collected")


def _perform(params: dict[str, Any], *, rehearse: bool) -> Answer:
    of_job = OffloadSettings.from_mapping({name: params[name] for name in SETTINGS}, "the task")
    settings = CollectSettings.from_mapping(
        {name: params[name] for name in COLLECTION}, of_job.state_dir, of_job.concurrency
    )
    job = job_of(source_from(params), settings_from(params), settings, rehearse=rehearse)
    return perform(job, params["user"], IDENTIFIER, lambda on_failure: attempt(job, on_failure=on_failure))


if __name__ == "__main__":
    main()
