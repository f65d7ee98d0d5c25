/// @file
/// The server: listens on a UDP port and accepts sessions.
#ifndef WTGRAM_SERVER_HPP
#define WTGRAM_SERVER_HPP

#include <wtgram/session.hpp>

namespace wtgram
{

/// How to listen: address, certificate and limits. The functions return the object, so calls can be chained:
/// `listen_options().host("127.0.0.1").port(4433)`.
class listen_options
{
  public:
    /// IP address to bind, for example "127.0.0.1" or "::" (IPv6 only). By default all addresses of both families.
    listen_options &host(std::string address) { return host_ = std::move(address), *this; }
    /// UDP port; 0, the default, takes a free one.
    listen_options &port(std::uint16_t value) noexcept { return port_ = value, *this; }

    /// Makes a new self-signed certificate that browsers accept by its hash. It is valid for 14 days. This is the
    /// default. `names` are DNS names and IP addresses; none means localhost, 127.0.0.1 and ::1.
    listen_options &self_signed(std::vector<std::string> names = {})
    {
        return names_ = std::move(names), identity_ = WTGRAM_IDENTITY_SELF_SIGNED, *this;
    }
    /// Takes the certificate chain, leaf first, and the private key from PEM files.
    listen_options &pem_files(std::string certificate, std::string private_key)
    {
        certificate_ = std::move(certificate);
        private_key_ = std::move(private_key);
        return identity_ = WTGRAM_IDENTITY_PEM_FILES, *this;
    }
    /// The same from PEM texts in memory.
    listen_options &pem_bytes(std::string certificate, std::string private_key)
    {
        pem_files(std::move(certificate), std::move(private_key));
        return identity_ = WTGRAM_IDENTITY_PEM_BYTES, *this;
    }
    /// Deadline of a client for the TLS handshake, SETTINGS and CONNECT together. Default 10 s.
    listen_options &handshake_timeout(duration value) noexcept { return handshake_timeout_ = value, *this; }
    /// How many established sessions may wait for accept, 1 to 65536. Further clients get HTTP status 503. Default 128.
    listen_options &accept_backlog(std::uint32_t sessions) noexcept { return accept_backlog_ = sessions, *this; }
    /// Limit of connections, including handshakes in progress. Further clients are refused. 0, the default, sets no
    /// limit.
    listen_options &max_sessions(std::uint32_t sessions) noexcept { return max_sessions_ = sessions, *this; }
    /// Options of each connection.
    listen_options &connection(const connection_options &options) { return connection_ = options, *this; }
    /// Options of each session's transport.
    listen_options &transport(const transport_options &options) { return transport_ = options, *this; }

  private:
    friend class server;
    std::optional<std::string> host_;
    std::uint16_t port_ = 0;
    std::uint32_t identity_ = WTGRAM_IDENTITY_SELF_SIGNED;
    std::string certificate_, private_key_;
    std::vector<std::string> names_;
    std::optional<duration> handshake_timeout_;
    std::optional<std::uint32_t> accept_backlog_, max_sessions_;
    std::optional<connection_options> connection_;
    std::optional<transport_options> transport_;
};

/// A server: listens on a UDP port and accepts sessions.
///
/// At the end of its life it closes the port and all its sessions with code 0. Session objects stay valid until you
/// destroy them.
class server : public owner<wtgram_server, wtgram_server_free>
{
  public:
    using owner::owner;

