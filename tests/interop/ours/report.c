/* What the program prints: one JSON object a line, which run_pair.py reads. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "peer.h"

int64_t now_us(void)
{
    struct timespec now;
    if (timespec_get(&now, TIME_UTC) == 0) return 0;
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

void print_text(const char *text)
{
    putchar('"');
    for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++) {
        if (*p == '"' || *p == '\\') printf("\\%c", *p);
        else if (*p < 0x20) printf("\\u%04x", *p);
        else putchar(*p);
    }
    putchar('"');
}

void end_line(void)
{
    printf("}\n");
    fflush(stdout);
}

int fail(const char *what, wtgram_status status, const char *detail)
{
    printf("{\"event\": \"error\", \"what\": \"%s\", \"status\": \"%s\", \"message\": ", what,
           wtgram_status_name(status));
    print_text(detail != NULL && detail[0] != 0 ? detail : wtgram_status_message(status));
    end_line();
    return 1;
}

void print_protocol(wtgram_session session)
{
    char protocol[256] = "";
    size_t length = 0;
    wtgram_status status = wtgram_session_get_subprotocol(session, protocol, sizeof protocol, &length);
    printf(", \"protocol\": ");
    if (status != WTGRAM_OK || length == 0) printf("null");
    else print_text(protocol);
    end_line();
}

void print_problem(const char *problem)
{
    printf(", \"problem\": ");
    if (problem == NULL) printf("null");
    else print_text(problem);
    end_line();
}

void print_close_info(const wtgram_close_info *info, uint64_t echoed)
{
    static const char *const by[] = {"local", "peer", "transport"};
    printf("{\"event\": \"closed\", \"by\": \"%s\", \"code\": %" PRIu32 ", \"transport_error\": %" PRIu64
           ", \"echoed\": %" PRIu64 ", \"reason\": ",
           by[info->closed_by % 3], info->code, info->transport_error, echoed);
    print_text(info->reason);
    end_line();
}
