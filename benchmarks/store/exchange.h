// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// One request and its response, between the connection (server.c) and S3's operations (s3.c).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checksum.h"
#include "objects.h"
#include "text.h"

enum kind {
    LIST, HEAD, PUT, GET, DELETE, DELETE_OBJECTS, COPY,
    CREATE_MULTIPART, UPLOAD_PART, COMPLETE_MULTIPART, ABORT_MULTIPART, LIST_UPLOADS, BUCKET, CONTROL, KINDS,
};

struct options {
    const char *bucket;
    uint64_t delay_ns;
    uint64_t keep;  // the longest body whose bytes are kept; of longer ones only size and digest
    uint64_t hash;  // the longest body that is hashed if the client sent no Content-MD5
    uint64_t verify;  // the longest body whose x-amz-checksum is compared with its content
    bool check_md5;
    uint64_t history;
};

struct counters {
    uint64_t kinds[KINDS], received, failed, most_connections, connections;
};

struct exchange {
    // The request: its head ends in a NUL.
    char *head;
    const char *method;
    const char *query;  // raw, "" if there is none
    char *path;         // decoded, without the leading slash: "bucket/key"
    size_t path_length;
    struct blob *body;  // NULL if it was dropped
    uint64_t size;      // of the decoded body
    unsigned char md5[16];
    struct checksum checksum;  // sent with a PUT

    // The response.
    enum kind kind;
    int status;
    struct text headers, content;
    struct blob *blob;  // sent from `from` on instead of content, if set
    uint64_t from, length;
    bool length_only;  // HEAD: the length is sent, but no body
};

extern struct options options;
extern struct counters counters;

// Splits a request's head into its parts; `path` is the decoded path. False if it is not HTTP.
bool exchange_parse(struct exchange *exchange, char *head, struct text *path);
// Appends the response's head, and its content unless that is a blob, to `out`; keeps a reference to the blob. last: on
// its connection.
void exchange_compose(struct exchange *exchange, struct text *out, uint64_t id, bool last);

// A header's value, or NULL; names are in lower case.
const char *exchange_header(const struct exchange *exchange, const char *name, size_t *length);
// Appends a decoded query parameter to `into`; false if it is missing. An empty value counts as present.
bool exchange_parameter(const struct exchange *exchange, const char *name, struct text *into);
// Headers that S3 returns with the object: its metadata, type and storage class, as header lines; NULL if there are
// none.
char *headers_to_keep(const struct exchange *exchange);

void fail(struct exchange *exchange, int status, const char *code, const char *message);

void s3_answer(struct exchange *exchange);
void list_answer(struct exchange *exchange);
void control_answer(struct exchange *exchange, const char *verb);

// Responds to "If-None-Match: *" if the key exists; false if there is nothing to refuse.
bool refuse_present(struct exchange *exchange, const char *key, size_t length);

// checksum_headers.c: x-amz-checksum-NAME, of a body or of an object.
enum { CHECKSUM_ABSENT, CHECKSUM_THERE, CHECKSUM_MALFORMED, CHECKSUM_UNKNOWN };
int exchange_checksum(const struct exchange *exchange, struct checksum *checksum);
// Among the trailers of an aws-chunked body.
int trailer_checksum(const char *trailers, size_t length, struct checksum *checksum);
// Responds to a malformed or unknown checksum; false if there is nothing to refuse.
bool refuse_checksum(struct exchange *exchange, int found);
// A header line of the response, and the type if the checksum is an object's.
void tell_checksum(struct exchange *exchange, const struct checksum *checksum, bool of_object);
// In base64, with the number of parts if it is composed.
void say_checksum(struct text *text, const struct checksum *checksum);
const char *checksum_type(const struct checksum *checksum);

// multipart.c
void multipart_create(struct exchange *exchange, const char *key, size_t length);
void multipart_part(struct exchange *exchange, const char *id, unsigned number);
void multipart_complete(struct exchange *exchange, const char *key, size_t length, const char *id);
void multipart_abort(struct exchange *exchange, const char *id);
size_t multipart_open(void);
void multipart_clear(void);

// list_uploads.c
void list_uploads_answer(struct exchange *exchange);
