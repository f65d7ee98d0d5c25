#include "pair.hpp"

#include <gtest/gtest.h>

#include <thread>

using namespace wtgram_tests;

namespace
{

wtgram::span<wtgram::sample> wait_for_samples(const wtgram::monitor &monitor, wtgram::span<wtgram::sample> room)
{
    EXPECT_TRUE(eventually([&] { return monitor.samples(room).size() == room.size(); }));
    return monitor.samples(room);
}

} // namespace

TEST(Monitor, TakesASampleInEachInterval)
{
    pair p;
    const auto t = p.client.transport();
    for (int i = 0; i < 3; i++) t.send("abcd");
    const auto monitor = wtgram::monitor::open(t, wtgram::monitor_options().interval(20ms).max_samples(3));
    wtgram::sample room[3];
    const auto samples = wait_for_samples(monitor, room);
    ASSERT_EQ(samples.size(), 3u);
    EXPECT_LT(samples[0].taken(), samples[2].taken());
    EXPECT_EQ(samples[2].datagrams_sent, 3u);
    EXPECT_EQ(samples[2].bytes_sent, 12u);
    EXPECT_GT(samples[2].rtt(), 0us);
    EXPECT_GT(samples[2].silence(), 0us);
    EXPECT_TRUE(monitor.is_monitoring());
    monitor.close();
    EXPECT_FALSE(monitor.is_monitoring());
    EXPECT_EQ(monitor.samples(room).size(), 3u);
    wtgram::sample newest[1];
    ASSERT_EQ(monitor.samples(newest).size(), 1u);
    EXPECT_EQ(newest[0].taken(), samples[2].taken());
    EXPECT_EQ(monitor.try_next_alert().error(), wtgram::errc::closed);
}

TEST(Monitor, AlertsWhenSomethingBegins)
{
    pair p;
    const auto t = p.client.transport();
    const auto monitor = wtgram::monitor::open(
        t, wtgram::monitor_options().interval(20ms).success_rate_threshold(0.5).max_alerts(5).silence(0us));
    EXPECT_EQ(monitor.try_next_alert().error(), wtgram::errc::would_block);
    EXPECT_EQ(monitor.next_alert_for(10ms).error(), wtgram::errc::timed_out);
    const auto poller = wtgram::poller::make();
    poller.add(monitor, wtgram::readiness::alert, 3);
    for (int i = 0; i < 10; i++) EXPECT_FALSE(t.try_send(std::vector<std::uint8_t>(70000)));
    wtgram::event events[1];
    const auto ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_TRUE(ready[0].has_alert());
    const auto alert = monitor.next_alert(patience);
    EXPECT_EQ(alert.what(), wtgram::alert_kind::low_success_rate);
    EXPECT_TRUE(alert.has_begun());
    EXPECT_FALSE(alert.text().empty());
    EXPECT_LT(alert.value, alert.threshold);
    wtgram::alert room[5];
    ASSERT_EQ(monitor.alerts(room).size(), 1u);
    EXPECT_EQ(room[0].taken(), alert.taken());
    for (int i = 0; i < 30; i++) t.send("x");
    EXPECT_FALSE(monitor.next_alert(patience).has_begun());
}

TEST(Monitor, EndsWithItsTransport)
{
    static_assert(!std::is_copy_constructible_v<wtgram::monitor> &&
                  std::is_nothrow_move_constructible_v<wtgram::monitor>);
    pair p(network::loses);
    auto monitor = wtgram::monitor::open(p.client.transport());
    EXPECT_EQ(wtgram::monitor::try_open(p.client.transport(), wtgram::monitor_options().interval(0us)).error(),
              wtgram::errc::invalid_argument);
    wtgram::monitor moved = std::move(monitor);
    EXPECT_EQ(monitor.try_is_monitoring().error(), wtgram::errc::invalid_handle);
    p.client.close();
    EXPECT_FALSE(moved.is_monitoring());
    EXPECT_EQ(moved.next_alert_for(patience).error(), wtgram::errc::closed);
    EXPECT_THROW(wtgram::monitor::open(p.client.transport()), wtgram::error);
}

TEST(Prometheus, IsOpenMetricsText)
{
    pair p;
    p.client.transport().send("x");
    for (const std::string &text : {wtgram::prometheus(p.client.transport()), wtgram::prometheus()}) {
        EXPECT_EQ(text.rfind("# ", 0), 0u);
        EXPECT_EQ(text.substr(text.size() - 6), "# EOF\n");
    }
    EXPECT_EQ(wtgram::try_prometheus(wtgram::transport()).error(), wtgram::errc::invalid_handle);
}
