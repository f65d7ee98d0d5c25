#include "two_units.hpp"

identities identities_of_the_other_unit()
{
    return {&wtgram::error_category(), wtgram::heartbeat::try_create, wtgram::try_prometheus, wtgram::as_is};
}
