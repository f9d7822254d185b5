#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: synapse_restart
short_description: Restart the processes of one Synapse one after the other
version_added: 1.2.0
description:
  - Restarts each of the services and waits until its process answers before it restarts the next one, so that the
    others serve media meanwhile.
  - Stops at the first that does not answer, and leaves the rest running as they are.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes
attributes:
  check_mode:
    details: In check mode nothing is restarted.
  diff_mode:
    support: none
  idempotent:
    support: none
    details: It restarts whatever it is given.
options:
  services:
    description: Names of the services, in the order in which they are restarted.
    type: list
    elements: str
    required: true
  urls:
    description:
      - For each service a URL of a listener of its process, or C(unix:) and the path of a socket. C(/health) there has
        to answer C(OK), or C(/_matrix/client/versions) has to list the versions.
      - A service without one only has to run.
    type: dict
    default: {}
  timeout:
    description: Seconds that each process has to answer.
    type: int
    default: 120
  validate_certs:
    description: Whether the certificate of a listener with TLS has to be valid for its address.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Restart two media workers, so that one of them serves media at any time
  matrix_ops.synapse_s3.synapse_restart:
    services: [matrix-synapse-worker@media1.service, matrix-synapse-worker@media2.service]
    urls:
      matrix-synapse-worker@media1.service: http://127.0.0.1:8085
      matrix-synapse-worker@media2.service: http://127.0.0.1:8086
"""

RETURN = r"""
restarted:
  description: The services that were restarted and answer; in check mode those that would be restarted.
  returned: always
  type: list
  elements: str
failed_service:
  description: The service that does not answer after its restart; none if each does.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_restart import Service, http_fetch, restart
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import command_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "str", "required": True},
            "urls": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 120},
            "validate_certs": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    urls = module.params["urls"]
    services = [Service(name, urls.get(name) or "") for name in module.params["services"]]
    if module.check_mode:
        module.exit_json(changed=True, restarted=[service.name for service in services], failed_service=None)
    fetch = http_fetch(module.params["validate_certs"])
    outcome = restart(command_runner(module), fetch, services, module.params["timeout"])
    result = {"changed": True, "restarted": outcome.restarted, "failed_service": outcome.failed}
    if outcome.failed:
        waiting = [service.name for service in services if service.name not in (*outcome.restarted, outcome.failed)]
        rest = f" Not restarted, and so running as before: {', '.join(waiting)}." if waiting else ""
        module.fail_json(msg=f"{outcome.failed} was restarted, but {outcome.reason}.{rest}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
