#include "pair.hpp"

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>

using namespace wtgram_tests;
using wtgram::readiness;

namespace
{

bool readable(int fd)
{
    pollfd entry{fd, POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
}

} // namespace

TEST(Poller, ReportsWhatIsReadyUntilItIsTaken)
{
    pair p(network::reorders);
    const auto poller = wtgram::poller::make();
    const auto from = p.client.transport(), to = p.accepted.transport();
    wtgram::event events[8];
    poller.add(to, readiness::readable | readiness::closed, 42);
    EXPECT_TRUE(poller.wait(events, 0us).empty());
    EXPECT_TRUE(poller.wait(events, 10ms).empty());
    EXPECT_FALSE(readable(poller.fd()));
    from.send("x");
    for (int i = 0; i < 2; i++) {
        const auto ready = poller.wait(events, patience);
        ASSERT_EQ(ready.size(), 1u);
        EXPECT_EQ(ready[0].cookie, 42u);
        EXPECT_EQ(ready[0].object, to.id());
        EXPECT_TRUE(ready[0].readable());
        EXPECT_FALSE(ready[0].closed() || ready[0].acceptable() || ready[0].writable());
        EXPECT_TRUE(readable(poller.fd()));
    }
    std::uint8_t buffer[8];
    EXPECT_EQ(to.receive(buffer), 1u);
    EXPECT_EQ(poller.wait_for(events, 10ms).error(), wtgram::errc::timed_out);
    p.client.close();
    bool closed = false;
    for (const auto &event : poller.wait(events, patience)) closed |= event.closed();
    EXPECT_TRUE(closed);
}

TEST(Poller, ServersAndSessionsAreObjectsToo)
{
    pair p(network::loses);
    const auto poller = wtgram::poller::make();
    wtgram::event events[8];
    poller.add(p.server, readiness::accept, 1);
    poller.add(p.accepted, readiness::closed, 2);
    const auto second =
        wtgram::session::connect(p.url, wtgram::connect_options().trust_certificate_hash(p.server.certificate_hash()));
    auto ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_TRUE(ready[0].acceptable());
    const auto accepted = p.server.accept(0us);
    p.client.close(1, "bye");
    ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_EQ(ready[0].cookie, 2u);
    EXPECT_TRUE(ready[0].closed());
}

TEST(Poller, ASessionThatShouldEndSoonIsReportedUntilItIsClosed)
{
    pair p(network::loses);
    const auto poller = wtgram::poller::make();
    wtgram::event events[8];
    poller.add(p.client, readiness::draining, 7);
    EXPECT_TRUE(poller.wait(events, 10ms).empty());
    p.accepted.drain();
    for (int i = 0; i < 2; i++) {
        const auto ready = poller.wait(events, patience);
        ASSERT_EQ(ready.size(), 1u);
        EXPECT_TRUE(ready[0].draining() && !ready[0].closed());
    }
    p.client.close();
    const auto ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_TRUE(ready[0].closed() && !ready[0].draining());
    EXPECT_EQ(poller.try_add(p.client.transport(), readiness::draining).error(), wtgram::errc::invalid_argument);
}

TEST(Poller, ModifyAndRemove)
{
    pair p(network::loses);
    wtgram::poller poller = wtgram::poller::make();
    const auto from = p.client.transport();
    wtgram::event events[8];
    poller.add(from, readiness::readable, 1);
    poller.modify(from, readiness::writable, 2);
    const auto ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_EQ(ready[0].cookie, 2u);
    EXPECT_TRUE(ready[0].writable());
    EXPECT_FALSE(poller.try_add(from, readiness::readable));
    poller.remove(from);
    EXPECT_FALSE(poller.try_remove(from));
    EXPECT_THROW(poller.modify(from, readiness::readable), wtgram::error);
    wtgram::poller moved = std::move(poller);
    EXPECT_TRUE(moved.wait(events, 0us).empty());
    EXPECT_EQ(poller.try_fd().error(), wtgram::errc::invalid_handle);
}

TEST(Poller, NoneIsAnErrorUntilOneIsMade)
{
    wtgram::poller poller;
    wtgram::event events[1];
    EXPECT_FALSE(poller);
    EXPECT_EQ(poller.wait_for(events, 0us).error(), wtgram::errc::invalid_handle);
    poller = wtgram::poller::make();
    EXPECT_TRUE(poller);
    EXPECT_TRUE(poller.wait(events, 0us).empty());
    poller.reset();
    poller.reset();
    EXPECT_FALSE(poller);
}

TEST(Poller, OneShotIsSilentUntilModify)
{
    pair p(network::reorders);
    const auto poller = wtgram::poller::make();
    const auto to = p.accepted.transport();
    wtgram::event events[8];
    poller.add(to, readiness::readable | readiness::one_shot, 1);
    p.client.transport().send("x");
    EXPECT_EQ(poller.wait(events, patience).size(), 1u);
    EXPECT_TRUE(poller.wait(events, 10ms).empty());
    poller.modify(to, readiness::readable | readiness::one_shot, 2);
    EXPECT_EQ(poller.wait(events, patience).size(), 1u);
}

TEST(Poller, WakeEndsAWait)
{
    const auto poller = wtgram::poller::make();
    wtgram::event events[1];
    std::thread waker([&] {
        std::this_thread::sleep_for(20ms);
        poller.wake();
    });
    const auto ready = poller.wait_for(events, patience);
    waker.join();
    ASSERT_TRUE(ready);
    EXPECT_TRUE(ready->empty());
}

TEST(Poller, WhatIsDestroyedLeaves)
{
    pair p(network::loses);
    const auto poller = wtgram::poller::make();
    const wtgram_object_type types[] = {{1, 0, 0, {}}};
    wtgram::event events[8];
    {
        const auto structured = wtgram::structured::open(p.accepted, types);
        const auto monitor = wtgram::monitor::open(p.accepted.transport());
        poller.add(structured, readiness::readable, 1);
        poller.add(monitor, readiness::alert, 2);
        EXPECT_TRUE(poller.wait(events, 0us).empty());
    }
    EXPECT_TRUE(poller.wait(events, 0us).empty());
    EXPECT_TRUE(poller.wait(events, 10ms).empty());
}

TEST(Poller, DestructorsInAForkedChildWaitForNothing)
{
    pair p(network::loses);
    auto poller = wtgram::poller::make();
    poller.add(p.accepted.transport(), readiness::readable);
    std::atomic<bool> stop{false};
    std::thread traffic([&] {
        wtgram::event events[8];
        while (!stop) {
            p.client.transport().send("x");
            (void)poller.wait_for(events, 0us);
        }
    });
    for (int i = 0; i < 30; i++) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            alarm(60);
            {
                const auto client = std::move(p.client), accepted = std::move(p.accepted);
                const auto server = std::move(p.server);
                const auto watching = std::move(poller);
            }
            _exit(0);
        }
        int status = -1;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status));
    }
    stop = true;
    traffic.join();
}
