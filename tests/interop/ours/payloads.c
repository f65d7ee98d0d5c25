/* The datagrams of the echo test. */
#include <stdlib.h>
#include <string.h>

#include "peer.h"

enum { MARKER_BYTES = 6, LARGE_HEAD_BYTES = MARKER_BYTES + 4 };
const char ASK_LARGE[] = "large?", ANSWER_LARGE[] = "large!";
static const char ASK_CLOSE[] = "please close";

static void put_number(uint8_t *bytes, uint32_t number)
{
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

static uint32_t get_number(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

size_t make_payload(uint32_t number, uint8_t *bytes)
{
    size_t size = 8 + (size_t)number * 37 % PAYLOAD_RANGE_BYTES;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(number * 31 + i);
    put_number(bytes, number);
    return size;
}

int64_t echoed_number(const uint8_t *bytes, size_t length, uint32_t sent)
{
    uint8_t expected[PAYLOAD_MAX_BYTES];
    if (length < 4) return -1;
    uint32_t number = get_number(bytes);
    if (number >= sent || make_payload(number, expected) != length || memcmp(expected, bytes, length) != 0) return -1;
    return number;
}

bool is_close_request(const uint8_t *bytes, size_t length)
{
    return length >= sizeof ASK_CLOSE - 1 && memcmp(bytes, ASK_CLOSE, sizeof ASK_CLOSE - 1) == 0;
}

wtgram_status send_close_request(wtgram_transport transport)
{
    return wtgram_transport_send(transport, (const uint8_t *)ASK_CLOSE, sizeof ASK_CLOSE - 1, NULL);
}

wtgram_status send_large(wtgram_transport transport, const char *marker, uint32_t received, size_t *size)
{
    wtgram_status status = wtgram_transport_get_max_datagram_size(transport, size);
    if (status != WTGRAM_OK) return status;
    uint8_t *bytes = malloc(*size + LARGE_HEAD_BYTES);
    if (bytes == NULL) return WTGRAM_ERROR_INTERNAL;
    for (size_t i = 0; i < *size; i++) bytes[i] = (uint8_t)(*size * 31 + i);
    memcpy(bytes, marker, MARKER_BYTES);
    put_number(bytes + MARKER_BYTES, received);
    status = wtgram_transport_send(transport, bytes, *size, NULL);
    free(bytes);
    return status;
}

bool has_marker(const uint8_t *bytes, size_t length, const char *marker)
{
    return length >= LARGE_HEAD_BYTES && memcmp(bytes, marker, MARKER_BYTES) == 0;
}

bool read_large(const uint8_t *bytes, size_t length, const char *marker, uint32_t *received)
{
    if (!has_marker(bytes, length, marker)) return false;
    *received = get_number(bytes + MARKER_BYTES);
    for (size_t i = LARGE_HEAD_BYTES; i < length; i++)
        if (bytes[i] != (uint8_t)(length * 31 + i)) return false;
    return true;
}
