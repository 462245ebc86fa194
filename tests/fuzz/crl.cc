// SPDX-License-Identifier: GPL-3.0-or-later
//
// Revocation lists. The input is a file: PEM with any number of lists, or one in DER. Oracle: the
// same entries, found by walking through them from the first to the last.
#include "crl.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "fuzz.h"
#include "ringpost/base/der.h"

namespace ringpost {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;

std::string_view WithoutZeros(std::string_view serial) {
  while (serial.size() > 1 && serial.front() == 0) serial.remove_prefix(1);
  return serial;
}

// The serial numbers of a list that was accepted.
std::vector<std::string_view> Walk(std::string_view der) {
  DerReader outer(der);
  DerReader reader(outer.Take(kDerSequence).content);
  DerReader part(reader.Take(kDerSequence).content);
  part.TakeIf(kDerInteger);
  part.Take(kDerSequence);
  part.Take(kDerSequence);
  part.Next();
  if (part.PeekTag() == kDerUtcTime || part.PeekTag() == kDerGeneralizedTime) part.Next();
  DerReader entries(part.TakeIf(kDerSequence).content);
  std::vector<std::string_view> serials;
  while (entries.ok() && !entries.empty()) {
    DerReader entry(entries.Take(kDerSequence).content);
    serials.push_back(WithoutZeros(entry.Take(kDerInteger).content));
  }
  RINGPOST_CHECK(entries.finished());
  return serials;
}

// Contents of less than 64 KiB, which is more than any input here has.
std::string Wrap(unsigned tag, std::string_view content) {
  std::string item{static_cast<char>(tag), '\x82', static_cast<char>(content.size() >> 8),
                   static_cast<char>(content.size())};
  if (content.size() < 0x100) item.assign({static_cast<char>(tag), '\x81', item[3]});
  if (content.size() < 0x80) item.assign({static_cast<char>(tag), item[2]});
  return item.append(content);
}

void CheckOne(std::string_view der) {
  std::string reason;
  const std::unique_ptr<const Crl> list = Crl::Read(std::string(der), "list.crl", reason);
  RINGPOST_CHECK((list == nullptr) == !reason.empty());
  if (list == nullptr) return;
  RINGPOST_CHECK(!list->issuer().empty());
  X509View user;
  X509View authority;
  authority.ca = true;
  RINGPOST_CHECK(list->IsForKindOf(user) || list->IsForKindOf(authority));
  RINGPOST_CHECK(list->scope().size() >= list->point_name().size());
  if (!list->point_name().empty()) {
    // A certificate with the same point, unless there is no name to be read in it.
    const DerItem name = DerReader(list->point_name()).Next();
    const bool named = name.tag == 0xa1 || DerReader(name.content).Next().tag != 0;
    const std::string points = Wrap(0x30, Wrap(0x30, Wrap(0xa0, list->point_name())));
    RINGPOST_CHECK(IsAmongDistributionPoints(list->point_name(), points) == named);
  }
  RINGPOST_CHECK(!list->IsFresh(list->this_update() - 1));
  if (list->next_update().has_value()) RINGPOST_CHECK(!list->IsFresh(*list->next_update()));
  const std::vector<std::string_view> serials = Walk(der);
  RINGPOST_CHECK(list->size() == serials.size());
  for (const std::string_view serial : serials) {
    RINGPOST_CHECK(list->Names(serial));
    // A neighbour is named only if it is there.
    std::string neighbour(serial);
    neighbour.back() = static_cast<char>(neighbour.back() ^ 1);
    bool there = false;
    for (const std::string_view other : serials) there |= other == WithoutZeros(neighbour);
    RINGPOST_CHECK(list->Names(neighbour) == there);
  }
  RINGPOST_CHECK(
      list->Names("\x01\x23\x45 not one of them") ==
      (std::find(serials.begin(), serials.end(), "\x01\x23\x45 not one of them") != serials.end()));
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view input = fuzz::View(data, size);
  CheckOne(input);
  const auto loaded = LoadCrls({{"list.crl", std::string(input)}}, kNow);
  if (!loaded.ok()) {
    // A sentence that names the file.
    RINGPOST_CHECK(absl::StrContains(loaded.status().message(), "list.crl"));
    return 0;
  }
  for (const std::unique_ptr<const Crl>& list : loaded->crls->all()) {
    const auto of_issuer = loaded->crls->Of(list->issuer());
    bool there = false;
    for (const auto& other : of_issuer) {
      RINGPOST_CHECK(other->issuer() == list->issuer());
      there |= other == list;
    }
    RINGPOST_CHECK(there);
    // The newest first.
    for (std::size_t i = 1; i < of_issuer.size(); ++i) {
      RINGPOST_CHECK(of_issuer[i - 1]->this_update() >= of_issuer[i]->this_update());
    }
  }
  return 0;
}
