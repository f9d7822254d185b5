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
  - Succeeds only where the script did all it was asked to. The script itself ends with exit status 0 when the bucket
    is missing, when every upload was refused, or when a file could not be read.
  - Deletes no file that is not proven to be in the bucket. With O(delete) each object is compared with its file first,
    by size and ETag, and by reading it back where the ETag is no digest (SSE-C, SSE-KMS, unknown part sizes). Where
    one differs, or cannot be compared, nothing at all is deleted and the files are named.
  - Refuses O(delete) where Synapse's configuration shows that Synapse could not fetch the media from this bucket and
    prefix again. Each run reads it anew.
  - Offers media again that the script has given up for ever, namely media that is back on the disk, and remote media
    that Synapse has fetched anew under another filesystem id.
  - Refuses a media store that is none, such as the empty mount point of a disk that is not mounted. The script would
    take all media in it for deleted. A file C(.synapse-s3) in the media store marks it from the first run on.
  - Never works as root. Started as root it becomes O(user) before it makes any file.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
attributes:
  check_mode:
    support: full
    details:
      - V(update-db) and V(check-deleted) run on a copy of C(cache.db), so Synapse's database is read as in earnest.
      - V(upload) lists the files and asks the bucket, then says what it would upload and delete.
      - A check sees the state as it is, not as an earlier command of the same check would leave it.
  diff_mode:
    support: full
    details: Shows the first hundred media or files with their state before and after.
options:
  command:
    description:
      - V(update-db) reads from Synapse's database which media was last used longer than O(older_than) ago, into
        C(cache.db) in O(state_dir).
      - V(check-deleted) marks the media there of which nothing is on disk.
      - V(upload) uploads what is on disk of the rest, and with O(delete) frees the disk of it.
    type: str
    required: true
    choices: [update-db, check-deleted, upload]
  state_dir:
    description:
      - Directory in which the script works. It is made, mode 0700 and owned by O(user), where it is missing.
      - It holds C(cache.db), C(database.yaml) (0600), C(aws-config), C(lock) and C(media-store-id).
    type: path
    required: true
  media_path:
    description:
      - The media store, as an absolute path.
      - Read from O(homeserver_config) where it is left out.
    type: path
  homeserver_config:
    description:
      - The files and directories of Synapse's configuration, in the order of its C(-c) options.
      - Synapse's database and its media store are read from there unless O(database) and O(media_path) are given.
    type: list
    elements: path
  synapse_configs:
    description:
      - For each process of Synapse that may serve media, the files and directories of its configuration as a list of
        their own, in the order of its C(-c) options. Processes that serve no media are ignored.
      - Read for O(delete) only.
      - O(homeserver_config) alone where it is left out.
    type: list
    elements: list
  working_directory:
    description: Synapse's working directory, from which relative paths in its configuration are taken.
    type: path
  database:
    description:
      - Synapse's database with C(name) (V(psycopg2) or V(sqlite3)) and C(args), as in C(homeserver.yaml).
      - Needed for O(command=update-db) only, and there only without O(homeserver_config).
      - With O(delete) it tells, where it can, which of a file and an object that differ is wrong.
    type: dict
  older_than:
    description:
      - How long ago media must have been used last to be offered, for O(command=update-db).
      - A whole number with V(s), V(h), V(d), V(w), V(m) (months of 30 days) or V(y) (years of 365 days).
    type: str
    default: 1d
  delete:
    description: Whether O(command=upload) deletes the local files of media that is proven to be in the bucket.
    type: bool
    default: false
  provider_check:
    description:
      - Whether O(delete) needs an entry in C(media_storage_providers) of each process that serves media, with the
        module C(s3_storage_provider.S3StorageProviderBackend) and this bucket, prefix, endpoint and customer key.
      - Turn it off only where Synapse fetches the media in another way, such as by a module of your own.
      - Where neither O(homeserver_config) nor O(synapse_configs) is given, nothing is checked, and a warning says so.
    type: bool
    default: true
  bucket:
    description: Name of the bucket. Required for O(command=upload).
    required: false
  script:
    description:
      - Path of the script. It is run with the Python that runs this module, so it must belong to the same virtualenv.
      - By default the one beside that Python.
    type: path
  user:
    description:
      - The user to become when the module is started as root. V(root) is refused.
      - By default the owner of the media store.
    type: str
requirements:
  - boto3
  - PyYAML
  - psycopg2, where Synapse's database is PostgreSQL
  - synapse-s3-storage-provider, with tqdm and humanize
