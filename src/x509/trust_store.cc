// SPDX-License-Identifier: GPL-3.0-or-later
//
// Why our own search and not wolfSSL's certificate manager alone: to be verified against, an
// intermediate has to be added to a manager, and adding one as a CA verifies nothing at all; and it
// cannot say why it refuses. Here nothing is ever added: a store is what it was when it was loaded,
// whatever it has been shown. What this search accepts, wolfSSL must accept as well
// (library_path.h).
#include "ringpost/x509/trust_store.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "certificate_path.h"
#include "crl.h"
#include "distribution_point.h"
#include "library_path.h"
#include "ocsp_response.h"
#include "ringpost/base/check.h"
#include "ringpost/crypto/tls_library.h"
#include "ringpost/x509/pem.h"
#include "ringpost/x509/signature.h"
#include "ringpost/x509/x509.h"
#include "trust_files.h"
#include "utc_text.h"

namespace ringpost {
namespace {

struct Anchor {
  std::string der;
  X509View view;  // into der
};

// More than any real chain needs. A signature costs up to 1 ms (P-521), so this bounds what a
// client can make us do.
constexpr int kSignaturesMax = 24;
constexpr int kStepsMax = 512;
constexpr int kLibraryOpinionsMax = 3;
constexpr std::size_t kPresentedMax = 9;  // what a handshake lets through
constexpr std::size_t kTextMax = 256;     // of a name in a sentence

std::int64_t EarliestEnd(std::span<const X509View* const> path) {
  const auto earliest =
      std::min_element(path.begin(), path.end(), [](const X509View* left, const X509View* right) {
        return left->not_after < right->not_after;
      });
  return (*earliest)->not_after;
}

// Which of two reasons is said: that something was revoked, else the first one.
PolicyFault Graver(PolicyFault first, PolicyFault second) {
  return first == PolicyFault::kNone || second == PolicyFault::kRevoked ? second : first;
}

}  // namespace

struct TrustStore::Impl {
  // By subject, for look-ups; the anchors do not move.
  std::vector<std::unique_ptr<const Anchor>> anchors;
  std::shared_ptr<const CrlSet> crls;
  Revocation revocation = Revocation::kOff;

  using SignedBy = std::pair<const Crl*, Fingerprint>;  // the list and its issuer's key
  std::map<SignedBy, SignatureVerdict> crl_signatures;
  std::string complaint;        // TrustStore::complaint()
  std::int64_t good_until = 0;  // TrustStore::good_until()

  [[nodiscard]] std::span<const std::unique_ptr<const Anchor>> AnchorsOf(
      std::string_view subject) const;
  absl::Status AddFile(const NamedText& file, std::int64_t now, std::vector<std::string>& warnings);
  void Sort();
  [[nodiscard]] absl::Status CheckLists();
  enum class ListUse : std::uint8_t { kUsable, kBroken, kOfAnotherKey };
  [[nodiscard]] ListUse UseOf(const Crl& list, const X509View& issuer);
  [[nodiscard]] bool IsSignedBy(const Crl& list, const X509View& issuer);
  [[nodiscard]] bool IsFor(const Crl& list, const X509View& certificate, const X509View& issuer);
  [[nodiscard]] bool IsNamedByList(const X509View& certificate, const X509View& issuer);
  void ComplainAbout(const Crl& list, const X509View& issuer);
  // By lists alone.
  [[nodiscard]] PolicyFault JudgeRevocation(const X509View& certificate, const X509View& issuer,
                                            std::int64_t now);
  [[nodiscard]] PolicyFault JudgeLeaf(const X509View& leaf, const X509View& issuer,
                                      OcspResponse& stapled, std::int64_t now);
  // `stapled`: for the leaf; null: nothing.
  [[nodiscard]] PolicyFault JudgeRevocations(std::span<const X509View* const> path,
                                             OcspResponse* stapled, std::int64_t now);
  [[nodiscard]] PolicyFault AskLibrary(std::span<const X509View* const> path, int opinions);
};

namespace {

// Looks for a path from the leaf to a trusted CA. The names are followed upwards, which costs
// nothing; the signatures are checked downwards, so that certificates that a stranger made up end
// the matter with the first one.
class PathSearch {
 public:
  using Anchors = std::span<const std::unique_ptr<const Anchor>>;

