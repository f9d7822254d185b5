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
