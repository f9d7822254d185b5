# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Podman has said of the Synapse of the scenario podman, without the parts that nothing reads."""

from __future__ import annotations

from typing import Any

BASE = "sha256:a4850a92da7f4b0f23ebdda626b3b894681c6eff7292024c2d7d13b1946c1e13"

# `podman container inspect`, Podman 4.3.1, after the role, under GENERATED_UNIT.
CONTAINER_4_3: dict[str, Any] = {
    "Id": "151c874718f6d36e93b2853900966bec347885dd6b68aae9c55412de65bf6b0e",
    "State": {"Status": "running", "Running": True, "Pid": 4269, "ConmonPid": 4258},
    "Image": "d63045cc5ab63fa7afee2ff18d7f7223dd87e4e1acf065ead66d2c0b8a9d226c",
    "ImageName": "localhost/synapse-s3/synapse:b5fd02cb5b089f3a",
    "Name": "synapse",
    "MountLabel": "",
    "ProcessLabel": "",
    "Mounts": [
        {
            "Type": "bind",
            "Source": "/etc/synapse-s3/aws-config",
            "Destination": "/etc/synapse-s3/aws-config",
            "Driver": "",
            "Mode": "",
            "Options": ["rbind"],
            "RW": False,
            "Propagation": "rprivate",
        },
        {
            "Type": "bind",
            "Source": "/var/lib/synapse",
            "Destination": "/data",
            "Driver": "",
            "Mode": "",
            "Options": ["rbind"],
            "RW": True,
            "Propagation": "rprivate",
        },
    ],
    "NetworkSettings": {
        "Ports": {"8008/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8008"}]},
        "SandboxKey": "/run/netns/netns-9ff9e0b7-26b1-1ffe-57f9-e82c2f29320e",
        "Networks": {
            "matrix": {"IPAddress": "10.89.0.12", "NetworkID": "matrix", "Aliases": ["151c874718f6"]},
            "proxy": {"IPAddress": "10.89.1.9", "NetworkID": "proxy", "Aliases": ["151c874718f6"]},
        },
    },
    "Config": {
        "User": "0",
        "Env": [
            "PATH=/opt/synapse/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=xterm",
            "container=podman",
            "UID=991",
            "GID=991",
            "AWS_CONFIG_FILE=/etc/synapse-s3/aws-config",
            "HOME=/root",
            "HOSTNAME=151c874718f6",
        ],
        "Cmd": None,
        "Image": "localhost/synapse-s3/synapse:b5fd02cb5b089f3a",
        "WorkingDir": "/",
        "Entrypoint": "/start.sh",
        "Labels": {
            "PODMAN_SYSTEMD_UNIT": "matrix-synapse.service",
            "io.containers.autoupdate": "disabled",
            "matrix_ops.synapse_s3.base": "docker.test/synapse:v1",
            "matrix_ops.synapse_s3.base_id": BASE,
            "matrix_ops.synapse_s3.container": "synapse",
            "matrix_ops.synapse_s3.made_for": f"synapse@{BASE}",
            "operator": "somebody's own",
        },
    },
    "HostConfig": {
        "Binds": [
            "/etc/synapse-s3/aws-config:/etc/synapse-s3/aws-config:ro,rprivate,rbind",
            "/var/lib/synapse:/data:rw,rprivate,rbind",
        ],
        "NetworkMode": "bridge",
        "PortBindings": {"8008/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8008"}]},
        "AutoRemove": True,
        "PidMode": "private",
        "UsernsMode": "",
    },
}

# `podman container inspect`, Podman 5.4.2, before the role: a unit of Quadlet.
CONTAINER_5_4: dict[str, Any] = {
    "Id": "b96a05d387803401563c3155f5593884a7733b7c8859a6cf90a4ff85cc50a5b1",
    "State": {"Status": "running", "Running": True, "Pid": 1645, "ConmonPid": 1634},
    "Image": "ffa094091466941a098a6138babc14432a4d3a51b49114d578828a78ce7cb7aa",
    "ImageName": "docker.test/synapse:v1",
    "Name": "synapse",
    "MountLabel": "",
    "ProcessLabel": "",
    "Mounts": [
        {
            "Type": "bind",
            "Source": "/var/lib/synapse",
            "Destination": "/data",
            "Driver": "",
            "Mode": "",
            "Options": ["rbind"],
            "RW": True,
            "Propagation": "rprivate",
        }
    ],
    "NetworkSettings": {
        "Ports": {"8008/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8008"}]},
        "SandboxKey": "/run/netns/netns-82ab35a3-c5e1-1fce-7f6b-802d7cd0ea31",
        "Networks": {
            "matrix": {
                "IPAddress": "10.89.0.4",
                "NetworkID": "996e622a4b5c3dc225830f8919d9a46dc497ca1d46e2119f4058ea76a46ec77a",
                "Aliases": ["b96a05d38780"],
            },
            "proxy": {
                "IPAddress": "10.89.1.2",
                "NetworkID": "37d083cc294054390020701c02ad3f4723c31a9156a0c11a490361842c81aa37",
                "Aliases": ["b96a05d38780"],
            },
        },
    },
    "Config": {
        "User": "",
        "Env": [
            "PATH=/opt/synapse/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "container=podman",
            "GID=991",
            "UID=991",
            "HOME=/root",
            "HOSTNAME=b96a05d38780",
        ],
        "Cmd": None,
        "Image": "docker.test/synapse:v1",
        "WorkingDir": "/",
        "Entrypoint": ["/start.sh"],
        "Labels": {
            "PODMAN_SYSTEMD_UNIT": "matrix-synapse.service",
            "io.containers.autoupdate": "registry",
            "operator": "somebody's own",
        },
    },
    "HostConfig": {
        "Binds": ["/var/lib/synapse:/data:rw,rprivate,rbind"],
        "NetworkMode": "bridge",
        "PortBindings": {"8008/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8008"}]},
        "AutoRemove": True,
        "PidMode": "private",
        "UsernsMode": "",
    },
}