  explicit PathSearch(const PeerCertificate& certificate) {
    for (const std::string& der : certificate.chain) {
      if (count_ == kPresentedMax) {
        break;
      }
      // What cannot be read cannot be part of a path, and need not be in its way.
      if (std::optional<X509View> view = ReadX509(der); view.has_value()) {
        presented_[count_++] = *view;
      } else if (count_ == 0) {
        return;
      }
    }
  }

  [[nodiscard]] bool leaf_readable() const { return count_ > 0; }
  [[nodiscard]] const X509View& leaf() const { return presented_[0]; }

  // `anchors_of` gives the CAs of a name; `judge` is asked about each path whose signatures are
  // good, until it says kNone.
  template <typename AnchorsOf, typename Judge>
  PolicyFault Run(AnchorsOf anchors_of, Judge judge) {
    Visit(0, 0, anchors_of, judge);
    if (found_) {
      return PolicyFault::kNone;
    }
    if (fault_ != PolicyFault::kNone) {
      return fault_;
    }
    if (weak_) {
      return PolicyFault::kMalformed;
    }
    return leaf().self_issued() ? PolicyFault::kSelfSigned : PolicyFault::kUntrusted;
  }

 private:
  enum class Check : std::uint8_t { kUnknown, kGood, kBad };

  template <typename AnchorsOf, typename Judge>
  void Visit(std::size_t index, std::size_t depth, AnchorsOf& anchors_of, Judge& judge) {
    if (found_ || ++steps_ > kStepsMax) {
      return;
    }
    chosen_[depth] = index;
    path_[depth] = &presented_[index];
    used_[index] = true;
    const std::string_view issuer = presented_[index].issuer;
    for (const std::unique_ptr<const Anchor>& anchor : anchors_of(issuer)) {
      path_[depth + 1] = &anchor->view;
      if (!found_ && SignaturesAreGood(depth, anchor->view)) {
        const PolicyFault fault = judge(std::span(path_).first(depth + 2));
        found_ = fault == PolicyFault::kNone;
        fault_ = Graver(fault_, fault);
      }
    }
    for (std::size_t next = 1; next < count_; ++next) {
      if (!used_[next] && presented_[next].subject == issuer) {
        Visit(next, depth + 1, anchors_of, judge);
      }
    }
    used_[index] = false;
  }

  // From the anchor down to the leaf.
  bool SignaturesAreGood(std::size_t depth, const X509View& anchor) {
    if (!SpendOn(presented_[chosen_[depth]], anchor)) {
      return false;
    }
    for (std::size_t i = depth; i > 0; --i) {
      Check& check = checks_[chosen_[i]][chosen_[i - 1]];
      if (check == Check::kUnknown) {
        check = SpendOn(presented_[chosen_[i - 1]], presented_[chosen_[i]]) ? Check::kGood
                                                                            : Check::kBad;
      }
      if (check == Check::kBad) {
        return false;
      }
    }
    return true;
  }

  bool SpendOn(const X509View& certificate, const X509View& issuer) {
    if (++signatures_ > kSignaturesMax) {
      return false;
    }
    const SignatureVerdict verdict = CheckSignature(certificate.algorithm, certificate.signed_part,
                                                    certificate.signature, issuer.public_key);
    weak_ |= verdict == SignatureVerdict::kWeak;
    return verdict == SignatureVerdict::kGood;
  }

