// SPDX-License-Identifier: GPL-3.0-or-later
//
// How fast content is looked through for its end. "Mail" is ordinary text with lines of 70 octets
// and CRLF; "Stuffed" has a dot at the start of every tenth line; "Base64" is an attachment.
// "Framer" is the whole of what content costs the relay. Buffers are 16 KiB, the size of a block,
// and stay in the cache.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringpost/smtp/content_framer.h"
#include "ringpost/smtp/scanner.h"

namespace ringpost {
namespace {

constexpr std::size_t kBlock = 16 * 1024;

enum class Text { kMail, kStuffed, kBase64 };

std::string Make(Text kind) {
  const std::string words = "The quick brown fox jumps over the lazy dog. Then it rests. A while. ";
  std::string text;
  for (int line = 0; text.size() < kBlock; ++line) {
    switch (kind) {
      case Text::kMail:
        text += words.substr(0, 68) + "\r\n";
        break;
      case Text::kStuffed:
        text += (line % 10 == 0 ? ".." : "ab") + words.substr(0, 66) + "\r\n";
        break;
      case Text::kBase64:
        for (int i = 0; i < 76; ++i) text += static_cast<char>('A' + (line * 7 + i * 11) % 26);
        text += "\r\n";
        break;
    }
  }
  // A block does not end in the middle of a CRLF here: what is measured is the run.
  text.resize(kBlock - 2);
  while (text.back() == '\r' || text.back() == '\n') text.back() = 'x';
  return text + "\r\n";
}

void Scan(benchmark::State& state, ScannerVersion version, Text kind) {
  if (!ScannerSupported(version)) {
    state.SkipWithError("not on this CPU");
    return;
  }
  const std::string text = Make(kind);
  for (auto _ : state) {
    // As the framer does: on from behind each dot that turns out to be text.
    std::size_t at = 0;
    while (at < text.size()) {
      at += ScanContentWith(version, std::string_view(text).substr(at));
      if (at < text.size()) ++at;
    }
    benchmark::DoNotOptimize(at);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void Frame(benchmark::State& state, Text kind) {
  const std::string text = Make(kind);
  ContentFramer framer;
  framer.Start();
  std::string rewritten;
  std::uint32_t bare_newlines = 0;
  for (auto _ : state) {
    ContentStep step = framer.Next(text, BareNewline::kNormalize, &rewritten, &bare_newlines);
    if (step.octets != text.size()) state.SkipWithError("not one run");
    benchmark::DoNotOptimize(step);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

// What a client with bare LFs costs.
void FrameBare(benchmark::State& state) {
  std::string text;
  while (text.size() < kBlock) text += std::string(68, 'a') + "\n";
  ContentFramer framer;
  framer.Start();
  std::string rewritten;
  std::uint32_t bare_newlines = 0;
  for (auto _ : state) {
    std::string_view rest = text;
    while (!rest.empty()) {
      const ContentStep step =
          framer.Next(rest, BareNewline::kNormalize, &rewritten, &bare_newlines);
      if (step.octets == 0) break;
      rest.remove_prefix(step.octets);
    }
    benchmark::DoNotOptimize(rewritten.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

BENCHMARK_CAPTURE(Scan, Avx512Mail, ScannerVersion::kAvx512, Text::kMail);
BENCHMARK_CAPTURE(Scan, Avx512Stuffed, ScannerVersion::kAvx512, Text::kStuffed);
BENCHMARK_CAPTURE(Scan, Avx512Base64, ScannerVersion::kAvx512, Text::kBase64);
BENCHMARK_CAPTURE(Scan, Avx2Mail, ScannerVersion::kAvx2, Text::kMail);
BENCHMARK_CAPTURE(Scan, Avx2Stuffed, ScannerVersion::kAvx2, Text::kStuffed);
BENCHMARK_CAPTURE(Scan, Avx2Base64, ScannerVersion::kAvx2, Text::kBase64);
BENCHMARK_CAPTURE(Scan, PortableMail, ScannerVersion::kPortable, Text::kMail);
BENCHMARK_CAPTURE(Scan, PortableStuffed, ScannerVersion::kPortable, Text::kStuffed);
BENCHMARK_CAPTURE(Scan, PortableBase64, ScannerVersion::kPortable, Text::kBase64);
BENCHMARK_CAPTURE(Frame, Mail, Text::kMail);
BENCHMARK_CAPTURE(Frame, Stuffed, Text::kStuffed);
BENCHMARK(FrameBare)->Name("Frame/BareNewlines");

}  // namespace
}  // namespace ringpost

BENCHMARK_MAIN();
