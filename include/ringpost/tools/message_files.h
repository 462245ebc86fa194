// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where ringpost-sink --store keeps messages: NNNNNN.eml has exactly the octets of the content, and
// NNNNNN.json what else is known. A message being received has a name that begins with a dot;
// NNNNNN.eml appears only when it is complete, and after its NNNNNN.json.
//
// Plain write(2) to the page cache, without fsync: the sink is for tests and measurements, not for
// mail.
#ifndef RINGPOST_TOOLS_MESSAGE_FILES_H_
#define RINGPOST_TOOLS_MESSAGE_FILES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "ringpost/tools/sink_session.h"

namespace ringpost {

// The folder, shared by all connections of one thread.
class MessageFolder {
 public:
  explicit MessageFolder(std::string path) : path_(std::move(path)) {}
  // Creates the folder if it is not there, and goes on behind the highest number in it.
  [[nodiscard]] absl::Status Open();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint64_t TakeNumber() { return ++last_number_; }
  [[nodiscard]] std::uint64_t TakePart() { return ++last_part_; }

 private:
  std::string path_;
  std::uint64_t last_number_ = 0;
  std::uint64_t last_part_ = 0;
};

class MessageFiles final : public MessageStore {
 public:
  explicit MessageFiles(MessageFolder* folder) : folder_(folder) {}
  ~MessageFiles() override { Discard(); }
  MessageFiles(const MessageFiles&) = delete;
  MessageFiles& operator=(const MessageFiles&) = delete;

  [[nodiscard]] bool Append(std::string_view content) override;
  [[nodiscard]] bool Commit(const SinkEnvelope& envelope) override;
  void Discard() override;
  [[nodiscard]] std::uint64_t last_number() const override { return last_number_; }

 private:
  [[nodiscard]] bool Create();

  MessageFolder* folder_;
  int fd_ = -1;
  std::string part_;
  std::uint64_t last_number_ = 0;
};

// One line of JSON, without a newline.
[[nodiscard]] std::string EnvelopeJson(const SinkEnvelope& envelope, std::uint64_t number);

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_MESSAGE_FILES_H_