  std::array<X509View, kPresentedMax> presented_;
  std::size_t count_ = 0;
  std::array<std::size_t, kPresentedMax> chosen_{};
  std::array<bool, kPresentedMax> used_{};
  std::array<const X509View*, kPresentedMax + 1> path_{};
  std::array<std::array<Check, kPresentedMax>, kPresentedMax> checks_{};  // [issuer][certificate]
  int steps_ = 0;
  int signatures_ = 0;
  bool weak_ = false;
  bool found_ = false;
  PolicyFault fault_ = PolicyFault::kNone;
};

}  // namespace

std::span<const std::unique_ptr<const Anchor>> TrustStore::Impl::AnchorsOf(
    std::string_view subject) const {
  struct BySubject {
    bool operator()(const std::unique_ptr<const Anchor>& anchor, std::string_view name) const {
      return anchor->view.subject < name;
    }
    bool operator()(std::string_view name, const std::unique_ptr<const Anchor>& anchor) const {
      return name < anchor->view.subject;
    }
  };
  const auto [first, last] = std::equal_range(anchors.begin(), anchors.end(), subject, BySubject{});
  return {first, last};
}

absl::Status TrustStore::Impl::AddFile(const NamedText& file, std::int64_t now,
                                       std::vector<std::string>& warnings) {
  PemBlocks blocks = ReadPemOrDer(file.text, "CERTIFICATE");
  std::size_t unreadable = blocks.broken;
  std::size_t usable = 0;
  for (std::string& der : blocks.der) {
    auto anchor = std::make_unique<Anchor>();
    anchor->der = std::move(der);
    const std::optional<X509View> view = ReadX509(anchor->der);
    if (!view.has_value() || !IsStrongKey(view->public_key)) {
      ++unreadable;
      continue;
    }
    anchor->view = *view;
    ++usable;
    const auto name = [&] {
      return absl::StrCat("the CA \"", X509NameText(anchor->view.subject, kTextMax), "\" in ",
                          file.path);
    };
    if (now > anchor->view.not_after) {
      warnings.push_back(absl::StrCat(name(), " expired on ", UtcText(anchor->view.not_after),
                                      "; certificates that it signed are refused"));
    } else if (now < anchor->view.not_before) {
      warnings.push_back(
          absl::StrCat(name(), " is valid only from ", UtcText(anchor->view.not_before)));
    }
    if (anchor->view.version == 3 && !anchor->view.ca) {
      warnings.push_back(absl::StrCat("\"", X509NameText(anchor->view.subject, kTextMax), "\" in ",
                                      file.path,
                                      " is no CA; only a peer that has this very certificate is "
                                      "trusted through it"));
    }
    anchors.push_back(std::move(anchor));
  }
  if (usable == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.path,
        unreadable > 0
            ? " holds no CA certificate that can be used; needed are RSA keys of 2048 to 4096 bits "
              "or ECDSA P-256, P-384 or P-521"
            : " holds no certificate; a CA in PEM form lies between \"-----BEGIN "
              "CERTIFICATE-----\" and \"-----END CERTIFICATE-----\""));
  }
  if (unreadable > 0) {
    warnings.push_back(absl::StrCat(unreadable, " of the ", unreadable + usable,
                                    " CA certificates in ", file.path,
                                    " cannot be used and were left out; needed are RSA keys of "
                                    "2048 to 4096 bits or ECDSA P-256, P-384 or P-521"));
  }
  return absl::OkStatus();
}

void TrustStore::Impl::Sort() {
  std::sort(anchors.begin(), anchors.end(), [](const auto& left, const auto& right) {
    return std::tie(left->view.subject, left->der) < std::tie(right->view.subject, right->der);
  });
  anchors.erase(
      std::unique(anchors.begin(), anchors.end(),
                  [](const auto& left, const auto& right) { return left->der == right->der; }),
      anchors.end());
}

