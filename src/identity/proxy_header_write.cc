// SPDX-License-Identifier: GPL-3.0-or-later
#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <charconv>
#include <cstring>

#include "proxy_wire.h"
#include "ringpost/base/check.h"
#include "ringpost/identity/proxy_header.h"

namespace ringpost {
namespace {

using proxy_wire::IsPlainText;
using proxy_wire::kClientCertConnection;
using proxy_wire::kClientCertSession;
using proxy_wire::kClientSsl;
using proxy_wire::kCommandLocal;
using proxy_wire::kCommandProxy;
using proxy_wire::kFamilyTcp4;
using proxy_wire::kFamilyTcp6;
using proxy_wire::kFamilyUnspec;
using proxy_wire::kFixedBytes;
using proxy_wire::kSignature;
using proxy_wire::kSubtypeSslCipher;
using proxy_wire::kSubtypeSslCommonName;
using proxy_wire::kSubtypeSslGroup;
using proxy_wire::kSubtypeSslVersion;
using proxy_wire::kTlvHeadBytes;
using proxy_wire::kTypeAuthority;
using proxy_wire::kTypeNoop;
using proxy_wire::kTypeSsl;
using proxy_wire::kVersion2;

// Writes octets one behind the other. Room was checked once: kProxyHeaderMax is derived from the
// limits.
class Writer {
 public:
  explicit Writer(std::span<char> out) : out_(out) {}

  void Octet(std::uint8_t value) { out_[length_++] = static_cast<char>(value); }
  void Octets(const void* data, std::size_t count) {
    std::memcpy(&out_[length_], data, count);
    length_ += count;
  }
  void Text(std::string_view text) { Octets(text.data(), text.size()); }
  void Number16(std::size_t value) {
    Octet(static_cast<std::uint8_t>(value >> 8));
    Octet(static_cast<std::uint8_t>(value & 0xff));
  }
  void Decimal(std::uint16_t value) {
    const auto [end, error] =
        std::to_chars(out_.data() + length_, out_.data() + out_.size(), value);
    length_ = static_cast<std::size_t>(end - out_.data());
  }
  // Leaves a gap of two octets for a length; FillLength() writes how much came behind it.
  std::size_t ReserveLength() {
    length_ += 2;
    return length_;
  }
  void FillLength(std::size_t begin) {
    const std::size_t count = length_ - begin;
    out_[begin - 2] = static_cast<char>(count >> 8);
    out_[begin - 1] = static_cast<char>(count & 0xff);
  }
  void TlvText(std::uint8_t type, std::string_view text, std::size_t max) {
    if (text.empty() || text.size() > max || !IsPlainText(text)) return;
    Octet(type);
    Number16(text.size());
    Text(text);
  }
  [[nodiscard]] std::size_t length() const { return length_; }

 private:
  std::span<char> out_;
  std::size_t length_ = 0;
};

// One side's address; ports and addresses in network order.
struct Side4Or6 {
  bool known = false;
  bool ipv4 = false;
  in6_addr address{};  // IPv4-mapped if ipv4
  std::uint16_t port = 0;

