// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tls/client_hello.h"

#include <bitset>

#include "record_input.h"

namespace ringpost {
namespace {

constexpr std::size_t kExtensionTypes = 1 << 16;

// Reads big-endian fields from the front; once it has failed it stays failed and yields zeros.
class Cursor {
 public:
  explicit Cursor(std::string_view octets) : rest_(octets) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] bool finished() const { return ok_ && rest_.empty(); }

  std::string_view Take(std::size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  unsigned Number(std::size_t octets) {
    unsigned value = 0;
    for (const char octet : Take(octets)) {
      value = value << 8 | static_cast<unsigned char>(octet);
    }
    return value;
  }
  // A vector whose length stands before it in `octets` octets.
  std::string_view Vector(std::size_t octets) { return Take(Number(octets)); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// What is wrong with an extension, if anything.
using Complaint = std::optional<HelloRefusal>;

constexpr Complaint kFine;

// Keeps the name if it is that of a host. An address, a blank or UTF-8 is what some clients send;
// they get what they would get without a name.
void KeepHostName(std::string_view name, ClientHello& hello) {
  if (name.ends_with('.')) {
    name.remove_suffix(
        1);  // RFC 6066: "without a trailing dot"; some MTAs copy it from the MX record
  }
  if (name.empty() || name.front() == '.' || name.back() == '.') {
    return;
  }
  for (std::size_t i = 0; i < name.size(); ++i) {
    char letter = name[i];
    if (letter >= 'A' && letter <= 'Z') {
      letter = static_cast<char>(letter - 'A' + 'a');
    }
    const bool allowed = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
                         letter == '-' || letter == '.' || letter == '_';
    if (!allowed) {
      return;
    }
    hello.sni_octets[i] = letter;
  }
  hello.sni_size = static_cast<std::uint8_t>(name.size());
}

// RFC 6066 3. Names of other types begin with their length as well, and are passed over.
Complaint ReadServerName(std::string_view content, ClientHello& hello) {
  constexpr unsigned kHostName = 0;
  constexpr HelloRefusal kBroken{TlsAlert::kDecodeError, "malformed server_name"};
  Cursor outer(content);
  Cursor list(outer.Vector(2));
  if (!outer.finished() || list.empty()) {
    return kBroken;
  }
  std::string_view host_name;
  while (!list.empty()) {
    const unsigned type = list.Number(1);
    const std::string_view name = list.Vector(2);
    if (!list.ok() || (type == kHostName && name.empty())) {
      return kBroken;
    }
    if (type != kHostName) {
      continue;
    }
    if (!host_name.empty()) {
      return HelloRefusal{TlsAlert::kIllegalParameter, "more than one server_name"};
    }
    host_name = name;
  }
  // Nobody means well with these; what reads a name as C does would see another one.
  if (host_name.find('\0') != std::string_view::npos) {
    return HelloRefusal{TlsAlert::kIllegalParameter, "NUL in server_name"};
  }
  if (host_name.size() > hello.sni_octets.size()) {
    return HelloRefusal{TlsAlert::kIllegalParameter, "server_name too long"};
  }
  KeepHostName(host_name, hello);
  return kFine;
}

Complaint ReadSupportedVersions(std::string_view content, ClientHello& hello) {
  Cursor outer(content);
  Cursor list(outer.Vector(1));
  if (!outer.finished() || list.empty()) {
    return HelloRefusal{TlsAlert::kDecodeError, "malformed supported_versions"};
  }
  // RFC 8446 4.2.1: where this extension is present it alone counts.
  hello.tls12 = false;
  hello.tls13 = false;
  while (!list.empty()) {
    const unsigned version = list.Number(2);
    hello.tls12 |= version == 0x0303;
    hello.tls13 |= version == 0x0304;
  }
  return list.ok() ? kFine : Complaint({TlsAlert::kDecodeError, "malformed supported_versions"});
}

Complaint ReadSignatureAlgorithms(std::string_view content, ClientHello& hello) {
  Cursor outer(content);
  Cursor list(outer.Vector(2));
  if (!outer.finished() || list.empty()) {
    return HelloRefusal{TlsAlert::kDecodeError, "malformed signature_algorithms"};
  }
  hello.has_signature_algorithms = true;
  while (!list.empty()) {
    // SHA-1 (0x02xx) and SHA-224 (0x03xx) are not among them: RFC 9155.
    switch (list.Number(2)) {
      case 0x0403:
        hello.signatures |= kSignatureEcdsaP256;
        break;
      case 0x0503:
        hello.signatures |= kSignatureEcdsaP384;
        break;
      case 0x0603:
        hello.signatures |= kSignatureEcdsaP521;
        break;
      case 0x0401:
      case 0x0501:
      case 0x0601:
        hello.signatures |= kSignatureRsaPkcs1;
        break;
      case 0x0804:
      case 0x0805:
      case 0x0806:
        hello.signatures |= kSignatureRsaPss;
        break;
      default:
        break;
    }
  }
  return list.ok() ? kFine : Complaint({TlsAlert::kDecodeError, "malformed signature_algorithms"});
}

Complaint ReadSupportedGroups(std::string_view content, ClientHello& hello) {
  Cursor outer(content);
  Cursor list(outer.Vector(2));
  if (!outer.finished() || list.empty()) {
    return HelloRefusal{TlsAlert::kDecodeError, "malformed supported_groups"};
  }
  hello.has_groups = true;
  while (!list.empty()) {
    switch (list.Number(2)) {
      case 0x11ec:
        hello.groups |= kGroupX25519MlKem768;
        break;
      case 0x001d:
        hello.groups |= kGroupX25519;
        break;
      case 0x0017:
        hello.groups |= kGroupP256;
        break;
      case 0x0018:
        hello.groups |= kGroupP384;
        break;
      default:
        break;
    }
  }
  return list.ok() ? kFine : Complaint({TlsAlert::kDecodeError, "malformed supported_groups"});
}

Complaint ReadAlpn(std::string_view content, ClientHello& hello) {
  Cursor outer(content);
  Cursor list(outer.Vector(2));
  if (!outer.finished() || list.empty()) {
    return HelloRefusal{TlsAlert::kDecodeError, "malformed ALPN"};
  }
  hello.has_alpn = true;
  while (!list.empty()) {
    const std::string_view protocol = list.Vector(1);
    if (!list.ok() || protocol.empty()) {  // RFC 7301 3.1: never empty
      return HelloRefusal{TlsAlert::kDecodeError, "malformed ALPN"};
    }
    hello.alpn_smtp |= protocol == "smtp";
  }
  return kFine;
}

Complaint ReadPskModes(std::string_view content, ClientHello& hello) {
  Cursor outer(content);
  const std::string_view modes = outer.Vector(1);
  if (!outer.finished() || modes.empty()) {
    return HelloRefusal{TlsAlert::kDecodeError, "malformed psk_key_exchange_modes"};
  }
  hello.has_psk_modes = true;
  hello.psk_modes_dhe = modes.find('\x01') != std::string_view::npos;
  return kFine;
}

// RFC 8446 4.2.11. The binders are wolfSSL's to check.
Complaint ReadPreSharedKeys(std::string_view content) {
  constexpr HelloRefusal kBroken{TlsAlert::kDecodeError, "malformed pre_shared_key"};
  constexpr std::size_t kBinderMin = 32;
  Cursor outer(content);
  Cursor identities(outer.Vector(2));
  Cursor binders(outer.Vector(2));
  if (!outer.finished() || identities.empty()) {
    return kBroken;
  }
  std::size_t identity_count = 0;
  for (; !identities.empty(); ++identity_count) {
    const std::string_view identity = identities.Vector(2);
    identities.Take(4);  // obfuscated_ticket_age
    if (!identities.ok() || identity.empty()) {
      return kBroken;
    }
  }
  std::size_t binder_count = 0;
  for (; !binders.empty(); ++binder_count) {
    if (binders.Vector(1).size() < kBinderMin || !binders.ok()) {
      return kBroken;
    }
  }
  if (identity_count != binder_count) {
    return kBroken;
  }
  if (identity_count > kPskIdentitiesMax) {
    return HelloRefusal{TlsAlert::kIllegalParameter, "too many identities in pre_shared_key"};
  }
  return kFine;
}

Complaint ReadExtension(unsigned type, std::string_view content, ClientHello& hello) {
  switch (type) {
    case 0:
      return ReadServerName(content, hello);
    case 10:
      return ReadSupportedGroups(content, hello);
    case 13:
      return ReadSignatureAlgorithms(content, hello);
    case 16:
      return ReadAlpn(content, hello);
    case 41:
      hello.has_pre_shared_key = true;
      return kFine;
    case 42:
      hello.early_data = true;
      return kFine;
    case 43:
      return ReadSupportedVersions(content, hello);
    case 45:
      return ReadPskModes(content, hello);
    case 0xff01:
      // RFC 5746 3.6: empty in a first handshake, else handshake_failure.
      if (content != std::string_view("\0", 1)) {
        return HelloRefusal{TlsAlert::kHandshakeFailure, "renegotiation_info is not empty"};
      }
      return kFine;
    default:
      return kFine;
  }
}

void ReadSuites(std::string_view suites, ClientHello& hello) {
  Cursor list(suites);
  while (!list.empty()) {
    switch (list.Number(2)) {
      case 0x1301:
      case 0x1302:
      case 0x1303:
        hello.suite_tls13 = true;
        break;
      case 0xc02b:
      case 0xc02c:
      case 0xcca9:
        hello.suite_ecdsa = true;
        break;
      case 0xc02f:
      case 0xc030:
      case 0xcca8:
        hello.suite_rsa = true;
        break;
      case 0x5600:
        hello.fallback_scsv = true;
        break;
      default:
        break;
    }
  }
}

Complaint ReadExtensions(std::string_view octets, ClientHello& hello) {
  constexpr unsigned kPreSharedKey = 41;
  std::bitset<kExtensionTypes> seen;
  std::string_view pre_shared_keys;
  Cursor list(octets);
  while (!list.empty()) {
    const unsigned type = list.Number(2);
    const std::string_view content = list.Vector(2);
    if (!list.ok()) {
      return HelloRefusal{TlsAlert::kDecodeError, "malformed extensions"};
    }
    // RFC 8446 4.2: at most one of each type.
    if (seen.test(type)) {
      return HelloRefusal{TlsAlert::kIllegalParameter, "an extension occurs twice"};
    }
    seen.set(type);
    pre_shared_keys = type == kPreSharedKey ? content : pre_shared_keys;
    if (const Complaint complaint = ReadExtension(type, content, hello)) {
      return complaint;
    }
  }
  // In TLS 1.2 it is an extension like any other.
  return hello.tls13 && hello.has_pre_shared_key ? ReadPreSharedKeys(pre_shared_keys) : kFine;
}

}  // namespace

std::optional<HelloRefusal> ReadClientHello(std::string_view message, ClientHello& hello) {
  hello = ClientHello{};
  Cursor cursor(message);
  cursor.Take(kMessageHeaderBytes);
  const unsigned legacy_version = cursor.Number(2);
  cursor.Take(32);  // random
  const std::string_view session_id = cursor.Vector(1);
  const std::string_view suites = cursor.Vector(2);
  const std::string_view compression = cursor.Vector(1);
  if (!cursor.ok() || session_id.size() > 32 || suites.empty() || suites.size() % 2 != 0 ||
      compression.empty()) {
    return HelloRefusal{TlsAlert::kDecodeError, "malformed ClientHello"};
  }
  // RFC 8446 4.2.1: without supported_versions TLS 1.2, whatever stands here above it.
  hello.tls12 = legacy_version >= 0x0303;
  ReadSuites(suites, hello);
  if (!cursor.empty()) {
    const std::string_view extensions = cursor.Vector(2);
    if (!cursor.finished()) {
      return HelloRefusal{TlsAlert::kDecodeError, "malformed ClientHello"};
    }
    if (const Complaint complaint = ReadExtensions(extensions, hello)) {
      return complaint;
    }
  }
  // RFC 5246 7.4.1.2: null must be there; RFC 8446 4.1.2: and in TLS 1.3 nothing else.
  const bool has_null = compression.find('\0') != std::string_view::npos;
  if (!has_null || (hello.tls13 && compression.size() != 1)) {
    return HelloRefusal{TlsAlert::kIllegalParameter, "compression offered"};
  }
  return kFine;
}

std::optional<HelloRefusal> JudgeClientHello(const ClientHello& hello) {
  if (!hello.tls12 && !hello.tls13) {
    return HelloRefusal{TlsAlert::kProtocolVersion, "no TLS version in common"};  // RFC 8996
  }
  if (hello.fallback_scsv && !hello.tls13) {
    return HelloRefusal{TlsAlert::kInappropriateFallback, "inappropriate fallback"};  // RFC 7507 3
  }
  if (hello.has_alpn && !hello.alpn_smtp) {
    return HelloRefusal{TlsAlert::kNoApplicationProtocol, "ALPN without smtp"};  // RFC 7301 3.2
  }
  const bool tls13_suite = hello.tls13 && hello.suite_tls13;
  const bool tls12_suite = hello.tls12 && (hello.suite_ecdsa || hello.suite_rsa);
  if (!tls13_suite && !tls12_suite) {
    return HelloRefusal{TlsAlert::kHandshakeFailure, "no cipher suite in common"};
  }
  if (!hello.has_signature_algorithms && !(hello.tls13 && hello.has_pre_shared_key)) {
    // RFC 8446 9.2; in TLS 1.2 the absence stands for SHA-1, which RFC 9155 forbids.
    return hello.tls13 ? HelloRefusal{TlsAlert::kMissingExtension, "no signature_algorithms"}
                       : HelloRefusal{TlsAlert::kHandshakeFailure, "only SHA-1 signatures"};
  }
  if (hello.has_signature_algorithms && hello.signatures == 0) {
    return HelloRefusal{TlsAlert::kHandshakeFailure, "no signature algorithm in common"};
  }
  if (hello.tls13 && hello.has_pre_shared_key && !hello.has_psk_modes) {
    return HelloRefusal{TlsAlert::kMissingExtension, "no psk_key_exchange_modes"};  // 4.2.9
  }
  if (!hello.has_groups && hello.tls13) {
    return HelloRefusal{TlsAlert::kMissingExtension, "no supported_groups"};  // RFC 8446 9.2
  }
  if (hello.has_groups && hello.groups == 0) {
    return HelloRefusal{TlsAlert::kHandshakeFailure, "no group in common"};
  }
  return std::nullopt;
}

}  // namespace ringpost
