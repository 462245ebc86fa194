// SPDX-License-Identifier: GPL-3.0-or-later
//
// A text that must not outlive its use: a private key, a ticket secret. Overwritten before its
// memory is given back; never printed, never compared.
#ifndef RINGPOST_BASE_SECRET_H_
#define RINGPOST_BASE_SECRET_H_

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace ringpost {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  ~Secret() { Wipe(); }
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.Wipe(); }
  Secret& operator=(Secret other) noexcept {
    text_.swap(other.text_);
    return *this;
  }

  [[nodiscard]] std::string_view view() const { return text_; }

 private:
  // A short text lives in the object itself and is still there after a move.
  void Wipe() { explicit_bzero(text_.data(), text_.capacity()); }

  std::string text_;
};

}  // namespace ringpost

#endif  // RINGPOST_BASE_SECRET_H_
