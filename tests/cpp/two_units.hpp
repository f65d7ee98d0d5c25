// One program of two translation units that both include everything. Definitions that are not inline do not link, and
// objects with an identity must exist once.
#ifndef WTGRAM_TESTS_TWO_UNITS_HPP
#define WTGRAM_TESTS_TWO_UNITS_HPP

#include <wtgram/wtgram.hpp>

struct identities {
    const std::error_category *category;
    wtgram::expected<wtgram::heartbeat> (*create)() noexcept;
    wtgram::expected<std::string> (*prometheus)() noexcept;
    wtgram_serializer (*as_is)() noexcept;
};
identities identities_of_the_other_unit();

#endif
