# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ceph's RGW with one OSD in memory: SSE-C over TLS only, policies, versions and storage classes, all enforced."""

from __future__ import annotations

import json
import secrets
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s3_server import free_port
from server_process import ServerProcess, program
from store import Store

_PACKAGES = {"radosgw": "radosgw", "radosgw-admin": "radosgw", "ceph-mon": "ceph-mon", "ceph-osd": "ceph-osd"}
_CLIENT = "client.rgw"
# In the zone beside STANDARD; RGW refuses all others. A class is only a name here: GLACIER responds to GET like
# STANDARD.
STORAGE_CLASSES = ("STANDARD_IA", "GLACIER", "DEEP_ARCHIVE")
_PLACEMENT = ("placement", "add", "--placement-id", "default-placement", "--storage-class")

_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = {monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
# Without authentication there is no key to encrypt with, and the gateway would insist on it.
ms mon client mode = crc secure
keyring = /dev/null
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
# Each new pool waits for an election of its map; at the default of a second the start takes twenty.
paxos propose interval = 0.05
paxos min wait = 0.01
mon data avail crit = 1
mon data avail warn = 1
osd objectstore = memstore
memstore device bytes = 8589934592
run dir = {directory}
admin socket =
log file =
log to stderr = true
err to stderr = true
debug rocksdb = 0
[mon.a]
mon data = {directory}/mon
[osd.0]
osd data = {directory}/osd
[{client}]
rgw data = {directory}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}{tls}
# So that what is deleted or overwritten goes from memory soon.
rgw gc obj min wait = 5
"""


class Rgw(Store):
    def start(self) -> None:
        for name in ("mon", "osd", "rgw"):
            (self.directory / name).mkdir()
        monitor = f"[v2:127.0.0.1:{free_port()}]"
        fsid = str(uuid.uuid4())
        tls = ""
        if self.certificate:
            tls = f" ssl_endpoint=127.0.0.1:{self.tls_port} ssl_certificate={self.certificate}"
            tls += f" ssl_private_key={self.private_key}"
        self._configuration.write_text(
            _CONFIGURATION.format(
                fsid=fsid, monitor=monitor, directory=self.directory, client=_CLIENT, port=self.port, tls=tls
            )
        )
        self._start_monitor(fsid, monitor)
        self._start_osd()
        self._add_user(self.access_key_id, self.secret_access_key, "administrator")
        for storage_class in STORAGE_CLASSES:
            self._administer("zonegroup", *_PLACEMENT, storage_class, "--rgw-zonegroup", "default")
            zone = ("--rgw-zone", "default", "--data-pool", "default.rgw.buckets.data")
            self._administer("zone", *_PLACEMENT, storage_class, *zone)
        gateway = self._daemon("radosgw", "-n", _CLIENT)
        gateway.wait_for_port(self.port)
        if self.certificate:
            gateway.wait_for_port(self.tls_port)

    def make_user(self, name: str) -> dict[str, str]:
        """Return the keys of a user who owns nothing; a bucket's policy says what it may do."""
        keys = {"access_key_id": f"id{secrets.token_hex(9)}", "secret_access_key": secrets.token_hex(20)}
        self._add_user(keys["access_key_id"], keys["secret_access_key"], name)
        return keys

    @property
    def _configuration(self) -> Path:
        return self.directory / "ceph.conf"

    @property
    def _environment(self) -> dict[str, str]:
        return {"CEPH_CONF": str(self._configuration), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def _start_monitor(self, fsid: str, monitor: str) -> None:
        monitors = str(self.directory / "monmap")
        self._run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", monitor, monitors)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monitors)
        self._daemon("ceph-mon", "-i", "a")

    def _start_osd(self) -> None:
        identifier = str(uuid.uuid4())
        self._run("ceph", "osd", "new", identifier)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identifier)
        osd = self._daemon("ceph-osd", "-i", "0")
        osd.wait_until(self._osd_is_up, "the monitor reports that it is up")

    def _osd_is_up(self) -> bool:
        return bool(json.loads(self._run("ceph", "osd", "stat", "--format", "json"))["num_up_osds"])

    def _add_user(self, access_key_id: str, secret_access_key: str, name: str) -> None:
        keys = ("--access-key", access_key_id, "--secret-key", secret_access_key)
        self._administer("user", "create", "--uid", name, "--display-name", name, *keys)

    def _administer(self, *arguments: str) -> Any:
        return json.loads(self._run("radosgw-admin", "-n", _CLIENT, *arguments))

    def _daemon(self, name: str, *arguments: str) -> ServerProcess:
        command = [program(name, _PACKAGES[name]), *arguments, "-f"]
        daemon = ServerProcess(command, self.directory / f"{name}.log", self._environment)
        self.processes.append(daemon)
        daemon.start()
        return daemon

    def _run(self, name: str, *arguments: str) -> str:
        command: Sequence[str] = [program(name, _PACKAGES.get(name, "ceph-common")), *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{' '.join(command[:4])} failed\n{done.stderr[-2000:]}"
        return done.stdout
