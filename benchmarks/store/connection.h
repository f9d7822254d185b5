// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// One client's connection: requests are read, delayed and answered, one after the other.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct connection;

struct connection *connection_open(int descriptor);
// More bytes may be readable or writable; false once it is closed and must not be used again.
bool connection_ready(struct connection *connection);
// The delay of the request `serial`, passed to connection_held, is over.
bool connection_due(struct connection *connection, uint64_t serial, bool go_on);

// Defined in server.c: calls connection_due after the delay. go_on: for "100 Continue".
void hold(struct connection *connection, uint64_t serial, bool go_on);
