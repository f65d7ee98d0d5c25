/// @file
/// The session: a WebTransport connection to one peer, and how a client makes it.
#ifndef WTGRAM_SESSION_HPP
#define WTGRAM_SESSION_HPP

#include <new>

#include <wtgram/connect_failure.hpp>
#include <wtgram/handle.hpp>
#include <wtgram/identity.hpp>
#include <wtgram/transport.hpp>

namespace wtgram
{

/// How to connect, and how to verify the server. By default the certificate authorities of the system verify it. The
/// functions return the object, so calls can be chained.
class connect_options
{
  public:
    /// Trusts the certificate authorities in this PEM file only.
    connect_options &trust_ca_file(std::string path) { return ca_file_ = std::move(path), trust(WTGRAM_TRUST_CA); }
    /// Trusts the certificate authorities in this PEM text only.
    connect_options &trust_ca_pem(std::string pem) { return ca_pem_ = std::move(pem), trust(WTGRAM_TRUST_CA); }
    /// Trusts a certificate with this SHA-256 hash, or with one of several if you call it again. The certificate must
    /// be ECDSA P-256 and valid for at most 14 days. Names are not checked.
    connect_options &trust_certificate_hash(const certificate_hash &hash)
    {
        // No insert(end, first, last): GCC 12 warns about an overflow that is not there.
        for (const std::uint8_t byte : hash) hashes_.push_back(byte);
        return trust(WTGRAM_TRUST_CERTIFICATE_HASHES);
    }
    /// Verifies nothing. Only for tests: an attacker on the path can read and change everything.
    connect_options &insecure_no_verification() noexcept { return trust(WTGRAM_TRUST_INSECURE_NO_VERIFICATION); }

    /// Certificate and private key for a server that asks for them; from PEM, not self-signed. By default none.
    connect_options &identity(identity_options value) { return identity_ = std::move(value), *this; }
    /// Deadline for name resolution, handshake, SETTINGS and CONNECT together. Default 10 s.
    connect_options &timeout(duration value) noexcept { return timeout_ = value, *this; }
    /// Adds a header field to the request. Names may repeat; names that start with `:` are refused.
    connect_options &header(std::string name, std::string value)
    {
        return headers_.emplace_back(std::move(name), std::move(value)), *this;
    }
    /// Subprotocols to offer, the best first. session::subprotocol() says which one the server picked.
    connect_options &subprotocols(std::vector<std::string> names) { return subprotocols_ = std::move(names), *this; }
    /// Local IP address to send from; by default the system chooses.
    connect_options &bind_host(std::string address) { return bind_host_ = std::move(address), *this; }
    /// Options of the connection.
    connect_options &connection(const connection_options &options) { return connection_ = options, *this; }
    /// Options of the session's transport.
    connect_options &transport(const transport_options &options) { return transport_ = options, *this; }
    /// File to which the TLS secrets of the connection are appended, so that Wireshark can decrypt what was captured.
    /// By default none, and no environment variable changes that. Whoever reads the file can read and forge the
    /// traffic: use it to debug, and delete it.
    connect_options &key_log_file(std::string path) { return key_log_file_ = std::move(path), *this; }

  private:
    friend class session;
    connect_options &trust(std::uint32_t value) noexcept { return trust_ = value, *this; }

