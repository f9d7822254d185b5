// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// A connection's bytes, plain or with TLS.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct wire {
    int descriptor;
    void *session;  // of TLS, or NULL
};

enum { WIRE_WAIT = 0, WIRE_CLOSED = -1 };

// Whether TLS was compiled in.
bool wire_has_tls(void);
// Loads the certificate; false if that fails, or TLS was not compiled in.
bool wire_use_tls(const char *certificate, const char *key);
void wire_start(struct wire *wire, int descriptor);
void wire_stop(struct wire *wire);
// Bytes moved, WIRE_WAIT or WIRE_CLOSED. With a NULL buffer received bytes are dropped, in plain connections only.
long wire_receive(struct wire *wire, void *buffer, size_t room);
long wire_send(struct wire *wire, struct iovec *parts, int count);
