// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Load on the S3 server from a client with almost no cost of its own: the server's cost a request, and the minimum time
// of any client. load PORT BUCKET KIND CONNECTIONS REQUESTS SIZE; prints one JSON object.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct client {
    int descriptor;
    char head[512];
    size_t head_length, sent, answer_length, left;
    bool in_body;
    char answer[4096];
};

static const char *bucket, *kind;
static char *body, dropped[1 << 18];
static size_t body_length;
static long started, finished, wanted;

static double clock_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void send_more(struct client *client)
{
    size_t total = client->head_length + body_length;
    while (client->sent < total) {
        size_t in_body = client->sent > client->head_length ? client->sent - client->head_length : 0;
        struct iovec parts[2] = {
            {client->head + client->sent, client->sent < client->head_length ? client->head_length - client->sent : 0},
            {body + in_body, body_length - in_body},
        };
        ssize_t sent = writev(client->descriptor, parts, 2);
        if (sent < 0)
            return;
        client->sent += (size_t)sent;
    }
}

static void next_request(struct client *client)
{
    if (started == wanted)
        return;
    unsigned number = (unsigned)started++;
    bool puts = strncmp(kind, "put", 3) == 0;
    const char *method = puts ? "PUT" : strcmp(kind, "head") == 0 ? "HEAD" : strcmp(kind, "delete") == 0 ? "DELETE" : "GET";
    // Scattered, as the keys of media are.
    unsigned place = number * 2654435761u;
    char target[128];
    if (strcmp(kind, "list") == 0)
        snprintf(target, sizeof target, "?list-type=2&encoding-type=url&start-after=load/%02x", place >> 24);
    else
        snprintf(target, sizeof target, "/load/%02x/%02x/%08x", place >> 24, place >> 16 & 255, number);
    client->head_length = (size_t)snprintf(
        client->head, sizeof client->head,
        "%s /%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: AWS4-HMAC-SHA256 not checked\r\n%sContent-Length: %zu\r\n\r\n",
        method, bucket, target, strcmp(kind, "put-md5") == 0 ? "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==\r\n" : "", body_length);
    client->sent = client->answer_length = client->left = 0;
    client->in_body = false;
    send_more(client);
}

// True if a response is complete.
static bool receive(struct client *client)
{
    while (!client->in_body) {
        ssize_t got = recv(client->descriptor, client->answer + client->answer_length,
                           sizeof client->answer - 1 - client->answer_length, 0);
        if (got == 0)
            errx(1, "the server closed a connection");
        if (got < 0)
            return false;
        client->answer_length += (size_t)got;
        client->answer[client->answer_length] = 0;
        char *end = strstr(client->answer, "\r\n\r\n"), *length = strcasestr(client->answer, "\r\nContent-Length:");
        if (!end)
            continue;
        if (strncmp(client->answer, "HTTP/1.1 20", 11) != 0)
            errx(1, "the server refused: %.200s", client->answer);
        size_t behind = client->answer_length - (size_t)(end + 4 - client->answer);
        bool empty = strcmp(kind, "head") == 0 || !length;
        client->left = empty ? 0 : strtoul(length + 17, NULL, 10) - behind;
        client->in_body = true;
    }
    while (client->left) {
        ssize_t got = recv(client->descriptor, dropped, client->left < sizeof dropped ? client->left : sizeof dropped, 0);
        if (got <= 0)
            return false;
        client->left -= (size_t)got;
    }
    return true;
}

int main(int count, char **arguments)
{
    if (count != 7)
        errx(2, "load PORT BUCKET put|put-md5|head|get|delete|list CONNECTIONS REQUESTS SIZE");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bucket = arguments[2];
    kind = arguments[3];
    long connections = atol(arguments[4]);
    wanted = atol(arguments[5]);
    body_length = strncmp(kind, "put", 3) == 0 ? strtoul(arguments[6], NULL, 10) : 0;
    body = malloc(body_length + 1);
    memset(body, 'x', body_length + 1);
    struct client *clients = calloc((size_t)connections, sizeof *clients);
    int poll = epoll_create1(0), on = 1;
    double began = clock_of(CLOCK_MONOTONIC);
    for (long i = 0; i < connections; i++) {
        struct client *client = clients + i;
        client->descriptor = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client->descriptor, (struct sockaddr *)&address, sizeof address))
            err(1, "port %s", arguments[1]);
        setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        fcntl(client->descriptor, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
        epoll_ctl(poll, EPOLL_CTL_ADD, client->descriptor, &event);
    }
    for (long i = 0; i < connections; i++)
        next_request(clients + i);
    while (finished < wanted) {
        struct epoll_event events[256];
        int ready = epoll_wait(poll, events, 256, 30000);
        if (ready == 0)
            errx(1, "no response for 30 seconds");
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            send_more(client);
            if (client->head_length && receive(client)) {
                finished++;
                client->head_length = 0;
                next_request(client);
            }
        }
    }
    printf("{\"requests\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", wanted, clock_of(CLOCK_MONOTONIC) - began,
           clock_of(CLOCK_PROCESS_CPUTIME_ID));
}
