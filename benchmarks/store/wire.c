// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static long outcome(long moved)
{
    if (moved > 0)
        return moved;
    return moved < 0 && (errno == EAGAIN || errno == EINTR) ? WIRE_WAIT : WIRE_CLOSED;
}

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context;

bool wire_has_tls(void)
{
    return true;
}

bool wire_use_tls(const char *certificate, const char *key)
{
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1;
}

static void *session_start(int descriptor)
{
    if (!context)
        return NULL;
    SSL *session = SSL_new(context);
    SSL_set_fd(session, descriptor);
    SSL_set_accept_state(session);
    return session;
}

static long session_outcome(SSL *session, int moved)
{
    if (moved > 0)
        return moved;
    int error = SSL_get_error(session, moved);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? WIRE_WAIT : WIRE_CLOSED;
}

static long session_receive(void *session, void *buffer, size_t room)
{
    return session_outcome(session, SSL_read(session, buffer, room > 1 << 20 ? 1 << 20 : (int)room));
}

static long session_send(void *session, const struct iovec *parts, int count)
{
    long sent = 0;
    for (int i = 0; i < count; i++) {
        for (size_t at = 0; at < parts[i].iov_len;) {
            size_t left = parts[i].iov_len - at;
            long moved = session_outcome(
                session, SSL_write(session, (char *)parts[i].iov_base + at, left > 1 << 20 ? 1 << 20 : (int)left));
            if (moved <= 0)
                return sent ? sent : moved;
            at += (size_t)moved;
            sent += moved;
        }
    }
    return sent;
}

static void session_stop(void *session)
{
    SSL_free(session);
}
#else
bool wire_has_tls(void)
{
    return false;
}

bool wire_use_tls(const char *certificate, const char *key)
{
    (void)certificate, (void)key;
    return false;
}

static void *session_start(int descriptor)
{
    (void)descriptor;
    return NULL;
}

static long session_receive(void *session, void *buffer, size_t room)
{
    (void)session, (void)buffer, (void)room;
    return WIRE_CLOSED;
}

static long session_send(void *session, const struct iovec *parts, int count)
{
    (void)session, (void)parts, (void)count;
    return WIRE_CLOSED;
}

static void session_stop(void *session)
{
    (void)session;
}
#endif

void wire_start(struct wire *wire, int descriptor)
{
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    wire->descriptor = descriptor;
    wire->session = session_start(descriptor);
}

void wire_stop(struct wire *wire)
{
    if (wire->session)
        session_stop(wire->session);
    close(wire->descriptor);
    wire->session = NULL;
}

long wire_receive(struct wire *wire, void *buffer, size_t room)
{
    if (wire->session)
        return session_receive(wire->session, buffer, room);
    return outcome(recv(wire->descriptor, buffer, room, buffer ? 0 : MSG_TRUNC));
}

long wire_send(struct wire *wire, struct iovec *parts, int count)
{
    if (wire->session)
        return session_send(wire->session, parts, count);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    return outcome(sendmsg(wire->descriptor, &message, MSG_NOSIGNAL));
}
