// SPDX-License-Identifier: GPL-3.0-or-later
//
// Revocation lists: read, looked up, believed only if their issuer signed them.
#include "crl.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "authority.h"
#include "ringpost/base/der.h"

namespace ringpost::test {
namespace {

class Revoked : public testing::TestWithParam<Revocation> {
 protected:
  const LibraryClock clock_;
  absl::StatusOr<std::unique_ptr<TrustStore>> Load(const std::vector<std::string>& lists,
                                                   const std::vector<Party>& anchors = {}) {
    std::vector<NamedText> files;
    for (const std::string& list : lists) {
      files.push_back({"list.crl", files.size() % 2 == 0 ? Pem("X509 CRL", list) : list});
    }
    auto loaded = LoadCrls(files, kNow);
    if (!loaded.ok()) {
      return loaded.status();
    }
    crl_warnings_ = loaded->warnings;
    TrustOptions options;
    options.crls = loaded->crls;
    options.revocation = GetParam();
    std::string pem;
    for (const Party& anchor : anchors.empty() ? std::vector<Party>{root_} : anchors) {
      pem += anchor.pem();
    }
    options.ca_files = {{"ca.pem", pem}};
    return TrustStore::Load(options, kNow);
  }
  std::unique_ptr<TrustStore> Store(const std::vector<std::string>& lists,
                                    const std::vector<Party>& anchors = {}) {
    auto store = Load(lists, anchors);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(*store);
  }
  // The sentence with which the store refuses; empty if it does not.
  std::string Refusal(const std::vector<std::string>& lists,
                      const std::vector<Party>& anchors = {}) {
    return std::string(Load(lists, anchors).status().message());
  }
  // Of what is found out only if revocations are looked at.
  void ExpectRefusal(const std::string& sentence, const std::string& part) {
    EXPECT_EQ(sentence.find(part) != std::string::npos, GetParam() != Revocation::kOff) << sentence;
    EXPECT_EQ(sentence.find("list.crl") != std::string::npos, GetParam() != Revocation::kOff);
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
  EXPECT_EQ(Fault(*store, {Issue(spec, &root_)}), GetParam() == Revocation::kOff
                                                      ? PolicyFault::kRefusedByLibrary
                                                      : PolicyFault::kRevoked);
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

TEST_P(Revoked, ForgedList) {
  const Party forger = Issue(CertificateSpec::Ca("Root"), nullptr);
  const std::string forged = IssueCrl({.this_update = kNow - 5}, forger);
  const std::string real = IssueCrl({.serials = {leaf_.serial}}, root_);
  ExpectRefusal(Refusal({forged}), "not signed by the CA that it names, \"CN=Root, O=Contoso\"");
  ExpectRefusal(Refusal({forged, real}), "not signed by the CA");
  // What is forged with one CA is the other's with two of a name.
  const auto store = Store({forged, real}, {root_, forger});
  EXPECT_EQ(Fault(*store, {leaf_}), UnlessOff(PolicyFault::kRevoked));
  EXPECT_EQ(Fault(*store, {Issue({}, &forger)}), PolicyFault::kNone);
  EXPECT_EQ(store->complaint(), "");
  // A stale list of the one is not broken for the other.
  const auto stale = Store({IssueCrl({.next_update = kNow}, root_), forged}, {root_, forger});
  EXPECT_EQ(Fault(*stale, {leaf_}), IfHard(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(stale->complaint(), "");
}

TEST_P(Revoked, ChangedList) {
  std::string list = IssueCrl({.serials = {leaf_.serial}}, root_);
  list[list.find(leaf_.serial)] ^= 1;
  ExpectRefusal(Refusal({list}), "damaged or forged");
}

TEST_P(Revoked, IssuerThatMayNotSignLists) {
  CertificateSpec spec = CertificateSpec::Ca("Root without cRLSign");
  spec.usage = kCertSign;
  const Party root = Issue(spec, nullptr);
  const Party leaf = Issue({}, &root);
  ExpectRefusal(Refusal({IssueCrl({.serials = {leaf.serial}}, root)}, {root}), "lacks cRLSign");
}

// Nobody can know before a client comes with the CA that should have signed it.
TEST_P(Revoked, BrokenListOfAnIntermediate) {
  const Party namesake = Issue(CertificateSpec::Ca("Issuing CA"), &root_);
  const std::string of_root = IssueCrl({}, root_);
  std::string changed = IssueCrl({.serials = {lower_leaf_.serial}}, intermediate_);
  changed[changed.find(lower_leaf_.serial)] ^= 1;
  for (const std::string& broken : {changed, IssueCrl({}, namesake)}) {
    const auto store = Store({of_root, broken});
    EXPECT_EQ(Fault(*store, {lower_leaf_, intermediate_}), UnlessOff(PolicyFault::kNoFreshCrl));
    EXPECT_EQ(store->complaint().empty(), GetParam() == Revocation::kOff);
    EXPECT_EQ(store->complaint().find("list.crl") != std::string::npos,
              GetParam() != Revocation::kOff);
    // It may be the CA of clients or of partners' servers.
    EXPECT_EQ(store->complaint().find("client"), std::string::npos) << store->complaint();
    // It is no matter of others.
    EXPECT_EQ(Fault(*store, {leaf_}), PolicyFault::kNone);
    EXPECT_EQ(store->complaint(), "");
    // Nor where there is one that can be used.
    const auto both =
        Store({of_root, broken, IssueCrl({.this_update = kNow - 7200}, intermediate_)});
    EXPECT_EQ(Fault(*both, {lower_leaf_, intermediate_}), PolicyFault::kNone);
  }
  CertificateSpec spec = CertificateSpec::Ca("CA without cRLSign");
  spec.usage = kCertSign;
  const Party mute = Issue(spec, &root_);
  const Party leaf = Issue({}, &mute);
  const auto store = Store({of_root, IssueCrl({.serials = {leaf.serial}}, mute)});
  EXPECT_EQ(Fault(*store, {leaf, mute}), UnlessOff(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(store->complaint().find("cRLSign") != std::string::npos,
            GetParam() != Revocation::kOff);
}

// A list of a CA's other key, as it says itself, is none of this one's.
TEST_P(Revoked, ListOfAnotherKey) {
  const auto with_key_id = [](const std::string& name, const std::string& id) {
    CertificateSpec spec = CertificateSpec::Ca(name);
    spec.extensions = Extension("2.5.29.14", false, Der(kDerOctetString, id));
    return spec;
  };
  const auto by = [](const std::string& id) {
    return Extension("2.5.29.35", false, Der(kDerSequence, Der(DerContext(0), id)));
  };
  const Party first = Issue(with_key_id("Renewed CA", "one"), &root_);
  const Party second = Issue(with_key_id("Renewed CA", "two"), &root_);
  const Party leaf = Issue({}, &second);
  const std::string of_root = IssueCrl({}, root_);
  const auto store = Store({of_root, IssueCrl({.extensions = by("one")}, first)});
  EXPECT_EQ(Fault(*store, {leaf, second}), IfHard(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(store->complaint(), "");
  const auto broken = Store({of_root, IssueCrl({.extensions = by("two")}, first)});
  EXPECT_EQ(Fault(*broken, {leaf, second}), UnlessOff(PolicyFault::kNoFreshCrl));
  // Who signed it counts for more than what it says.
  const auto odd = Store({of_root, IssueCrl({.extensions = by("one")}, second)});
  EXPECT_EQ(Fault(*odd, {leaf, second}), PolicyFault::kNone);
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

// A list that does not count yet takes back nothing.
TEST_P(Revoked, NewestIsFromTheFuture) {
  const std::string future = IssueCrl({.this_update = kNow + 60}, root_);
  const auto store = Store({IssueCrl({.serials = {leaf_.serial}}, root_), future});
  EXPECT_EQ(Fault(*store, {leaf_}), UnlessOff(PolicyFault::kRevoked));
  EXPECT_EQ(Fault(*store, {Issue({}, &root_)}), PolicyFault::kNone);
  EXPECT_EQ(Fault(*store, {leaf_}, kNow + 60), PolicyFault::kNone);
}

// The sentence says what the list is, whether revocations are looked at or not.
TEST_P(Revoked, ListsThatCannotBeUsed) {
  const auto point = [](const std::string& content, bool critical = true) {
    return Extension("2.5.29.28", critical, Der(kDerSequence, content));
  };
  const struct {
    CrlSpec spec;
    std::string says;
  } kTable[] = {
      {{.extensions = Extension("2.5.29.27", true, Der(kDerInteger, "\x05"))}, "a delta list"},
      {{.extensions = Extension("2.5.29.27", false, Der(kDerInteger, "\x05"))}, "a delta list"},
      {{.extensions = point(Der(DerContext(4), "\xff"))}, "an indirect list"},
      {{.extensions = point(Der(DerContext(4), "\xff"), false)}, "an indirect list"},
      {{.entry_extensions = Extension("2.5.29.29", true, Der(kDerSequence, ""))},
       "an indirect list"},
      {{.extensions = point(Der(DerContext(3), "\x06\x40"))}, "for other reasons"},
      {{.extensions = point(Der(DerContext(5), "\xff"))}, "attribute certificates"},
      {{.extensions = point(Der(DerContext(1), "\xff") + Der(DerContext(2), "\xff"))},
       "issuing distribution point cannot be read"},
      {{.extensions = point(Der(DerContext(1), "\x07"))}, "issuing distribution point cannot"},
      {{.extensions = point(Der(DerContextConstructed(0), ""))},
       "issuing distribution point cannot"},
      {{.extensions = point("") + point("")}, "issuing distribution point cannot"},
      {{.extensions = Extension("2.5.29.99", true, "x")},
       "critical extension that ringpost does "
       "not know (2.5.29.99)"},
      {{.entry_extensions = Extension("1.2.3.4", true, "x")}, "does not know (1.2.3.4)"},
      {{.scheme = Scheme::kClaimsSha1}, "its signature is not one that is accepted"},
  };
  for (const auto& row : kTable) {
    CrlSpec spec = row.spec;
    spec.serials = {leaf_.serial};
    for (const Party& issuer : {root_, intermediate_}) {
      const std::string sentence = Refusal({IssueCrl(spec, issuer)});
      EXPECT_NE(sentence.find("the revocation list list.crl cannot be used: "), std::string::npos)
          << row.says << ": " << sentence;
      EXPECT_NE(sentence.find(row.says), std::string::npos) << sentence;
    }
  }
}

TEST_P(Revoked, ExtensionsThatChangeNothing) {
  const auto store = Store(
      {IssueCrl({.serials = {leaf_.serial},
                 .extensions = Extension("2.5.29.20", false, Der(kDerInteger, "\x07")) +
                               Extension("2.5.29.28", true, Der(kDerSequence, "")) +
                               Extension("2.5.29.99", false, "x"),
                 .entry_extensions = Extension("2.5.29.21", false, Der(0x0a, "\x01")) +
                                     Extension("2.5.29.24", true, Der(kDerGeneralizedTime, "x"))},
                root_)});
  EXPECT_EQ(Fault(*store, {leaf_}), UnlessOff(PolicyFault::kRevoked));
  EXPECT_EQ(Fault(*store, {Issue({}, &root_)}), PolicyFault::kNone);
}

// GeneralNames with one URI.
std::string FullName(const std::string& uri) {
  return Der(DerContextConstructed(0), Der(DerContext(6), uri));
}

// Of a list.
std::string Point(const std::string& name, const std::string& flags = {}, bool critical = true) {
  return Extension(
      "2.5.29.28", critical,
      Der(kDerSequence,
          (name.empty() ? std::string() : Der(DerContextConstructed(0), name)) + flags));
}

// Of a certificate.
CertificateSpec At(const std::string& points) {
  CertificateSpec spec;
  spec.extensions = Extension("2.5.29.31", false, Der(kDerSequence, points));
  return spec;
}
std::string PointOf(const std::string& name, const std::string& more = {}) {
  return Der(kDerSequence, Der(DerContextConstructed(0), name) + more);
}

const std::string kUsersOnly = Der(DerContext(1), "\xff");
const std::string kCasOnly = Der(DerContext(2), "\xff");

// As smallstep and others make them: for all of the CA's certificates, and at a place.
TEST_P(Revoked, ListWithItsPlace) {
  const std::string name = FullName("http://ca.example/crl");
  for (const std::string& extensions :
       {Point(name), Point(name, {}, false), Point("", Der(DerContext(1), std::string(1, '\0'))),
        Point(Der(DerContextConstructed(1), "relative"))}) {
    const auto store =
        Store({IssueCrl({.serials = {leaf_.serial}, .extensions = extensions}, root_)});
    EXPECT_EQ(Fault(*store, {leaf_}), UnlessOff(PolicyFault::kRevoked));
    EXPECT_EQ(Fault(*store, {Issue({}, &root_)}), PolicyFault::kNone);
    EXPECT_TRUE(crl_warnings_.empty());
  }
}

TEST_P(Revoked, ListsForUsersOrCas) {
  const auto of_root = [&](const std::string& flags, std::vector<std::string> serials) {
    return IssueCrl({.serials = std::move(serials), .extensions = Point("", flags)}, root_);
  };
  const std::string below = IssueCrl({}, intermediate_);
  const std::vector<Party> chain = {lower_leaf_, intermediate_};
  const auto users = Store({of_root(kUsersOnly, {}), below});
  EXPECT_EQ(Fault(*users, {leaf_}), PolicyFault::kNone);
  EXPECT_EQ(Fault(*users, chain), IfHard(PolicyFault::kNoFreshCrl));
  const auto cas = Store({of_root(kCasOnly, {}), below});
  EXPECT_EQ(Fault(*cas, {leaf_}), IfHard(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(Fault(*cas, chain), PolicyFault::kNone);
  const auto both = Store({of_root(kUsersOnly, {leaf_.serial}), of_root(kCasOnly, {}), below});
  EXPECT_EQ(Fault(*both, {leaf_}), UnlessOff(PolicyFault::kRevoked));
  EXPECT_EQ(Fault(*both, {Issue({}, &root_)}), PolicyFault::kNone);
  EXPECT_EQ(Fault(*both, chain), PolicyFault::kNone);
  const auto ca_revoked =
      Store({of_root(kCasOnly, {intermediate_.serial}), of_root(kUsersOnly, {}), below});
  EXPECT_EQ(Fault(*ca_revoked, chain), UnlessOff(PolicyFault::kRevoked));
  // Named is named.
  const auto mistaken = Store({of_root(kUsersOnly, {intermediate_.serial}), below});
  EXPECT_EQ(Fault(*mistaken, chain), UnlessOff(PolicyFault::kRevoked));
}

TEST_P(Revoked, Partitions) {
  const std::string north = FullName("http://ca.example/north.crl");
  const std::string south = FullName("http://ca.example/south.crl");
  const Party of_north = Issue(At(PointOf(north)), &root_);
  const Party of_south = Issue(At(PointOf(south)), &root_);
  const Party of_none = Issue({}, &root_);
  const auto list = [&](const std::string& name, std::vector<std::string> serials,
                        std::int64_t this_update = kNow - 3600) {
    return IssueCrl(
        {.serials = std::move(serials), .this_update = this_update, .extensions = Point(name)},
        root_);
  };
  const auto one = Store({list(north, {})});
  EXPECT_EQ(Fault(*one, {of_north}), PolicyFault::kNone);
  EXPECT_EQ(Fault(*one, {of_south}), IfHard(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(Fault(*one, {of_none}), PolicyFault::kNone);
  const auto two = Store({list(north, {of_north.serial}), list(south, {}, kNow - 60)});
  EXPECT_EQ(Fault(*two, {of_north}), UnlessOff(PolicyFault::kRevoked));
  EXPECT_EQ(Fault(*two, {of_south}), PolicyFault::kNone);
  // In which part it is, nobody knows.
  EXPECT_EQ(Fault(*two, {of_none}), IfHard(PolicyFault::kNoFreshCrl));
  // In one of several names, or of several points.
  const std::string names = Der(DerContextConstructed(0), Der(DerContext(6), "ldap://x/y") +
                                                              Der(DerContext(6), "http://z/n"));
  for (const std::string& points :
       {PointOf(names), PointOf(south) + PointOf(FullName("http://z/n"))}) {
    const auto several = Store({list(names, {})});
    EXPECT_EQ(Fault(*several, {Issue(At(points), &root_)}), PolicyFault::kNone);
  }
  // For some reasons only, with another issuer's list, or by another kind of name.
  for (const std::string& points :
       {PointOf(north, Der(DerContext(1), "\x06\x40")),
        PointOf(north, Der(DerContextConstructed(2), Der(DerContext(6), "x"))),
        Der(kDerSequence, Der(DerContextConstructed(2), Der(DerContext(6), "x"))),
        PointOf(Der(DerContextConstructed(1), "relative"))}) {
    EXPECT_EQ(Fault(*one, {Issue(At(points), &root_)}), IfHard(PolicyFault::kNoFreshCrl));
  }
  // Nonsense, of which wolfSSL has an opinion as well.
  for (const std::string& points : {std::string(), std::string("x"), PointOf("x"), PointOf("")}) {
    const PolicyFault fault = Fault(*one, {Issue(At(points), &root_)});
    EXPECT_TRUE(GetParam() != Revocation::kHard || fault == PolicyFault::kNoFreshCrl);
  }
  // A full list does for all.
  const auto full = Store({list(north, {}), IssueCrl({}, root_)});
  EXPECT_EQ(Fault(*full, {of_south}), PolicyFault::kNone);
  EXPECT_EQ(Fault(*full, {of_none}), PolicyFault::kNone);
  // The newest of a part is its last word, for strangers to it as well.
  const auto renewed = Store(
      {list(north, {of_south.serial}), list(north, {}, kNow - 60), list(south, {}, kNow - 7200)});
  EXPECT_EQ(Fault(*renewed, {of_south}), PolicyFault::kNone);
  const auto named = Store({list(north, {of_south.serial}), list(south, {}, kNow - 7200)});
  EXPECT_EQ(Fault(*named, {of_south}), UnlessOff(PolicyFault::kRevoked));
}

// Two places, and yet each is all there is of its kind.
TEST_P(Revoked, PlacesForUsersAndCas) {
  const auto users = IssueCrl({.extensions = Point(FullName("http://ca/u"), kUsersOnly)}, root_);
  const auto cas = IssueCrl({.extensions = Point(FullName("http://ca/c"), kCasOnly)}, root_);
  const auto store = Store({users, cas, IssueCrl({}, intermediate_)});
  EXPECT_EQ(Fault(*store, {leaf_}), PolicyFault::kNone);
  EXPECT_EQ(Fault(*store, {lower_leaf_, intermediate_}), PolicyFault::kNone);
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

// Of a folder: only what is certainly no list is passed over. A page of an error in place of a list
// is not.
TEST(CrlFiles, OtherFilesInTheFolder) {
  const Party root = Issue(CertificateSpec::Ca("Root"), nullptr);
  const NamedText list{"x/root.crl", Pem("X509 CRL", IssueCrl({}, root))};
  const auto loaded = LoadCrls(
      {{"x/ReadMe.txt", "Lists"}, {"x/ca.pem", root.pem()}, {"x/ca.der", root.der}, list}, kNow);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->crls->all().size(), 1U);
  ASSERT_EQ(loaded->warnings.size(), 3U);
  EXPECT_EQ(loaded->warnings[0].find("x/ReadMe.txt is left out"), 0U) << loaded->warnings[0];
  EXPECT_EQ(loaded->warnings[1].find("x/ca.pem is left out"), 0U) << loaded->warnings[1];
  EXPECT_EQ(loaded->warnings[2].find("x/ca.der is left out"), 0U) << loaded->warnings[2];
  for (const NamedText& bad :
       std::vector<NamedText>{{"x/other.crl", "<html>404 Not Found</html>"},
                              {"x/other.crl", Pem("X509 CRL", "junk")},
                              {"x/other.crl", root.pem() + "-----BEGIN X509 CRL-----\nAAAA"},
                              {"x/README", "-----BEGIN X509 CRL-----\nAAAA"}}) {
    const auto refused = LoadCrls({bad, list}, kNow);
    ASSERT_FALSE(refused.ok()) << bad.text;
    EXPECT_NE(std::string(refused.status().message()).find(bad.path), std::string::npos);
  }
  EXPECT_FALSE(LoadCrls({{"x/README", "Lists"}, {"x/ca.pem", root.pem()}}, kNow).ok());
  const auto text = LoadCrls({{"list.crl", "0\n" + list.text}}, kNow);
  EXPECT_TRUE(text.ok()) << text.status();
}

TEST(CrlFiles, CutAndChangedAnywhere) {
  const Party root = Issue(CertificateSpec::Ca("Root"), nullptr);
  const std::string list = IssueCrl({.serials = {"\x01", "\x02\x03"}}, root);
  ASSERT_NE(ReadCrl(list), nullptr);
  const std::string& key = root.key->public_info();
  EXPECT_EQ(ReadCrl(list)->CheckSignedWith(key), SignatureVerdict::kGood);
  for (std::size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(ReadCrl(list.substr(0, i)), nullptr) << i;
    std::string changed = list;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    const auto read = ReadCrl(changed);
    EXPECT_TRUE(read == nullptr || read->CheckSignedWith(key) != SignatureVerdict::kGood) << i;
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
