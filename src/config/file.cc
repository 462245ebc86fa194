// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "readers.h"
#include "toml_hint.h"

namespace ringpost {
namespace {

constexpr std::uintmax_t kFileBytesMax = 16 << 20;  // ten thousand partners take two

// What the vocabulary has but this version does not do. Refused with that reason, rather than as an
// unknown word, and never skipped: a policy that is not enforced must not look as if it were.
constexpr std::array<std::string_view, 1> kLaterTables = {"admin"};

// Reads one file. The first error wins; after it the readers return empty values.
class FileReader {
 public:
  explicit FileReader(const std::string& path)
      : path_(path), folder_(std::filesystem::path(path).parent_path()) {}

  absl::StatusOr<Settings> Read(const toml::table& root) {
    ReadRoot(root);
    if (!status_.ok()) return status_;
    return std::move(settings_);
  }

 private:
  using Keys = std::vector<std::string_view>;

  [[nodiscard]] std::string Where(const toml::source_region& source) const {
    return absl::StrCat(path_, ":", source.begin.line, ":", source.begin.column);
  }

  void Fail(const toml::source_region& source, std::string_view sentence) {
    status_.Update(absl::InvalidArgumentError(absl::StrCat(Where(source), ": ", View(sentence))));
  }

  // Where a key belongs that is no unknown word, but stands in the wrong place; empty: nowhere, or
  // nobody can tell.
  static std::string PlaceOf(std::string_view key, const Keys& known) {
    const auto is_known = [&known](std::string_view name) {
      return std::find(known.begin(), known.end(), name) != known.end();
    };
    if ((key == "cert" || key == "key") && is_known("certificates")) {
      return "; write certificates = [{ cert = \"fullchain.pem\", key = \"privkey.pem\" }]";
    }
    // A line below a [table] is a part of it, whatever stands between them.
    const std::span<const Tuning> tunings = AllTuning();
    if (key == "own_domains" || key == "resolver" ||
        std::any_of(tunings.begin(), tunings.end(),
                    [key](const Tuning& tuning) { return tuning.name == key; })) {
      return "; it is for the whole file: move it to the top, above the first [table]";
    }
    struct Place {
      std::string_view key;
      std::string_view table;
    };
    constexpr std::array<Place, 22> kPlaces = {
        {{"certificates", "[tls] or [[ingress]]"},
         {"client_ca", "[tls], [[ingress]] or [[partner]]"},
         {"crl", "[tls], [[ingress]] or [[partner]]"},
         {"revocation", "[tls], [[ingress]] or [[partner]]"},
         {"addresses", "[[upstream]]"},
         {"identity", "[[upstream]]"},
         {"proxy_tlvs", "[[upstream]]"},
         {"listen", "[[ingress]] or [[egress]]"},
         {"listen_tls", "[[ingress]]"},
         {"implicit_tls", "[[ingress]] or [[egress]]"},
         {"match", "[[egress]]"},
         {"ca", "[[egress]]; for clients' certificates write client_ca"},
         {"client_cert", "[[egress]]"},
         {"client_key", "[[egress]]"},
         {"hard_bounce", "[[egress]]"},
         {"auth", "[[ingress]]"},
         {"partners", "[[ingress]]"},
         {"sender_domains", "[[partner]]"},
         {"networks", "[[partner]]"},
         {"restrict_to_networks", "[[partner]]"},
         {"restrict_to_certificate", "[[partner]]"},
         {"certificate_names", "[[ingress]] or [[partner]]"}}};
    for (const Place& place : kPlaces) {
      if (place.key == key) return absl::StrCat("; it belongs into ", View(place.table));
    }
    return {};
  }

  void CheckKeys(const toml::table& table, std::string_view where, const Keys& known) {
    for (const auto& [key, node] : table) {
      bool found = false;
      for (const std::string_view candidate : known) found = found || key.str() == candidate;
      if (!found) {
        const std::string place = PlaceOf(key.str(), known);
        Fail(key.source(), absl::StrCat("unknown key \"", View(key.str()), "\" in ", View(where),
                                        place.empty() ? Suggestion(key.str(), known) : place));
      }
    }
  }

