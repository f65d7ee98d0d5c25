#include "pair.hpp"

extern "C" {
#include "certificates.h"
}

#include <gtest/gtest.h>

#include <future>

using namespace wtgram_tests;

namespace
{

// Made once, by the openssl program.
const certificates &made()
{
    static certificates once = [] {
        certificates made;
        certificates_make(&made);
        return made;
    }();
    return once;
}

std::string content(const char *path)
{
    std::size_t length = 0;
    std::uint8_t *bytes = read_file(path, &length);
    std::string text(reinterpret_cast<const char *>(bytes), length);
    std::free(bytes);
    return text;
}

wtgram::identity_options good() { return wtgram::identity_options().pem_files(made().good, made().good_key); }

std::error_code attempt(const wtgram::server &server, const std::string &host, wtgram::connect_options options)
{
    const std::string url = "https://" + host + ":" + std::to_string(server.local_port()) + "/identity";
    auto session = wtgram::session::connect(std::nothrow, url, options.timeout(patience));
    return session ? std::error_code() : session.error();
}

wtgram::connect_options by_authority() { return wtgram::connect_options().trust_ca_file(made().ca); }

void talk(const pair &p)
{
    p.client.transport().send("still here");
    char buffer[64];
    const auto bytes = wtgram::bytes_buffer(reinterpret_cast<std::uint8_t *>(buffer), sizeof buffer);
    EXPECT_EQ(std::string_view(buffer, p.accepted.transport().receive(bytes, patience)), "still here");
}

} // namespace

TEST(Identity, ANewOneIsForNewConnectionsAndTheRunningSessionGoesOn)
{
    pair p(network::reorders);
    wtgram::certificate_hash hash = p.server.certificate_hash();
    const wtgram::identity_options identities[] = {
        {},
        wtgram::identity_options().self_signed({"somebody.example"}),
        good(),
        wtgram::identity_options(),
        wtgram::identity_options().pem_bytes(content(made().good), content(made().good_key)),
    };
    for (const wtgram::identity_options &identity : identities) {
        p.server.set_identity(identity);
        EXPECT_NE(p.server.certificate_hash(), hash);
        EXPECT_EQ(attempt(p.server, "127.0.0.1", wtgram::connect_options().trust_certificate_hash(hash)),
                  wtgram::errc::certificate_hash_mismatch);
        hash = p.server.certificate_hash();
        talk(p);
    }
    EXPECT_FALSE(attempt(p.server, "127.0.0.1", by_authority()));
}

TEST(Identity, ABadOneChangesNothingAndSaysWhy)
{
    pair p(network::loses);
    const wtgram::certificate_hash hash = p.server.certificate_hash();
    const auto mixed = wtgram::identity_options().pem_files(made().good, made().expired_key);
    try {
        p.server.set_identity(mixed);
        ADD_FAILURE() << "accepted";
    } catch (const wtgram::error &failure) {
        EXPECT_EQ(failure.code(), wtgram::errc::key_mismatch);
        EXPECT_NE(std::string(failure.what()).find("public key"), std::string::npos) << failure.what();
    }
    wtgram::detail_text detail;
    EXPECT_EQ(p.server.try_set_identity("other.example", good(), &detail).error(),
              wtgram::errc::certificate_name_mismatch);
    EXPECT_NE(std::string(detail.c_str()).find("other.example"), std::string::npos) << detail.c_str();
    EXPECT_EQ(p.server.certificate_hash(), hash);
}

TEST(Identity, IsTheOneOfTheNameThatAClientAsksFor)
{
    pair p(network::loses);
    p.server.set_identity("localhost", good());
    EXPECT_FALSE(attempt(p.server, "localhost", by_authority()));
    EXPECT_EQ(attempt(p.server, "127.0.0.1", by_authority()), wtgram::errc::certificate_untrusted);
    EXPECT_TRUE(p.server.try_set_identity("localhost", {}).has_value());
    EXPECT_EQ(attempt(p.server, "localhost", by_authority()), wtgram::errc::certificate_untrusted);
    EXPECT_EQ(p.server.try_remove_identity("other.example").error(), wtgram::errc::invalid_state);
    p.server.set_identity("localhost", good());
    p.server.remove_identity("localhost");
    EXPECT_EQ(attempt(p.server, "localhost", by_authority()), wtgram::errc::certificate_untrusted);
}