  [[nodiscard]] const std::uint8_t* ipv4_octets() const { return &address.s6_addr[12]; }
};

Side4Or6 ReadSide(const sockaddr* address) {
  Side4Or6 side;
  if (address == nullptr) return side;
  if (address->sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    side.known = true;
    side.ipv4 = true;
    side.address.s6_addr[10] = 0xff;
    side.address.s6_addr[11] = 0xff;
    std::memcpy(&side.address.s6_addr[12], &in.sin_addr, sizeof in.sin_addr);
    side.port = in.sin_port;
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy(&in6, address, sizeof in6);
    side.known = true;
    side.ipv4 = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
    side.address = in6.sin6_addr;
    side.port = in6.sin6_port;
  }
  return side;
}

void WriteAddressText(const Side4Or6& side, bool ipv4, Writer* writer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (ipv4) {
    inet_ntop(AF_INET, side.ipv4_octets(), text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, &side.address, text.data(), text.size());
  }
  writer->Text(text.data());
}

void WriteTls(const ProxyTlsFacts& tls, ProxyTlvs tlvs, Writer* writer) {
  if (tlvs == ProxyTlvs::kNone) return;
  if (tlvs == ProxyTlvs::kAll) writer->TlvText(kTypeAuthority, tls.sni, kProxyAuthorityMax);
  writer->Octet(kTypeSsl);
  const std::size_t begin = writer->ReserveLength();
  writer->Octet(tls.client_certificate ? kClientSsl | kClientCertConnection | kClientCertSession
                                       : kClientSsl);
  // Zero only "if the client presented a certificate and it was successfully verified" (2.2.6).
  const bool verified = tls.client_certificate && tls.verified;
  writer->Number16(0);
  writer->Number16(verified ? 0 : 1);
  writer->TlvText(kSubtypeSslVersion, tls.version, kProxyVersionMax);
  writer->TlvText(kSubtypeSslCipher, tls.cipher, kProxyCipherMax);
  writer->TlvText(kSubtypeSslGroup, tls.key_exchange_group, kProxyGroupMax);
  if (tls.client_certificate) {
    writer->TlvText(kSubtypeSslCommonName, tls.client_common_name, kProxyCommonNameMax);
  }
  writer->FillLength(begin);
}

}  // namespace

std::size_t WriteProxyV2(std::span<char> out, const sockaddr* source, const sockaddr* destination,
                         const ProxyTlsFacts* tls_or_null, ProxyTlvs tlvs, std::size_t octets_max) {
  RINGPOST_CHECK(out.size() >= kProxyHeaderMax);
  const Side4Or6 from = ReadSide(source);
  const Side4Or6 to = ReadSide(destination);
  if (!from.known || !to.known) return WriteProxyV2Local(out);

  Writer writer(out);
  writer.Text(kSignature);
  writer.Octet(kVersion2 | kCommandProxy);
  const bool ipv4 = from.ipv4 && to.ipv4;
  writer.Octet(ipv4 ? kFamilyTcp4 : kFamilyTcp6);
  const std::size_t begin = writer.ReserveLength();
  if (ipv4) {
    writer.Octets(from.ipv4_octets(), sizeof(in_addr));
    writer.Octets(to.ipv4_octets(), sizeof(in_addr));
  } else {
    writer.Octets(&from.address, sizeof(in6_addr));
    writer.Octets(&to.address, sizeof(in6_addr));
  }
  writer.Octets(&from.port, sizeof from.port);
  writer.Octets(&to.port, sizeof to.port);
  if (tls_or_null != nullptr) WriteTls(*tls_or_null, tlvs, &writer);
  if (writer.length() > octets_max && tlvs != ProxyTlvs::kNone) {
    return WriteProxyV2(out, source, destination, tls_or_null,
                        tlvs == ProxyTlvs::kAll ? ProxyTlvs::kSsl : ProxyTlvs::kNone, octets_max);
  }
  writer.FillLength(begin);
  return writer.length();
}

std::size_t WriteProxyV2Local(std::span<char> out, std::size_t octets) {
  RINGPOST_CHECK(out.size() >= kFixedBytes && out.size() >= octets);
  Writer writer(out);
  writer.Text(kSignature);
  writer.Octet(kVersion2 | kCommandLocal);
  writer.Octet(kFamilyUnspec);
  const std::size_t begin = writer.ReserveLength();
  if (octets >= begin + kTlvHeadBytes) {
    const std::size_t filling = octets - begin - kTlvHeadBytes;
    writer.Octet(kTypeNoop);
    writer.Number16(filling);
    for (std::size_t i = 0; i < filling; ++i) writer.Octet(0);
  }
  writer.FillLength(begin);
  return writer.length();
}

std::size_t WriteProxyV1(std::span<char> out, const sockaddr* source, const sockaddr* destination) {
  RINGPOST_CHECK(out.size() >= kProxyV1Max);
  const Side4Or6 from = ReadSide(source);
  const Side4Or6 to = ReadSide(destination);
  Writer writer(out);
  if (!from.known || !to.known) {
    writer.Text("PROXY UNKNOWN\r\n");
    return writer.length();
  }
  const bool ipv4 = from.ipv4 && to.ipv4;
  writer.Text(ipv4 ? "PROXY TCP4 " : "PROXY TCP6 ");
  WriteAddressText(from, ipv4, &writer);
  writer.Text(" ");
  WriteAddressText(to, ipv4, &writer);
  writer.Text(" ");
  writer.Decimal(ntohs(from.port));
  writer.Text(" ");
  writer.Decimal(ntohs(to.port));
  writer.Text("\r\n");
  return writer.length();
}

}  // namespace ringpost