  Given MakeGiven(const toml::node& node, std::string_view key, std::string text) {
    return {std::move(text), absl::StrCat(Where(node.source()), ": ", View(key))};
  }

  std::optional<Given> ReadString(const toml::node& node, std::string_view key,
                                  std::string_view example) {
    const std::optional<std::string> text = node.value_exact<std::string>();
    if (!text.has_value()) {
      Fail(node.source(),
           absl::StrCat(View(key), " must be a string in quotes, such as \"", View(example), "\""));
      return std::nullopt;
    }
    return MakeGiven(node, key, *text);
  }

  std::optional<Given> ReadOptional(const toml::table& table, std::string_view key,
                                    std::string_view example) {
    const toml::node* const node = table.get(key);
    return node == nullptr ? std::nullopt : ReadString(*node, key, example);
  }

  Given ReadRequired(const toml::table& table, std::string_view where, std::string_view key,
                     std::string_view example) {
    const toml::node* const node = table.get(key);
    if (node == nullptr) {
      Fail(table.source(), absl::StrCat(View(where), " has no ", View(key), "; add ", View(key),
                                        " = \"", View(example), "\""));
      return {};
    }
    return ReadString(*node, key, example).value_or(Given{});
  }

  std::vector<Given> ReadStrings(const toml::table& table, std::string_view key,
                                 std::string_view example) {
    std::vector<Given> texts;
    const toml::node* const node = table.get(key);
    if (node == nullptr) return texts;
    const toml::array* const list = node->as_array();
    if (list == nullptr) {
      Fail(node->source(), absl::StrCat(View(key), " must be a list of strings, such as [\"",
                                        View(example), "\"]"));
      return texts;
    }
    for (const toml::node& element : *list) {
      if (std::optional<Given> text = ReadString(element, key, example)) {
        texts.push_back(*std::move(text));
      }
    }
    return texts;
  }

  // Relative paths are relative to the file, wherever the process was started.
  Given Path(Given given) const {
    if (!given.text.empty()) given.text = (folder_ / given.text).lexically_normal().string();
    return given;
  }

  // Behind "unix:".
  Given EndpointPath(Given given) const {
    constexpr std::string_view kUnix = "unix:";
    if (given.text.starts_with(kUnix) && given.text.size() > kUnix.size()) {
      given.text.erase(0, kUnix.size());
      given = Path(std::move(given));
      given.text.insert(0, kUnix);
    }
    return given;
  }

  // An empty path stays empty: it says "none".
  std::optional<Given> ReadPath(const toml::table& table, std::string_view key,
                                std::string_view example) {
    std::optional<Given> given = ReadOptional(table, key, example);
    if (given.has_value()) given = Path(*std::move(given));
    return given;
  }

  std::optional<Given> ReadBoolean(const toml::table& table, std::string_view key) {
    const toml::node* const node = table.get(key);
    if (node == nullptr) return std::nullopt;
    const std::optional<bool> value = node->value_exact<bool>();
    if (!value.has_value()) {
      Fail(node->source(), absl::StrCat(View(key), " must be true or false, without quotes"));
      return std::nullopt;
    }
    return MakeGiven(*node, key, *value ? "true" : "false");
  }

  std::vector<CertificateSettings> ReadCertificates(const toml::table& table) {
    constexpr std::string_view kExample =
        "certificates must be a list of pairs: [{ cert = \"fullchain.pem\", key = "
        "\"privkey.pem\" }]";
    std::vector<CertificateSettings> pairs;
    const toml::node* const node = table.get("certificates");
    if (node == nullptr) return pairs;
    const toml::array* const list = node->as_array();
    if (list == nullptr) {
      Fail(node->source(), kExample);
      return pairs;
    }
    for (const toml::node& element : *list) {
      const toml::table* const pair = element.as_table();
      if (pair == nullptr) {
        Fail(element.source(), kExample);
        continue;
      }
      CheckKeys(*pair, "certificates", {"cert", "key"});
      pairs.push_back({Path(ReadRequired(*pair, "the certificate", "cert", "fullchain.pem")),
                       Path(ReadRequired(*pair, "the certificate", "key", "privkey.pem"))});
    }
    return pairs;
  }