TEST(Identity, OfEachNameCanBeSetBeforeTheFirstClientComes)
{
    const auto options = wtgram::listen_options()
                             .host("127.0.0.1")
                             .identity("localhost", good())
                             .identity("*.other.example", wtgram::identity_options());
    const wtgram::server server = wtgram::server::listen(options);
    EXPECT_FALSE(attempt(server, "localhost", by_authority()));
    EXPECT_EQ(attempt(server, "127.0.0.1", by_authority()), wtgram::errc::certificate_untrusted);
    EXPECT_EQ(server.certificate_hashes("localhost").size(), 1u);
    EXPECT_EQ(server.certificate_hashes("a.other.example").size(), 2u);
    EXPECT_NE(server.certificate_hashes("a.other.example"), server.certificate_hashes());
    EXPECT_EQ(server.certificate_hashes("127.0.0.1"), server.certificate_hashes());
    EXPECT_EQ(server.certificate_hashes()[0], server.certificate_hash());
    EXPECT_EQ(server.certificate_hashes()[1], server.next_certificate_hash());
    EXPECT_EQ(wtgram::server::try_listen(wtgram::listen_options().identity("other.example", good())).error(),
              wtgram::errc::certificate_name_mismatch);
}

TEST(Identity, SaysWhatTheNextSelfSignedCertificateWillBe)
{
    pair p(network::loses);
    const wtgram::certificate_hash next = p.server.next_certificate_hash();
    EXPECT_NE(next, p.server.certificate_hash());
    EXPECT_EQ(next, p.server.next_certificate_hash());
    p.server.set_identity(good());
    EXPECT_EQ(p.server.try_next_certificate_hash().error(), wtgram::errc::invalid_state);
}

TEST(Identity, OfAClientIsAskedForAndReadByTheServer)
{
    const auto player =
        wtgram::identity_options().pem_bytes(content(made().other_name), content(made().other_name_key));
    const auto options = wtgram::listen_options().host("127.0.0.1").identity(good());
    for (const auto wanted : {wtgram::client_certificates::optional, wtgram::client_certificates::required}) {
        const auto server = wtgram::server::listen(wtgram::listen_options(options).client_ca_file(wanted, made().ca));
        const std::string url = "https://127.0.0.1:" + std::to_string(server.local_port()) + "/player";
        const auto client = wtgram::session::connect(url, by_authority().timeout(patience).identity(player));
        const auto accepted = server.accept(patience);
        EXPECT_EQ(accepted.peer_certificates().size(), 1u);
        EXPECT_GT(accepted.peer_certificates()[0].size(), 100u);
        EXPECT_EQ(client.peer_certificates().size(), 1u);
        EXPECT_NE(client.peer_certificates(), accepted.peer_certificates());
        const auto without = attempt(server, "127.0.0.1", by_authority());
        if (wanted == wtgram::client_certificates::required) EXPECT_EQ(without, wtgram::errc::client_certificate);
        else EXPECT_FALSE(without);
    }
    const auto asking = wtgram::server::listen(wtgram::listen_options(options)
                                                   .admission(wtgram::admission::requests)
                                                   .client_ca_file(wtgram::client_certificates::optional, made().ca));
    auto connecting =
        std::async(std::launch::async, [&] { return attempt(asking, "127.0.0.1", by_authority().identity(player)); });
    const auto request = asking.next_request(patience);
    ASSERT_EQ(request.peer_certificates().size(), 1u);
    EXPECT_GT(request.peer_certificates()[0].size(), 100u);
    request.reject(403);
    EXPECT_EQ(connecting.get(), wtgram::errc::rejected);
    EXPECT_EQ(wtgram::request().try_peer_certificates().error(), wtgram::errc::invalid_handle);
    const auto other = wtgram::server::listen(
        wtgram::listen_options(options).client_ca_pem(wtgram::client_certificates::required, content(made().other_ca)));
    EXPECT_EQ(attempt(other, "127.0.0.1", by_authority().identity(player)), wtgram::errc::client_certificate);
    pair plain(network::loses);
    EXPECT_TRUE(plain.accepted.peer_certificates().empty());
    EXPECT_EQ(plain.client.peer_certificates().size(), 1u);
    EXPECT_EQ(wtgram::session().try_peer_certificates().error(), wtgram::errc::invalid_handle);
}
