#!/usr/bin/env python3
"""matrix.py HEADER OUTPUT.c

Reads every function declared in wtgram.h and writes a C program that gives each of them what it must refuse:

* every parameter that is a handle: none, garbage, all ones, freed, and a live handle of each other type
  -> INVALID_HANDLE, with scalar outputs zeroed;
* every pointer: NULL, with all else right -> INVALID_ARGUMENT (or, for what may be NULL, any status but no crash).

The program links with tests/c/support. A function whose parameters this script does not understand, or a handle type it
cannot make, stops it with an error: nothing that is added to the header can escape the matrix.
"""

import re
import sys

# How a live object of each handle type comes to be, and how it is freed. New handle types need a line here.
LIVE = {
    "wtgram_server": "pair.server",
    "wtgram_session": "pair.client",
    "wtgram_transport": "pair.client_datagrams",
    "wtgram_poller": "poller",
    "wtgram_request": "request",
    "wtgram_reliability": "layer",
    "wtgram_broadcaster": "broadcaster",
    "wtgram_monitor": "monitor",
    "wtgram_structured": "structured_transport",
}
FREED = {
    "wtgram_server": "freed_pair.server",
    "wtgram_session": "freed_pair.client",
    "wtgram_transport": "freed_pair.client_datagrams",
    "wtgram_poller": "freed_poller",
    "wtgram_request": "freed_request",
    "wtgram_reliability": "freed_layer",
    "wtgram_broadcaster": "freed_broadcaster",
    "wtgram_monitor": "freed_monitor",
    "wtgram_structured": "freed_structured_transport",
}

# Pointers that may be NULL. Everything else must be refused.
MAY_BE_NULL = {
    "options": "NULL = the defaults",
    "server_name": "NULL = the default identity",
    "const marks": "NULL = the defaults",
    "results": "asked for only when wanted",
    "callback": "NULL = no callback",
    "members": "asked for only when wanted",
    "context": "handed through, never looked at",
}

# Functions in which such a pointer may not be NULL after all.
NEVER_NULL = {("wtgram_server_remove_identity", "server_name")}

# Handles that may be released already: a member that is to be removed may be gone.
MAY_BE_STALE = {("wtgram_broadcaster_remove_transport", "transport"),
                ("wtgram_broadcaster_remove_reliability", "reliability")}

# Right calls that this program has no time for: with its defaults this one sends for ten seconds.
LEFT_OUT = {("wtgram_transport_throughput_test", "options")}

# What a parameter is given when it is not the one under test, by type and name; the first pattern that matches counts.
VALUES = [
    (r"int64_t \w*(timeout|ttl|age)_us", "0"),
    (r"uint32_t interest", "WTGRAM_READY_CLOSED"),
    (r"uint64_t object", "pair.client.id"),
    (r"uint64_t cookie", "1"),
    (r"uint64_t report_id", "0"),
    (r"bool \w+", "false"),
    (r"uint64_t (max_\w+|datagrams)", "1000"),
    (r"uint32_t policy", "0"),
    (r"uint32_t type_id", "1"),
    (r"uint32_t max_retries", "3"),
    (r"const wtgram_object_type \*object_types", "object_types"),
    (r"uint32_t code", "0"),
    (r"size_t index", "0"),
    (r"int32_t (level|status)", "0"),
    (r"uint32_t status", "404"),
    (r"size_t index", "0"),
    (r"size_t size", "sizeof(size_t)"),
    (r"size_t (count|capacity|limit|arena_capacity|length|\w+_length|\w+_count|\w+_capacity)", "1"),
    (r"const char \*url", "pair.url"),
    (r"const char \*\w+", "input"),
    (r"char \*\w+", "text"),
    (r"(const )?uint8_t \*\w+", "bytes"),
    (r"wtgram_log_callback callback", "NULL"),
    (r"void \*context", "NULL"),
]
SCALARS = {"size_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "int32_t", "int64_t", "bool", "int",
           "wtgram_status"}
# A zero descriptor would be standard input, a zero status OK: what a failed call leaves there is not prescribed.
NOT_ZEROED = {"int", "wtgram_status"}


def fail(message):
    sys.exit(f"matrix.py: {message}")


