// SPDX-License-Identifier: GPL-3.0-or-later
#include "early_data.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ringpost {

EarlyData::~EarlyData() { explicit_bzero(secret_.data(), secret_.size()); }

bool EarlyData::Keep(std::span<const unsigned char> secret) {
  if (secret.size() > secret_.size()) {
    return false;
  }
  std::copy(secret.begin(), secret.end(), secret_.begin());
  secret_bytes_ = secret.size();
  return true;
}

bool EarlyData::Begin(std::size_t record_bytes, Whose whose) {
  if (record_bytes > kBytesMax - counted_ || records_ == kRecordsMax) {
    return false;
  }
  counted_ += record_bytes;
  ++records_;
  left_ = record_bytes;
  whose_ = whose;
  record_.clear();
  return true;
}

bool EarlyData::Take(ByteQueue& in) {
  while (left_ > 0 && !in.empty()) {
    const std::string_view part = in.Front().substr(0, left_);
    if (whose_ == Whose::kUnknown) {
      record_ += part;
    }
    left_ -= part.size();
    in.Consume(part.size());
  }
  return left_ == 0;
}

bool EarlyData::IsHandshake(std::uint16_t suite) const {
  constexpr std::size_t kHeaderBytes = RecordCipher::kHeaderBytes;
  const RecordSuite* const known = FindRecordSuite(suite);
  if (known == nullptr || record_.size() < kHeaderBytes + RecordCipher::kTagBytes) {
    return false;  // also where it was dropped
  }
  RecordCipher cipher;  // a new one each time: a record that it cannot open takes its number
  if (!cipher.Start(*known, std::span(secret_).first(secret_bytes_))) {
    return false;
  }
  thread_local std::array<unsigned char, RecordCipher::kSealedBytesMax> text;
  std::array<unsigned char, kHeaderBytes> header;
  std::memcpy(header.data(), record_.data(), header.size());
  const std::string_view sealed = std::string_view(record_).substr(kHeaderBytes);
  return cipher.Open(header, std::span(&sealed, 1), text, {});
}

}  // namespace ringpost