  void ReadUpstream(const toml::table& table) {
    CheckKeys(table, "[[upstream]]", {"name", "addresses", "identity", "proxy_tlvs"});
    UpstreamSettings upstream;
    upstream.name = ReadRequired(table, "[[upstream]]", "name", "postfix");
    for (Given& address : ReadStrings(table, "addresses", "127.0.0.1:10025")) {
      upstream.addresses.push_back(EndpointPath(std::move(address)));
    }
    upstream.identity = ReadOptional(table, "identity", "proxy-v2");
    upstream.proxy_tlvs = ReadOptional(table, "proxy_tlvs", "all");
    settings_.upstreams.push_back(std::move(upstream));
  }

  static constexpr std::array<std::string_view, 3> kTrustKeys = {"client_ca", "crl", "revocation"};
  static constexpr std::array<std::string_view, 4> kRuleKeys = {
      "certificate_names", "fingerprints", "accept_common_name", "accept_server_auth_purpose"};

  TrustSettings ReadTrust(const toml::table& table) {
    return {ReadPath(table, "client_ca", "partner-ca.pem"), ReadPath(table, "crl", "partner.crl"),
            ReadOptional(table, "revocation", "soft")};
  }

  CertificateRuleSettings ReadRule(const toml::table& table) {
    return {ReadTrust(table), ReadStrings(table, "certificate_names", "mail.contoso.example"),
            ReadStrings(table, "fingerprints", "AB:CD:..."),
            ReadBoolean(table, "accept_common_name"),
            ReadBoolean(table, "accept_server_auth_purpose")};
  }

  void ReadIngress(const toml::table& table) {
    Keys known = {"name", "listen",       "listen_tls", "implicit_tls",      "upstream", "tls",
                  "auth", "certificates", "mode",       "certificate_reply", "partners"};
    known.insert(known.end(), kTrustKeys.begin(), kTrustKeys.end());
    known.insert(known.end(), kRuleKeys.begin(), kRuleKeys.end());
    for (const Tuning& limit : kRouteLimits) known.push_back(limit.name);
    CheckKeys(table, "[[ingress]]", known);
    IngressSettings ingress;
    ingress.name = ReadRequired(table, "[[ingress]]", "name", "mx");
    ingress.listen = ReadStrings(table, "listen", "0.0.0.0:25");
    ingress.listen_tls = ReadStrings(table, "listen_tls", "0.0.0.0:465");
    if (const std::optional<Given> implicit = ReadBoolean(table, "implicit_tls");
        implicit.has_value() && implicit->text == "true") {
      for (Given& text : ingress.listen) ingress.listen_tls.push_back(std::move(text));
      ingress.listen.clear();
    }
    ingress.upstream = ReadRequired(table, "[[ingress]]", "upstream", "postfix");
    ingress.tls = ReadOptional(table, "tls", "may");
    ingress.auth = ReadOptional(table, "auth", "tls");
    ingress.certificates = ReadCertificates(table);
    ingress.rule = ReadRule(table);
    ingress.mode = ReadOptional(table, "mode", "enforce");
    ingress.certificate_reply =
        ReadOptional(table, "certificate_reply", "550 5.7.0 Client certificate required: {reason}");
    ingress.partners = ReadBoolean(table, "partners");
    for (const Tuning& limit : kRouteLimits) ReadTuning(table, limit, &ingress.limits);
    settings_.ingress.push_back(std::move(ingress));
  }

