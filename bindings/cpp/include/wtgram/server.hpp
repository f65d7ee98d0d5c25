/// @file
/// The server: listens on a UDP port, and accepts sessions or asks about requests.
#ifndef WTGRAM_SERVER_HPP
#define WTGRAM_SERVER_HPP

#include <wtgram/identity.hpp>
#include <wtgram/limits.hpp>
#include <wtgram/request.hpp>
#include <wtgram/session.hpp>

namespace wtgram
{

/// Whether a server asks clients for a certificate (mutual TLS).
enum class client_certificates : std::uint32_t {
    off = WTGRAM_CLIENT_CERTIFICATES_OFF, ///< It does not ask. The default.
    /// A client may show one. A client that shows one that is not accepted is refused.
    optional = WTGRAM_CLIENT_CERTIFICATES_OPTIONAL,
    required = WTGRAM_CLIENT_CERTIFICATES_REQUIRED ///< A client that shows none that is accepted is refused.
};

/// How a server decides about the requests of clients.
enum class admission : std::uint32_t {
    /// By its rules: allowed_origins, allowed_authorities, allowed_paths. Sessions are established at once and wait for
    /// server::accept. The default.
    rules = WTGRAM_ADMISSION_RULES,
    /// The program decides: it gets each request from server::next_request.
    requests = WTGRAM_ADMISSION_REQUESTS,
};

/// How to listen: address, certificate and limits. The functions return the object, so calls can be chained:
/// `listen_options().host("127.0.0.1").port(4433)`.
class listen_options
{
  public:
    /// IP address to bind, for example "127.0.0.1" or "::" (IPv6 only). By default all addresses of both families.
    listen_options &host(std::string address) { return host_ = std::move(address), *this; }
    /// UDP port; 0, the default, takes a free one.
    listen_options &port(std::uint16_t value) noexcept { return port_ = value, *this; }

    /// A UDP socket that is bound already, for example by systemd or to a privileged port. Then set no host and no
    /// port. The server uses a duplicate: the descriptor stays yours, and you may close it when listen has returned.
    /// The socket becomes non-blocking. Only one server at a time can use it.
    listen_options &socket_fd(int descriptor) noexcept { return socket_fd_ = descriptor, *this; }

    /// On how many lanes its sessions are, each with a socket on the same port; 0, the default, means all
    /// (runtime_options::lanes), or one with socket_fd.
    listen_options &lanes(std::uint32_t count) noexcept { return lanes_ = count, *this; }
    /// The server's id for a load balancer that reads connection ids in the plaintext form of
    /// draft-ietf-quic-load-balancers: 1 to 11 bytes. `rotation` is the number of the balancers' configuration, 0 to 6.
    listen_options &server_id(std::vector<std::uint8_t> id, std::uint32_t rotation = 0) noexcept
    {
        return server_id_ = std::move(id), server_id_rotation_ = rotation, *this;
    }

    /// Certificate and private key. By default a new self-signed one.
    listen_options &identity(identity_options value) { return identity_ = std::move(value), *this; }
    /// Identity for clients that ask for `server_name` (SNI), a DNS name, for example "game.example" or
    /// "*.game.example". There may be several. Clients that ask for none of them get the one above.
    listen_options &identity(std::string server_name, identity_options value)
    {
        return named_.emplace_back(std::move(server_name), std::move(value)), *this;
    }
    /// identity() with a new self-signed certificate.
    listen_options &self_signed(std::vector<std::string> names = {})
    {
        return identity_.self_signed(std::move(names)), *this;
    }
    /// identity() from PEM files: the certificate chain, leaf first, and the private key.
    listen_options &pem_files(std::string certificate, std::string private_key)
    {
        return identity_.pem_files(std::move(certificate), std::move(private_key)), *this;
    }
    /// The same from PEM texts in memory.
    listen_options &pem_bytes(std::string certificate, std::string private_key)
    {
        return identity_.pem_bytes(std::move(certificate), std::move(private_key)), *this;
    }
    /// Asks clients for a certificate that an authority in this PEM file has signed.
    listen_options &client_ca_file(client_certificates wanted, std::string path)
    {
        return client_ca_file_ = std::move(path), client_certificates_ = wanted, *this;
    }
    /// The same with the authorities in a PEM text.
    listen_options &client_ca_pem(client_certificates wanted, std::string pem)
    {
        return client_ca_pem_ = std::move(pem), client_certificates_ = wanted, *this;
    }
    /// Deadline of a client for the TLS handshake, SETTINGS and CONNECT together. Default 10 s.
    listen_options &handshake_timeout(duration value) noexcept { return handshake_timeout_ = value, *this; }
    /// How many established sessions may wait for accept, 1 to 65536. Further clients get HTTP status 503. Default 128.
    listen_options &accept_backlog(std::uint32_t sessions) noexcept { return accept_backlog_ = sessions, *this; }
    /// Limit of connections, including handshakes in progress. Further clients are refused. 0 sets no limit. Default
    /// 16384.
    listen_options &max_sessions(std::uint32_t sessions) noexcept { return max_sessions_ = sessions, *this; }
    /// Options of each connection.
    listen_options &connection(const connection_options &options) { return connection_ = options, *this; }
    /// Options of each session's transport.
    listen_options &transport(const transport_options &options) { return transport_ = options, *this; }