    std::optional<std::uint32_t> trust_;
    std::optional<duration> timeout_;
    std::optional<std::string> ca_file_, ca_pem_, bind_host_, key_log_file_;
    std::vector<std::uint8_t> hashes_;
    header_fields headers_;
    std::vector<std::string> subprotocols_;
    std::optional<identity_options> identity_;
    std::optional<connection_options> connection_;
    std::optional<transport_options> transport_;
};

/// State of a session.
enum class session_state : std::uint32_t {
    connecting = WTGRAM_SESSION_CONNECTING, ///< The handshake is in progress.
    connected = WTGRAM_SESSION_CONNECTED, ///< The session is established.
    /// Established, but the peer asked to end it soon (GOAWAY or DRAIN). Datagrams still flow.
    draining = WTGRAM_SESSION_DRAINING,
    closed = WTGRAM_SESSION_CLOSED, ///< The session is closed.
};

/// Which side closed a session.
enum class closed_by : std::uint32_t {
    local = WTGRAM_CLOSED_BY_LOCAL, ///< This side.
    peer = WTGRAM_CLOSED_BY_PEER, ///< The peer.
    transport = WTGRAM_CLOSED_BY_TRANSPORT, ///< The connection was lost, timed out, or broken by a protocol error.
};

/// Which side closed a session, with which code and reason.
class close_info
{
  public:
    close_info() noexcept { wtgram_close_info_init(&c_); }
    wtgram::closed_by closed_by() const noexcept { return static_cast<wtgram::closed_by>(c_.closed_by); }
    /// Code given by the side that closed the session; 0 if there is none.
    std::uint32_t code() const noexcept { return c_.code; }
    /// QUIC or HTTP/3 error code, if closed_by() is closed_by::transport.
    std::uint64_t transport_error() const noexcept { return c_.transport_error; }
    /// Reason given by the side that closed the session, or what happened to the connection. UTF-8.
    std::string_view reason() const noexcept { return {c_.reason, c_.reason_length}; }
    /// The C struct.
    wtgram_close_info &raw() noexcept { return c_; }

  private:
    wtgram_close_info c_;
};

namespace detail
{

template <class Handle, class Count, class Get>
expected<std::vector<std::vector<std::uint8_t>>> try_read_certificates(Handle handle, Count count_of, Get get) noexcept
{
    std::size_t count = 0;
    wtgram_status status = count_of(handle, &count);
    std::vector<std::vector<std::uint8_t>> certificates(count);
    for (std::size_t i = 0; i < count && status == WTGRAM_OK; i++) {
        std::size_t length = 0;
        (void)get(handle, i, nullptr, 0, &length);
        certificates[i].resize(length);
        status = get(handle, i, certificates[i].data(), length, &length);
    }
    return result(status, std::move(certificates));
}

} // namespace detail

/// A WebTransport session: a connection to one peer. A client gets it from connect(), a server from server::accept.
///
/// Its datagrams are sent and received through its transport(). At the end of its life it is closed with code 0, and
/// its transport is not valid after that.
class session : public owner<wtgram_session, wtgram_session_free>
{
  public:
    using owner::owner;

    /// Connects to an https URL and waits until the session is established. If the attempt fails, it throws
    /// connect_error, whose text explains the failure. A NUL ends the URL, as in C.
    [[nodiscard]] static session connect(const std::string &url, const connect_options &options = {})
    {
        session started = connect_start(url, options);
        started.wait_connected();
        return started;
    }
    /// Connects and waits like the form above, but returns the error. `detail`, if given, gets a sentence that explains
    /// it.
    [[nodiscard]] static expected<session> connect(std::nothrow_t, const std::string &url,
                                                   const connect_options &options = {},
                                                   detail_text *detail = nullptr) noexcept
    {
        return begin(wtgram_session_connect, url.c_str(), options, detail);
    }
    /// The same for a C string. If there is no memory for the list of headers, the program ends, as in every noexcept
    /// function.
    [[nodiscard]] static expected<session> connect(std::nothrow_t, const char *url, const connect_options &options = {},
                                                   detail_text *detail = nullptr) noexcept
    {
        return begin(wtgram_session_connect, url, options, detail);
    }

