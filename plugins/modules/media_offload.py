#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_offload
short_description: Move a homeserver's old media to S3, each file proven there before it is deleted
version_added: 1.0.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - Puts what lies on the local disk, is known to Synapse's database and is old enough into the bucket where it is
    missing there, proves it there, and only then deletes it from the disk.
  - Deletes no file that is not proven to be in the bucket. The proof is the content, by ETag, by a checksum that the
    store keeps, or by reading the object back; that an object of the name exists is none.
  - Uploads a good file again over an object that differs from it. A file that disagrees with its own row in the
    database stays where it is, and is named.
  - May be killed at any moment. Each media is then whole on the disk or whole in the bucket, and the next run goes on.
  - Costs requests, database rows and memory by what is on the disk, not by what was ever moved.
  - Refuses to delete where Synapse's configuration shows that Synapse could not fetch the media from this bucket and
    prefix again. Each run reads it anew.
  - Leaves alone media without a row, URL previews, files that are young or change meanwhile, symbolic links, and
    whatever lies outside of the media store.
  - Started as root it becomes O(user) before it makes any file. It stays root only where the media store is root's own.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
attributes:
  check_mode:
    support: full
    details: Asks the database and the bucket as in earnest, reads files where that is needed, and writes nothing.
  diff_mode:
    support: full
    details: Shows the first hundred files with their state before and after.
options:
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
      - O(homeserver_config) alone where it is left out.
    type: list
    elements: list
  working_directory:
    description: Synapse's working directory, from which relative paths in its configuration are taken.
    type: path
  database:
    description:
      - Synapse's database with C(name) (V(psycopg2) or V(sqlite3)) and C(args), as in C(homeserver.yaml).
      - Needed only without O(homeserver_config).
    type: dict
  state_dir:
    description:
      - Directory for the lock and for C(location), which remembers the bucket, prefix, endpoint and customer key
        (as a salted hash) that were used.
      - It is made, mode 0700 and owned by O(user), where it is missing.
    type: path
    required: true
  older_than:
    description:
      - How long ago media must have been used last to be moved.
      - A whole number with V(s), V(h), V(d), V(w), V(m) (months of 30 days) or V(y) (years of 365 days).
    type: str
    default: 1d
  grace:
    description: Files that were changed within this time are left alone, in the form of O(older_than).
    type: str
    default: 60s
  delete_local:
    description: Whether files that are proven to be in the bucket are deleted from the disk.
    type: bool
    default: true
  provider_check:
    description:
      - Whether O(delete_local) needs an entry in C(media_storage_providers) of each process that serves media, with the
        module C(s3_storage_provider.S3StorageProviderBackend) and this bucket, prefix, endpoint and customer key.
      - Turn it off only where Synapse fetches the media in another way, such as by a module of your own.
      - Where neither O(homeserver_config) nor O(synapse_configs) is given, nothing is checked, and a warning says so.
    type: bool
    default: true
  concurrency:
    description: How many requests are in flight at most, from 1 to 1024.
    type: int
    default: 64
  bandwidth_limit:
    description:
      - Bytes a second, both ways together, such as V(10M). The suffixes V(K), V(M), V(G) and V(T) are powers of 1024.
      - No limit where it is left out.
    type: str
  store_remote:
    description: Whether media that Synapse has fetched from other servers is moved too.
    type: bool
    default: true
  verify:
    description:
      - What proves an object that was there already, where neither its ETag nor a checksum of the store can.
      - V(content) reads it back and compares. V(size) is content with the number of bytes.
    type: str
    default: content
    choices: [content, size]
  metrics_file:
    description:
      - File for the textfile collector of Prometheus's node exporter, as an absolute path.
      - It is replaced as a whole after each run, and not in check mode.
    type: path
  shard:
    description:
      - The share of the media that this host takes, such as V(2/3), for several hosts on one shared file system.
      - An original and its thumbnails are always in the same share.
    type: str
    default: 1/1
  evidence_age:
    description:
      - How old the store's answer about an object may be when its local file is removed, such as V(600s).
      - Where it is older, as in a slow run, the store is asked again.
    type: str
    default: 600s
  user:
    description:
      - The user to become when the module is started as root.
      - By default the owner of the media store. V(root) is refused where the media store belongs to somebody else.
    type: str
