// SPDX-License-Identifier: GPL-3.0-or-later
//
// Revocation lists: read, looked up, believed only if their issuer signed them.
#include "crl.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "authority.h"
#include "der.h"
#include "hello_builder.h"

namespace ringpost::test {
namespace {

class Revoked : public testing::TestWithParam<Revocation> {
 protected:
  const LibraryClock clock_;
  std::unique_ptr<TrustStore> Store(const std::vector<std::string>& lists,
                                    const std::vector<Party>& anchors = {}) {
    std::vector<NamedText> files;
    for (const std::string& list : lists) {
      files.push_back({"list.crl", files.size() % 2 == 0 ? Pem("X509 CRL", list) : list});
    }
    auto loaded = LoadCrls(files, kNow);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    crl_warnings_ = loaded->warnings;
    TrustOptions options;
    options.crls = loaded->crls;
    options.revocation = GetParam();
    std::string pem;
    for (const Party& anchor : anchors.empty() ? std::vector<Party>{root_} : anchors) {
      pem += anchor.pem();
    }
    options.ca_files = {{"ca.pem", pem}};
    auto store = TrustStore::Load(options, kNow);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(*store);
  }
  static PolicyFault Fault(TrustStore& store, const std::vector<Party>& chain,
                           std::int64_t now = kNow) {
    const PolicyFault fault = store.Verify(Presented(chain), now);
    EXPECT_EQ(store.Verify(Presented(chain), now), fault);
    return fault;
  }
  [[nodiscard]] static PolicyFault IfHard(PolicyFault fault) {
    return GetParam() == Revocation::kHard ? fault : PolicyFault::kNone;
  }
  [[nodiscard]] static PolicyFault UnlessOff(PolicyFault fault) {
    return GetParam() == Revocation::kOff ? PolicyFault::kNone : fault;
  }

  Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  Party intermediate_ = Issue(CertificateSpec::Ca("Issuing CA"), &root_);
  Party leaf_ = Issue({}, &root_);
  Party lower_leaf_ = Issue({}, &intermediate_);
  std::vector<std::string> crl_warnings_;
};

INSTANTIATE_TEST_SUITE_P(Modes, Revoked,
                         testing::Values(Revocation::kOff, Revocation::kSoft, Revocation::kHard));

TEST_P(Revoked, NoList) {
  const auto store = Store({});
  EXPECT_EQ(Fault(*store, {leaf_}), IfHard(PolicyFault::kNoFreshCrl));
}

TEST_P(Revoked, FreshList) {
  const auto store = Store({IssueCrl({.serials = {leaf_.serial}}, root_)});
  EXPECT_TRUE(crl_warnings_.empty());
  EXPECT_TRUE(store->warnings().empty());
  EXPECT_EQ(Fault(*store, {leaf_}), UnlessOff(PolicyFault::kRevoked));
  EXPECT_EQ(Fault(*store, {Issue({}, &root_)}), PolicyFault::kNone);
  // Of the same number, but of another issuer.
  CertificateSpec spec;
  spec.serial = leaf_.serial;
  EXPECT_EQ(Fault(*store, {Issue(spec, &intermediate_), intermediate_}),
            IfHard(PolicyFault::kNoFreshCrl));
  // Written with a zero in front, which is the same number, and which wolfSSL does not take at all.
  spec.serial = std::string(1, '\0') + leaf_.serial;
  EXPECT_EQ(Fault(*store, {Issue(spec, &root_)}),
            GetParam() == Revocation::kOff ? PolicyFault::kMalformed : PolicyFault::kRevoked);
}

TEST_P(Revoked, EmptyList) {
  const auto store = Store({IssueCrl({}, root_)});
  EXPECT_EQ(Fault(*store, {leaf_}), PolicyFault::kNone);
}

TEST_P(Revoked, StaleList) {
  const auto store = Store({IssueCrl({.serials = {leaf_.serial}, .next_update = kNow}, root_)});
  EXPECT_EQ(crl_warnings_.size(), 1U);
  EXPECT_EQ(Fault(*store, {leaf_}), UnlessOff(PolicyFault::kRevoked));
  EXPECT_EQ(Fault(*store, {Issue({}, &root_)}), IfHard(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(Fault(*store, {Issue({}, &root_)}, kNow - 1), PolicyFault::kNone);
}

TEST_P(Revoked, ListFromTheFutureOrWithoutEnd) {
  const auto early = Store({IssueCrl({.this_update = kNow + 1}, root_)});
  EXPECT_EQ(crl_warnings_.size(), 1U);
  EXPECT_EQ(Fault(*early, {leaf_}), IfHard(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(Fault(*early, {leaf_}, kNow + 1), PolicyFault::kNone);
  const auto endless = Store({IssueCrl({.next_update = std::nullopt}, root_)});
  EXPECT_EQ(crl_warnings_.size(), 1U);
  EXPECT_EQ(Fault(*endless, {leaf_}), IfHard(PolicyFault::kNoFreshCrl));
}

TEST_P(Revoked, Intermediate) {
  const auto without = Store({IssueCrl({}, root_)});
  EXPECT_EQ(Fault(*without, {lower_leaf_, intermediate_}), IfHard(PolicyFault::kNoFreshCrl));
  const auto good = Store({IssueCrl({}, root_), IssueCrl({}, intermediate_)});
  EXPECT_EQ(Fault(*good, {lower_leaf_, intermediate_}), PolicyFault::kNone);
  const auto ca_revoked =
      Store({IssueCrl({.serials = {intermediate_.serial}}, root_), IssueCrl({}, intermediate_)});
  EXPECT_EQ(Fault(*ca_revoked, {lower_leaf_, intermediate_}), UnlessOff(PolicyFault::kRevoked));
  const auto leaf_revoked =
      Store({IssueCrl({}, root_), IssueCrl({.serials = {lower_leaf_.serial}}, intermediate_)});
  EXPECT_EQ(Fault(*leaf_revoked, {lower_leaf_, intermediate_}), UnlessOff(PolicyFault::kRevoked));
  // Where the intermediate is the one that is trusted, nobody asks about it.
  const auto anchored = Store({IssueCrl({}, intermediate_)}, {intermediate_});
  EXPECT_EQ(Fault(*anchored, {lower_leaf_}), PolicyFault::kNone);
}

TEST_P(Revoked, ForgedListCountsAsNone) {
  const Party forger = Issue(CertificateSpec::Ca("Root"), nullptr);
  const auto store = Store({IssueCrl({.serials = {leaf_.serial}}, forger)});
  EXPECT_EQ(store->warnings().size(), GetParam() == Revocation::kOff ? 0U : 1U);
  EXPECT_EQ(Fault(*store, {leaf_}), IfHard(PolicyFault::kNoFreshCrl));
  // Beside the real one it changes nothing, though it is newer.
  const auto both = Store(
      {IssueCrl({.this_update = kNow - 5}, forger), IssueCrl({.serials = {leaf_.serial}}, root_)});
  EXPECT_EQ(Fault(*both, {leaf_}), UnlessOff(PolicyFault::kRevoked));
}

TEST_P(Revoked, ChangedList) {
  std::string list = IssueCrl({.serials = {leaf_.serial}}, root_);
  list[list.find(leaf_.serial)] ^= 1;
  const auto store = Store({list});
  EXPECT_EQ(Fault(*store, {leaf_}), IfHard(PolicyFault::kNoFreshCrl));
}

TEST_P(Revoked, IssuerThatMayNotSignLists) {
  CertificateSpec spec = CertificateSpec::Ca("Root without cRLSign");
  spec.usage = kCertSign;
  const Party root = Issue(spec, nullptr);
  const Party leaf = Issue({}, &root);
  const auto store = Store({IssueCrl({.serials = {leaf.serial}}, root)}, {root});
  EXPECT_EQ(store->warnings().size(), GetParam() == Revocation::kOff ? 0U : 1U);
  EXPECT_EQ(Fault(*store, {leaf}), IfHard(PolicyFault::kNoFreshCrl));
}

// The newest one is the last word: it may have taken back what was only on hold.
TEST_P(Revoked, NewestOfSeveral) {
  const std::string older =
      IssueCrl({.serials = {leaf_.serial}, .this_update = kNow - 7200}, root_);
  const std::string newer = IssueCrl({.this_update = kNow - 60}, root_);
  EXPECT_EQ(Fault(*Store({older, newer}), {leaf_}), PolicyFault::kNone);
  EXPECT_EQ(Fault(*Store({newer, older}), {leaf_}), PolicyFault::kNone);
}

TEST_P(Revoked, RsaIssuer) {
  CertificateSpec spec = CertificateSpec::Ca("RSA root");
  spec.key = Key::Rsa();
  const Party root = Issue(spec, nullptr);
  const Party leaf = Issue({}, &root);
  const auto store = Store({IssueCrl({.serials = {leaf.serial}}, root)}, {root});
  EXPECT_EQ(Fault(*store, {leaf}), UnlessOff(PolicyFault::kRevoked));
}

TEST_P(Revoked, SpecialListsAreNotUsed) {
  const std::string part =
      Extension("2.5.29.28", true, Der(kDerSequence, Der(DerContext(1), "\xff")));
  const std::string delta = Extension("2.5.29.27", true, Der(kDerInteger, "\x05"));
  const std::string other_issuer = Extension("2.5.29.29", true, Der(kDerSequence, ""));
  for (const CrlSpec& spec :
       {CrlSpec{.serials = {leaf_.serial}, .extensions = part},
        CrlSpec{.serials = {leaf_.serial}, .extensions = delta},
        CrlSpec{.serials = {leaf_.serial}, .entry_extensions = other_issuer}}) {
    const auto store = Store({IssueCrl(spec, root_)});
    ASSERT_EQ(crl_warnings_.size(), 1U);
    EXPECT_NE(crl_warnings_[0].find("not used"), std::string::npos);
    EXPECT_EQ(Fault(*store, {leaf_}), IfHard(PolicyFault::kNoFreshCrl));
  }
  // What every list has.
  const auto store =
      Store({IssueCrl({.serials = {leaf_.serial},
                       .extensions = Extension("2.5.29.20", false, Der(kDerInteger, "\x07")),
                       .entry_extensions = Extension("2.5.29.21", false, Der(0x0a, "\x01"))},
                      root_)});
  EXPECT_EQ(Fault(*store, {leaf_}), UnlessOff(PolicyFault::kRevoked));
}

TEST_P(Revoked, SeveralInOneFile) {
  auto loaded =
      LoadCrls({{"all.pem",
                 Pem("X509 CRL", IssueCrl({}, root_)) + "\n# and\n" +
                     Pem("X509 CRL", IssueCrl({.serials = {lower_leaf_.serial}}, intermediate_))}},
               kNow);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->crls->all().size(), 2U);
}

std::unique_ptr<const Crl> ReadCrl(std::string der) {
  std::string reason;
  return Crl::Read(std::move(der), "x", reason);
}

TEST(CrlFiles, ThatAreNone) {
  const Party root = Issue(CertificateSpec::Ca("Root"), nullptr);
  for (const std::string& text :
       {std::string(), std::string("x"), root.pem(), root.der, Pem("X509 CRL", "junk"),
        std::string("-----BEGIN X509 CRL-----\nAAAA"), IssueCrl({}, root) + "x"}) {
    const auto loaded = LoadCrls({{"/etc/x/list.crl", text}}, kNow);
    ASSERT_FALSE(loaded.ok());
    EXPECT_NE(std::string(loaded.status().message()).find("/etc/x/list.crl"), std::string::npos);
  }
  EXPECT_TRUE(LoadCrls({}, kNow).ok());
}

TEST(CrlFiles, CutAndChangedAnywhere) {
  const Party root = Issue(CertificateSpec::Ca("Root"), nullptr);
  const std::string list = IssueCrl({.serials = {"\x01", "\x02\x03"}}, root);
  ASSERT_NE(ReadCrl(list), nullptr);
  EXPECT_TRUE(ReadCrl(list)->IsSignedWith(root.key->public_info()));
  for (std::size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(ReadCrl(list.substr(0, i)), nullptr) << i;
    std::string changed = list;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    const auto read = ReadCrl(changed);
    EXPECT_TRUE(read == nullptr || !read->IsSignedWith(root.key->public_info())) << i;
  }
}

TEST(CrlFiles, HundredThousandEntries) {
  constexpr std::uint64_t kCount = 100'000;
  const Party root = Issue(CertificateSpec::Ca("Root"), nullptr);
  CrlSpec spec;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    // Out of order, of several lengths, with and without a zero in front.
    const std::uint64_t number = (i * 7919) % kCount;
    spec.serials.push_back(std::string(number % 3, '\0') + Number(number * 2, 4));
  }
  const auto list = ReadCrl(IssueCrl(spec, root));
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->size(), kCount);
  for (std::uint64_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(list->Names(Number(i * 2, 5))) << i;
    ASSERT_FALSE(list->Names(Number(i * 2 + 1, 4))) << i;
  }
}

}  // namespace
}  // namespace ringpost::test
