#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_info
short_description: Compare what Synapse's database, the disk and the bucket hold, and report whether media is safe
version_added: 1.2.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - Compares the rows of the database, the files of the media store and the objects in the bucket in one pass, for
    originals and thumbnails of local and remote media. URL previews are left out.
  - Reports what is only on the disk, on both with the same length, on both and different, only in the bucket, nowhere,
    without a row, and not of Synapse's layout, and what a run of the migrate job would do.
  - Changes nothing, takes no lock, and may run while the migrate job runs. What looks lost is looked at again at the
    end.
  - Does not fail if the database, the disk or the bucket cannot be asked. Then RV(state) is V(UNKNOWN), or
    V(DEGRADED) for what was found nevertheless, and nothing is called lost that could not be asked about.
  - One request lists a thousand objects. Besides there is a request for one object to see whether it can be read, and
    one for each finding that is looked at again. Memory does not depend on the number of objects.
  - Started as root, it switches to O(user) first. It stays root only if the media store belongs to root.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.homeserver
  - matrix_ops.synapse_s3.media_job
  - matrix_ops.synapse_s3.attributes.info_module
  - matrix_ops.synapse_s3.attributes.connection_group
options:
  state_dir:
    description:
      - Directory of the migrate job, with the record of the location that it used.
      - If the record names another location than the options, the bucket is not asked.
    type: path
    required: true
  older_than:
    description: The age from which on the migrate job moves media, see P(matrix_ops.synapse_s3.media_offload#module).
    type: str
    default: 1d
  grace:
    description: Files that were changed within this time are not moved. Written like O(older_than).
    type: str
    default: 60s
  store_remote:
    description: Whether media of other servers is moved too.
    type: bool
    default: true
  shard:
    description: The part of the media that the migrate job moves on this host, such as V(2/3).
    type: str
    default: 1/1
  usage:
    description: Whether RV(usage) is returned, which takes a pass over all rows.
    type: bool
    default: false
  unit:
    description: The name of the migrate job's systemd units, without a suffix.
    type: str
    default: synapse-s3-migrate
notes:
  - The results are those of C(synapse-s3 status --json) on the host.
seealso:
  - module: matrix_ops.synapse_s3.media_offload
"""

EXAMPLES = r"""
- name: Compare the database, the disk and the bucket
  matrix_ops.synapse_s3.media_info:
    state_dir: /var/lib/synapse-s3
    homeserver_config: [/etc/matrix-synapse/homeserver.yaml, /etc/matrix-synapse/conf.d]
    user: matrix-synapse
    bucket: synapse-media
    endpoint_url: https://s3.example.org
    region_name: eu-central-1
    access_key_id: "{{ synapse_s3_access_key_id }}"
    secret_access_key: "{{ synapse_s3_secret_access_key }}"
  vars:
    ansible_python_interpreter: /opt/synapse-s3/venv/bin/python
  register: media

- name: Refuse to go on if media is lost or the answer is not known
  ansible.builtin.assert:
    that: media.state == 'HEALTHY'
    fail_msg: "{{ media.report }}"
"""

RETURN = r"""
state:
  description:
    - V(HEALTHY), V(DEGRADED) if something needs attention, or V(UNKNOWN) if something could not be asked and nothing
      worse was found.
  returned: success
  type: str
  sample: HEALTHY
exit_status:
  description: That of a monitoring plugin. V(0) OK, V(1) warning, V(2) critical, V(3) unknown.
  returned: success
  type: int
  sample: 0
reasons:
  description: Why the state is not V(HEALTHY), the gravest first.
  returned: success
  type: list
  elements: dict
  contains:
    level:
      description: V(critical), V(warning) or V(unknown).
      type: str
    code:
      description: A word for programs, such as V(lost).
      type: str
    text:
      description: What is the matter.
      type: str
    action:
      description: What to do about it. Empty if RV(reasons[].text) says that itself, as errors do.
      type: str
    see:
      description: The page that says more.
      type: str
  sample: []
location:
  description: The bucket with its endpoint and prefix.
  returned: success
  type: str
  sample: https://s3.example.org/synapse-media
media_path:
  description: The media store.
  returned: success
  type: str
  sample: /var/lib/matrix-synapse/media
audit:
  description:
    - What was found. Each finding has C(files), C(bytes), C(oldest), up to five C(examples), and C(kinds), which are
      the directories of Synapse's layout.
    - Each file with a row is in one of C(disk_only), C(both_equal) (by length), C(both_different), C(bucket_only),
      C(nowhere), C(awaited) (created and not uploaded yet) and C(not_asked). What has no row is in C(orphans_on_disk),
      C(orphans_in_bucket) or, if it is less than an hour old, C(new).
    - C(wrong_length) (no copy has the length that the row says) and C(archived) are counted beside these.
    - C(run_would) is what a run of the migrate job would do, and C(not_asked_because) why something could not be asked.
  returned: success
  type: dict
  sample:
    disk_only: {files: 12, bytes: 240000, oldest: "2026-01-31T12:00:00Z", examples: [], kinds: {}}
migrate:
  description: The migrate job's timer, last run and next run as systemd knows them.
  returned: success
  type: dict
  sample: {known: true, timer: active, next_run: "2026-02-01T05:12:00Z", last_result: success}
disk:
  description: Size and free bytes of the media store's file system, and how much of it is used.
  returned: success
  type: dict
  sample: {size: 107374182400, free: 53687091200, percent_used: 50}
bucket:
  description: Whether the bucket could be listed and an object read. C(write) is not tried.
  returned: success
  type: dict
  sample: {list: true, read: true, write: null}
providers:
  description: The storage providers in the configuration of the processes that serve media.
  returned: success
  type: list
  elements: str
  sample: [s3_storage_provider.S3StorageProviderBackend]
usage:
  description: Files and bytes of originals by kind, last use, origin, uploader and type, the largest 20 of each.
  returned: if O(usage=true)
  type: dict
  sample: {kind: [{name: local, files: 605, bytes: 12114600}]}
report:
  description: The same for people.
  returned: success
  type: str
  sample: "   state: HEALTHY"
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
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    DEFAULT_GRACE,
    DEFAULT_OLDER_THAN,
    DEFAULT_SHARD,
    OffloadSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.forked import call_as
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.signals import (
    Stopped,
    ignore_signals,
    stop_on_signals,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.status.job import (
    StatusJob,
    prepare,
    status_job,
    status_of,
    usage_of,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.status.text import full_report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.status.units import (
    DEFAULT_UNIT,
    MigrateJob,
    ask_systemd,
    migrate_job,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "state_dir": {"type": "path", "required": True},
    "older_than": {"type": "str", "default": DEFAULT_OLDER_THAN},
    "grace": {"type": "str", "default": DEFAULT_GRACE},
    "store_remote": {"type": "bool", "default": True},
    "shard": {"type": "str", "default": DEFAULT_SHARD},
    "provider_check": HOMESERVER_ARGUMENTS["provider_check"],
}

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CONNECTION_ARGUMENTS,
    **HOMESERVER_ARGUMENTS,
    **SETTINGS,
    "usage": {"type": "bool", "default": False},
    "unit": {"type": "str", "default": DEFAULT_UNIT},
    "user": {"type": "str"},
}


def main() -> None:
    module = media_module(ARGUMENTS)
    stop_on_signals()
    try:
        result = _perform(module.params)
    except MediaError as error:
        module.fail_json(msg=str(error))
    except Stopped as stopped:
        module.fail_json(msg=f"Stopped by {stopped}. Run it again.")
    ignore_signals()
    module.exit_json(changed=False, **result)


def _perform(params: dict[str, Any]) -> dict[str, Any]:
    settings = OffloadSettings.from_mapping({name: params[name] for name in SETTINGS}, "the task")
    migrate = migrate_job(ask_systemd(params["unit"]))
    job = status_job(source_from(params), settings_from(params), settings)
    account = prepare(job, params["user"])
    if account is None:
        return _look(job, migrate, with_usage=params["usage"])
    return call_as(account, lambda: _look(job, migrate, with_usage=params["usage"]))


def _look(job: StatusJob, migrate: MigrateJob, *, with_usage: bool) -> dict[str, Any]:
    status = status_of(job, migrate)
    if with_usage:
        status.usage, status.usage_problem = usage_of(job)
    return full_report(status)


if __name__ == "__main__":
    main()
