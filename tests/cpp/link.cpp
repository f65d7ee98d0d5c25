#include "link.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace wtgram_tests
{

link_totals totals;

namespace
{

nlohmann::json conditions(network worst)
{
    nlohmann::json set = {{"command", "set"}, {"direction", "both"}, {"latency_us", 5000}};
    if (worst >= network::reorders) set.update({{"reorder", 0.1}, {"reorder_delay_us", 10000}, {"duplicate", 0.05}});
    if (worst >= network::loses) set.update({{"loss", 0.1}});
    return set;
}

[[noreturn]] void fail(const std::string &what) { throw std::runtime_error("link simulator: " + what); }

void say(int commands, const nlohmann::json &command)
{
    const std::string line = command.dump() + '\n';
    if (write(commands, line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail("it does not listen");
}

// Reads the next line, which must be the answer `event`.
nlohmann::json hear(int answers, const char *event)
{
    std::string line;
    for (char c = 0; c != '\n'; line.push_back(c))
        if (read(answers, &c, 1) != 1) fail("it ended");
    nlohmann::json answer = nlohmann::json::parse(line);
    if (answer.at("event") != event) fail(line);
    return answer;
}

} // namespace

simulated_link::simulated_link(std::uint16_t server_port, network worst) : port_(server_port)
{
    const char *program = std::getenv("WTGRAM_LINK_SIMULATOR");
    if (program == nullptr) return;
    static int links = 0;
    const std::string server = "127.0.0.1:" + std::to_string(server_port), seed = std::to_string(++links);
    trace_.emplace(__FILE__, __LINE__, "over a simulated link with seed " + seed);
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) fail("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    const char *arguments[] = {program, server.c_str(), seed.c_str(), nullptr};
    const int error = posix_spawn(&child_, program, &actions, nullptr, const_cast<char *const *>(arguments), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]), close(output[1]);
    commands_ = input[1], answers_ = output[0];
    if (error != 0) fail("cannot start " + std::string(program));
    port_ = hear(answers_, "listening").at("port");
    say(commands_, conditions(worst));
    hear(answers_, "set");
}

void simulated_link::rebind()
{
    if (child_ <= 0) return;
    say(commands_, {{"command", "rebind"}});
    hear(answers_, "rebound");
}

simulated_link::~simulated_link()
{
    if (child_ <= 0) return;
    try {
        say(commands_, {{"command", "counters"}});
        const nlohmann::json answer = hear(answers_, "counters");
        for (const char *direction : {"up", "down"}) {
            const nlohmann::json &counters = answer.at(direction);
            totals.passed += counters.at("delivered").get<std::uint64_t>();
            totals.reordered += counters.at("reordered").get<std::uint64_t>();
            totals.lost += counters.at("lost_random").get<std::uint64_t>();
        }
    } catch (const std::exception &failure) {
        ADD_FAILURE() << failure.what();
    }
    close(commands_), close(answers_); // the program ends when its input ends
    int status = 0;
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    EXPECT_EQ(status, 0);
}

} // namespace wtgram_tests
