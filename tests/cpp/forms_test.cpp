// Priority, TTL and report id of an object or a broadcast, in each form: over a transport, a session, a layer.
#include "pair.hpp"

#include <gtest/gtest.h>

using namespace wtgram_tests;

namespace
{
const wtgram_object_type types[] = {wtgram::registered(1)};

wtgram::send_options short_lived(wtgram::duration ttl, std::uint64_t report_id)
{
    return wtgram::send_options().priority(1).ttl(ttl).report_id(report_id);
}

// Repeats, because QUIC may take an object within its TTL of a microsecond.
void expires(const wtgram::structured &objects, const wtgram::transport &transport)
{
    EXPECT_TRUE(eventually([&] {
        const auto sent = objects.try_send(1, "1", short_lived(1us, 7));
        EXPECT_TRUE(sent || sent.error() == wtgram::errc::timed_out);
        const auto outcome = transport.next_outcome(patience);
        EXPECT_EQ(outcome.report_id, 7u);
        return outcome.what() == wtgram::outcome_kind::expired;
    }));
}
} // namespace

TEST(Forms, ATtlEndsWhatIsNotSent)
{
    pair p;
    expires(wtgram::structured::open(p.client, types), p.client.transport());
    expires(wtgram::structured::open(p.client.transport(), types), p.client.transport());
    // Nothing is sent before a layer answers, and none answers.
    const auto layer =
        wtgram::reliability::open(p.accepted, wtgram::reliability_options().negotiation(wtgram::negotiation::required));
    const auto objects = wtgram::structured::open(layer, types);
    const auto expired = [&](std::uint64_t report_id) {
        const auto outcome = layer.next_outcome(patience);
        EXPECT_EQ(outcome.report_id, report_id);
        EXPECT_EQ(outcome.what(), wtgram::reliability_outcome_kind::expired);
    };
    objects.send(1, "1", short_lived(1ms, 8));
    expired(8);
    const auto broadcaster = wtgram::broadcaster::make();
    broadcaster.add(layer);
    EXPECT_EQ(broadcaster.broadcast("x", short_lived(1ms, 9)).accepted, 1u);
    expired(9);
}