    /// Starts to connect to an https URL and returns at once, with a session in state session_state::connecting. A
    /// poller reports readiness::connected when it is established, and readiness::closed when the attempt has failed.
    ///
    /// close(), reset() and the destructor cancel the attempt at once.
    [[nodiscard]] static session connect_start(const std::string &url, const connect_options &options = {})
    {
        detail_text detail;
        return detail::unwrap(try_connect_start(url.c_str(), options, &detail), detail.c_str());
    }
    /// The same, but returns the error. `detail`, if given, gets a sentence that explains it.
    [[nodiscard]] static expected<session> try_connect_start(const std::string &url,
                                                             const connect_options &options = {},
                                                             detail_text *detail = nullptr) noexcept
    {
        return begin(wtgram_session_connect_start, url.c_str(), options, detail);
    }
    /// The same for a C string. If there is no memory for the list of headers, the program ends, as in every noexcept
    /// function.
    [[nodiscard]] static expected<session> try_connect_start(const char *url, const connect_options &options = {},
                                                             detail_text *detail = nullptr) noexcept
    {
        return begin(wtgram_session_connect_start, url, options, detail);
    }
    /// Waits until the session is established. If the attempt failed, it throws connect_error.
    void wait_connected(duration timeout = forever) const
    {
        detail_text detail;
        const expected<void> done = wait_connected_for(timeout, &detail);
        if (!done) raise(done.error(), detail);
    }
    /// The same, but returns the error. With timeout 0 it returns the result of an attempt that has ended, and fails
    /// with errc::would_block before. `detail`, if given, gets a sentence that explains a failure.
    [[nodiscard]] expected<void> wait_connected_for(duration timeout, detail_text *detail = nullptr) const noexcept
    {
        return detail::result(wtgram_session_wait_connected(handle_, timeout.count(),
                                                            detail != nullptr ? detail->data() : nullptr,
                                                            detail != nullptr ? detail_text::capacity : 0));
    }
    /// Returns why the attempt to connect failed. Fails with errc::would_block while it goes on, and with
    /// errc::invalid_state if the session was established.
    [[nodiscard]] expected<connect_failure> try_connect_failure() const noexcept
    {
        connect_failure failure;
        const wtgram_status status = wtgram_session_get_connect_failure(handle_, &failure.raw());
        return detail::result(status, failure);
    }