// The lists of our own CAs are checked at start-up: one that cannot be used must not be found out
// by the revoked, and a large one should not be hashed in the middle of the day.
absl::Status TrustStore::Impl::CheckLists() {
  if (crls == nullptr || revocation == Revocation::kOff) {
    return absl::OkStatus();
  }
  for (const std::unique_ptr<const Crl>& list : crls->all()) {
    const auto issuers = AnchorsOf(list->issuer());
    const auto usable = [&](const auto& anchor) {
      return UseOf(*list, anchor->view) == ListUse::kUsable;
    };
    if (issuers.empty() || std::any_of(issuers.begin(), issuers.end(), usable)) {
      continue;
    }
    const bool signed_by_one = std::any_of(issuers.begin(), issuers.end(), [&](const auto& anchor) {
      return IsSignedBy(*list, anchor->view);
    });
    return absl::InvalidArgumentError(absl::StrCat(
        "the revocation list ", list->path(), " cannot be used: ",
        signed_by_one ? "its CA, " : "it is not signed by the CA that it names, ", "\"",
        X509NameText(list->issuer(), kTextMax), "\"",
        signed_by_one
            ? ", may not sign lists: its certificate's key usage lacks cRLSign; ask the CA for a "
              "certificate that has it"
            : "; it is damaged or forged, or of another CA of that name: fetch it again, and if "
              "the CA has a new key, add its new certificate beside the old one"));
  }
  return absl::OkStatus();
}

bool TrustStore::Impl::IsSignedBy(const Crl& list, const X509View& issuer) {
  constexpr std::size_t kCountMax = 4096;  // there are as many as CAs have lists
  if (crl_signatures.size() >= kCountMax) {
    crl_signatures.clear();
  }
  const auto [at, is_new] = crl_signatures.try_emplace(SignedBy(&list, Sha256Of(issuer.public_key)),
                                                       SignatureVerdict::kBad);
  if (is_new) {
    at->second = list.CheckSignedWith(issuer.public_key);
  }
  return at->second == SignatureVerdict::kGood;
}

// `list` has the issuer's name. A CA that has changed its key has lists of both.
TrustStore::Impl::ListUse TrustStore::Impl::UseOf(const Crl& list, const X509View& issuer) {
  if (IsSignedBy(list, issuer)) {
    // RFC 5280 6.3.3 (f)
    return issuer.May(kUsageCrlSign) ? ListUse::kUsable : ListUse::kBroken;
  }
  const bool names_another =
      !list.key_id().empty() && !issuer.key_id.empty() && list.key_id() != issuer.key_id;
  const auto namesakes = AnchorsOf(list.issuer());
  const bool of_another =
      names_another || std::any_of(namesakes.begin(), namesakes.end(), [&](const auto& anchor) {
        return IsSignedBy(list, anchor->view);
      });
  return of_another ? ListUse::kOfAnotherKey : ListUse::kBroken;
}

// By any valid list of the issuer, as in JudgeRevocation().
bool TrustStore::Impl::IsNamedByList(const X509View& certificate, const X509View& issuer) {
  if (crls == nullptr) {
    return false;
  }
  const auto lists = crls->Of(issuer.subject);
  return std::any_of(lists.begin(), lists.end(), [&](const std::unique_ptr<const Crl>& list) {
    return UseOf(*list, issuer) == ListUse::kUsable && list->Names(certificate.serial);
  });
}

// Would the list name the certificate if it were revoked? RFC 5280 6.3.3 (b) (2).
bool TrustStore::Impl::IsFor(const Crl& list, const X509View& certificate, const X509View& issuer) {
  if (!list.IsForKindOf(certificate)) {
    return false;
  }
  if (list.point_name().empty()) {
    return true;
  }
  if (!certificate.distribution_points.empty()) {
    return IsAmongDistributionPoints(list.point_name(), certificate.distribution_points);
  }
  // It does not say which part it belongs to, which does not matter if there is only one.
  const auto lists = crls->Of(list.issuer());
  return std::none_of(lists.begin(), lists.end(), [&](const std::unique_ptr<const Crl>& other) {
    return !other->point_name().empty() && other->point_name() != list.point_name() &&
           other->IsForKindOf(certificate) && UseOf(*other, issuer) == ListUse::kUsable;
  });
}

