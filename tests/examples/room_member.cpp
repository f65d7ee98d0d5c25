// room_member URL HASH: joins a room of broadcast_server, and ends with 0 when it has heard what it said itself, and
// the time that the room tells with the number of its members.
#include <wtgram/wtgram.hpp>

#include <cstdio>

using namespace std::chrono_literals;

int main(int argc, char **argv)
{
    const auto hash = argc == 3 ? wtgram::hash_from_hex(argv[2]) : std::nullopt;
    if (!hash) return 2;
    const auto session = wtgram::session::connect(argv[1], wtgram::connect_options().trust_certificate_hash(*hash));
    const auto datagrams = session.transport();
    bool itself = false, time = false;
    wtgram::receive_buffer buffer;
    // A datagram may be lost: what is said is said again, until the caller's patience ends.
    while (!itself || !time) {
        datagrams.send("it is me");
        if (const auto count = datagrams.receive_batch_for(buffer, 50ms); !count) {
            if (count.error() != wtgram::errc::timed_out) return 1;
        }
        for (const auto &datagram : buffer) {
            itself |= datagram.text() == "it is me";
            time |= datagram.text().rfind("{\"time\":", 0) == 0 &&
                    datagram.text().find(",\"members\":1}") != std::string_view::npos;
        }
    }
    std::puts("heard itself and the time");
    return 0;
}