  void ReadEgress(const toml::table& table) {
    Keys known = {"name",         "listen",      "upstream",    "tls",
                  "match",        "ca",          "crl",         "revocation",
                  "fingerprints", "client_cert", "client_key",  "implicit_tls",
                  "hostname",     "mode",        "hard_bounce", "allow_networks"};
    for (const Tuning& limit : kRouteLimits) known.push_back(limit.name);
    CheckKeys(table, "[[egress]]", known);
    EgressSettings egress;
    egress.name = ReadRequired(table, "[[egress]]", "name", "partner");
    for (Given& address : ReadStrings(table, "listen", "127.0.0.1:10026")) {
      egress.listen.push_back(EndpointPath(std::move(address)));
    }
    for (Given& address : ReadStrings(table, "upstream", "mx.partner.example:25")) {
      egress.upstream.push_back(EndpointPath(std::move(address)));
    }
    egress.tls = ReadOptional(table, "tls", "verify");
    egress.match = ReadStrings(table, "match", "mx.partner.example");
    egress.trust = {ReadPath(table, "ca", "/etc/ssl/certs/ca-certificates.crt"),
                    ReadPath(table, "crl", "partner.crl"),
                    ReadOptional(table, "revocation", "soft")};
    egress.fingerprints = ReadStrings(table, "fingerprints", "AB:CD:...");
    egress.client_cert = ReadPath(table, "client_cert", "fullchain.pem");
    egress.client_key = ReadPath(table, "client_key", "privkey.pem");
    egress.implicit_tls = ReadBoolean(table, "implicit_tls");
    egress.hostname = ReadOptional(table, "hostname", "mail.example.com");
    egress.mode = ReadOptional(table, "mode", "enforce");
    egress.hard_bounce = ReadBoolean(table, "hard_bounce");
    egress.allow_networks = ReadBoolean(table, "allow_networks");
    for (const Tuning& limit : kRouteLimits) ReadTuning(table, limit, &egress.limits);
    settings_.egress.push_back(std::move(egress));
  }

  void ReadPartner(const toml::table& table) {
    if (partner_keys_.empty()) {
      partner_keys_ = {"name",
                       "sender_domains",
                       "networks",
                       "tls",
                       "mode",
                       "tls_reply",
                       "network_reply",
                       "certificate_reply",
                       "restrict_to_networks",
                       "restrict_to_certificate"};
      partner_keys_.insert(partner_keys_.end(), kTrustKeys.begin(), kTrustKeys.end());
      partner_keys_.insert(partner_keys_.end(), kRuleKeys.begin(), kRuleKeys.end());
    }
    CheckKeys(table, "[[partner]]", partner_keys_);
    PartnerSettings partner;
    partner.name = ReadRequired(table, "[[partner]]", "name", "contoso");
    partner.sender_domains = ReadStrings(table, "sender_domains", "contoso.example");
    partner.networks = ReadStrings(table, "networks", "203.0.113.0/24");
    partner.tls = ReadRequired(table, "[[partner]]", "tls", "encrypt");
    partner.rule = ReadRule(table);
    partner.restrict_to_networks = ReadBoolean(table, "restrict_to_networks");
    partner.restrict_to_certificate = ReadBoolean(table, "restrict_to_certificate");
    partner.mode = ReadOptional(table, "mode", "enforce");
    partner.tls_reply =
        ReadOptional(table, "tls_reply", "530 5.7.0 Must issue a STARTTLS command first");
    partner.certificate_reply =
        ReadOptional(table, "certificate_reply", "550 5.7.0 Client certificate required: {reason}");
    partner.network_reply =
        ReadOptional(table, "network_reply", "550 5.7.0 Not accepted from your network");
    settings_.partners.push_back(std::move(partner));
  }

  template <typename Method>
  void ReadTables(const toml::table& root, std::string_view key, Method method) {
    const toml::node* const node = root.get(key);
    if (node == nullptr) return;
    const toml::array* const list = node->as_array();
    if (list == nullptr) {
      Fail(node->source(), absl::StrCat("write [[", View(key), "]], in double brackets"));
      return;
    }
    if (key == "partner") settings_.partners.reserve(list->size());
    for (const toml::node& element : *list) {
      const toml::table* const table = element.as_table();
      if (table == nullptr) {
        Fail(element.source(), absl::StrCat("write [[", View(key), "]], in double brackets"));
        return;
      }
      (this->*method)(*table);
    }
  }

