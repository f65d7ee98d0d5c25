// Each marked line ignores a result that must not be ignored. ignored_results.sh checks that the compiler warns about
// these lines and about no others.
#include <wtgram/wtgram.hpp>

using namespace std::chrono_literals;

void ignore(const wtgram::transport &datagrams, const wtgram::session &session, const wtgram::server &server,
            const wtgram::poller &poller, const wtgram::reliability &reliability, const wtgram::request &request)
{
    std::uint8_t buffer[1];
    datagrams.try_send("x"); // warns
    datagrams.send_for("x", 1s); // warns
    datagrams.send_batch({}); // warns
    datagrams.try_receive(buffer); // warns
    datagrams.try_set_outgoing_max_age(1s); // warns
    server.try_accept(); // warns
    server.try_next_request(); // warns
    request.try_accept(); // warns
    reliability.try_send("x"); // warns
    poller.try_add(datagrams, wtgram::readiness::readable); // warns
    wtgram::session::connect("https://localhost/"); // warns
    wtgram::server::try_listen(); // warns
    wtgram::broadcaster::make(); // warns

    datagrams.send("x");
    datagrams.try_close();
    session.try_close(1, "done");
    server.try_close();
    request.try_reject(404);
    poller.try_remove(datagrams);
    poller.try_wake();
    wtgram::shutdown_for(1s);
}
