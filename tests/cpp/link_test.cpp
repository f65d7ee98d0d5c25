// Whether the suite really ran over simulated links.
#include "link.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace wtgram_tests
{

namespace
{

class links_did_their_work : public testing::Environment
{
    void TearDown() override
    {
        const auto &suite = *testing::UnitTest::GetInstance();
        if (std::getenv("WTGRAM_LINK_SIMULATOR") == nullptr || suite.test_to_run_count() < suite.total_test_count())
            return;
        EXPECT_GT(totals.passed, 1000u);
        EXPECT_GT(totals.reordered, 20u);
        EXPECT_GT(totals.lost, 20u);
    }
};
[[maybe_unused]] const auto *const environment = testing::AddGlobalTestEnvironment(new links_did_their_work);

} // namespace

} // namespace wtgram_tests
