// SPDX-License-Identifier: GPL-3.0-or-later
#include "readers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/time/time.h"

namespace ringpost {

absl::Status Refuse(const Given& given, std::string_view sentence) {
  return absl::InvalidArgumentError(absl::StrCat(given.where, ": ", View(sentence)));
}

absl::Status RefuseQuoted(const Given& given, std::string_view sentence) {
  return absl::InvalidArgumentError(
      absl::StrCat(given.where, ": \"", given.text, "\" ", View(sentence)));
}

void PutOnOneLine(std::string* text) {
  for (char& c : *text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  }
}

absl::Status OnOneLine(const absl::Status& status) {
  std::string text(status.message().data(), status.message().size());
  PutOnOneLine(&text);
  return {status.code(), text};
}

absl::Status ReadCount(const Given& given, std::uint32_t min, std::uint32_t max, std::uint32_t* out,
                       std::string_view zero) {
  const char* const end = given.text.data() + given.text.size();
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(given.text.data(), end, value);
  const bool ok = error == std::errc{} && stop == end && !given.text.empty();
  if (ok && (value == 0 || (value >= min && value <= max))) {
    *out = value;
    return absl::OkStatus();
  }
  return RefuseQuoted(
      given, absl::StrCat("is not a count from ", min, " to ", max, ", or 0 for ", View(zero)));
}

absl::Status ReadDuration(const Given& given, TimeNs min, TimeNs max, TimeNs* out) {
  absl::Duration duration;
  if (!absl::ParseDuration(given.text, &duration)) {
    return RefuseQuoted(given, "is not a duration; write a number with a unit, such as 300s or 5m");
  }
  const TimeNs value = absl::ToInt64Nanoseconds(duration);
  if (value < min || value > max) {
    return RefuseQuoted(
        given, absl::StrCat("is not between ", absl::FormatDuration(absl::Nanoseconds(min)),
                            " and ", max / (3600 * kNsPerSecond), "h"));
  }
  *out = value;
  return absl::OkStatus();
}

absl::Status ReadBoolean(const std::optional<Given>& given, bool* out) {
  if (!given.has_value()) return absl::OkStatus();
  if (given->text != "true" && given->text != "false") {
    return RefuseQuoted(*given, "is neither true nor false");
  }
  *out = given->text == "true";
  return absl::OkStatus();
}

absl::Status CheckReadable(const Given& given, std::string_view what) {
  const int fd = open(given.text.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    return RefuseQuoted(given,
                        absl::StrCat("cannot be read as ", View(what), ": ", std::strerror(error)));
  }
  struct stat status{};
  const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  close(fd);
  if (!regular) return RefuseQuoted(given, "is not a file");
  if (status.st_size == 0) return RefuseQuoted(given, "is empty");
  return absl::OkStatus();
}

namespace {

// The permission bits that are of use to somebody, given the folders on the way to the file.
mode_t ExposedMode(const std::string& path, mode_t mode) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  for (fs::path folder = real.parent_path(); !error && !folder.empty();
       folder = folder.parent_path()) {
    struct stat status{};
    if (stat(folder.c_str(), &status) == 0) {
      const bool others_enter = (status.st_mode & S_IXOTH) != 0;
      if (!others_enter) mode &= ~static_cast<mode_t>(S_IRWXO);
      // Its group need not be the file's.
      if (!others_enter && (status.st_mode & S_IXGRP) == 0) mode &= ~static_cast<mode_t>(S_IRWXG);
    }
    if (folder == folder.root_path()) break;
  }
  return mode;
}

}  // namespace

absl::Status CheckSecret(const Given& given, std::string_view what) {
  absl::Status status = CheckReadable(given, what);
  struct stat file{};
  if (!status.ok() || stat(given.text.c_str(), &file) != 0) return status;
  const mode_t exposed = ExposedMode(given.text, file.st_mode);
  const bool read = (exposed & S_IROTH) != 0;
  const bool changed = (exposed & S_IWOTH) != 0;
  const bool changed_by_group = (exposed & S_IWGRP) != 0;
  if (!read && !changed && !changed_by_group) return absl::OkStatus();
  return RefuseQuoted(
      given, absl::StrCat("is ", View(what), " that ",
                          read || changed ? "every user of this machine" : "its group", " can ",
                          read && changed ? "read and change"
                          : read          ? "read"
                                          : "change",
                          "; chmod ", changed_by_group ? "g-w" : "",
                          changed_by_group && (read || changed) ? "," : "",
                          read || changed ? "o-rw" : "", " ", given.text));
}

absl::Status CheckReadableOrFolder(const Given& given, std::string_view what) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(given.text, error)) return CheckReadable(given, what);
  bool found = false;
  fs::directory_iterator entry(given.text, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code ignored;  // such as a link to nowhere: no regular file
    if (!entry->is_regular_file(ignored)) continue;
    if (entry->path().filename().string().starts_with('.')) continue;
    found = true;
    const absl::Status status = CheckReadable({entry->path().string(), given.where}, what);
    if (!status.ok()) return status;
  }
  if (error) {
    return RefuseQuoted(given, absl::StrCat("cannot be read as a folder: ", error.message()));
  }
  if (!found) {
    return RefuseQuoted(given,
                        absl::StrCat("is a folder without files; put ", View(what), " into it"));
  }
  return absl::OkStatus();
}

}  // namespace ringpost