void TrustStore::Impl::ComplainAbout(const Crl& list, const X509View& issuer) {
  complaint = absl::StrCat(
      "the revocation list ", list.path(), " cannot be used, so certificates that \"",
      X509NameText(issuer.subject, kTextMax), "\" signed are refused: ",
      IsSignedBy(list, issuer)
          ? "that CA may not sign lists, as its certificate's key usage lacks cRLSign"
          : "it is not signed by that CA, so it is damaged or forged, or of another CA of that "
            "name; fetch it again");
}

PolicyFault TrustStore::Impl::JudgeRevocation(const X509View& certificate, const X509View& issuer,
                                              std::int64_t now) {
  const Crl* broken = nullptr;
  if (crls != nullptr) {
    std::vector<std::string_view> replaced;  // scopes of which a newer list was seen
    for (const std::unique_ptr<const Crl>& list : crls->Of(certificate.issuer)) {
      const ListUse use = UseOf(*list, issuer);
      if (use == ListUse::kBroken && broken == nullptr) {
        broken = list.get();
      }
      if (use != ListUse::kUsable ||
          std::find(replaced.begin(), replaced.end(), list->scope()) != replaced.end()) {
        continue;
      }
      // A serial number is its issuer's, whatever part of the certificates the list is for.
      if (list->Names(certificate.serial)) {
        return PolicyFault::kRevoked;
      }
      if (now < list->this_update()) {
        continue;
      }
      // The newest one that counts: later ones no longer name what was only put on hold.
      if (!IsFor(*list, certificate, issuer)) {
        replaced.push_back(list->scope());
      } else if (list->IsFresh(now)) {
        good_until = std::min(good_until, *list->next_update());
        return PolicyFault::kNone;
      } else {
        break;
      }
    }
  }
  // Known only now, because the issuer came with the client. It must not be as if there were no
  // list: the one that there is may name the certificate.
  if (broken != nullptr) {
    ComplainAbout(*broken, issuer);
    return PolicyFault::kNoFreshCrl;
  }
  return revocation == Revocation::kHard ? PolicyFault::kNoFreshCrl : PolicyFault::kNone;
}

// What a list or the response names is revoked; that it is not can be known from either.
PolicyFault TrustStore::Impl::JudgeLeaf(const X509View& leaf, const X509View& issuer,
                                        OcspResponse& stapled, std::int64_t now) {
  const PolicyFault by_lists = JudgeRevocation(leaf, issuer, now);
  if (by_lists == PolicyFault::kRevoked) {
    return by_lists;
  }
  const OcspAnswer answer = stapled.About(
      leaf, issuer, now, [&](const X509View& signer) { return IsNamedByList(signer, issuer); });
  switch (answer.status) {
    case OcspAnswer::Status::kRevoked:
      return PolicyFault::kRevoked;
    case OcspAnswer::Status::kGood:
      if (by_lists != PolicyFault::kNone) {
        good_until = std::min(good_until, answer.fresh_until);
      }
      return PolicyFault::kNone;
    case OcspAnswer::Status::kNone:
      break;
  }
  if (by_lists != PolicyFault::kNone && complaint.empty()) {
    complaint =
        absl::StrCat("the OCSP response that was stapled to the certificate \"",
                     X509NameText(leaf.subject, kTextMax), "\" of \"",
                     X509NameText(leaf.issuer, kTextMax), "\" does not count: ", answer.reason);
  }
  return by_lists;
}

PolicyFault TrustStore::Impl::JudgeRevocations(std::span<const X509View* const> path,
                                               OcspResponse* stapled, std::int64_t now) {
  PolicyFault fault = PolicyFault::kNone;
  if (revocation != Revocation::kOff) {
    for (std::size_t i = path.size() - 1; i-- > 0;) {
      const bool by_response = i == 0 && stapled != nullptr;
      fault = Graver(fault, by_response ? JudgeLeaf(*path[i], *path[i + 1], *stapled, now)
                                        : JudgeRevocation(*path[i], *path[i + 1], now));
    }
  }
  return fault;
}

