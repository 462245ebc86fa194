// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/x509/chain_warnings.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "ringpost/x509/signature.h"
#include "ringpost/x509/x509.h"

namespace ringpost {
namespace {

constexpr std::size_t kTextMax = 256;  // of a name in a sentence

class Chain {
 public:
  Chain(const std::vector<std::string>& chain, const std::string& path)
      : octets_(chain), path_(path) {
    for (const std::string& der : chain) {
      views_.push_back(ReadX509(der));
      all_readable_ = all_readable_ && views_.back().has_value();
    }
  }

  std::vector<std::string> Judge(std::int64_t now) && {
    if (views_.front().has_value()) {
      JudgeLeaf(*views_.front());
      FollowIssuers();
      JudgeDuplicates();
      JudgeStrangers();
      JudgeOrder();
      JudgeEnd();
      JudgeAuthorities(now);
    }
    return std::move(warnings_);
  }

 private:
  // "certificate number 2 in fullchain.pem ("CN=R3, O=Example")"
  [[nodiscard]] std::string Named(std::size_t index) const {
    return absl::StrCat(
        "certificate number ", index + 1, " in ", path_,
        views_[index].has_value()
            ? absl::StrCat(" (\"", X509NameText(views_[index]->subject, kTextMax), "\")")
            : "");
  }

  void Warn(std::string sentence) { warnings_.push_back(std::move(sentence)); }

  // For the first time at another place, 0 for the first certificate.
  [[nodiscard]] std::size_t FirstLike(std::size_t index) const {
    return static_cast<std::size_t>(std::find(octets_.begin(), octets_.end(), octets_[index]) -
                                    octets_.begin());
  }

  // A signature that cannot be checked here may be good.
  [[nodiscard]] bool HasSigned(std::size_t issuer, std::size_t certificate) const {
    const std::optional<X509View>& above = views_[issuer];
    const std::optional<X509View>& below = views_[certificate];
    return above.has_value() && below.has_value() && above->subject == below->issuer &&
           CheckSignature(below->algorithm, below->signed_part, below->signature,
                          above->public_key) != SignatureVerdict::kBad;
  }

  void FollowIssuers() {
    path_of_leaf_ = {0};
    while (!views_[path_of_leaf_.back()]->self_issued()) {
      std::size_t next = 1;
      while (next < octets_.size() && (std::find(path_of_leaf_.begin(), path_of_leaf_.end(),
                                                 FirstLike(next)) != path_of_leaf_.end() ||
                                       !HasSigned(next, path_of_leaf_.back()))) {
        ++next;
      }
      if (next == octets_.size()) {
        return;
      }
      path_of_leaf_.push_back(next);
    }
  }

  void JudgeLeaf(const X509View& leaf) {
    if (leaf.has_purposes && !leaf.server_auth && !leaf.any_purpose) {
      Warn(absl::StrCat("the certificate ", path_,
                        " is not for servers (its extended key usage lacks serverAuth); clients "
                        "that verify refuse it"));
    }
    if (leaf.alternative_names.empty()) {
      Warn(absl::StrCat("the certificate ", path_,
                        " has no subject alternative name; many clients look for the server's name "
                        "nowhere else (RFC 9525), and refuse it"));
    }
  }

  void JudgeDuplicates() {
    for (std::size_t i = 1; i < octets_.size(); ++i) {
      if (const std::size_t first = FirstLike(i); first != i) {
        Warn(absl::StrCat(Named(i), " is the same as number ", first + 1, "; leave it out"));
      }
    }
  }

  void JudgeStrangers() {
    for (std::size_t i = 1; i < octets_.size(); ++i) {
      bool belongs = !views_[i].has_value() || FirstLike(i) != i;
      for (std::size_t below = 0; !belongs && below < octets_.size(); ++below) {
        belongs = below != i && HasSigned(i, below);
      }
      if (!belongs) {
        Warn(absl::StrCat(Named(i), " has signed none of the others; leave it out"));
      }
    }
  }

  // RFC 5246 7.4.2: each certifies the one before. TLS 1.3 is more patient.
  void JudgeOrder() {
    if (!std::is_sorted(path_of_leaf_.begin(), path_of_leaf_.end())) {
      Warn(absl::StrCat("the certificates in ", path_,
                        " are not in order, which some clients refuse: the server's comes first, "
                        "then the one that signed it, and so on"));
    }
  }

  void JudgeEnd() {
    const X509View& last = *views_[path_of_leaf_.back()];
    if (path_of_leaf_.size() > 1 || last.self_issued() || !all_readable_) {
      return;  // what signed the last of several is a root, as far as can be told
    }
    Warn(absl::StrCat(
        path_, " holds the server's certificate without the one of its issuer, \"",
        X509NameText(last.issuer, kTextMax),
        "\"; clients that do not have that one cannot verify it: append it (public CAs give a file "
        "that has both, such as fullchain.pem)"));
  }

  void JudgeAuthorities(std::int64_t now) {
    for (std::size_t i = 1; i < path_of_leaf_.size(); ++i) {
      const std::size_t index = path_of_leaf_[i];
      const X509View& ca = *views_[index];
      if (now > ca.not_after) {
        Warn(
            absl::StrCat(Named(index), " expired on ",
                         absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(ca.not_after),
                                          absl::UTCTimeZone()),
                         "; fetch the CA's new one"));
      }
      if (ca.version == 3 && (!ca.ca || !ca.May(kUsageCertificateSign))) {
        Warn(absl::StrCat(Named(index),
                          " may not sign certificates, and clients that verify "
                          "refuse what it has signed"));
      }
    }
  }

  const std::vector<std::string>& octets_;
  const std::string& path_;
  std::vector<std::optional<X509View>> views_;
  bool all_readable_ = true;
  std::vector<std::size_t> path_of_leaf_;  // indexes, the leaf first
  std::vector<std::string> warnings_;
};

}  // namespace

std::vector<std::string> ChainWarnings(const std::vector<std::string>& chain,
                                       const std::string& path, std::int64_t now) {
  return Chain(chain, path).Judge(now);
}

}  // namespace ringpost
