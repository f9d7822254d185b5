#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_media_upload
short_description: Move a homeserver's old media to S3 with upstream's script
version_added: 1.0.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - Runs one command of C(s3_media_upload), the script of the package synapse-s3-storage-provider. The three commands
    belong together, in the order V(update-db), V(check-deleted), V(upload).
  - Succeeds only if the script did all it was asked to. The exit status of the script is 0 also if the bucket does not
    exist, if every upload was refused, or if a file could not be read.
  - Deletes no file that is not verified in the bucket. With O(delete) each object is compared with its file first, by
    size and ETag, and by reading it back if the ETag is no digest (SSE-C, SSE-KMS, unknown part sizes). If one differs,
    or cannot be compared, nothing at all is deleted and the files are named.
  - Refuses O(delete) if Synapse's configuration shows that Synapse could not fetch the media from this bucket and
    prefix. Each run reads the configuration again.
  - Adds media to the script's list again that the script has dropped for good, namely media that is on the disk again,
    and remote media that Synapse has fetched again under another filesystem id.
  - Refuses a directory that is not a media store, such as the empty mount point of a disk that is not mounted. The
    script would take all its media for deleted. The first run marks the media store by a file C(.synapse-s3).
  - Never works as root. Started as root, it switches to O(user) before it writes any file.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.homeserver
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
attributes:
  check_mode:
    details:
      - V(update-db) and V(check-deleted) run on a copy of C(cache.db), so Synapse's database is read as in a real run.
      - V(upload) lists the files and queries the bucket, then says what it would upload and delete.
      - Each command sees the present state, not the state after the commands before it.
  diff_mode:
    support: full
    details: Shows the first hundred media or files with their state before and after.
  idempotent:
    details: A second run moves only media that has become old enough since.
options:
  command:
    description:
      - V(update-db) lists in C(cache.db) in O(state_dir) the media in Synapse's database that was last used longer than
        O(older_than) ago.
      - V(check-deleted) marks the media in this list that has no file on the disk.
      - V(upload) uploads the files of the other media in this list, and with O(delete) deletes them from the disk.
    type: str
    required: true
    choices: [update-db, check-deleted, upload]
  state_dir:
    description:
      - Working directory of the script. It is created, with mode 0700 and owned by O(user), if it does not exist.
      - It contains C(cache.db), C(database.yaml) (0600), C(aws-config), C(lock) and C(media-store-id).
    type: path
    required: true
  database:
    description:
      - Synapse's database with C(name) (V(psycopg2) or V(sqlite3)) and C(args), as in C(homeserver.yaml).
      - Needed only for O(command=update-db) without O(homeserver_config).
      - With O(delete), it is used to find out which of a file and an object that differ is wrong.
    type: dict
  older_than:
    description:
      - Only media that was last used longer ago than this is listed, for O(command=update-db).
      - A whole number with V(s), V(h), V(d), V(w), V(m) (months of 30 days) or V(y) (years of 365 days).
    type: str
    default: 1d
  delete:
    description: Whether O(command=upload) deletes the local files that are verified in the bucket.
    type: bool
    default: false
  bucket:
    description: Name of the bucket. Required if O(command=upload).
    required: false
  script:
    description:
      - Path of the script. It is run with the Python that runs this module, so it must be in the same virtualenv.
      - By default the one in the directory of that Python.
    type: path
  user:
    description:
      - The user to switch to if the module is started as root. V(root) is refused.
      - By default the owner of the media store.
    type: str
requirements:
  - boto3
  - PyYAML
  - psycopg2, if Synapse's database is PostgreSQL
  - synapse-s3-storage-provider, with tqdm and humanize
