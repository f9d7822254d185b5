# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each error of a store, or of the way to it, means to an operator. explain.py picks from here."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """Both halves are format strings over the words that explain.py knows."""

    cause: str
    remedy: str


DENIED_CODES = ("AccessDenied", "AccessForbidden", "AllAccessDisabled", "Forbidden", "Unauthorized", "401", "403")

# The store is there and asks for fewer requests.
THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "Busy",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RateExceeded",
        "RateLimitExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServerBusy",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
    }
)
# What stores say of a setting that was sent with a request and that they do not have or do not take.
SETTING_CODES = frozenset(
    {
        "InvalidArgument",
        "InvalidEncryptionAlgorithmError",
        "InvalidRequest",
        "InvalidSSECustomerKey",
        "InvalidStorageClass",
        "MethodNotAllowed",
        "NotImplemented",
    }
)

DENIED_TO_KEY = Reason(
    "the access key is not allowed to ({code_and_message})",
    "Grant it {permission}, or set synapse_s3_access_key_id and synapse_s3_secret_access_key to a key that has it.",
)
DENIED_TO_ROLE = Reason(
    "the role of this instance is not allowed to ({code_and_message})",
    "Grant the role {permission}, or set synapse_s3_access_key_id and synapse_s3_secret_access_key in its place.",
)
WRONG_REGION = Reason(
    "the bucket {bucket!r} is not in the region {region}",
    "Set synapse_s3_region_name to the bucket's region{right_region}, and synapse_s3_endpoint_url to its endpoint.",
)
CUSTOMER_KEY_REFUSED = Reason(
    "{endpoint} refuses the request with a key of our own ({code}: {message})",
    "Check synapse_s3_sse_customer_key and synapse_s3_sse_customer_algo; many stores take such keys over https only.",
)
# By the setting that was sent with the request.
SENT: dict[str, str] = {
    "storage_class": "synapse_s3_storage_class is {storage_class} (set it to one the store has, such as STANDARD)",
    "sse_customer_key": "synapse_s3_sse_customer_key is set (many stores take such keys over https only, some never)",
}
SETTING_REFUSED = Reason(
    "{endpoint} refuses the request ({code_and_message})", "Compare the settings that were sent with it: {sent}."
)
REFUSED_WITHOUT_WORDS = Reason(
    "{endpoint} refuses to tell of the object (HTTP {code}; an answer to HEAD says no more)",
    "Grant {permission}. An object that was stored with a synapse_s3_sse_customer_key that is not the one set now "
    "is refused in this way too.",
)
STORE_AT_FAULT = Reason(
    "{endpoint} has an error of its own ({code}: {message})",
    "Look into the store's log; one that is read-only or full answers like this.",
)
REFUSED = Reason(
    "{endpoint} refuses the request ({code}: {message})",
    "Look the code up in the store's documentation, and compare the synapse_s3_ settings with it.",
)
UNKNOWN = Reason("{code}: {message}", "Compare the synapse_s3_ settings with the store's documentation.")

