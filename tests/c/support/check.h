/* Checks for the C tests. A check that fails prints its place and the value, and ends the program with 1. Header only;
 * valid as C11 and C++17. */
#ifndef WTGRAM_TESTS_CHECK_H
#define WTGRAM_TESTS_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wtgram.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) check_fail(__FILE__, __LINE__, #condition);                                                  \
    } while (0)

#define CHECK_STATUS(expression, expected) check_status(__FILE__, __LINE__, #expression, (expression), (expected))
#define CHECK_OK(expression)               CHECK_STATUS(expression, WTGRAM_OK)
#define CHECK_UINT(expression, expected)                                                                               \
    check_uint(__FILE__, __LINE__, #expression, (uint64_t)(expression), (uint64_t)(expected))
#define CHECK_TEXT(expression, expected)     check_text(__FILE__, __LINE__, #expression, (expression), (expected))
#define CHECK_BYTES(bytes, expected, length) CHECK(memcmp((bytes), (expected), (length)) == 0)

/* Says what the lines that follow prove. It is printed, so that a log reads as a list of facts. */
#define TEST(sentence) (printf("- %s\n", (sentence)), (void)fflush(stdout))

static inline void check_fail(const char *file, int line, const char *what)
{
    fflush(stdout);
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    exit(1);
}

static inline void check_status(const char *file, int line, const char *what, int32_t got, int32_t expected)
{
    if (got == expected) return;
    fflush(stdout);
    fprintf(stderr, "%s:%d: %s\n    gave %s (%" PRId32 "), expected %s\n", file, line, what, wtgram_status_name(got),
            got, wtgram_status_name(expected));
    exit(1);
}

static inline void check_uint(const char *file, int line, const char *what, uint64_t got, uint64_t expected)
{
    if (got == expected) return;
    fflush(stdout);
    fprintf(stderr, "%s:%d: %s is %" PRIu64 ", expected %" PRIu64 "\n", file, line, what, got, expected);
    exit(1);
}

static inline void check_text(const char *file, int line, const char *what, const char *got, const char *expected)
{
    if (strcmp(got, expected) == 0) return;
    fflush(stdout);
    fprintf(stderr, "%s:%d: %s is \"%s\", expected \"%s\"\n", file, line, what, got, expected);
    exit(1);
}

#endif
