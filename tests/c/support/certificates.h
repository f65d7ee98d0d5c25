/* Certificates that the openssl program makes in a temporary folder. The folder is removed when the process ends. */
#ifndef WTGRAM_TESTS_CERTIFICATES_H
#define WTGRAM_TESTS_CERTIFICATES_H

#include <stddef.h>
#include <stdint.h>

struct certificates {
    char folder[64];
    char ca[96]; /* it signed the next three */
    char good[96], good_key[96]; /* localhost and 127.0.0.1, valid now */
    char expired[96], expired_key[96]; /* the same names, January 2020 */
    char other_name[96], other_name_key[96]; /* other.example only */
    char other_ca[96]; /* it signed none of them */
};

void certificates_make(struct certificates *certificates);
/* Reads a whole file; the caller frees it. */
uint8_t *read_file(const char *path, size_t *length);

#endif
