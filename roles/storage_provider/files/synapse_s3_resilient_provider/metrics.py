# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters on Synapse's own metrics listener, which shows all of prometheus_client's default registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

FETCHES = Counter("synapse_s3_provider_fetches", "Downloads asked of S3, by outcome", ["outcome"])
STORES = Counter("synapse_s3_provider_stores", "Copies to S3, by outcome", ["outcome"])
STORE_RETRIES = Counter("synapse_s3_provider_store_retries", "Failed copies that were tried again")
STORE_RETRIES_PENDING = Gauge("synapse_s3_provider_store_retries_pending", "Failed copies that wait to be tried again")
DELETES = Counter("synapse_s3_provider_deletes", "Objects to delete from S3, by outcome", ["outcome"])
ERRORS = Counter("synapse_s3_provider_errors", "Requests to S3 that failed", ["operation", "reason"])
CIRCUIT_OPEN = Gauge("synapse_s3_provider_circuit_open", "1 while requests fail at once without S3", ["operation"])
FETCHED_BYTES = Counter("synapse_s3_provider_fetched_bytes", "Bytes of downloads that were read from S3")
SECONDS = Histogram(
    "synapse_s3_provider_seconds",
    "Seconds until the first byte of a download (fetch), of a whole download, of a copy (store), of a deletion",
    ["operation"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)

# So that each shows as 0 before it happens, and an alert on its increase works from the first time on.
for _outcome in ("found", "missing", "failed", "broken", "abandoned", "circuit_open"):
    FETCHES.labels(_outcome)
for _outcome in ("stored", "failed", "given_up", "circuit_open"):
    STORES.labels(_outcome)
for _outcome in ("deleted", "failed"):
    DELETES.labels(_outcome)
