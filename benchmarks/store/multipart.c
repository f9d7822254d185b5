// Multipart uploads: the parts' sizes, digests and, where they are kept, bytes, until they are one object.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "md5.h"

enum { MOST_PARTS = 10000 };

struct part {
    bool there;
    uint64_t size;
    unsigned char md5[16];
    struct blob *content;
};

struct upload {
    char id[32];
    struct upload *next;
    char *headers;
    struct part parts[MOST_PARTS + 1];
};

static struct upload *uploads;
static size_t made, open_uploads;

static struct upload **find(const char *id)
{
    struct upload **at = &uploads;
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

static void forget(struct upload **at)
{
    struct upload *upload = *at;
    *at = upload->next;
    open_uploads--;
    for (int number = 1; number <= MOST_PARTS; number++)
        blob_drop(upload->parts[number].content);
    free(upload->headers);
    free(upload);
}

size_t multipart_open(void)
{
    return open_uploads;
}

void multipart_clear(void)
{
    while (uploads)
        forget(&uploads);
}

static void unknown(struct exchange *exchange)
{
    fail(exchange, 404, "NoSuchUpload", "The upload does not exist.");
}

void multipart_create(struct exchange *exchange, const char *key, size_t length)
{
    struct upload *upload = calloc(1, sizeof *upload);
    snprintf(upload->id, sizeof upload->id, "upload-%zu", ++made);
    upload->headers = headers_to_keep(exchange);
    upload->next = uploads;
    uploads = upload;
    open_uploads++;
    exchange->kind = CREATE_MULTIPART;
    text_say(&exchange->headers, "Content-Type: application/xml\r\n");
    text_format(&exchange->content,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>",
                options.bucket);
    text_xml(&exchange->content, key, length);
    text_format(&exchange->content, "</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>", upload->id);
}

void multipart_part(struct exchange *exchange, const char *id, unsigned number)
{
    struct upload *upload = *find(id);
    exchange->kind = UPLOAD_PART;
    if (!upload)
        return unknown(exchange);
    if (number < 1 || number > MOST_PARTS)
        return fail(exchange, 400, "InvalidArgument", "Part numbers are 1 to 10000.");
    struct part *part = &upload->parts[number];
    blob_drop(part->content);
    part->there = true;
    part->size = exchange->size;
    part->content = exchange->body;
    blob_hold(part->content);
    memcpy(part->md5, exchange->md5, 16);
    text_say(&exchange->headers, "ETag: \"");
    text_hex(&exchange->headers, part->md5, 16);
    text_say(&exchange->headers, "\"\r\n");
}

// The parts that the client names, in its order, added up; 0 where one is missing or has another ETag.
static int add_up(const struct upload *upload, const char *xml, struct object *sum, const struct part *chosen[])
{
    struct md5 digest;
    int count = 0, last = 0;
    bool kept = true;
    md5_start(&digest);
    while ((xml = strstr(xml, "<Part>"))) {
        const char *end = strstr(xml, "</Part>"), *number = strstr(xml, "<PartNumber>"), *etag = strstr(xml, "<ETag>");
        if (!end || !number || !etag || number > end || etag > end)
            return 0;
        int index = atoi(number + 12);
        if (index <= last || index > MOST_PARTS || !upload->parts[index].there)
            return 0;
        const struct part *part = &upload->parts[index];
        struct text hex = {0};
        text_hex(&hex, part->md5, 16);
        bool same = memmem(etag, (size_t)(end - etag), hex.bytes, hex.length) != NULL;
        free(hex.bytes);
        if (!same)
            return 0;
        md5_add(&digest, part->md5, 16);
        sum->size += part->size;
        kept &= part->content != NULL;
        chosen[count++] = part;
        last = index;
        xml = end;
    }
    md5_end(&digest, sum->md5);
    sum->parts = count;
    if (kept && count) {
        sum->content = blob_new(sum->size);
        char *to = sum->content->bytes;
        for (int i = 0; i < count; i++)
            to = mempcpy(to, chosen[i]->content->bytes, chosen[i]->size);
    }
    return count;
}

void multipart_complete(struct exchange *exchange, const char *key, size_t length, const char *id)
{
    static const struct part *chosen[MOST_PARTS];
    struct upload **at = find(id);
    struct object sum = {0};
    exchange->kind = COMPLETE_MULTIPART;
    if (!*at)
        return unknown(exchange);
    struct text xml = {0};
    text_add(&xml, exchange->body ? exchange->body->bytes : "", exchange->body ? exchange->size : 0);
    text_add(&xml, "", 1);
    int parts = add_up(*at, xml.bytes, &sum, chosen);
    free(xml.bytes);
    if (!parts)
        return fail(exchange, 400, "InvalidPart", "A part is missing, out of order, or has another ETag.");
    struct object *object = objects_put(key, length);
    object->size = sum.size;
    object->parts = sum.parts;
    object->content = sum.content;
    memcpy(object->md5, sum.md5, 16);
    object->headers = (*at)->headers;
    (*at)->headers = NULL;
    forget(at);
    text_say(&exchange->headers, "Content-Type: application/xml\r\n");
    text_say(&exchange->content, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult><Key>");
    text_xml(&exchange->content, key, length);
    text_say(&exchange->content, "</Key><ETag>&quot;");
    text_hex(&exchange->content, object->md5, 16);
    text_format(&exchange->content, "-%d&quot;</ETag></CompleteMultipartUploadResult>", parts);
}

void multipart_abort(struct exchange *exchange, const char *id)
{
    struct upload **at = find(id);
    exchange->kind = ABORT_MULTIPART;
    if (!*at)
        return unknown(exchange);
    forget(at);
    exchange->status = 204;
}