    // Admission.
    /// Origins of the web pages that may connect, each as scheme, host and port, for example
    /// "https://example.com:8443"; "*" allows all. Pages of other origins get HTTP status 403. Without any, which is
    /// the default, pages of the host that the request is for may connect, from any port. (localhost and 127.0.0.1 are
    /// two hosts.) Clients that send no origin, as programs other than browsers do, are not affected.
    listen_options &allowed_origins(std::vector<std::string> origins)
    {
        return allowed_origins_ = std::move(origins), *this;
    }
    /// Hosts that clients may ask for, each with or without a port. Other requests get HTTP status 421. None, the
    /// default, allows all.
    listen_options &allowed_authorities(std::vector<std::string> hosts)
    {
        return allowed_authorities_ = std::move(hosts), *this;
    }
    /// Paths that clients may ask for, without query; with `*` at the end, all that begin like this. Other requests get
    /// HTTP status 404. None, the default, allows all.
    listen_options &allowed_paths(std::vector<std::string> paths) { return allowed_paths_ = std::move(paths), *this; }
    /// Subprotocols that the server speaks, the best first. It picks the first one that the client offers, or none.
    listen_options &subprotocols(std::vector<std::string> names) { return subprotocols_ = std::move(names), *this; }
    /// What clients may use up.
    listen_options &limits(const server_limits &value) { return limits_ = value, *this; }
    /// Default admission::rules.
    listen_options &admission(wtgram::admission value) noexcept { return admission_ = value, *this; }

    // Debugging.
    /// File to which the TLS secrets of every connection are appended, so that Wireshark can decrypt what was captured.
    /// By default none, and no environment variable changes that. Whoever reads the file can read and forge the
    /// traffic: use it to debug, and delete it.
    listen_options &key_log_file(std::string path) { return key_log_file_ = std::move(path), *this; }

