# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the requests go: host, port, path and region, the proxy that the environment names, and whom TLS trusts."""

from __future__ import annotations

import base64
import os
import re
import ssl
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from ..errors import ConfigurationError
from ..settings.store import StoreSettings
from .transport.connector import Proxy

DEFAULT_REGION = "us-east-1"
_PORTS = {"http": 80, "https": 443}
_AMAZON = re.compile(r"\.amazonaws\.com(\.cn)?$")
# Names that may stand in front of a host, and under a certificate for *.host.
_HOST_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_UNRESERVED_KEY = re.compile(r"[A-Za-z0-9._~/-]*")


class Address(NamedTuple):
    """One bucket. ``authority`` is the Host header; ``bucket_path`` is asked for listings, ``base`` precedes keys."""

    tls: bool
    host: str
    port: int
    authority: str
    bucket_path: str
    base: str
    region: str

    def path(self, key: str) -> str:
        """The path of a key, percent-encoded as S3 signs it; of the bucket itself where the key is empty."""
        if not key:
            return self.bucket_path
        # Most keys need no encoding, and this is asked once a request.
        return self.base + (key if _UNRESERVED_KEY.fullmatch(key) else quote(key, safe="/~"))


def address_of(settings: StoreSettings) -> Address:
    """Raises ConfigurationError. boto3 is asked only where no endpoint is set: its rules for AWS are long."""
    if settings.bucket.startswith("arn:"):
        raise ConfigurationError(
            "synapse_s3_bucket is an ARN, which this engine does not take. Give the name of the bucket, "
            "or the alias of the access point."
        )
    endpoint = settings.endpoint_url
    region = settings.region_name or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint is None:
        from .boto.client import make_client

        client: Any = make_client(settings)
        endpoint = str(client.meta.endpoint_url)
        region = str(client.meta.region_name)
        if region == "aws-global":
            region = DEFAULT_REGION
        client.close()
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    virtual = settings.addressing_style == "virtual" or (
        settings.addressing_style == "auto"
        and settings.endpoint_url is None
        and _AMAZON.search(host) is not None
        and _HOST_LABEL.fullmatch(settings.bucket) is not None
    )
    folder = parts.path.rstrip("/")
    if virtual:
        host = f"{settings.bucket}.{host}"
        bucket_path = folder + "/"
        base = folder + "/"
    else:
        bucket_path = f"{folder}/{settings.bucket}"
        base = bucket_path + "/"
    port = parts.port or _PORTS[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    authority = name if port == _PORTS[parts.scheme] else f"{name}:{port}"
    return Address(parts.scheme == "https", host, port, authority, bucket_path, base, region or DEFAULT_REGION)


def proxy_for(address: Address) -> Proxy | None:
    """What HTTP_PROXY, HTTPS_PROXY and NO_PROXY say about this address. Raises ConfigurationError."""
    scheme = "https" if address.tls else "http"
    if not any(os.environ.get(name) for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")):
        return None
    # Late, because it costs as much as everything else that is imported.
    from urllib.request import getproxies, proxy_bypass

    url = getproxies().get(scheme)
    if not url or proxy_bypass(address.host):
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    if not port or parts.scheme != "http" or not parts.hostname:
        # Not echoed, because it may hold a password.
        raise ConfigurationError(
            f"{scheme.upper()}_PROXY in the environment is not the URL of a proxy that is spoken to in plain HTTP. "
            "Write it as 'http://host:port', or name the store in NO_PROXY."
        )
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Proxy(parts.hostname, port, authorization)


def tls_context(settings: StoreSettings) -> ssl.SSLContext:
    """Trusts synapse_s3_ca_bundle, or what the environment or the system trusts. Raises ConfigurationError."""
    bundle = settings.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or None
    try:
        if bundle is not None and Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise ConfigurationError(
            f"The certificates of {bundle!r} cannot be read ({error}). "
            "Let synapse_s3_ca_bundle name a PEM file that the media's user may read, or leave it empty."
        ) from error