requirements:
  - PyYAML, where O(homeserver_config) or O(synapse_configs) is given
  - psycopg2, where Synapse's database is PostgreSQL
  - boto3, where no keys or no O(endpoint_url) are given
notes:
  - Run it with the Python of a virtualenv that holds the requirements, by C(ansible_python_interpreter). The role
    P(matrix_ops.synapse_s3.migrate#role) makes one.
  - One run at a time works in a state directory and on a media store; a second one fails at once and does nothing.
  - What a run does is in the systemd journal too. C(journalctl -t synapse-s3-migrate) shows the runs of the timer and
    those of the module.
  - A signal ends the run within seconds, and the result says what was done until then.
  - The results are those of C(python -m synapse_media offload --json), but for C(failed) and C(skipped), which Ansible
    has a meaning of its own for. They are RV(failed_files) and RV(skipped_files) here.
seealso:
  - module: matrix_ops.synapse_s3.s3_media_upload
"""

EXAMPLES = r"""
- name: Media that nobody used for a month is in the bucket and off the disk
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

- name: The freed space is shown
  ansible.builtin.debug:
    msg: "{{ moved.deleted.files }} files, {{ moved.deleted.bytes | human_readable }}"

- name: This host's third of the media on a shared file system is in the bucket, the disk left as it is
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
  description: Whether this was a check, so that the counts say what would be done.
  returned: always
  type: bool
  sample: false
scanned:
  description: All files of the media store that belong to media, as C(files) and C(bytes).
  returned: always
  type: dict
  sample: {files: 605, bytes: 12114600}
uploaded:
  description: What was put where nothing was.
  returned: always
  type: dict
  sample: {files: 585, bytes: 11796480}
verified:
  description: What was in the bucket already, and is proven to be the same.
  returned: always
  type: dict
  sample: {files: 0, bytes: 0}
repaired:
  description: What was uploaded again over an object that differed.
  returned: always
  type: dict
  sample: {files: 0, bytes: 0}
deleted:
  description: What was deleted from the disk.
  returned: always
  type: dict
  sample: {files: 585, bytes: 11796480}
skipped_files:
  description:
    - What was left alone on purpose, by reason, such as V(recent) (used within O(older_than)), V(grace) (changed within
      O(grace)), V(orphan) (no row in the database) or V(url_cache).
  returned: always
  type: dict
  sample: {orphan: {files: 20, bytes: 318120}}
failed_files:
  description: What could not be moved, the first ten thousand files.
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
      description: Why.
      type: str
  sample: []
failures:
  description: How many files could not be moved.
  returned: always
  type: int
  sample: 0
requests:
  description: Requests to the store by kind, such as C(list), C(head) and C(put), those that were repeated included.
  returned: always
  type: dict
  sample: {list: 1, put: 585}
database_rows:
  description: Rows that the database sent.
  returned: always
  type: int
  sample: 117
removed_directories:
  description: Empty directories of the media store that were removed, those of earlier runs too.
  returned: always
  type: int
  sample: 42
unanswered:
  description: At most so many uploads were under way when the run was ended early, and may have arrived.
  returned: when there are any
  type: int
  sample: 64
seconds:
  description: How long the run took.
  returned: always
  type: float
  sample: 1.204
error:
  description: Why the run was refused or ended early.
  returned: when it was
  type: str
exit_status:
  description:
    - That of the command line for the same run. V(0) for all done, V(1) for files that failed or a run that ended
      early, V(2) for a refusal that left everything as it was, V(3) for another run at work, V(143), V(130) or V(129)
      for a run that was stopped by SIGTERM, SIGINT or SIGHUP before all was done.
  returned: always
  type: int
  sample: 0
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
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.forked import call_as
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.journal import (
    ERROR,
    INFO,
    WARNING,
    Journal,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.command import (
    Job,
    attempt,
    failed,
    job_of,
    remarks,
    started,
    summary,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.moves import diff_of
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.progress import failure_line
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import Report
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
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.signals import (
    Stopped,
    ignore_signals,
    stop_on_signals,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.yaml_loader import HAS_YAML

SETTINGS: dict[str, dict[str, Any]] = {
    "state_dir": {"type": "path", "required": True},
    "older_than": {"type": "str", "default": DEFAULT_OLDER_THAN},
    "grace": {"type": "str", "default": DEFAULT_GRACE},
    "delete_local": {"type": "bool", "default": True},
    "provider_check": {"type": "bool", "default": True},
    "concurrency": {"type": "int", "default": DEFAULT_CONCURRENCY},
    "bandwidth_limit": {"type": "str"},
    "store_remote": {"type": "bool", "default": True},
    "verify": {"type": "str", "default": VERIFY_CONTENT, "choices": list(VERIFICATIONS)},
    "metrics_file": {"type": "path"},
    "shard": {"type": "str", "default": DEFAULT_SHARD},
    "evidence_age": {"type": "str", "default": DEFAULT_EVIDENCE_AGE},
}

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CONNECTION_ARGUMENTS,
    **SETTINGS,
    "media_path": {"type": "path"},
    "homeserver_config": {"type": "list", "elements": "path"},
    "synapse_configs": {"type": "list", "elements": "list"},
    "working_directory": {"type": "path"},
    "database": {"type": "dict", "no_log": True},
    "user": {"type": "str"},
}

SHOWN_FAILURES = 5


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[("media_path", "homeserver_config"), ("database", "homeserver_config")],
    )
    module.no_log_values -= harmless_values(module.params["database"])
    if not HAS_YAML and (module.params["homeserver_config"] or module.params["synapse_configs"]):
        module.fail_json(msg=missing_required_lib("PyYAML"))
    stop_on_signals()
    try:
        answer = _perform(module.params, rehearse=module.check_mode, keep_names=module._diff)
    except (MediaError, Stopped) as error:
        answer = _answer(*failed(error, rehearse=module.check_mode))
        Journal().write(answer["report"]["error"], ERROR)
    ignore_signals()
    result = answer["report"]
    for warning in result.pop("warnings", []):
        module.warn(warning)
    # Ansible takes a mapping called "skipped" for a task that was skipped.
    result.update(
        failed_files=result.pop("failed"), skipped_files=result.pop("skipped"), exit_status=answer["exit_status"]
    )
    if module._diff:
        result["diff"] = answer["diff"]
    if answer["exit_status"]:
        module.fail_json(msg=_message(result), **result)
    module.exit_json(**result)


def _message(result: dict[str, Any]) -> str:
    if "error" in result:
        return str(result["error"])
    named = "; ".join(f"{failure['path']}: {failure['error']}" for failure in result["failed_files"][:SHOWN_FAILURES])
    more = "; and so on" if result["failures"] > SHOWN_FAILURES else ""
    return f"{result['failures']} files could not be moved, the others were. {named}{more}"


def _perform(params: dict[str, Any], *, rehearse: bool, keep_names: bool) -> dict[str, Any]:
    source = SourceSettings(
        media_path=params["media_path"],
        homeserver_config=tuple(params["homeserver_config"] or ()),
        synapse_configs=path_lists(params["synapse_configs"], "the task"),
        working_directory=params["working_directory"],
        database=params["database"],
    )
    settings = OffloadSettings.from_mapping({name: params[name] for name in SETTINGS}, "the task")
    job = job_of(source, settings_from(params), settings, rehearse=rehearse)
    account = job.prepare(params["user"])
    if account is None:
        return _attempt(job, keep_names)
    return call_as(account, lambda: _attempt(job, keep_names))


def _attempt(job: Job, keep_names: bool) -> dict[str, Any]:
    """Told to the journal as well: what a module prints is seen by whoever started the play, and by nobody later."""
    journal = Journal()
    journal.write(started(job))
    report, status = attempt(
        job, keep_names=keep_names, on_failure=lambda failure: journal.write(failure_line(failure), ERROR)
    )
    for line in remarks(report):
        journal.write(line, WARNING)
    journal.write(summary(report), ERROR if status else INFO)
    return _answer(report, status)


def _answer(report: Report, exit_status: int) -> dict[str, Any]:
    return {"report": report.as_dict(), "diff": diff_of(report), "exit_status": exit_status}


if __name__ == "__main__":
    main()