  private:
    friend class server;
    std::optional<std::string> host_;
    std::uint16_t port_ = 0;
    std::optional<int> socket_fd_;
    std::uint32_t lanes_ = 0, server_id_rotation_ = 0;
    std::vector<std::uint8_t> server_id_;
    identity_options identity_;
    std::vector<std::pair<std::string, identity_options>> named_;
    client_certificates client_certificates_ = client_certificates::off;
    std::optional<std::string> client_ca_file_, client_ca_pem_, key_log_file_;
    std::optional<duration> handshake_timeout_;
    std::optional<std::uint32_t> accept_backlog_, max_sessions_;
    std::optional<connection_options> connection_;
    std::optional<transport_options> transport_;
    std::vector<std::string> allowed_origins_, allowed_authorities_, allowed_paths_, subprotocols_;
    std::optional<server_limits> limits_;
    wtgram::admission admission_ = wtgram::admission::rules;
};

/// A server: listens on a UDP port, and accepts sessions or asks about requests (admission).
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
    /// `detail`, if given, gets a sentence that explains a failure. If there is no memory for the lists of names, the
    /// program ends, as in every noexcept function.
    [[nodiscard]] static expected<server> try_listen(const listen_options &options = {},
                                                     detail_text *detail = nullptr) noexcept
    {
        wtgram_listen_options c;
        wtgram_listen_options_init(&c);
        const detail::raw_identity identity(options.identity_);
        if (options.host_) c.host = options.host_->c_str();
        c.port = options.port_;
        if (options.socket_fd_) c.socket_fd = *options.socket_fd_;
        c.lanes = options.lanes_;
        c.server_id = options.server_id_.data();
        c.server_id_length = options.server_id_.size();
        c.server_id_rotation = options.server_id_rotation_;
        c.identity = identity.c.identity;
        c.certificate_file = identity.c.certificate_file;
        c.private_key_file = identity.c.private_key_file;
        c.certificate_pem = identity.c.certificate_pem;
        c.certificate_pem_length = identity.c.certificate_pem_length;
        c.private_key_pem = identity.c.private_key_pem;
        c.private_key_pem_length = identity.c.private_key_pem_length;
        c.self_signed_names = identity.c.self_signed_names;
        c.self_signed_names_count = identity.c.self_signed_names_count;
        std::vector<detail::raw_identity> identities;
        std::vector<wtgram_named_identity> named;
        identities.reserve(options.named_.size());
        named.reserve(options.named_.size());
        for (const auto &[name, value] : options.named_)
            named.push_back({name.c_str(), &identities.emplace_back(value).c, {}});
        c.named_identities = named.data();
        c.named_identities_count = named.size();
        c.client_certificates = static_cast<std::uint32_t>(options.client_certificates_);
        if (options.client_ca_file_) c.client_ca_file = options.client_ca_file_->c_str();
        if (options.client_ca_pem_) {
            c.client_ca_pem = detail::bytes_of(*options.client_ca_pem_);
            c.client_ca_pem_length = options.client_ca_pem_->size();
        }
        if (options.handshake_timeout_) c.handshake_timeout_us = options.handshake_timeout_->count();
        if (options.accept_backlog_) c.accept_backlog = *options.accept_backlog_;
        if (options.max_sessions_) c.max_sessions = *options.max_sessions_;
        c.connection = detail::pointer_to(options.connection_);
        c.transport = detail::pointer_to(options.transport_);
        const auto origins = detail::pointers_to(options.allowed_origins_);
        const auto authorities = detail::pointers_to(options.allowed_authorities_);
        const auto paths = detail::pointers_to(options.allowed_paths_);
        const auto subprotocols = detail::pointers_to(options.subprotocols_);
        c.allowed_origins = origins.data();
        c.allowed_origins_count = origins.size();
        c.allowed_authorities = authorities.data();
        c.allowed_authorities_count = authorities.size();
        c.allowed_paths = paths.data();
        c.allowed_paths_count = paths.size();
        c.subprotocols = subprotocols.data();
        c.subprotocols_count = subprotocols.size();
        c.limits = detail::pointer_to(options.limits_);
        c.admission = static_cast<std::uint32_t>(options.admission_);
        if (options.key_log_file_) c.key_log_file = options.key_log_file_->c_str();
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
    /// Waits for the next request, if the server has admission::requests. Answer it with request::accept or
    /// request::reject. At most listen_options::accept_backlog requests wait for an answer, those included that this
    /// function has returned; further clients get HTTP status 503.
    request next_request(duration timeout = forever) const { return detail::unwrap(next_request_for(timeout)); }
    [[nodiscard]] expected<request> try_next_request() const noexcept { return next_request_for(duration::zero()); }
    [[nodiscard]] expected<request> next_request_for(duration timeout) const noexcept
    {
        wtgram_request handle{};
        const wtgram_status status = wtgram_server_next_request(handle_, timeout.count(), &handle);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return request(handle);
    }
    /// What the server has counted since it listens: connections, sessions, and refusals by their reason.
    server_stats stats() const { return detail::unwrap(try_stats()); }
    [[nodiscard]] expected<server_stats> try_stats() const noexcept
    {
        server_stats stats;
        const wtgram_status status = wtgram_server_get_stats(handle_, &stats);
        return detail::result(status, stats);
    }
    /// The same as OpenMetrics 1.0 text for Prometheus, labelled with the address of the server. Serve it as
    /// `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    std::string prometheus() const { return detail::unwrap(try_prometheus()); }
    [[nodiscard]] expected<std::string> try_prometheus() const noexcept
    {
        return detail::try_read_text([this](char *buffer, std::size_t capacity, std::size_t *length) {
            return wtgram_server_get_prometheus(handle_, buffer, capacity, length);
        });
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
    /// SHA-256 hash of the certificate in the default identity. Clients need it for
    /// connect_options::trust_certificate_hash, browsers for serverCertificateHashes.
    wtgram::certificate_hash certificate_hash() const { return detail::unwrap(try_certificate_hash()); }
    [[nodiscard]] expected<wtgram::certificate_hash> try_certificate_hash() const noexcept
    {
        wtgram::certificate_hash hash{};
        const wtgram_status status = wtgram_server_get_certificate_hash(handle_, hash.data());
        return detail::result(status, hash);
    }
    /// SHA-256 hash of the certificate that will take the place of a self-signed one. A self-signed certificate is
    /// shown for 12 days, and this one for the 12 days after. Give clients both hashes. Fails with errc::invalid_state
    /// if the default identity is not self-signed.
    wtgram::certificate_hash next_certificate_hash() const { return detail::unwrap(try_next_certificate_hash()); }
    [[nodiscard]] expected<wtgram::certificate_hash> try_next_certificate_hash() const noexcept
    {
        wtgram::certificate_hash hash{};
        const wtgram_status status = wtgram_server_get_next_certificate_hash(handle_, hash.data());
        return detail::result(status, hash);
    }
    /// The hashes for clients that ask for the host `server_name`: that of the current certificate and, if it is
    /// self-signed, that of the next one. Without a name those of the default identity.
    std::vector<wtgram::certificate_hash> certificate_hashes(const std::string &server_name = {}) const
    {
        return detail::unwrap(try_certificate_hashes(server_name));
    }
    [[nodiscard]] expected<std::vector<wtgram::certificate_hash>>
    try_certificate_hashes(const std::string &server_name = {}) const noexcept
    {
        std::vector<wtgram::certificate_hash> hashes(2);
        std::size_t count = 0;
        const wtgram_status status = wtgram_server_get_certificate_hashes(
            handle_, server_name.empty() ? nullptr : server_name.c_str(), hashes.data()->data(), hashes.size(), &count);
        hashes.resize(count);
        return detail::result(status, std::move(hashes));
    }
    /// Changes the default identity. New connections get it at once; running sessions go on. If it cannot be used,
    /// nothing changes, and the text of the exception explains why.
    void set_identity(const identity_options &identity) const
    {
        detail_text detail;
        detail::unwrap(try_set_identity(identity, &detail), detail.c_str());
    }
    /// The same for the identity that is shown to clients that ask for `server_name` (SNI), a DNS name, for example
    /// "game.example" or "*.game.example". There may be several. Clients that ask for none of them get the default.
    void set_identity(const std::string &server_name, const identity_options &identity) const
    {
        detail_text detail;
        detail::unwrap(try_set_identity(server_name, identity, &detail), detail.c_str());
    }
    /// Removes the identity for `server_name`. Fails with errc::invalid_state if there is none.
    void remove_identity(const std::string &server_name) const { detail::unwrap(try_remove_identity(server_name)); }
    expected<void> try_remove_identity(const std::string &server_name) const noexcept
    {
        return detail::result(wtgram_server_remove_identity(handle_, server_name.c_str()));
    }
    /// Like set_identity, but return the error. `detail`, if given, gets a sentence that explains it.
    [[nodiscard]] expected<void> try_set_identity(const identity_options &identity,
                                                  detail_text *detail = nullptr) const noexcept
    {
        return set_identity_of(nullptr, identity, detail);
    }
    [[nodiscard]] expected<void> try_set_identity(const std::string &server_name, const identity_options &identity,
                                                  detail_text *detail = nullptr) const noexcept
    {
        return set_identity_of(server_name.c_str(), identity, detail);
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

  private:
    expected<void> set_identity_of(const char *server_name, const identity_options &identity,
                                   detail_text *detail) const noexcept
    {
        const detail::raw_identity raw(identity);
        return detail::result(wtgram_server_set_identity(handle_, server_name, &raw.c,
                                                         detail != nullptr ? detail->data() : nullptr,
                                                         detail != nullptr ? detail_text::capacity : 0));
    }
};

} // namespace wtgram

#endif
