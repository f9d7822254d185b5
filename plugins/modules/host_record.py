#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_record
short_description: Write a record of the roles on a host
version_added: 1.2.0
description:
  - Writes a JSON object into a file, indented and with sorted keys, so that the next run can read what this one did.
  - The file is written under another name, synced to the disk and then renamed. After a power cut there is the old
    record or the new one, and never a part of one.
  - It belongs to the user and the group that the module runs as, and others can read it unless it is secret.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Of O(secret_content) it shows owner and mode alone.
options:
  path:
    description: File of the record. Its directory has to exist.
    type: path
    required: true
  content:
    description:
      - The JSON object, in a file that others can read (mode 0644).
      - One of O(content) and O(secret_content) is required.
    type: dict
  secret_content:
    description:
      - The same with secrets, or with what was made from secrets, in a file that only its owner can read (mode 0600).
      - It appears in no log and in no output.
    type: dict
seealso:
  - module: matrix_ops.synapse_s3.synapse_preflight_info
"""

EXAMPLES = r"""
- name: Record the packages that were added
  matrix_ops.synapse_s3.host_record:
    path: /etc/synapse-s3/provider-packages.json
    content:
      python: /opt/venvs/matrix-synapse/bin/python
      packages: [boto3, synapse-s3-storage-provider]

- name: Record what Synapse was restarted with
  matrix_ops.synapse_s3.host_record:
    path: /etc/synapse-s3/applied.json
    secret_content:
      restarted_with: "{{ fingerprint_of_the_settings }}"
"""

RETURN = r"""#"""

import json
import os
import stat
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.durable_file import (
    write_durably,
)

Access = tuple[int, int, int]


def record_text(content: dict[str, Any]) -> bytes:
    """The content of the file."""
    return f"{json.dumps(content, indent=2, sort_keys=True)}\n".encode()


def read(path: Path) -> tuple[bytes, Access] | None:
    """The content of the file, and its mode, owner and group; None if there is no file. Raises OSError."""
    try:
        content, status = path.read_bytes(), path.stat()
    except FileNotFoundError:
        return None
    return content, (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def write(path: Path, content: bytes, access: Access) -> None:
    """Puts the file in place with its mode, owner and group. Raises OSError."""
    mode, uid, gid = access

    def prepare(temporary: Path) -> None:
        os.chown(temporary, uid, gid)
        temporary.chmod(mode)

    write_durably(path, content, prepare)


def difference(
    path: Path, before: tuple[bytes, Access] | None, after: tuple[bytes, Access], is_secret: bool
) -> list[dict[str, str]]:
    """What changes, for diff mode: the content, if it may be shown, and the access to the file."""
    shown = {"before_header": str(path), "after_header": str(path)}
    changes = []
    if not is_secret and (before is None or before[0] != after[0]):
        changes.append({"before": before[0].decode(errors="replace") if before else "", "after": after[0].decode()})
    if before is None or before[1] != after[1]:
        changes.append({"before": access_text(before[1]) if before else "", "after": access_text(after[1])})
    return [{**shown, **change} for change in changes]


def access_text(access: Access) -> str:
    mode, uid, gid = access
    return f"mode {mode:04o}, owner {uid}, group {gid}\n"


def run(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    path = Path(params["path"])
    is_secret = params["secret_content"] is not None
    content: dict[str, Any] = params["secret_content"] if is_secret else params["content"]
    after = record_text(content), (0o600 if is_secret else 0o644, os.geteuid(), os.getegid())
    try:
        before = read(path)
        if before != after and not module.check_mode:
            write(path, *after)
    except OSError as error:
        module.fail_json(
            msg=f"{path} cannot be written ({error.strerror}). Make its directory writable for the user that this runs "
            "as, and free space there. Then run again."
        )
    result: dict[str, Any] = {"changed": before != after}
    # A module that returns a diff without being asked for one shows it even where the task says 'diff: false'.
    if before != after and module._diff:
        result["diff"] = difference(path, before, after, is_secret)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "dict"},
            "secret_content": {"type": "dict", "no_log": True},
        },
        mutually_exclusive=[("content", "secret_content")],
        required_one_of=[("content", "secret_content")],
        supports_check_mode=True,
    )
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
