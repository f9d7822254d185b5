// One client's connection: requests are read, held back by the delay, answered, one after the other.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct connection;

struct connection *connection_open(int descriptor);
// More bytes may be there to read, or room to write; false once it is closed and must not be used again.
bool connection_ready(struct connection *connection);
// The delay is over for what connection_held was told of `serial`.
bool connection_due(struct connection *connection, uint64_t serial, bool go_on);

// Given by server.c: calls connection_due once the delay is over. go_on: it is about "100 Continue".
void hold(struct connection *connection, uint64_t serial, bool go_on);
