// SPDX-License-Identifier: GPL-3.0-or-later
//
// The examples of the documentation work as pasted: each block of docs/*.md that is marked as
// complete is a file that resolves, in a folder that has the files it names.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "fixture.h"
#include "ringpost/config/file.h"
#include "ringpost/config/settings.h"

namespace ringpost {
namespace {

std::string ReadDocument(const std::string& name) {
  std::ifstream stream(absl::StrCat(RINGPOST_DOCS, "/", name), std::ios::binary);
  EXPECT_TRUE(stream) << name;
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<std::string> CompleteExamples(const std::string& document) {
  constexpr std::string_view kBegin = "<!-- complete -->\n```toml\n";
  constexpr std::string_view kEnd = "\n```\n";
  std::vector<std::string> examples;
  for (std::size_t at = document.find(kBegin); at != std::string::npos;
       at = document.find(kBegin, at)) {
    at += kBegin.size();
    const std::size_t end = document.find(kEnd, at);
    if (end == std::string::npos) break;
    examples.push_back(document.substr(at, end - at + 1));
    at = end;
  }
  return examples;
}

void MakeFiles(const Folder& folder, const std::string& example) {
  const std::regex path(R"re(\b(?:cert|key|client_ca|ca|crl) = "([^"]+)")re");
  for (std::sregex_iterator match(example.begin(), example.end(), path), end; match != end;
       ++match) {
    const std::string name = (*match)[1];
    folder.Write(name, "not judged by this layer");
    std::filesystem::permissions(folder.Path(name), std::filesystem::perms::owner_read |
                                                        std::filesystem::perms::owner_write);
  }
}

void ExpectWorking(const std::string& name, std::size_t examples_min) {
  const std::vector<std::string> examples = CompleteExamples(ReadDocument(name));
  EXPECT_GE(examples.size(), examples_min) << name << ": the marks are gone";
  for (std::string example : examples) {
    SCOPED_TRACE(example);
    Folder folder;
    // Where Debian's public CAs are; not every machine has them.
    example = absl::StrReplaceAll(example, {{"/etc/ssl/certs/ca-certificates.crt", "roots.pem"}});
    MakeFiles(folder, example);
    const auto settings = ParseConfigText(example, folder.Path("ringpost.toml"));
    ASSERT_TRUE(settings.ok()) << settings.status();
    const auto config = ResolveConfig(*settings, TestMachine());
    ASSERT_TRUE(config.ok()) << config.status();
    for (const std::string& warning : (*config)->warnings) ADD_FAILURE() << warning;
  }
}

TEST(Docs, ConfigurationWorksAsPasted) { ExpectWorking("CONFIGURATION.md", 5); }
TEST(Docs, ExchangeWorksAsPasted) { ExpectWorking("EXCHANGE.md", 2); }
TEST(Docs, PostfixWorksAsPasted) { ExpectWorking("POSTFIX.md", 1); }
TEST(Docs, OtherBackendsWorkAsPasted) { ExpectWorking("BACKENDS.md", 1); }

TEST(Docs, EverySettingIsThere) {
  const std::string document = ReadDocument("CONFIGURATION.md");
  const auto expect = [&document](std::string_view name) {
    EXPECT_NE(document.find(absl::StrCat("`", absl::string_view(name.data(), name.size()), "`")),
              std::string::npos)
        << name;
  };
  for (const Tuning& tuning : AllTuning()) expect(tuning.name);
  for (const char* key : {"own_domains",
                          "resolver",
                          "client_ca",
                          "crl",
                          "revocation",
                          "certificate_names",
                          "fingerprints",
                          "accept_common_name",
                          "accept_server_auth_purpose",
                          "mode",
                          "certificate_reply",
                          "partners",
                          "name",
                          "listen",
                          "listen_tls",
                          "implicit_tls",
                          "upstream",
                          "tls",
                          "auth",
                          "certificates",
                          "addresses",
                          "identity",
                          "sender_domains",
                          "networks",
                          "restrict_to_networks",
                          "restrict_to_certificate",
                          "tls_reply",
                          "network_reply",
                          "--policy_mode",
                          "--tls_policy",
                          "--auth",
                          "--client_ca"}) {
    expect(key);
  }
}

}  // namespace
}  // namespace ringpost