class Parameter:
    def __init__(self, text, handles):
        text = re.sub(r"\s+", " ", text).strip()
        text = re.sub(r"\b(struct|enum) ", "", text)
        text = re.sub(r"\s*\*\s*", " *", text).replace("* *", "**").replace("* const", "*const")
        array = re.fullmatch(r"(.*?) ?\(? ?\*?(\w+)\)?\[\w+\]", text)
        if array:  # uint8_t hash[32], uint8_t (*hash)[32]: a pointer to that many
            text = f"{array[1].strip()} *{array[2]}"
        match = re.fullmatch(r"((?:const )?\w+) ((?:\*+(?:const ?\*)?)?)(\w+)", text)
        if not match:
            fail(f"cannot read the parameter '{text}'")
        self.text, self.base, self.stars, self.name = text, match[1], match[2], match[3]
        self.const = self.base.startswith("const ")
        self.type = self.base.removeprefix("const ")
        self.is_handle = not self.stars and self.type in handles
        self.is_object = text == "uint64_t object"
        self.is_pointer = bool(self.stars) or self.type == "wtgram_log_callback"
        self.is_scalar_output = self.stars == "*" and not self.const and (self.type in SCALARS or self.type in handles)
        self.needs_variable = False

    def value(self, structs):
        if self.is_handle:
            return LIVE[self.type]
        for pattern, value in VALUES:
            if re.fullmatch(pattern, self.text):
                return value
        if self.stars == "*" and (self.type in structs or self.type in SCALARS):
            self.needs_variable = True
            return f"&{self.name}"
        fail(f"no value for the parameter '{self.text}': add one to VALUES")


def may_be_null(parameter):
    return parameter.name in MAY_BE_NULL or (parameter.const and f"const {parameter.name}" in MAY_BE_NULL)