  void ReadTuning(const toml::table& table, const Tuning& tuning,
                  std::map<std::string, Given, std::less<>>* out) {
    const toml::node* const node = table.get(tuning.name);
    if (node == nullptr) return;
    std::optional<Given> given;
    switch (tuning.type) {
      case TuningType::kText:
        given = ReadString(*node, tuning.name, "...");
        break;
      case TuningType::kDuration:
        given = ReadString(*node, tuning.name, "300s");
        break;
      case TuningType::kPath:
        given = ReadString(*node, tuning.name, "/path/to/file");
        if (given.has_value()) given = Path(*std::move(given));
        break;
      case TuningType::kEndpoint:
        given = ReadString(*node, tuning.name, "127.0.0.1:10040");
        if (given.has_value()) given = EndpointPath(*std::move(given));
        break;
      case TuningType::kCount:
        if (const auto value = node->value_exact<std::int64_t>(); value.has_value()) {
          given = MakeGiven(*node, tuning.name, absl::StrCat(*value));
        } else {
          Fail(node->source(),
               absl::StrCat(View(tuning.name), " must be a whole number, without quotes"));
        }
        break;
    }
    if (given.has_value()) out->emplace(tuning.name, *std::move(given));
  }

  void ReadRoot(const toml::table& root) {
    for (const std::string_view later : kLaterTables) {
      if (const toml::node* const node = root.get(later); node != nullptr) {
        Fail(node->source(),
             absl::StrCat("\"", View(later), "\" is not supported in this version"));
      }
    }
    Keys known = {"tls", "upstream", "ingress", "egress", "partner", "own_domains", "resolver"};
    for (const Tuning& tuning : AllTuning()) known.push_back(tuning.name);
    CheckKeys(root, "the file", known);
    for (const Tuning& tuning : AllTuning()) ReadTuning(root, tuning, &settings_.tuning);
    settings_.own_domains = ReadStrings(root, "own_domains", "example.com");
    settings_.resolver = ReadStrings(root, "resolver", "127.0.0.1");

    if (const toml::node* const node = root.get("tls"); node != nullptr) {
      const toml::table* const table = node->as_table();
      if (table == nullptr) {
        Fail(node->source(), "write [tls] as a table of its own, with certificates in it");
      } else {
        CheckKeys(*table, "[tls]", {"certificates", "client_ca", "crl", "revocation"});
        settings_.trust = ReadTrust(*table);
        settings_.certificates = ReadCertificates(*table);
      }
    }
    ReadTables(root, "upstream", &FileReader::ReadUpstream);
    ReadTables(root, "ingress", &FileReader::ReadIngress);
    ReadTables(root, "egress", &FileReader::ReadEgress);
    ReadTables(root, "partner", &FileReader::ReadPartner);
  }

  std::string path_;
  std::filesystem::path folder_;
  Keys partner_keys_;
  absl::Status status_;
  Settings settings_;
};

}  // namespace

absl::StatusOr<Settings> ParseConfigText(std::string_view text, const std::string& path) {
  // The one place with exceptions: the library throws on the first syntax error.
  try {
    const toml::table root = toml::parse(text, path);
    absl::StatusOr<Settings> settings = FileReader(path).Read(root);
    if (!settings.ok()) return OnOneLine(settings.status());
    return settings;
  } catch (const toml::parse_error& error) {
    return OnOneLine(absl::InvalidArgumentError(
        absl::StrCat(path, ":", error.source().begin.line, ":", error.source().begin.column, ": ",
                     View(error.description()), TomlHint(text, error.source().begin.line))));
  }
}

absl::StatusOr<Settings> ReadConfigFile(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  const std::uintmax_t size = error ? 0 : std::filesystem::file_size(absolute, error);
  if (error) {
    return absl::NotFoundError(
        absl::StrCat("the configuration file ", path, " cannot be read: ", error.message()));
  }
  if (size > kFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the configuration file ", path, " is larger than 16 MiB"));
  }
  std::ifstream stream(absolute, std::ios::binary);
  std::ostringstream text;
  if (!stream || (size > 0 && !(text << stream.rdbuf()))) {
    return absl::NotFoundError(
        absl::StrCat("the configuration file ", path, " cannot be read: ", std::strerror(errno)));
  }
  return ParseConfigText(text.str(), absolute.string());
}

}  // namespace ringpost
