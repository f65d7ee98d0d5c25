#include "two_units.hpp"

int main()
{
    const identities here = {&wtgram::error_category(), wtgram::heartbeat::try_create, wtgram::try_prometheus,
                             wtgram::as_is};
    const identities there = identities_of_the_other_unit();
    const bool same = here.category == there.category && here.create == there.create &&
                      here.prometheus == there.prometheus && here.as_is == there.as_is;
    return same ? 0 : 1;
}
