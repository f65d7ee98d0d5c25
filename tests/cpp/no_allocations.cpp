// Sending, receiving and waiting allocate nothing in C++, as they allocate nothing in C. (The library's own allocations
// do not come from operator new.)
#include <wtgram/wtgram.hpp>

#include <cstdio>
#include <new>

using namespace std::chrono_literals;

namespace
{
unsigned long allocations;
}
void *operator new(std::size_t size)
{
    allocations++;
    if (void *memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

int main()
{
    const auto server = wtgram::server::listen(wtgram::listen_options().host("127.0.0.1"));
    const auto client =
        wtgram::session::connect("https://127.0.0.1:" + std::to_string(server.local_port()) + "/",
                                 wtgram::connect_options().trust_certificate_hash(server.certificate_hash()));
    const auto accepted = server.accept(60s);
    const auto from = client.transport(), to = accepted.transport();
    const auto poller = wtgram::poller::make();
    poller.add(to, wtgram::readiness::readable);
    const auto broadcaster = wtgram::broadcaster::make();
    broadcaster.add(from);
    wtgram::receive_buffer batch;
    wtgram::event events[4];
    std::uint8_t buffer[64];
    const wtgram_slice slices[] = {wtgram::slice("a"), wtgram::slice("b")};
    if (allocations == 0) return std::puts("the counter does not count"), 1;

    const unsigned long before = allocations;
    from.send("one");
    from.send("two", wtgram::send_options().priority(2).ttl(1h));
    bool ok = from.try_send("three") && from.send_for("four", 60s) && from.send_batch(slices);
    ok = ok && broadcaster.try_broadcast("seven") && !poller.wait(events, 60s).empty();
    for (int received = 0; ok && received < 3; received++) ok = to.receive(buffer, 60s) > 0;
    for (std::size_t received = 0; ok && received < 4;) received += to.receive_batch(batch, 60s);
    ok = ok && !to.try_receive(buffer) && !to.receive_batch_for(batch, 1ms) && !from.try_next_outcome();
    ok = ok && to.stats().delivered == 7 && client.state() == wtgram::session_state::connected;
    std::printf("%lu allocations\n", allocations - before);
    return ok && allocations == before ? 0 : 1;
}