notes:
  - Run it with the Python of a virtualenv that holds the requirements, by C(ansible_python_interpreter). The role
    P(matrix_ops.synapse_s3.migrate#role) makes one.
  - One run at a time works in a state directory; a second one fails at once and does nothing.
  - The keys, the database password and the SSE-C key are in no argument of any process.
seealso:
  - name: The script's own documentation
    description: What upstream says about its three commands.
    link: https://github.com/matrix-org/synapse-s3-storage-provider#regular-cleanup-job
"""

EXAMPLES = r"""
- name: Media that nobody used for a month is offered to the bucket
  matrix_ops.synapse_s3.s3_media_upload:
    command: update-db
    older_than: 1m
    state_dir: /var/lib/synapse-s3
    homeserver_config: [/etc/matrix-synapse/homeserver.yaml, /etc/matrix-synapse/conf.d]
    user: matrix-synapse
  vars:
    ansible_python_interpreter: /opt/synapse-s3/venv/bin/python

- name: Media that is not on disk any more is not offered
  matrix_ops.synapse_s3.s3_media_upload:
    command: check-deleted
    state_dir: /var/lib/synapse-s3
    media_path: /var/lib/matrix-synapse/media
    user: matrix-synapse
  vars:
    ansible_python_interpreter: /opt/synapse-s3/venv/bin/python

- name: Offered media is in the bucket and off the disk
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

- name: The freed space is shown
  ansible.builtin.debug:
    msg: "{{ moved.files_deleted }} files, {{ moved.bytes_deleted | human_readable }}"
"""

RETURN = r"""
rows_synced:
  description: Media newly offered.
  returned: for O(command=update-db)
  type: int
  sample: 120
rows_reoffered:
  description: Media offered again because it is back on the disk.
  returned: for O(command=update-db)
  type: int
  sample: 0
marked_deleted:
  description: Media that is not offered any more because nothing of it is on disk.
  returned: for O(command=check-deleted) and O(command=upload)
  type: int
  sample: 3
media_total:
  description: Media that was offered when the command began.
  returned: for O(command=upload)
  type: int
  sample: 117
media_uploaded:
  description: Media of which at least one file was uploaded.
  returned: for O(command=upload)
  type: int
  sample: 117
files_uploaded:
  description: Files uploaded, thumbnails included.
  returned: for O(command=upload)
  type: int
  sample: 585
bytes_uploaded:
  description: Their bytes.
  returned: for O(command=upload)
  type: int
  sample: 11796480
media_deleted:
  description: Media of which at least one file was deleted from the disk.
  returned: for O(command=upload)
  type: int
  sample: 117
files_deleted:
  description: Files deleted from the disk.
  returned: for O(command=upload)
  type: int
  sample: 585
bytes_deleted:
  description: Their bytes.
  returned: for O(command=upload)
  type: int
  sample: 11796480
left_alone:
  description: Files that appeared or changed while the command ran; the next run takes them.
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
      description: Why.
      type: str
  sample: []
differing_files:
  description:
    - Files that differ from the object at their key, the first thousand of them.
    - While there is one, nothing is deleted.
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
  description: The last lines that the script printed, without secrets.
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
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.database_option import harmless_values
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.config import (
    SourceSettings,
    path_lists,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.source import resolve
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.store_client import BOTO3_IMPORT_ERROR
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.command import (
    COMMANDS,
    Command,
    perform,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.report import report_of_error
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.script import default_path
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.session import (
    SessionSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.yaml_loader import HAS_YAML

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CONNECTION_ARGUMENTS,
    "bucket": {"type": "str"},
    "command": {"type": "str", "required": True, "choices": list(COMMANDS)},
    "state_dir": {"type": "path", "required": True},
    "media_path": {"type": "path"},
    "homeserver_config": {"type": "list", "elements": "path"},
    "synapse_configs": {"type": "list", "elements": "list"},
    "working_directory": {"type": "path"},
    "database": {"type": "dict", "no_log": True},
    "older_than": {"type": "str", "default": "1d"},
    "delete": {"type": "bool", "default": False},
    "provider_check": {"type": "bool", "default": True},
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
    module.no_log_values -= harmless_values(module.params["database"])
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
    source = SourceSettings(
        media_path=params["media_path"],
        homeserver_config=tuple(params["homeserver_config"] or ()),
        synapse_configs=path_lists(params["synapse_configs"], "the task"),
        working_directory=params["working_directory"],
        database=params["database"],
    )
    settings = SessionSettings(
        source=resolve(
            source,
            # Where it is known, it says which of a file and an object that differ is wrong.
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
