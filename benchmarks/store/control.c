// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Requests of the benchmarks beside S3, in a bucket named "-": counters, and emptying the bucket.
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "exchange.h"

static const char *const NAMES[KINDS] = {
    "list", "head", "put", "get", "delete", "delete_objects", "copy", "create_multipart", "upload_part",
    "complete_multipart", "abort_multipart", "list_uploads", "bucket", "control",
};

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void statistics(struct text *out)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    text_say(out, "{\"requests\": {");
    for (int kind = 0; kind < CONTROL; kind++)
        text_format(out, "%s\"%s\": %llu", kind ? ", " : "", NAMES[kind], (unsigned long long)counters.kinds[kind]);
    text_format(out, "}, \"failed\": %llu, \"received\": %llu, \"connections\": %llu, \"most_connections\": %llu, ",
                (unsigned long long)counters.failed, (unsigned long long)counters.received,
                (unsigned long long)counters.connections, (unsigned long long)counters.most_connections);
    text_format(out, "\"objects\": %llu, \"open_multipart\": %zu, \"cpu_seconds\": %.6f, \"rss_kib\": %ld}\n",
                (unsigned long long)objects_count(), multipart_open(),
                seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
}

void control_answer(struct exchange *exchange, const char *verb)
{
    struct text value = {0};
    exchange->kind = CONTROL;
    text_say(&exchange->headers, "Content-Type: application/json\r\n");
    if (strcmp(verb, "clear") == 0) {
        objects_clear();
        multipart_clear();
    } else if (strcmp(verb, "delay") == 0 && exchange_parameter(exchange, "ms", &value)) {
        options.delay_ns = (uint64_t)(atof(value.bytes) * 1e6);
    } else if (strcmp(verb, "zero") == 0) {
        uint64_t connections = counters.connections;
        memset(&counters, 0, sizeof counters);
        counters.connections = counters.most_connections = connections;
    } else if (strcmp(verb, "statistics") != 0) {
        fail(exchange, 404, "NoSuchKey", "Known requests: statistics, clear, zero and delay?ms=N.");
    }
    if (exchange->status == 200)
        statistics(&exchange->content);
    free(value.bytes);
}
