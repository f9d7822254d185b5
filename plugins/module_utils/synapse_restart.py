# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restart the services of one Synapse one after the other, each only when the one before answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.error import HTTPError

from ansible.module_utils.urls import open_url

from .homeserver_summary import request_address
from .systemd_unit import Run, unit_named

# Requests a path of a process, given by its URL; returns the status and the body. Raises OSError, HTTPException and
# ValueError.
Fetch = Callable[[str, str], "tuple[int, bytes]"]

PAUSE = 0.5  # seconds between two questions
ANSWER_TIMEOUT = 5  # seconds for one answer


@dataclass(frozen=True)
class Service:
    """One service; `url` is empty where its process has no listener, and then systemd alone is asked."""

    name: str
    url: str = ""


@dataclass
class Outcome:
    """`restarted`: the services that answer again. `failed`: the one that does not, and `reason` why."""

    restarted: list[str] = field(default_factory=list)
    failed: str | None = None
    reason: str | None = None


def http_fetch(validate_certs: bool) -> Fetch:
    """Requests without a proxy, over TCP or over a Unix socket (`unix:` and its path)."""

    def fetch(url: str, path: str) -> tuple[int, bytes]:
        root, socket = request_address(url)
        try:
            response = open_url(
                root + path,
                timeout=ANSWER_TIMEOUT,
                use_proxy=False,
                unix_socket=socket,
                validate_certs=validate_certs,
                follow_redirects="none",
            )
        except HTTPError as error:
            return int(error.code), b""
        return int(response.getcode()), bytes(response.read())

    return fetch


def restart(run: Run, fetch: Fetch, services: Sequence[Service], timeout: float) -> Outcome:
    """Restarts them in this order, and stops at the first that does not answer within `timeout` seconds.

    So the others go on with what they were started with, and keep serving media.
    """
    outcome = Outcome()
    run(["systemctl", "daemon-reload"])
    for service in services:
        status, _output, error = run(["systemctl", "restart", "--", service.name])
        reason = f"systemd could not restart it ({error.strip() or f'exit status {status}'})" if status != 0 else None
        reason = reason or _wait(run, fetch, service, timeout)
        if reason:
            outcome.failed, outcome.reason = service.name, reason
            break
        outcome.restarted.append(service.name)
    return outcome


def _wait(run: Run, fetch: Fetch, service: Service, timeout: float) -> str | None:
    """None as soon as the process answers, else the last thing that stood in the way."""
    until = time.monotonic() + timeout
    while True:
        reason = _obstacle(run, fetch, service)
        if reason is None or time.monotonic() > until:
            return reason
        time.sleep(PAUSE)


def _obstacle(run: Run, fetch: Fetch, service: Service) -> str | None:
    unit = unit_named(run, service.name)
    if unit is None or not unit.active:
        return "systemd says that it does not run"
    if not service.url:
        return None
    try:
        status, body = fetch(service.url, "/health")
        if status == 200 and body.strip() == b"OK":
            return None
        # A proxy in front of Synapse need not pass /health on; then the client API itself is asked.
        status, body = fetch(service.url, "/_matrix/client/versions")
        if status == 200 and "versions" in json.loads(body):
            return None
    except (OSError, HTTPException, ValueError) as error:
        return f"it does not answer at {service.url} ({error})"
    return f"it answers at {service.url} with status {status}"
