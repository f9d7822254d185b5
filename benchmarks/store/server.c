// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// An S3 server for benchmarks: one bucket in memory, one thread, every response delayed by a fixed time.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "connection.h"
#include "exchange.h"
#include "wire.h"

struct options options = {.bucket = "bench", .keep = 1 << 20, .hash = 1 << 20, .verify = 1 << 20};
struct counters counters;

struct held {
    struct connection *connection;
    uint64_t serial, due;
    bool go_on;
};

// All delays are equal, so the first delayed response is due first: a ring buffer is enough.
static struct {
    struct held *ring;
    size_t room, from, count;
    int timer;
    uint64_t armed;
} waiting;

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void arm(void)
{
    uint64_t due = waiting.count ? waiting.ring[waiting.from].due : 0;
    if (due == waiting.armed)
        return;
    struct itimerspec when = {.it_value = {(time_t)(due / 1000000000), (long)(due % 1000000000)}};
    timerfd_settime(waiting.timer, TFD_TIMER_ABSTIME, &when, NULL);
    waiting.armed = due;
}

void hold(struct connection *connection, uint64_t serial, bool go_on)
{
    if (waiting.count == waiting.room) {
        size_t room = waiting.room ? waiting.room * 2 : 1024;
        struct held *ring = malloc(room * sizeof *ring);
        for (size_t i = 0; i < waiting.count; i++)
            ring[i] = waiting.ring[(waiting.from + i) % waiting.room];
        free(waiting.ring);
        waiting.ring = ring;
        waiting.room = room;
        waiting.from = 0;
    }
    waiting.ring[(waiting.from + waiting.count++) % waiting.room] =
        (struct held){connection, serial, now() + options.delay_ns, go_on};
}

static void release(void)
{
    uint64_t moment = now();
    while (waiting.count && waiting.ring[waiting.from].due <= moment) {
        struct held held = waiting.ring[waiting.from];
        waiting.from = (waiting.from + 1) % waiting.room;
        waiting.count--;
        connection_due(held.connection, held.serial, held.go_on);
    }
}

static int listen_on(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        err(1, "port %u", port);
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void serve(int listener)
{
    static struct epoll_event events[256];
    int poll = epoll_create1(EPOLL_CLOEXEC);
    waiting.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &waiting;
    epoll_ctl(poll, EPOLL_CTL_ADD, waiting.timer, &event);
    for (;;) {
        arm();
        int ready = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &waiting) {
                uint64_t expirations;
                if (read(waiting.timer, &expirations, sizeof expirations) > 0)
                    waiting.armed = 0;
            } else if (events[i].data.ptr == &listener) {
                int descriptor;
                while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
                    event.data.ptr = connection_open(descriptor);
                    epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event);
                }
            } else {
                connection_ready(events[i].data.ptr);
            }
        }
        release();
    }
}

static uint64_t bytes(const char *words)
{
    char *unit;
    uint64_t number = strtoull(words, &unit, 10);
    return *unit == 'K' ? number << 10 : *unit == 'M' ? number << 20 : *unit == 'G' ? number << 30 : number;
}

int main(int count, char **arguments)
{
    static const struct option known[] = {
        {"port", required_argument, 0, 'p'},     {"bucket", required_argument, 0, 'b'},
        {"delay-ms", required_argument, 0, 'd'}, {"keep", required_argument, 0, 'k'},
        {"hash", required_argument, 0, 'x'},     {"check-md5", no_argument, 0, 'm'},
        {"history", required_argument, 0, 'n'},  {"certificate", required_argument, 0, 'c'},
        {"key", required_argument, 0, 's'},      {"verify-checksums", no_argument, 0, 'v'},
        {"has-tls", no_argument, 0, 't'},        {0, 0, 0, 0},
    };
    unsigned port = 0;
    const char *certificate = NULL, *key = NULL;
    for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p': port = (unsigned)atoi(optarg); break;
        case 'b': options.bucket = optarg; break;
        case 'd': options.delay_ns = (uint64_t)(atof(optarg) * 1e6); break;
        case 'k': options.keep = bytes(optarg); break;
        case 'x': options.hash = bytes(optarg); break;
        case 'm': options.check_md5 = true; break;
        case 't': return wire_has_tls() ? 0 : 1;
        case 'v': options.verify = UINT64_MAX; break;
        case 'n': options.history = strtoull(optarg, NULL, 10); break;
        case 'c': certificate = optarg; break;
        case 's': key = optarg; break;
        default: return 2;
        }
    }
    if (certificate && (!key || !wire_use_tls(certificate, key)))
        errx(2, "TLS needs --certificate and --key, and a build with OpenSSL's headers (libssl-dev)");
    signal(SIGPIPE, SIG_IGN);
    // The process that started this one may die first; this one must end then.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    objects_start(options.history);
    serve(listen_on(port));
}
