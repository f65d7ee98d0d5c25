/// @file
/// Requests: how a program decides about each client of a server.
#ifndef WTGRAM_REQUEST_HPP
#define WTGRAM_REQUEST_HPP

#include <wtgram/session.hpp>

namespace wtgram
{

/// The request of a client that waits for an answer, at most for the server's handshake_timeout(). You get it from
/// server::next_request. At the end of its life it is rejected with HTTP status 503 if it was not answered.
class request : public owner<wtgram_request, wtgram_request_free>
{
  public:
    using owner::owner;

    /// Path of the request with its query, for example "/room?name=a".
    std::string path() const { return detail::unwrap(try_path()); }
    [[nodiscard]] expected<std::string> try_path() const noexcept { return text(wtgram_request_get_path); }
    /// Query of the path, without its `?`. Empty if there is none.
    std::string query() const { return detail::unwrap(try_query()); }
    [[nodiscard]] expected<std::string> try_query() const noexcept { return text(wtgram_request_get_query); }
    /// Host that the request is for, with its port if that is not 443.
    std::string authority() const { return detail::unwrap(try_authority()); }
    [[nodiscard]] expected<std::string> try_authority() const noexcept { return text(wtgram_request_get_authority); }
    /// Origin of the web page that asks, for example "https://example.com". Empty if the client sent none, as programs
    /// other than browsers do.
    std::string origin() const { return detail::unwrap(try_origin()); }
    [[nodiscard]] expected<std::string> try_origin() const noexcept { return text(wtgram_request_get_origin); }
    /// Value of a header field. Several fields of one name are joined with ", ". Empty if there is none.
    std::string header(const std::string &name) const { return detail::unwrap(try_header(name)); }
    [[nodiscard]] expected<std::string> try_header(const std::string &name) const noexcept
    {
        return detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return wtgram_request_get_header(handle_, name.c_str(), buffer, capacity, length);
        });
    }
    /// All header fields in their order, with names in lower case.
    header_fields headers() const { return detail::unwrap(try_headers()); }
    [[nodiscard]] expected<header_fields> try_headers() const noexcept
    {
        const expected<std::string> lines = text(wtgram_request_get_headers);
        if (!lines) return unexpected(lines.error());
        return detail::fields_of(*lines);
    }
    /// Address of the client, for example "192.0.2.1:50000".
    std::string remote_address() const { return detail::unwrap(try_remote_address()); }
    [[nodiscard]] expected<std::string> try_remote_address() const noexcept
    {
        return text(wtgram_request_get_remote_address);
    }
    /// The subprotocols that the client offers, in its order of preference.
    std::vector<std::string> subprotocols() const { return detail::unwrap(try_subprotocols()); }
    [[nodiscard]] expected<std::vector<std::string>> try_subprotocols() const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_request_get_subprotocol_count(handle_, &count);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        std::vector<std::string> names;
        for (std::size_t index = 0; index < count; index++) {
            expected<std::string> name =
                detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
                    return wtgram_request_get_subprotocol(handle_, index, buffer, capacity, length);
                });
            if (!name) return unexpected(name.error());
            names.push_back(*std::move(name));
        }
        return names;
    }
    /// The certificates that the client has shown and the server has checked, as DER: its own first, then those of the
    /// authorities above it. Empty if it showed none.
    std::vector<std::vector<std::uint8_t>> peer_certificates() const { return detail::unwrap(try_peer_certificates()); }
    [[nodiscard]] expected<std::vector<std::vector<std::uint8_t>>> try_peer_certificates() const noexcept
    {
        return detail::try_read_certificates(handle_, wtgram_request_get_peer_certificate_count,
                                             wtgram_request_get_peer_certificate);
    }
    /// The HTTP status with which the rules of the server (listen_options::allowed_origins and others) would refuse the
    /// request; 0 if they would accept it.
    std::uint32_t refusal() const { return detail::unwrap(try_refusal()); }
    [[nodiscard]] expected<std::uint32_t> try_refusal() const noexcept
    {
        std::uint32_t status = 0;
        const wtgram_status result = wtgram_request_get_refusal(handle_, &status);
        return detail::result(result, status);
    }

    /// Accepts the request, and returns its session, which is established at once. `headers` go into the response.
    /// `subprotocol` is one that the client offers. If something of that cannot be sent, it fails with
    /// errc::invalid_argument, and the request still waits. It fails with errc::closed if the client has gone, the
    /// handshake took too long, or the request was answered before.
    session accept(const header_fields &headers = {}, const std::optional<std::string> &subprotocol = {}) const
    {
        return detail::unwrap(try_accept(headers, subprotocol));
    }
    [[nodiscard]] expected<session> try_accept(const header_fields &headers = {},
                                               const std::optional<std::string> &subprotocol = {}) const noexcept
    {
        const std::vector<wtgram_header> c = detail::pointers_to(headers);
        wtgram_session handle{};
        const wtgram_status status =
            wtgram_request_accept(handle_, c.data(), c.size(), subprotocol ? subprotocol->c_str() : nullptr, &handle);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return session(handle);
    }
    /// Rejects the request with an HTTP status from 300 to 599, for example 403, 404 or 429. It fails as accept does.
    void reject(std::uint32_t status, const header_fields &headers = {}) const
    {
        detail::unwrap(try_reject(status, headers));
    }
    expected<void> try_reject(std::uint32_t status, const header_fields &headers = {}) const noexcept
    {
        const std::vector<wtgram_header> c = detail::pointers_to(headers);
        return detail::result(wtgram_request_reject(handle_, status, c.data(), c.size()));
    }

  private:
    template <class Getter> expected<std::string> text(Getter getter) const noexcept
    {
        return detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return getter(handle_, buffer, capacity, length);
        });
    }
};

} // namespace wtgram

#endif
