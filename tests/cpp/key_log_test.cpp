#include "pair.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <unistd.h>

using namespace wtgram_tests;

namespace
{

std::string content(const std::string &path)
{
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// The line of a key log that begins with this label.
std::string line_of(const std::string &log, const std::string &label)
{
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);)
        if (line.rfind(label + " ", 0) == 0) return line;
    return "no " + label;
}

} // namespace

TEST(KeyLog, BothEndsLogTheSameSecrets)
{
    char folder[] = "/tmp/wtgram-key-log-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const std::string of_server = std::string(folder) + "/server", of_client = std::string(folder) + "/client";
    const auto server = wtgram::server::listen(
        wtgram::listen_options().host("127.0.0.1").handshake_timeout(patience).key_log_file(of_server));
    const std::string url = "https://127.0.0.1:" + std::to_string(server.local_port()) + "/";
    const auto client = wtgram::session::connect(url, wtgram::connect_options()
                                                          .timeout(patience)
                                                          .trust_certificate_hash(server.certificate_hash())
                                                          .key_log_file(of_client));
    const std::string ours = content(of_server), theirs = content(of_client);
    for (const char *label : {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"}) {
        EXPECT_GE(line_of(ours, label).size(), 128u) << ours;
        EXPECT_EQ(line_of(ours, label), line_of(theirs, label));
    }
    EXPECT_EQ(unlink(of_server.c_str()), 0);
    EXPECT_EQ(unlink(of_client.c_str()), 0);
    EXPECT_EQ(rmdir(folder), 0);
}

TEST(KeyLog, AFileThatCannotBeOpenedIsRefusedAtOnce)
{
    wtgram::detail_text detail;
    auto server = wtgram::server::try_listen(
        wtgram::listen_options().host("127.0.0.1").key_log_file("/no/such/folder/keys"), &detail);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error(), wtgram::errc::io);
    EXPECT_NE(std::string(detail.c_str()).find("/no/such/folder/keys"), std::string::npos) << detail.c_str();
    auto client = wtgram::session::connect(std::nothrow, "https://127.0.0.1:1/",
                                           wtgram::connect_options().key_log_file("/no/such/folder/keys"), &detail);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error(), wtgram::errc::io);
    EXPECT_NE(std::string(detail.c_str()).find("/no/such/folder/keys"), std::string::npos) << detail.c_str();
}
