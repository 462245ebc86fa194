// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/message_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ringpost/tools/json_text.h"

namespace ringpost {
namespace {

bool WriteAll(int fd, std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t written = write(fd, octets.data(), octets.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    octets.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

int CreateFile(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

bool WriteFile(const std::string& path, std::string_view text) {
  const int fd = CreateFile(path);
  if (fd < 0) {
    return false;
  }
  const bool written = WriteAll(fd, text);
  return close(fd) == 0 && written;
}

}  // namespace

absl::Status MessageFolder::Open() {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (!error && access(path_.c_str(), W_OK | X_OK) != 0) {
    error.assign(errno, std::generic_category());
  }
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("cannot store messages in ", path_, ": ",
                                                   error.message(),
                                                   "; give --store a folder that can be written"));
  }
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    const std::string stem = entry.path().stem().string();
    std::uint64_t number = 0;
    if (std::from_chars(stem.data(), stem.data() + stem.size(), number).ec == std::errc()) {
      last_number_ = std::max(last_number_, number);
    }
  }
  return absl::OkStatus();
}

bool MessageFiles::Create() {
  part_ = absl::StrCat(folder_->path(), "/.part-", getpid(), "-", folder_->TakePart());
  fd_ = CreateFile(part_);
  return fd_ >= 0;
}

bool MessageFiles::Append(std::string_view content) {
  return (fd_ >= 0 || Create()) && WriteAll(fd_, content);
}

bool MessageFiles::Commit(const SinkEnvelope& envelope) {
  if (fd_ < 0 && !Create()) {
    return false;
  }
  const bool closed = close(fd_) == 0;
  fd_ = -1;
  const std::uint64_t number = folder_->TakeNumber();
  const std::string base = absl::StrFormat("%s/%06u", folder_->path(), number);
  const bool kept = closed && WriteFile(base + ".json", EnvelopeJson(envelope, number) + "\n") &&
                    std::rename(part_.c_str(), (base + ".eml").c_str()) == 0;
  if (!kept) {
    unlink(part_.c_str());
  }
  last_number_ = number;
  return kept;
}

void MessageFiles::Discard() {
  if (fd_ >= 0) {
    close(fd_);
    fd_ = -1;
    unlink(part_.c_str());
  }
}

std::string EnvelopeJson(const SinkEnvelope& envelope, std::uint64_t number) {
  std::string out = "{";
  AppendJsonCount(out, "number", number);
  AppendJsonText(out, "identity", envelope.identity);
  AppendJsonText(out, "client", envelope.client);
  AppendJsonCount(out, "client_port", envelope.client_port);
  AppendJsonText(out, "server", envelope.server);
  AppendJsonCount(out, "server_port", envelope.server_port);
  AppendJsonBool(out, "tls", envelope.tls);
  AppendJsonText(out, "tls_version", envelope.tls_version);
  AppendJsonText(out, "tls_cipher", envelope.tls_cipher);
  AppendJsonText(out, "tls_group", envelope.tls_group);
  AppendJsonText(out, "tls_sni", envelope.tls_sni);
  AppendJsonText(out, "tls_client_name", envelope.tls_client_name);
  AppendJsonBool(out, "tls_client_verified", envelope.tls_client_verified);
  AppendJsonText(out, "protocol", envelope.protocol);
  AppendJsonText(out, "helo", envelope.helo);
  AppendJsonText(out, "auth_user", envelope.auth_user);
  AppendJsonText(out, "mail_from", envelope.mail_from);
  AppendJsonText(out, "mail_parameters", envelope.mail_parameters);
  out += ",\"recipients\":[";
  for (const std::string& recipient : envelope.recipients) {
    if (out.back() != '[') {
      out += ',';
    }
    AppendJson(out, recipient);
  }
  out += ']';
  AppendJsonBool(out, "chunked", envelope.chunked);
  AppendJsonCount(out, "octets", envelope.octets);
  out += '}';
  return out;
}

}  // namespace ringpost