    /// Binds a UDP socket and starts to listen. The text of the exception explains a failure.
    [[nodiscard]] static server listen(const listen_options &options = {})
    {
        detail_text detail;
        return detail::unwrap(try_listen(options, &detail), detail.c_str());
    }
    /// `detail`, if given, gets a sentence that explains a failure. If there is no memory for the list of names, the
    /// program ends, as in every noexcept function.
    [[nodiscard]] static expected<server> try_listen(const listen_options &options = {},
                                                     detail_text *detail = nullptr) noexcept
    {
        wtgram_listen_options c;
        wtgram_listen_options_init(&c);
        std::vector<const char *> names;
        names.reserve(options.names_.size());
        for (const std::string &name : options.names_) names.push_back(name.c_str());
        if (options.host_) c.host = options.host_->c_str();
        c.port = options.port_;
        c.identity = options.identity_;
        if (options.identity_ == WTGRAM_IDENTITY_PEM_FILES) {
            c.certificate_file = options.certificate_.c_str();
            c.private_key_file = options.private_key_.c_str();
        } else if (options.identity_ == WTGRAM_IDENTITY_PEM_BYTES) {
            c.certificate_pem = detail::bytes_of(options.certificate_);
            c.certificate_pem_length = options.certificate_.size();
            c.private_key_pem = detail::bytes_of(options.private_key_);
            c.private_key_pem_length = options.private_key_.size();
        } else if (!names.empty()) {
            c.self_signed_names = names.data();
            c.self_signed_names_count = names.size();
        }
        if (options.handshake_timeout_) c.handshake_timeout_us = options.handshake_timeout_->count();
        if (options.accept_backlog_) c.accept_backlog = *options.accept_backlog_;
        if (options.max_sessions_) c.max_sessions = *options.max_sessions_;
        c.connection = detail::pointer_to(options.connection_);
        c.transport = detail::pointer_to(options.transport_);
        wtgram_server handle{};
        const wtgram_status status = wtgram_server_listen(&c, &handle, detail != nullptr ? detail->data() : nullptr,
                                                          detail != nullptr ? detail_text::capacity : 0);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return server(handle);
    }

    /// Waits for the next established session. Accept in time: for its client, a session is established before you
    /// accept it. Its datagrams wait in its transport, and when the queue is full, the oldest are dropped. Several
    /// threads may wait; each session goes to one of them.
    session accept(duration timeout = forever) const { return detail::unwrap(accept_for(timeout)); }
    [[nodiscard]] expected<session> try_accept() const noexcept { return accept_for(duration::zero()); }
    [[nodiscard]] expected<session> accept_for(duration timeout) const noexcept
    {
        wtgram_session handle{};
        const wtgram_status status = wtgram_server_accept(handle_, timeout.count(), &handle);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return session(handle);
    }
    /// Address of the server, for example "127.0.0.1:4433" or "[::]:4433".
    std::string local_address() const { return detail::unwrap(try_local_address()); }
    [[nodiscard]] expected<std::string> try_local_address() const noexcept
    {
        return detail::try_read_text([this](char *buffer, std::size_t capacity, std::size_t *length) {
            return wtgram_server_get_local_address(handle_, buffer, capacity, length);
        });
    }
    /// UDP port of the server.
    std::uint16_t local_port() const { return detail::unwrap(try_local_port()); }
    [[nodiscard]] expected<std::uint16_t> try_local_port() const noexcept
    {
        std::uint16_t port = 0;
        const wtgram_status status = wtgram_server_get_local_port(handle_, &port);
        return detail::result(status, port);
    }
    /// SHA-256 hash of the certificate. Clients need it for connect_options::trust_certificate_hash, browsers for
    /// serverCertificateHashes.
    wtgram::certificate_hash certificate_hash() const { return detail::unwrap(try_certificate_hash()); }
    [[nodiscard]] expected<wtgram::certificate_hash> try_certificate_hash() const noexcept
    {
        wtgram::certificate_hash hash{};
        const wtgram_status status = wtgram_server_get_certificate_hash(handle_, hash.data());
        return detail::result(status, hash);
    }
    /// Stops listening: new clients are refused, and sessions go on. Sessions that wait can still be accepted; when
    /// none is left, accept fails with errc::closed. The port is in use until the last connection has ended. To end the
    /// server, drain its sessions, then call close.
    void stop_listening() const { detail::unwrap(try_stop_listening()); }
    expected<void> try_stop_listening() const noexcept { return detail::result(wtgram_server_stop_listening(handle_)); }
    /// Closes the port, and all sessions with this code and reason. Returns at once; the peers are notified in the
    /// background. The reason has at most 1024 bytes of UTF-8; a longer one fails with errc::invalid_argument.
    void close(std::uint32_t code = 0, std::string_view reason = {}) const { detail::unwrap(try_close(code, reason)); }
    expected<void> try_close(std::uint32_t code = 0, std::string_view reason = {}) const noexcept
    {
        return detail::result(wtgram_server_close_with(handle_, code, reason.data(), reason.size()));
    }
};

} // namespace wtgram

#endif