def read(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", " ", text, flags=re.M)
    text = re.sub(r'extern\s*"C"\s*\{', " ", text)
    handles = {name for body, name in re.findall(r"typedef\s+struct\s*\w*\s*\{([^}]*)\}\s*(\w+)\s*;", text)
               if re.fullmatch(r"\s*uint64_t\s+id\s*;\s*", body)}
    structs = set(re.findall(r"typedef\s+struct\s*\w*\s*\{[^}]*\}\s*(\w+)\s*;", text))
    bare = re.sub(r"\)\s*\{[^{}]*\}", ");", text)  # inline functions are called like any other
    bare = re.sub(r"\{[^{}]*\}", " ", bare)
    functions = []
    for match in re.finditer(r"([\w\s*]+?)\b(wtgram_\w+)\s*\(([^;{}]*)\)\s*;", bare):
        if "typedef" in match[1]:
            continue
        parameters = [] if match[3].strip() in ("", "void") else [
            Parameter(part, handles) for part in match[3].split(",")]
        functions.append((match[2], re.search(r"\bwtgram_status\b", match[1]) is not None, parameters))
    if len(functions) < 10 or not handles:
        fail(f"found {len(functions)} functions and {len(handles)} handle types in {path}: that cannot be all")
    missing = sorted(handles - LIVE.keys() | handles - FREED.keys())
    if missing:
        fail(f"cannot make a {', '.join(missing)}: teach LIVE, FREED and the preamble")
    return functions, handles, structs


def call(function, returns_status, parameters, structs, replaced, replacement, expectation, note):
    """One block: fresh variables, the call, the check."""
    lines = []
    arguments = []
    for parameter in parameters:
        value = replacement if parameter is replaced else parameter.value(structs)
        arguments.append(value)
        if parameter is not replaced and parameter.needs_variable:
            init = f"{parameter.type}_init" if any(f[0] == f"{parameter.type}_init" for f in FUNCTIONS) else None
            lines.append(f"{parameter.type} {parameter.name};")
            if init and init != function:
                lines.append(f"{init}(&{parameter.name});")
            elif parameter.is_scalar_output:
                lines.append(f"memset(&{parameter.name}, 0x5a, sizeof {parameter.name});")
            else:
                lines.append(f"memset(&{parameter.name}, 0, sizeof {parameter.name});")
    invocation = f"{function}({', '.join(arguments)})"
    lines.append(f'note("{function}", "{note}");')
    if not returns_status:
        lines.append(f"(void){invocation};")
    else:
        lines.append(f"{expectation}({invocation});")
        if expectation == "EXPECT_INVALID_HANDLE":
            for parameter in parameters:
                if parameter.is_scalar_output and parameter.needs_variable and parameter.type not in NOT_ZEROED:
                    lines.append(f"CHECK(all_zero(&{parameter.name}, sizeof {parameter.name}));")
    return "    {\n" + "".join(f"        {line}\n" for line in lines) + "    }\n"


def bad_handles(own_type):
    yield "none", "0"
    yield "garbage", "UINT64_C(0xdeadbeefdeadbeef)"
    yield "all ones", "UINT64_MAX"
    yield "freed", f"{FREED[own_type]}.id"
    yield "next generation", f"{LIVE[own_type]}.id + 1"
    for other in sorted(LIVE):
        if other != own_type:
            yield f"a {other}", f"{LIVE[other]}.id"


def blocks(function, returns_status, parameters, handles, structs):
    for parameter in parameters:
        if parameter.is_handle:
            for note, identifier in bad_handles(parameter.type):
                tolerant = (function, parameter.name) in MAY_BE_STALE
                yield call(function, returns_status, parameters, structs, parameter,
                           f"({parameter.type}){{{identifier}}}",
                           "EXPECT_ANY" if tolerant else "EXPECT_INVALID_HANDLE", f"{parameter.name}: {note}")
        elif parameter.is_object:
            for note, identifier in (("none", "0"), ("garbage", "UINT64_C(0xdeadbeefdeadbeef)"),
                                     ("freed", "freed_pair.client.id"), ("a poller", "poller.id")):
                expectation = "EXPECT_INVALID_HANDLE" if function.endswith("_add") else "EXPECT_REFUSED"
                yield call(function, returns_status, parameters, structs, parameter, identifier, expectation,
                           f"object: {note}")
        elif parameter.is_pointer and (function, parameter.name) not in LEFT_OUT:
            tolerant = may_be_null(parameter) and (function, parameter.name) not in NEVER_NULL
            expectation = "EXPECT_ANY" if tolerant else "EXPECT_INVALID_ARGUMENT"
            yield call(function, returns_status, parameters, structs, parameter, "NULL", expectation,
                       f"{parameter.name}: NULL")


PREAMBLE = r"""/* Written by tests/c/matrix.py from the header; do not edit. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static struct pair pair, freed_pair, asking;
static struct blocked client;
static wtgram_session client_session;
static wtgram_request request, freed_request;
static wtgram_poller poller, freed_poller;
static wtgram_reliability layer, freed_layer;
static wtgram_broadcaster broadcaster, freed_broadcaster;
static wtgram_monitor monitor, freed_monitor;
static wtgram_structured structured_transport, freed_structured_transport;
static wtgram_object_type object_types[1]; /* type id 0 */
static const char input[] = "1"; /* valid as JSON too */
static char text[64];
static uint8_t bytes[64];
static unsigned long calls;
static const char *current_function = "", *current_case = "";

static void note(const char *function, const char *what)
{
    current_function = function;
    current_case = what;
    calls++;
    if (getenv("WTGRAM_MATRIX_VERBOSE") != NULL) fprintf(stderr, "%s, %s\n", function, what);
}

static void expect(wtgram_status got, wtgram_status expected, int line)
{
    if (got == expected) return;
    fprintf(stderr, "%s, %s\n", current_function, current_case);
    check_status(__FILE__, line, current_function, got, expected);
}

static void refused(wtgram_status got, int line)
{
    if (got != WTGRAM_OK) return;
    fprintf(stderr, "%s, %s\n", current_function, current_case);
    check_fail(__FILE__, line, "was accepted");
}

static bool all_zero(const void *data, size_t length)
{
    const uint8_t *byte = (const uint8_t *)data;
    for (size_t i = 0; i < length; i++)
        if (byte[i] != 0) return fprintf(stderr, "%s, %s: an output\n", current_function, current_case), false;
    return true;
}

#define EXPECT_INVALID_HANDLE(call) expect((call), WTGRAM_ERROR_INVALID_HANDLE, __LINE__)
#define EXPECT_INVALID_ARGUMENT(call) expect((call), WTGRAM_ERROR_INVALID_ARGUMENT, __LINE__)
#define EXPECT_REFUSED(call) refused((call), __LINE__)
#define EXPECT_ANY(call)                                                                                               \
    do {                                                                                                               \
        wtgram_status any = (call);                                                                                    \
        CHECK(wtgram_status_name(any) != NULL);                                                                        \
    } while (0)

"""

EPILOGUE = r"""
static wtgram_status do_connect(void *argument)
{
    static const char *const subprotocols[] = {"1"};
    wtgram_connect_options connect;
    (void)argument;
    wtgram_connect_options_init(&connect);
    connect.subprotocols = subprotocols;
    connect.subprotocols_count = 1;
    return pair_try_connect(&asking, "/", &connect, &client_session, NULL);
}

/* A server that asks, and the request of a client whose thread waits for the answer. */
static wtgram_request ask(void)
{
    wtgram_request asked;
    blocked_start(&client, do_connect, NULL);
    CHECK_OK(wtgram_server_next_request(asking.server, PATIENCE_US, &asked));
    return asked;
}

int main(void)
{
    wtgram_listen_options listen;
    wtgram_listen_options_init(&listen);
    listen.handshake_timeout_us = PATIENCE_US;
    listen.admission = WTGRAM_ADMISSION_REQUESTS;
    pair_listen_with(&asking, &listen);
    freed_request = ask();
    wtgram_request_free(freed_request);
    blocked_expect(&client, WTGRAM_ERROR_REJECTED);
    request = ask();
    pair_open(&freed_pair, NULL);
    CHECK_OK(wtgram_poller_new(&freed_poller));
    CHECK_OK(wtgram_reliability_open_with(freed_pair.client_datagrams, SECOND_US, 3, &freed_layer));
    CHECK_OK(wtgram_broadcaster_new(NULL, &freed_broadcaster));
    CHECK_OK(wtgram_monitor_open(freed_pair.client_datagrams, NULL, &freed_monitor));
    CHECK_OK(wtgram_structured_open_over_session(freed_pair.client, object_types, 1, NULL, &freed_structured_transport));
    wtgram_structured_free(freed_structured_transport);
    wtgram_monitor_free(freed_monitor);
    wtgram_broadcaster_free(freed_broadcaster);
    wtgram_reliability_free(freed_layer);
    wtgram_poller_free(freed_poller);
    pair_free(&freed_pair);
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_reliability_open_with(pair.client_datagrams, SECOND_US, 3, &layer));
    CHECK_OK(wtgram_broadcaster_new(NULL, &broadcaster));
    CHECK_OK(wtgram_monitor_open(pair.client_datagrams, NULL, &monitor));
    CHECK_OK(wtgram_structured_open_over_session(pair.client, object_types, 1, NULL, &structured_transport));
CALLS
    /* The request still waits. */
    CHECK_OK(wtgram_request_accept(request, NULL, 0, "1", &asking.accepted));
    blocked_expect(&client, WTGRAM_OK);
    wtgram_request_free(request);
    wtgram_session_free(client_session);
    pair_free(&asking);
    /* Calls with options left out were right ones, and the layer repeats what nobody acknowledges: their datagrams may
     * come at any time. */
    static const char last[] = "the session is as good as new";
    size_t length = 0;
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)last, sizeof last, NULL));
    do CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, bytes, sizeof bytes, &length));
    while (length != sizeof last || memcmp(bytes, last, sizeof last) != 0);
    wtgram_structured_free(structured_transport);
    wtgram_monitor_free(monitor);
    wtgram_broadcaster_free(broadcaster);
    wtgram_reliability_free(layer);
    wtgram_poller_free(poller);
    pair_free(&pair);
    printf("%lu calls of FUNCTIONS functions\n", calls);
    return 0;
}
"""


def main():
    global FUNCTIONS
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    FUNCTIONS, handles, structs = read(sys.argv[1])
    output, names = [PREAMBLE], []
    for function, returns_status, parameters in FUNCTIONS:
        body = "".join(blocks(function, returns_status, parameters, handles, structs))
        if body:
            names.append(function)
            output.append(f"static void refuse_{function}(void)\n{{\n{body}}}\n\n")
    calls = "".join(f"    refuse_{name}();\n" for name in names)
    output.append(EPILOGUE.replace("CALLS\n", calls).replace("FUNCTIONS", str(len(names))))
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("".join(output))


main()