notes:
  - Set C(ansible_python_interpreter) to the Python of a virtualenv that has the requirements. The role
    P(matrix_ops.synapse_s3.migrate#role) creates one.
  - One run at a time uses a state directory; a second one fails at once and does nothing.
  - The keys, the database password and the SSE-C key are not passed as arguments of a process.
seealso:
  - name: The script's own documentation
    description: The upstream description of the three commands.
    link: https://github.com/matrix-org/synapse-s3-storage-provider#regular-cleanup-job
"""

EXAMPLES = r"""
- name: List media that nobody used for a month
  matrix_ops.synapse_s3.s3_media_upload:
    command: update-db
    older_than: 1m
    state_dir: /var/lib/synapse-s3
    homeserver_config: [/etc/matrix-synapse/homeserver.yaml, /etc/matrix-synapse/conf.d]
    user: matrix-synapse
  vars:
    ansible_python_interpreter: /opt/synapse-s3/venv/bin/python

- name: Mark media that is not on the disk
  matrix_ops.synapse_s3.s3_media_upload:
    command: check-deleted
    state_dir: /var/lib/synapse-s3
    media_path: /var/lib/matrix-synapse/media
    user: matrix-synapse
  vars:
    ansible_python_interpreter: /opt/synapse-s3/venv/bin/python

- name: Move the listed media from the disk to the bucket
  matrix_ops.synapse_s3.s3_media_upload:
    command: upload
    delete: true
    state_dir: /var/lib/synapse-s3
    media_path: /var/lib/matrix-synapse/media
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

- name: Show the freed space
  ansible.builtin.debug:
    msg: "{{ moved.files_deleted }} files, {{ moved.bytes_deleted | human_readable }}"
"""

RETURN = r"""
rows_synced:
  description: Number of media that were added to the list.
  returned: for O(command=update-db)
  type: int
  sample: 120
rows_reoffered:
  description: Number of media that were added to the list again because they are on the disk again.
  returned: for O(command=update-db)
  type: int
  sample: 0
marked_deleted:
  description: Number of media that were marked because they have no file on the disk.
  returned: for O(command=check-deleted) and O(command=upload)
  type: int
  sample: 3
media_total:
  description: Number of media in the list when the command began.
  returned: for O(command=upload)
  type: int
  sample: 117
media_uploaded:
  description: Number of media of which at least one file was uploaded.
  returned: for O(command=upload)
  type: int
  sample: 117
files_uploaded:
  description: Number of files that were uploaded, including thumbnails.
  returned: for O(command=upload)
  type: int
  sample: 585
bytes_uploaded:
  description: Number of bytes in these files.
  returned: for O(command=upload)
  type: int
  sample: 11796480
media_deleted:
  description: Number of media of which at least one file was deleted from the disk.
  returned: for O(command=upload)
  type: int
  sample: 117
files_deleted:
  description: Number of files that were deleted from the disk.
  returned: for O(command=upload)
  type: int
  sample: 585
bytes_deleted:
  description: Number of bytes in these files.
  returned: for O(command=upload)
  type: int
  sample: 11796480
left_alone:
  description: Files that appeared or changed during the command and are left to the next run.
  returned: for O(command=upload)
  type: list
  elements: str
  sample: []
failed_files:
  description: Files that were not uploaded or could not be compared, the first thousand of them.
  returned: for O(command=upload)
  type: list
  elements: dict
  contains:
    path:
      description: Path below the media store.
      type: str
    error:
      description: The reason.
      type: str
  sample: []
differing_files:
  description:
    - Files that differ from the object at their key, the first thousand of them.
    - If there is one, nothing is deleted.
  returned: for O(command=upload)
  type: list
  elements: str
  sample: []
error:
  description: Kind of the failure, such as V(ScriptError) or V(LockedError).
  returned: on failure
  type: str
  sample: ConfigurationError
script_lines:
  description: The last lines of the script's output, without secrets.
  returned: on failure of the script
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_options import (
    HOMESERVER_ARGUMENTS,
    public_database_values,
    source_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.client import (
    BOTO3_IMPORT_ERROR,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.source import resolve
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.yaml_loader import HAS_YAML
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.command import (
    COMMANDS,
    Command,
    perform,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.job import (
    JobSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.report import report_of_error
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.script import default_path

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CONNECTION_ARGUMENTS,
    **HOMESERVER_ARGUMENTS,
    "bucket": {"type": "str"},
    "command": {"type": "str", "required": True, "choices": list(COMMANDS)},
    "state_dir": {"type": "path", "required": True},
    "older_than": {"type": "str", "default": "1d"},
    "delete": {"type": "bool", "default": False},
    "script": {"type": "path"},
    "user": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[("media_path", "homeserver_config")],
        required_if=[
            ("command", "upload", ("bucket",)),
            ("command", "update-db", ("homeserver_config", "database"), True),
        ],
    )
    module.no_log_values -= public_database_values(module.params["database"])
    if not HAS_YAML:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    if module.params["command"] == "upload" and BOTO3_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("boto3"), exception=BOTO3_IMPORT_ERROR)
    try:
        report = _perform(module.params, rehearse=module.check_mode)
    except MediaError as error:
        report = report_of_error(error)
    for warning in report.pop("warnings", []):
        module.warn(warning)
    if report.get("failed"):
        module.fail_json(**report)
    diff = report.pop("diff")
    if module._diff:
        report["diff"] = diff
    module.exit_json(**report)


def _perform(params: dict[str, Any], *, rehearse: bool) -> dict[str, Any]:
    deletes = params["delete"] and params["command"] == "upload"
    command = Command(params["command"], params["older_than"], deletes, params["provider_check"])
    source = source_from(params)
    settings = JobSettings(
        source=resolve(
            source,
            # The database may prove which of a file and an object that differ is wrong.
            with_database=command.name == "update-db"
            or (command.delete and bool(source.database or source.homeserver_config)),
            with_processes=command.delete and command.provider_check,
        ),
        store=settings_from(params) if command.name == "upload" else None,
        state_dir=params["state_dir"],
        script=params["script"] or default_path(),
        rehearse=rehearse,
    )
    return perform(command, settings, params["user"])


if __name__ == "__main__":
    main()
