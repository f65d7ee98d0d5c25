// admission_client URL HASH PID: a client of admission_server, whose process is PID. It is refused as a web page of
// another origin and without a subprotocol, gets an echo with the right one, and then asks the server to end.
#include <wtgram/wtgram.hpp>

#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <string>

using namespace std::chrono_literals;

static wtgram::connect_options trusting(const wtgram::certificate_hash &hash)
{
    return wtgram::connect_options().timeout(60s).trust_certificate_hash(hash);
}

// The HTTP status with which the server rejects such a client; 0 if it does not.
static unsigned rejected(const char *url, const wtgram::connect_options &options)
{
    try {
        const auto session = wtgram::session::connect(url, options);
        return 0;
    } catch (const wtgram::connect_error &error) {
        return error.failure().http_status();
    }
}

static bool echoes(const wtgram::transport &datagrams)
{
    // A datagram may be lost: it is sent again, until the caller's patience ends.
    std::uint8_t buffer[64];
    for (;;) {
        datagrams.send("hello");
        const auto length = datagrams.receive_for(buffer, 50ms);
        if (length) return std::string(buffer, buffer + *length) == "hello";
        if (length.error() != wtgram::errc::timed_out) return false;
    }
}

#define EXPECT(condition)                                                                                              \
    if (!(condition)) return std::printf("failed: %s\n", #condition), 1

int main(int argc, char **argv)
{
    const auto hash = argc == 4 ? wtgram::hash_from_hex(argv[2]) : std::nullopt;
    if (!hash) return 2;
    const auto right = trusting(*hash).subprotocols({"echo-v2", "echo-v1"});
    EXPECT(rejected(argv[1], trusting(*hash).subprotocols({"echo-v1"}).header("origin", "https://elsewhere.example")) ==
           403);
    EXPECT(rejected(argv[1], trusting(*hash)) == 400);
    const auto session = wtgram::session::connect(argv[1], right);
    EXPECT(session.subprotocol() == "echo-v1");
    EXPECT(echoes(session.transport()));

    EXPECT(kill(static_cast<pid_t>(std::atol(argv[3])), SIGTERM) == 0);
    const auto end = session.wait_closed(60s);
    EXPECT(end.closed_by() == wtgram::closed_by::peer);
    EXPECT(end.reason() == "the server is restarted");
    std::puts("refused, echoed and sent away");
    return 0;
}