    /// The transport of the session. It is always the same, and valid as long as this session.
    wtgram::transport transport() const { return detail::unwrap(try_transport()); }
    [[nodiscard]] expected<wtgram::transport> try_transport() const noexcept
    {
        wtgram_transport handle{};
        const wtgram_status status = wtgram_session_get_transport(handle_, &handle);
        return detail::result(status, wtgram::transport(handle));
    }
    /// The current state.
    session_state state() const { return detail::unwrap(try_state()); }
    [[nodiscard]] expected<session_state> try_state() const noexcept
    {
        std::uint32_t state = 0;
        const wtgram_status status = wtgram_session_get_state(handle_, &state);
        return detail::result(status, static_cast<session_state>(state));
    }
    /// Id of the session, which is the id of its CONNECT stream. (id() is the number of the handle.)
    std::uint64_t session_id() const { return detail::unwrap(try_session_id()); }
    [[nodiscard]] expected<std::uint64_t> try_session_id() const noexcept
    {
        std::uint64_t id = 0;
        const wtgram_status status = wtgram_session_get_id(handle_, &id);
        return detail::result(status, id);
    }
    /// Path of the request with its query, for example "/room?name=a".
    std::string path() const { return detail::unwrap(try_path()); }
    /// Host that the request is for, with its port if that is not 443.
    std::string authority() const { return detail::unwrap(try_authority()); }
    /// Origin of the request, for example "https://example.com". Empty if the client sent none, as programs other than
    /// browsers do.
    std::string origin() const { return detail::unwrap(try_origin()); }
    /// Value of a header field that the peer sent: in its request on a server, in its response on a client. Several
    /// fields of one name are joined with ", ". Empty if there is none.
    std::string header(const std::string &name) const { return detail::unwrap(try_header(name)); }
    /// All header fields that the peer sent, in their order, with names in lower case.
    header_fields headers() const { return detail::unwrap(try_headers()); }
    /// The subprotocol that the server picked. Empty if it picked none.
    std::string subprotocol() const { return detail::unwrap(try_subprotocol()); }
    /// Current address of the peer. It changes when the peer changes its network.
    std::string remote_address() const { return detail::unwrap(try_remote_address()); }
    /// Local address. The IP address is 0.0.0.0 or [::] if the system does not report it.
    std::string local_address() const { return detail::unwrap(try_local_address()); }
    [[nodiscard]] expected<std::string> try_path() const noexcept { return text(wtgram_session_get_path); }
    [[nodiscard]] expected<std::string> try_authority() const noexcept { return text(wtgram_session_get_authority); }
    [[nodiscard]] expected<std::string> try_origin() const noexcept { return text(wtgram_session_get_origin); }
    [[nodiscard]] expected<std::string> try_header(const std::string &name) const noexcept
    {
        return detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return wtgram_session_get_header(handle_, name.c_str(), buffer, capacity, length);
        });
    }
    [[nodiscard]] expected<header_fields> try_headers() const noexcept
    {
        const expected<std::string> lines = text(wtgram_session_get_headers);
        if (!lines) return unexpected(lines.error());
        return detail::fields_of(*lines);
    }
    [[nodiscard]] expected<std::string> try_subprotocol() const noexcept
    {
        return text(wtgram_session_get_subprotocol);
    }
    [[nodiscard]] expected<std::string> try_remote_address() const noexcept
    {
        return text(wtgram_session_get_remote_address);
    }
    [[nodiscard]] expected<std::string> try_local_address() const noexcept
    {
        return text(wtgram_session_get_local_address);
    }
    /// The certificates that the peer has shown, as DER: its own first, then those of the authorities above it. Empty
    /// for a client that showed none.
    std::vector<std::vector<std::uint8_t>> peer_certificates() const { return detail::unwrap(try_peer_certificates()); }
    [[nodiscard]] expected<std::vector<std::vector<std::uint8_t>>> try_peer_certificates() const noexcept
    {
        return detail::try_read_certificates(handle_, wtgram_session_get_peer_certificate_count,
                                             wtgram_session_get_peer_certificate);
    }
    /// Current statistics of the connection; after its end, the last ones.
    session_stats stats() const { return detail::unwrap(try_stats()); }
    [[nodiscard]] expected<session_stats> try_stats() const noexcept
    {
        session_stats stats;
        const wtgram_status status = wtgram_session_get_stats(handle_, &stats);
        return detail::result(status, stats);
    }

    /// Asks the peer to end the session soon. The session goes on in both directions until one side closes it. The peer
    /// sees session_state::draining. It may ignore that, so set a time after which you close the session yourself.
    /// Fails with errc::closed if the session is closed.
    void drain() const { detail::unwrap(try_drain()); }
    expected<void> try_drain() const noexcept { return detail::result(wtgram_session_drain(handle_)); }
    /// Ends the session in order, and waits for it: asks the peer to end it soon, lets the datagrams leave that are
    /// queued, and closes the session. Until then datagrams still arrive, but sending fails with errc::closed. Fails
    /// with errc::timed_out (or errc::would_block, with timeout 0) if the timeout elapses first; the session is closed
    /// even then. Fails with errc::closed if the session was closed before by the peer, another thread or a lost
    /// connection. For messages of a reliability layer, call reliability::close first.
    void drain_and_close(duration timeout, std::uint32_t code = 0, std::string_view reason = {}) const
    {
        detail::unwrap(drain_and_close_for(timeout, code, reason));
    }
    [[nodiscard]] expected<void> drain_and_close_for(duration timeout, std::uint32_t code = 0,
                                                     std::string_view reason = {}) const noexcept
    {
        return detail::result(
            wtgram_session_drain_and_close(handle_, code, reason.data(), reason.size(), timeout.count()));
    }
    /// Begins to do what drain_and_close does, and returns at once. The poller reports readiness::closed when the
    /// session is closed. To give up what is still queued, call close.
    void drain_and_close_start(std::uint32_t code = 0, std::string_view reason = {}) const
    {
        detail::unwrap(try_drain_and_close_start(code, reason));
    }
    expected<void> try_drain_and_close_start(std::uint32_t code = 0, std::string_view reason = {}) const noexcept
    {
        return detail::result(wtgram_session_drain_and_close_start(handle_, code, reason.data(), reason.size()));
    }
    /// Closes the session. This side is closed at once, and what is queued is dropped; code and reason reach the peer
    /// in the background. You can still receive what has arrived. The reason has at most 1024 bytes of UTF-8; a longer
    /// one fails with errc::invalid_argument.
    void close(std::uint32_t code = 0, std::string_view reason = {}) const { detail::unwrap(try_close(code, reason)); }
    expected<void> try_close(std::uint32_t code = 0, std::string_view reason = {}) const noexcept
    {
        return detail::result(wtgram_session_close(handle_, code, reason.data(), reason.size()));
    }
    /// Waits until the session is closed, by any side, and returns why.
    close_info wait_closed(duration timeout = forever) const { return detail::unwrap(wait_closed_for(timeout)); }
    [[nodiscard]] expected<close_info> wait_closed_for(duration timeout) const noexcept
    {
        close_info info;
        const wtgram_status status = wtgram_session_wait_closed(handle_, timeout.count(), &info.raw());
        return detail::result(status, info);
    }
    /// Returns why the session is closed. Fails with errc::would_block while it is open.
    [[nodiscard]] expected<close_info> try_close_info() const noexcept
    {
        close_info info;
        const wtgram_status status = wtgram_session_get_close_info(handle_, &info.raw());
        return detail::result(status, info);
    }

  private:
    template <class Begin>
    static expected<session> begin(Begin begin, const char *url, const connect_options &options,
                                   detail_text *detail) noexcept
    {
        wtgram_connect_options c;
        wtgram_connect_options_init(&c);
        const std::vector<wtgram_header> headers = detail::pointers_to(options.headers_);
        const std::vector<const char *> subprotocols = detail::pointers_to(options.subprotocols_);
        if (options.trust_) c.trust = *options.trust_;
        if (options.timeout_) c.timeout_us = options.timeout_->count();
        if (options.ca_file_) c.ca_file = options.ca_file_->c_str();
        if (options.ca_pem_) {
            c.ca_pem = detail::bytes_of(*options.ca_pem_);
            c.ca_pem_length = options.ca_pem_->size();
        }
        c.certificate_hashes = options.hashes_.data();
        c.certificate_hashes_count = options.hashes_.size() / WTGRAM_CERTIFICATE_HASH_LENGTH;
        c.headers = headers.data();
        c.headers_count = headers.size();
        c.subprotocols = subprotocols.data();
        c.subprotocols_count = subprotocols.size();
        if (options.bind_host_) c.bind_host = options.bind_host_->c_str();
        c.connection = detail::pointer_to(options.connection_);
        c.transport = detail::pointer_to(options.transport_);
        std::optional<detail::raw_identity> identity;
        if (options.identity_) c.identity = &identity.emplace(*options.identity_).c;
        if (options.key_log_file_) c.key_log_file = options.key_log_file_->c_str();
        wtgram_session handle{};
        const wtgram_status status = begin(url, &c, &handle, detail != nullptr ? detail->data() : nullptr,
                                           detail != nullptr ? detail_text::capacity : 0);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return session(handle);
    }
    [[noreturn]] void raise(std::error_code code, const detail_text &detail) const
    {
#if defined(__cpp_exceptions)
        if (const auto failure = try_connect_failure()) throw connect_error(*failure, detail.c_str());
#endif
        detail::raise(code, detail.c_str());
    }
    template <class Getter> expected<std::string> text(Getter getter) const noexcept
    {
        return detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return getter(handle_, buffer, capacity, length);
        });
    }
};

} // namespace wtgram

#endif
