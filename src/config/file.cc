// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/file.h"

#include <toml++/toml.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ringpost {
namespace {

constexpr std::uintmax_t kFileBytesMax = 1 << 20;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// What the vocabulary has but this version does not do. Refused with that reason, rather than as an
// unknown word, and never skipped: a policy that is not enforced must not look as if it were.
constexpr std::array<std::string_view, 3> kLaterTables = {"egress", "partner", "admin"};

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

  void CheckKeys(const toml::table& table, std::string_view where, const Keys& known) {
    for (const auto& [key, node] : table) {
      bool found = false;
      for (const std::string_view candidate : known) found = found || key.str() == candidate;
      if (!found) {
        Fail(key.source(), absl::StrCat("unknown key \"", View(key.str()), "\" in ", View(where),
                                        Suggestion(key.str(), known)));
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
    CheckKeys(table, "[[upstream]]", {"name", "addresses", "identity"});
    UpstreamSettings upstream;
    upstream.name = ReadRequired(table, "[[upstream]]", "name", "postfix");
    for (Given& address : ReadStrings(table, "addresses", "127.0.0.1:10025")) {
      constexpr std::string_view kUnix = "unix:";
      if (address.text.starts_with(kUnix) && address.text.size() > kUnix.size()) {
        address.text.erase(0, kUnix.size());
        address = Path(std::move(address));
        address.text.insert(0, kUnix);
      }
      upstream.addresses.push_back(std::move(address));
    }
    upstream.identity = ReadOptional(table, "identity", "proxy-v2");
    settings_.upstreams.push_back(std::move(upstream));
  }

  void ReadIngress(const toml::table& table) {
    CheckKeys(table, "[[ingress]]",
              {"name", "listen", "listen_tls", "implicit_tls", "upstream", "tls", "certificates"});
    IngressSettings ingress;
    ingress.name = ReadRequired(table, "[[ingress]]", "name", "mx");
    ingress.listen = ReadStrings(table, "listen", "0.0.0.0:25");
    ingress.listen_tls = ReadStrings(table, "listen_tls", "0.0.0.0:465");
    if (const toml::node* const node = table.get("implicit_tls"); node != nullptr) {
      const std::optional<bool> implicit = node->value_exact<bool>();
      if (!implicit.has_value()) {
        Fail(node->source(), "implicit_tls must be true or false, without quotes");
      } else if (*implicit) {
        for (Given& text : ingress.listen) ingress.listen_tls.push_back(std::move(text));
        ingress.listen.clear();
      }
    }
    ingress.upstream = ReadRequired(table, "[[ingress]]", "upstream", "postfix");
    ingress.tls = ReadOptional(table, "tls", "may");
    if (ingress.tls.has_value() && ingress.tls->text == "verify") {
      Fail(table.get("tls")->source(), "tls = \"verify\" is not supported in this version");
    }
    ingress.certificates = ReadCertificates(table);
    settings_.ingress.push_back(std::move(ingress));
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
    for (const toml::node& element : *list) {
      const toml::table* const table = element.as_table();
      if (table == nullptr) {
        Fail(element.source(), absl::StrCat("write [[", View(key), "]], in double brackets"));
        return;
      }
      (this->*method)(*table);
    }
  }

  void ReadTuning(const toml::table& root) {
    for (const Tuning& tuning : AllTuning()) {
      const toml::node* const node = root.get(tuning.name);
      if (node == nullptr) continue;
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
        case TuningType::kCount:
          if (const auto value = node->value_exact<std::int64_t>(); value.has_value()) {
            given = MakeGiven(*node, tuning.name, absl::StrCat(*value));
          } else {
            Fail(node->source(),
                 absl::StrCat(View(tuning.name), " must be a whole number, without quotes"));
          }
          break;
      }
      if (given.has_value()) settings_.tuning.emplace(tuning.name, *std::move(given));
    }
  }

  void ReadRoot(const toml::table& root) {
    for (const std::string_view later : kLaterTables) {
      if (const toml::node* const node = root.get(later); node != nullptr) {
        Fail(node->source(),
             absl::StrCat("\"", View(later), "\" is not supported in this version"));
      }
    }
    Keys known = {"tls", "upstream", "ingress"};
    for (const Tuning& tuning : AllTuning()) known.push_back(tuning.name);
    CheckKeys(root, "the file", known);
    ReadTuning(root);

    if (const toml::node* const node = root.get("tls"); node != nullptr) {
      const toml::table* const table = node->as_table();
      if (table == nullptr) {
        Fail(node->source(), "write [tls] as a table of its own, with certificates in it");
      } else {
        if (const toml::node* const client_ca = table->get("client_ca"); client_ca != nullptr) {
          Fail(client_ca->source(), "client_ca is not supported in this version");
        }
        CheckKeys(*table, "[tls]", {"certificates"});
        settings_.certificates = ReadCertificates(*table);
      }
    }
    ReadTables(root, "upstream", &FileReader::ReadUpstream);
    ReadTables(root, "ingress", &FileReader::ReadIngress);
  }

  std::string path_;
  std::filesystem::path folder_;
  absl::Status status_;
  Settings settings_;
};

}  // namespace

absl::StatusOr<Settings> ParseConfigText(std::string_view text, const std::string& path) {
  // The one place with exceptions: the library throws on the first syntax error.
  try {
    const toml::table root = toml::parse(text, path);
    return FileReader(path).Read(root);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ":", error.source().begin.line, ":",
                                                   error.source().begin.column, ": ",
                                                   View(error.description())));
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
        absl::StrCat("the configuration file ", path, " is larger than 1 MiB"));
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