# `podman image inspect`, Podman 4.3.1, of the image that the role has built.
IMAGE_4_3: dict[str, Any] = {
    "Id": "d63045cc5ab63fa7afee2ff18d7f7223dd87e4e1acf065ead66d2c0b8a9d226c",
    "RepoTags": ["localhost/synapse-s3/synapse:b5fd02cb5b089f3a"],
    "Config": {
        "User": "0",
        "ExposedPorts": {"8008/tcp": {}},
        "Env": [
            "PATH=/opt/synapse/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=xterm",
            "container=podman",
        ],
        "Entrypoint": ["/start.sh"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/",
        "Labels": {
            "matrix_ops.synapse_s3.base": "docker.test/synapse:v1",
            "matrix_ops.synapse_s3.base_id": BASE,
            "matrix_ops.synapse_s3.container": "synapse",
            "matrix_ops.synapse_s3.made_for": f"synapse@{BASE}",
        },
    },
    "ManifestType": "application/vnd.docker.distribution.manifest.v2+json",
}

# What Quadlet of Podman 5.4.2 has generated from QUADLET_FILE.
QUADLET_UNIT = """\
[Unit]
Wants=network-online.target
After=network-online.target
Description=Synapse Matrix homeserver
After=postgres.service
SourcePath=/etc/containers/systemd/matrix-synapse.container
RequiresMountsFor=%t/containers
RequiresMountsFor=/var/lib/synapse

[X-Container]
ContainerName=synapse
Image=docker.test/synapse:v1
AutoUpdate=registry
Network=matrix
Network=proxy
PublishPort=127.0.0.1:8008:8008
Label="operator=somebody's own"
Environment=UID=991 GID=991
Volume=/var/lib/synapse:/data:Z

[Service]
Restart=on-failure
Environment=PODMAN_SYSTEMD_UNIT=%n
KillMode=mixed
ExecStop=/usr/bin/podman rm -v -f -i --cidfile=%t/%N.cid
ExecStopPost=-/usr/bin/podman rm -v -f -i --cidfile=%t/%N.cid
Delegate=yes
Type=notify
NotifyAccess=all
SyslogIdentifier=%N
ExecStart=/usr/bin/podman run --name synapse --cidfile=%t/%N.cid --replace --rm --cgroups=split\
 --network matrix --network proxy --sdnotify=conmon -d -v /var/lib/synapse:/data:Z\
 --label io.containers.autoupdate=registry --publish 127.0.0.1:8008:8008\
 --env GID=991 --env UID=991 --label "operator=somebody's own" docker.test/synapse:v1

[Install]
WantedBy=multi-user.target
"""

QUADLET_FILE = """\
[Unit]
Description=Synapse Matrix homeserver
After=postgres.service

[Container]
ContainerName=synapse
Image=docker.test/synapse:v1
AutoUpdate=registry
Network=matrix
Network=proxy
PublishPort=127.0.0.1:8008:8008
Label="operator=somebody's own"
Environment=UID=991 GID=991
Volume=/var/lib/synapse:/data:Z

[Service]
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""

# In the form in which `podman generate systemd --new` of Podman 4.3.1 has written one.
GENERATED_UNIT = """\
[Unit]
Description=Podman container-synapse.service
Documentation=man:podman-generate-systemd(1)
Wants=network-online.target
After=network-online.target postgres.service
RequiresMountsFor=%t/containers

[Service]
Environment=PODMAN_SYSTEMD_UNIT=%n
Restart=on-failure
TimeoutStopSec=70
ExecStartPre=/bin/rm \\
\t-f %t/%n.ctr-id
ExecStart=/usr/bin/podman run \\
\t--cidfile=%t/%n.ctr-id \\
\t--cgroups=no-conmon \\
\t--rm \\
\t--sdnotify=conmon \\
\t--replace \\
\t-d \\
\t--name synapse \\
\t--network matrix \\
\t--network proxy \\
\t-p 127.0.0.1:8008:8008 \\
\t--label "operator=somebody's own" \\
\t--label io.containers.autoupdate=registry \\
\t-e UID=991 \\
\t-e GID=991 \\
\t-v /var/lib/synapse:/data:Z docker.test/synapse:v1
ExecStop=/usr/bin/podman stop \\
\t--ignore -t 10 \\
\t--cidfile=%t/%n.ctr-id
ExecStopPost=/usr/bin/podman rm \\
\t-f \\
\t--ignore -t 10 \\
\t--cidfile=%t/%n.ctr-id
Type=notify
NotifyAccess=all

[Install]
WantedBy=default.target
"""
