// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#include "exchange.h"

#include <string.h>
#include <strings.h>

const char *exchange_header(const struct exchange *exchange, const char *name, size_t *length)
{
    size_t name_length = strlen(name);
    const char *line = strstr(exchange->head, "\r\n");
    while (line && line[2] && line[2] != '\r') {
        line += 2;
        const char *end = strstr(line, "\r\n");
        if (!end)
            return NULL;
        if (line[name_length] == ':' && strncasecmp(line, name, name_length) == 0) {
            const char *value = line + name_length + 1;
            while (*value == ' ')
                value++;
            *length = (size_t)(end - value);
            return value;
        }
        line = end;
    }
    return NULL;
}

bool exchange_parameter(const struct exchange *exchange, const char *name, struct text *into)
{
    size_t name_length = strlen(name);
    for (const char *at = exchange->query; *at;) {
        const char *end = strchr(at, '&');
        if (!end)
            end = at + strlen(at);
        if (strncmp(at, name, name_length) == 0 && (at + name_length == end || at[name_length] == '=')) {
            const char *value = at + name_length + (at + name_length < end);
            char *to = text_room(into, (size_t)(end - value) + 1);
            size_t length = percent_decode(value, (size_t)(end - value), to, true);
            to[length] = 0;
            into->length += length;
            return true;
        }
        at = *end ? end + 1 : end;
    }
    return false;
}

char *headers_to_keep(const struct exchange *exchange)
{
    struct text kept = {0};
    const char *line = strstr(exchange->head, "\r\n");
    while (line && line[2] && line[2] != '\r') {
        line += 2;
        const char *end = strstr(line, "\r\n");
        if (strncasecmp(line, "x-amz-meta-", 11) == 0 || strncasecmp(line, "content-type:", 13) == 0 ||
            strncasecmp(line, "x-amz-storage-class:", 20) == 0)
            text_add(&kept, line, (size_t)(end - line) + 2);
        line = end;
    }
    if (kept.length)
        text_add(&kept, "", 1);
    return kept.bytes;
}

void fail(struct exchange *exchange, int status, const char *code, const char *message)
{
    counters.failed += status != 404;
    exchange->status = status;
    exchange->headers.length = exchange->content.length = 0;
    exchange->blob = NULL;
    text_say(&exchange->headers, "Content-Type: application/xml\r\n");
    text_format(&exchange->content,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code,
                message);
}

bool exchange_parse(struct exchange *exchange, char *head, struct text *path)
{
    char *space = strchr(head, ' '), *target = space ? space + 1 : NULL;
    char *end = target ? strchr(target, ' ') : NULL;
    if (!end || strncmp(end, " HTTP/1.", 8) != 0 || *target != '/')
        return false;
    exchange->head = end + 1;
    *space = *end = 0;
    exchange->method = head;
    char *query = strchr(target, '?');
    if (query)
        *query = 0;
    exchange->query = query ? query + 1 : "";
    path->length = 0;
    exchange->path = text_room(path, strlen(target) + 1);
    exchange->path_length = percent_decode(target + 1, strlen(target + 1), exchange->path, false);
    exchange->path[exchange->path_length] = 0;
    return true;
}

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 404: return "Not Found";
    case 412: return "Precondition Failed";
    case 416: return "Range Not Satisfiable";
    case 501: return "Not Implemented";
    default: return "Bad Request";
    }
}

void exchange_compose(struct exchange *exchange, struct text *out, uint64_t id, bool last)
{
    bool has_length = exchange->blob || (exchange->length_only && exchange->length);
    text_format(out, "HTTP/1.1 %d %s\r\nServer: bench\r\nDate: ", exchange->status, reason(exchange->status));
    text_http_time(out, time(NULL));
    text_format(out, "\r\nx-amz-request-id: %016llx\r\n", (unsigned long long)id);
    text_add(out, exchange->headers.bytes ? exchange->headers.bytes : "", exchange->headers.length);
    if (exchange->status != 204) {
        text_say(out, "Content-Length: ");
        text_number(out, has_length ? exchange->length : exchange->content.length);
        text_say(out, "\r\n");
    }
    text_say(out, last ? "Connection: close\r\n\r\n" : "\r\n");
    if (!exchange->length_only)
        text_add(out, exchange->content.bytes ? exchange->content.bytes : "", exchange->content.length);
    blob_hold(exchange->blob);
}