# A store that sends no code of its own is known by its HTTP status.
RESPONSES: dict[tuple[str, ...], Reason] = {
    ("NoSuchBucket",): Reason(
        "the bucket {bucket!r} does not exist at {endpoint}",
        "Create it, or correct synapse_s3_bucket, synapse_s3_endpoint_url or synapse_s3_region_name.",
    ),
    ("NoSuchKey",): Reason(
        "the object is not in the bucket {bucket!r}",
        "Compare synapse_s3_bucket and synapse_s3_prefix with those used before.",
    ),
    ("InvalidAccessKeyId", "InvalidAccessKey", "InvalidClientTokenId"): Reason(
        "{endpoint} does not know the access key id",
        "Correct synapse_s3_access_key_id, or synapse_s3_endpoint_url if the key belongs to another store.",
    ),
    ("SignatureDoesNotMatch", "InvalidSignature"): Reason(
        "{endpoint} refuses the signature, so the secret does not fit the access key id",
        "Correct synapse_s3_secret_access_key; if it is right, synapse_s3_region_name is not the region of the store.",
    ),
    ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"): Reason(
        "the session token has expired or does not fit the keys",
        "Renew synapse_s3_session_token together with its keys, or leave it out for keys that last.",
    ),
    ("RequestTimeTooSkewed", "RequestExpired"): Reason(
        "the clock of this host is {skew} the clock of {endpoint}",
        "Let the host take its time from the network (systemd-timesyncd or chrony), then run this again.",
    ),
    (
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "InvalidRegion",
        "301",
        "302",
        "307",
        "308",
    ): WRONG_REGION,
    ("InvalidStorageClass",): Reason(
        "{endpoint} has no storage class {storage_class}",
        "Set synapse_s3_storage_class to one the store has; STANDARD works everywhere.",
    ),
    ("InvalidEncryptionAlgorithmError", "InvalidSSECustomerKey"): CUSTOMER_KEY_REFUSED,
    ("InvalidObjectState",): Reason(
        "the object is in an archive ({code_and_message}), from where neither this nor Synapse can read it",
        "Restore it to a storage class that is read at once, and keep lifecycle rules from archiving {bucket!r}.",
    ),
    (
        "DisabledException",
        "InvalidKeyUsageException",
        "InvalidStateException",
        "KMSInvalidStateException",
        "KeyUnavailableException",
        "NotFoundException",
    ): Reason(
        "the KMS key of the object or of the bucket cannot be used ({code_and_message})",
        "Enable that key, and grant kms:Decrypt and kms:GenerateDataKey with it.",
    ),
    ("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "InsufficientCapacity", "507"): Reason(
        "the store is full or its quota is used up", "Make room in the bucket {bucket!r} or raise its quota."
    ),
    (*sorted(THROTTLING_CODES), "429", "503"): Reason(
        "{endpoint} is overloaded or asks for fewer requests", "Run this again later."
    ),
    ("NotImplemented", "MethodNotAllowed", "405", "501"): Reason(
        "{endpoint} does not offer this operation ({code})",
        "Check that synapse_s3_endpoint_url is the store's S3 endpoint and that the bucket may be written to.",
    ),
    ("400", "404", "500", "502", "504"): Reason(
        "{endpoint} answers, but not as an S3 store does (HTTP {code} without an S3 error)",
        "Set synapse_s3_endpoint_url to the S3 endpoint, not to the store's web console, with the right scheme "
        "and port, check synapse_s3_bucket, and look into the log of what answers there.",
    ),
}

# By the names of botocore's exceptions, so that nothing here needs botocore. The first that fits counts.
NO_RESPONSE: dict[tuple[str, ...], Reason] = {
    ("ProxyConnectionError",): Reason(
        "the proxy between this host and {endpoint} cannot be reached",
        "Correct HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the environment of the host.",
    ),
    ("ConnectTimeoutError", "ReadTimeoutError"): Reason(
        "{endpoint} did not answer in time", "Correct synapse_s3_endpoint_url, or open the way to it in the firewall."
    ),
    ("EndpointConnectionError",): Reason(
        "{endpoint} cannot be reached ({unreachable})",
        "Correct synapse_s3_endpoint_url, or start the store and open the way to it.",
    ),
    ("ConnectionClosedError", "IncompleteReadError", "ResponseStreamingError"): Reason(
        "{endpoint} broke the connection off before its answer was whole",
        "Run this again; if it stays so, check the scheme and port of synapse_s3_endpoint_url and the store's log.",
    ),
    ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "MetadataRetrievalError"): Reason(
        "no keys are set and this host has no role that gives any",
        "Set synapse_s3_access_key_id and synapse_s3_secret_access_key, or give the instance a role "
        "and set synapse_s3_use_instance_role.",
    ),
    ("NoRegionError", "InvalidRegionError"): Reason(
        "the region {region} is not one", "Set synapse_s3_region_name to the bucket's region."
    ),
    ("ResponseParserError", "RecursionError"): Reason(
        "{endpoint} answers, but not as an S3 store does",
        "Set synapse_s3_endpoint_url to the S3 endpoint, not to the store's web console, with the right port.",
    ),
}

# By a part of OpenSSL's text. The first that fits counts.
TLS: dict[tuple[str, ...], Reason] = {
    ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "record layer"): Reason(
        "{endpoint} does not speak TLS",
        "Write synapse_s3_endpoint_url with 'http://', or with the port that does speak TLS.",
    ),
    ("mismatch", "doesn't match"): Reason(
        "the certificate of {endpoint} is for another name",
        "Write the certificate's name in synapse_s3_endpoint_url, or set synapse_s3_addressing_style to 'path'.",
    ),
    ("CERTIFICATE_VERIFY_FAILED",): Reason(
        "the certificate of {endpoint} is not trusted by this host",
        "Set synapse_s3_ca_bundle to the PEM file of the authority that signed it, and check that it has not expired.",
    ),
    ("",): Reason(
        "{endpoint} breaks the TLS handshake off",
        "Check the scheme and port of synapse_s3_endpoint_url, and synapse_s3_ca_bundle.",
    ),
}
