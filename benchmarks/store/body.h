// A request's body on its way in: unframed, kept where it is short enough, hashed, and compared with what the client says of it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checksum.h"
#include "chunks.h"
#include "exchange.h"
#include "md5.h"

struct body {
    struct exchange *exchange;
    uint64_t wire_left;  // where it is not chunked
    bool chunked, in_aws_chunks, keeps, hashes, has_md5;
    struct chunks outer, inner;
    struct md5 sum;
    unsigned char told_md5[16];
    bool in_trailer;
    int found_checksum;
    struct checksum told_checksum;
    struct checksum_sum checksum_sum;  // of NO_CHECKSUM where it is not verified
    struct text growing;               // a body whose length is not known
};

// Whether a header's value, or NULL, begins so.
bool header_is(const char *value, const char *word);

// What the head says of the body that follows it.
void body_expect(struct body *body, struct exchange *exchange);
// Takes bytes off the wire; gives how many were the body's.
size_t body_take(struct body *body, const char *bytes, size_t length);
bool body_is_whole(const struct body *body);
// The whole body is the exchange's; false where it is refused, and answered.
bool body_end(struct body *body);

// Nothing is done with its bytes but to count them, as body_dropped does.
bool body_is_dropped(const struct body *body);
void body_dropped(struct body *body, size_t length);
// Where the next bytes are to be received, and how many at most: their last place, or else the scratch room.
char *body_place(struct body *body, char *scratch, size_t room, size_t *most);
