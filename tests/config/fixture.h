// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the configuration's tests share: a folder with a certificate's files in it, a machine to
// configure, and the way to say "this must be refused with these words".
#ifndef RINGPOST_TESTS_CONFIG_FIXTURE_H_
#define RINGPOST_TESTS_CONFIG_FIXTURE_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "ringpost/config/resolve.h"

namespace ringpost {

inline Machine TestMachine() { return {"mx.test.example", {2, 5, 7, 11}, 20064}; }

class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "ringpost-config-XXXXXX";
    if (mkdtemp(name.data()) != nullptr) path_ = name;
    EXPECT_FALSE(path_.empty());
    Write("cert.pem", "not judged by this layer");
    Write("key.pem", "not judged by this layer");
    EXPECT_EQ(chmod(Path("key.pem").c_str(), 0600), 0);
  }
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string Path(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }
  void Write(std::string_view name, std::string_view text) const {
    std::ofstream(Path(name)) << text;
  }

 private:
  std::string path_;
};

inline void ExpectSaying(const absl::Status& status, std::string_view words) {
  ASSERT_FALSE(status.ok()) << "should have said: " << words;
  const std::string message(status.message());
  EXPECT_NE(message.find(words), std::string::npos) << message << "\nshould have said: " << words;
  // One sentence for one line of a terminal.
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

}  // namespace ringpost

#endif  // RINGPOST_TESTS_CONFIG_FIXTURE_H_
