/// @file
/// Identities: certificate chains with their private keys.
#ifndef WTGRAM_IDENTITY_HPP
#define WTGRAM_IDENTITY_HPP

#include <wtgram/options.hpp>

namespace wtgram
{

namespace detail
{
struct raw_identity;
}

/// An identity: a certificate chain with its private key. Without any call it is a new self-signed one.
class identity_options
{
  public:
    /// Makes a new self-signed certificate that browsers accept by its hash. It is valid for 14 days and renews itself
    /// after 12: server::next_certificate_hash. This is the default. `names` are DNS names and IP addresses. Without
    /// any, the certificate is for the name under which the server shows it. If it has none, it is for localhost,
    /// 127.0.0.1 and ::1.
    identity_options &self_signed(std::vector<std::string> names = {})
    {
        return names_ = std::move(names), source_ = WTGRAM_IDENTITY_SELF_SIGNED, *this;
    }
    /// Takes the certificate chain, leaf first, and the private key from PEM files.
    identity_options &pem_files(std::string certificate, std::string private_key)
    {
        certificate_ = std::move(certificate);
        private_key_ = std::move(private_key);
        return source_ = WTGRAM_IDENTITY_PEM_FILES, *this;
    }
    /// The same from PEM texts in memory.
    identity_options &pem_bytes(std::string certificate, std::string private_key)
    {
        pem_files(std::move(certificate), std::move(private_key));
        return source_ = WTGRAM_IDENTITY_PEM_BYTES, *this;
    }

  private:
    friend struct detail::raw_identity;
    std::uint32_t source_ = WTGRAM_IDENTITY_SELF_SIGNED;
    std::string certificate_, private_key_;
    std::vector<std::string> names_;
};

namespace detail
{

// The C struct for an identity. It refers to the identity, and to the list of names here.
struct raw_identity {
    explicit raw_identity(const identity_options &identity)
    {
        names.reserve(identity.names_.size());
        for (const std::string &name : identity.names_) names.push_back(name.c_str());
        wtgram_identity_options_init(&c);
        c.identity = identity.source_;
        if (identity.source_ == WTGRAM_IDENTITY_PEM_FILES) {
            c.certificate_file = identity.certificate_.c_str();
            c.private_key_file = identity.private_key_.c_str();
        } else if (identity.source_ == WTGRAM_IDENTITY_PEM_BYTES) {
            c.certificate_pem = bytes_of(identity.certificate_);
            c.certificate_pem_length = identity.certificate_.size();
            c.private_key_pem = bytes_of(identity.private_key_);
            c.private_key_pem_length = identity.private_key_.size();
        } else if (!names.empty()) {
            c.self_signed_names = names.data();
            c.self_signed_names_count = names.size();
        }
    }

    std::vector<const char *> names;
    wtgram_identity_options c;
};

} // namespace detail
} // namespace wtgram

#endif