// After everything of our own. `opinions`: how often it was asked about this client.
PolicyFault TrustStore::Impl::AskLibrary(std::span<const X509View* const> path, int opinions) {
  const std::string reason =
      opinions > kLibraryOpinionsMax ? "too many paths to its CA" : WhyLibraryRefuses(path);
  if (reason.empty()) {
    return PolicyFault::kNone;
  }
  complaint = absl::StrCat("wolfSSL refuses the certificate \"",
                           X509NameText(path.front()->subject, kTextMax), "\" of \"",
                           X509NameText(path.front()->issuer, kTextMax),
                           "\", which ringpost's own check accepts: ", reason);
  return PolicyFault::kRefusedByLibrary;
}

TrustStore::TrustStore() : impl_(std::make_unique<Impl>()) {}
TrustStore::~TrustStore() = default;

absl::StatusOr<std::unique_ptr<TrustStore>> TrustStore::Load(const TrustOptions& options,
                                                             std::int64_t now) {
  if (!TlsLibraryStart()) {
    return absl::InternalError("wolfSSL could not be started; its self-test failed");
  }
  std::unique_ptr<TrustStore> store(new TrustStore);
  store->impl_->crls = options.crls;
  store->impl_->revocation = options.revocation;
  if (options.ca_files.empty()) {
    return absl::InvalidArgumentError(
        "the folder of CAs has no file with a CA certificate; give a PEM file, or a folder of "
        "them");
  }
  const bool folder = options.ca_files.size() > 1;
  for (const NamedText& file : options.ca_files) {
    if (std::string why = folder ? WhyLeftOut(file, TrustFileKind::kCertificates) : std::string();
        !why.empty()) {
      store->warnings_.push_back(std::move(why));
      continue;
    }
    if (absl::Status status = store->impl_->AddFile(file, now, store->warnings_); !status.ok()) {
      return status;
    }
  }
  if (store->impl_->anchors.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the folder of CAs has no file with a CA certificate: ", store->warnings_.front()));
  }
  store->impl_->Sort();
  if (absl::Status status = store->impl_->CheckLists(); !status.ok()) {
    return status;
  }
  return store;
}

const std::string& TrustStore::complaint() const { return impl_->complaint; }
std::int64_t TrustStore::good_until() const { return impl_->good_until; }
Revocation TrustStore::revocation() const { return impl_->revocation; }

PolicyFault TrustStore::Verify(const PeerCertificate& certificate, std::int64_t now) {
  Impl& impl = *impl_;
  impl.complaint.clear();
  if (certificate.chain.empty()) {
    return PolicyFault::kNoCertificate;
  }
  PathSearch search(certificate);
  if (!search.leaf_readable()) {
    return PolicyFault::kMalformed;
  }
  const X509View& leaf = search.leaf();
  // A client whose very certificate is among the CAs is trusted by name, so to speak: nobody has to
  // have signed it, and nobody revokes it but the administrator.
  for (const std::unique_ptr<const Anchor>& anchor : impl.AnchorsOf(leaf.subject)) {
    if (anchor->der == certificate.chain.front()) {
      impl.good_until = leaf.not_after + 1;
      return JudgeAlone(leaf, now);
    }
  }
  std::optional<OcspResponse> stapled;
  if (!certificate.stapled_response.empty() && impl.revocation != Revocation::kOff) {
    stapled.emplace(certificate.stapled_response);
  }
  OcspResponse* const response = stapled.has_value() ? &*stapled : nullptr;
  int opinions = 0;
  const PolicyFault verdict =
      search.Run([&impl](std::string_view name) { return impl.AnchorsOf(name); },
                 [&impl, &opinions, response, now](std::span<const X509View* const> path) {
                   impl.good_until = EarliestEnd(path) + 1;  // both ends belong to the period
                   PolicyFault fault = JudgePath(path, now);
                   if (fault == PolicyFault::kNone) {
                     fault = impl.JudgeRevocations(path, response, now);
                   }
                   return fault == PolicyFault::kNone ? impl.AskLibrary(path, ++opinions) : fault;
                 });
  if (verdict == PolicyFault::kNone) {
    impl.complaint.clear();  // of another path
  }
  return verdict;
}

}  // namespace ringpost
