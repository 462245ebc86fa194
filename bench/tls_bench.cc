// SPDX-License-Identifier: GPL-3.0-or-later
//
// The TLS layer alone, in memory: the server's part of a handshake, what a connection costs apart
// from it, judging a client's certificate, records by size, memory per idle connection. Only the
// server's calls are timed.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/base/byte_queue.h"
#include "ringpost/crypto/tls_library.h"
#include "ringpost/tls/client_hello_reader.h"
#include "ringpost/tls/ticket_keys.h"
#include "ringpost/tls/tls_client.h"
#include "ringpost/tls/tls_context.h"
#include "ringpost/tls/tls_engine.h"
#include "ringpost/x509/trust_store.h"

namespace ringpost {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;

[[noreturn]] void Stop(const std::string& reason) {
  std::fprintf(stderr, "tls_bench: %s\n", reason.c_str());
  std::exit(1);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Of a certificate: ECDSA on either curve, or RSA with 2048 bits.
enum class Key : std::uint8_t { kP256, kP384, kRsa };

// Certificates, made once.
class Certificates {
 public:
  Certificates() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ringpost-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      Stop("no temporary folder");
    }
    const std::string command = std::string("'") + RINGPOST_MAKE_CERTS + "' '" + pattern + "'";
    if (std::system(command.c_str()) != 0) {
      Stop("tools/make-certs failed");
    }
    const std::string self_signed =
        "cd '" + pattern +
        "' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -nodes -days 30 "
        "-subj /CN=mx.example.test -addext subjectAltName=DNS:mx.example.test "
        "-keyout p384.key -out p384.pem 2>/dev/null";
    if (std::system(self_signed.c_str()) != 0) {
      Stop("the openssl program made no certificate");
    }
    for (const std::string kind : {"ecdsa", "p384", "rsa"}) {  // in the order of Key
      const std::string base = pattern + "/" + kind;
      pems_.push_back(
          {base + ".pem", base + ".key", ReadFile(base + ".pem"), Secret(ReadFile(base + ".key"))});
    }
    ca_ = ReadFile(pattern + "/ca.pem");
    std::filesystem::remove_all(pattern);
  }
  [[nodiscard]] const TlsCertificatePem& of(Key key) const {
    return pems_[static_cast<std::size_t>(key)];
  }
  [[nodiscard]] const std::string& ca() const { return ca_; }

  static const Certificates& Get() {
    static const Certificates certificates;
    return certificates;
  }

 private:
  std::vector<TlsCertificatePem> pems_;
  std::string ca_;
};

// What the client shows.
enum class Shown : std::uint8_t { kNone, kEcdsa, kRsa };

struct Side {
  explicit Side(BufferPool* pool)
      : cipher_in(pool), cipher_out(pool), plain_in(pool), plain_out(pool) {}
  std::unique_ptr<TlsEngine> engine;
  ByteQueue cipher_in;
  ByteQueue cipher_out;
  ByteQueue plain_in;
  ByteQueue plain_out;
};

struct Setting {
  Key key = Key::kP256;
  TlsVersions versions = TlsVersions::kTls13Only;
  const char* group = "X25519";
  bool tickets = true;
  bool resumed = false;
  bool ask = false;
  Shown shown = Shown::kNone;
};

class Pair {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Pair(const Setting& setting)
      : pool_(256, 64), keys_(TicketKeys::Random(kNow)), server(&pool_), client(&pool_) {
    const Certificates& certificates = Certificates::Get();
    TlsContextOptions options;
    options.certificates = {certificates.of(setting.key)};
    options.route = "bench";
    options.ticket_keys = setting.tickets ? keys_.get() : nullptr;
    options.ask_certificate = setting.ask;
    auto set = TlsContextSet::Load(options, kNow);
    TlsClientOptions client_options;
    client_options.versions = setting.versions;
    client_options.groups = {setting.group};
    client_options.resumption = setting.tickets ? TlsResumption::kOn : TlsResumption::kOff;
    if (setting.shown != Shown::kNone) {
      const TlsCertificatePem& pem =
          certificates.of(setting.shown == Shown::kRsa ? Key::kRsa : Key::kP256);
      client_options.cert_pem = pem.cert_pem;
      client_options.key_pem = pem.key_pem;
    }
    auto client_context = TlsClientContext::Create(client_options);
    if (!set.ok() || !client_context.ok()) {
      Stop("no context");
    }
    contexts_ = *set;
    client_context_ = std::move(*client_context);
  }

  // Seconds of the server's part.
  double Handshake() {
    client.engine = TlsEngine::Client(client_context_.get(), "mx.example.test", session.get());
    std::chrono::duration<double> spent{0};
    bool client_done =
        client.engine->Handshake(client.cipher_in, client.cipher_out) == TlsOutcome::kDone;
    client.cipher_out.MoveFront(client.cipher_out.size(), server.cipher_in);
    Clock::time_point start = Clock::now();
    server.engine = TlsEngine::Server(contexts_.get());
    spent += Clock::now() - start;
    for (int turn = 0; turn < 5; ++turn) {
      start = Clock::now();
      const TlsOutcome outcome = server.engine->Handshake(server.cipher_in, server.cipher_out);
      spent += Clock::now() - start;
      server.cipher_out.MoveFront(server.cipher_out.size(), client.cipher_in);
      if (outcome == TlsOutcome::kDone && client_done) {
        return spent.count();
      }
      client_done =
          client.engine->Handshake(client.cipher_in, client.cipher_out) == TlsOutcome::kDone;
      client.cipher_out.MoveFront(client.cipher_out.size(), server.cipher_in);
    }
    Stop("the handshake failed: " + std::string(server.engine->error()));
  }
  // What the server makes a connection of, for this client.
  WOLFSSL_CTX* Context() {
    client.engine = TlsEngine::Client(client_context_.get(), "mx.example.test", nullptr);
    (void)client.engine->Handshake(client.cipher_in, client.cipher_out);
    ClientHello hello;
    if (ClientHelloReader().Read(client.cipher_out, hello).status != HelloStatus::kComplete) {
      Stop("no hello");
    }
    return contexts_->Choose(hello);
  }
  void TakeSession() {
    (void)client.engine->Read(client.cipher_in, client.plain_in, 1 << 20, client.cipher_out);
    session = client.engine->TakeSession();
  }
  double Free() {
    const Clock::time_point start = Clock::now();
    server.engine.reset();
    const std::chrono::duration<double> spent = Clock::now() - start;
    client.engine.reset();
    server.cipher_in.Clear();
    client.cipher_in.Clear();
    return spent.count();
  }

 private:
  BufferPool pool_;
  std::unique_ptr<TicketKeys> keys_;
  std::shared_ptr<const TlsContextSet> contexts_;
  std::unique_ptr<TlsClientContext> client_context_;

 public:
  Side server;
  Side client;
  std::unique_ptr<TlsSession> session;
};

void ServerHandshake(benchmark::State& state, Setting setting) {
  Pair pair(setting);
  if (setting.resumed) {
    pair.Handshake();
    pair.TakeSession();
    pair.Free();
  }
  for (auto _ : state) {
    double seconds = pair.Handshake();
    if (pair.server.engine->facts().resumed != setting.resumed) {
      Stop("resumption is not what the benchmark wants");
    }
    seconds += pair.Free();
    state.SetIterationTime(seconds);
  }
}

// What wolfSSL needs to make a connection's object and to free it, before any cryptography.
void NewConnection(benchmark::State& state) {
  Pair pair({});
  WOLFSSL_CTX* const context = pair.Context();
  for (auto _ : state) {
    WOLFSSL* const ssl = wolfSSL_new(context);
    if (ssl == nullptr) {
      Stop("no connection");
    }
    wolfSSL_free(ssl);
  }
}
BENCHMARK(NewConnection);

// The end of an engine whose handshake is over; the handshake is not timed.
void FreeEngine(benchmark::State& state) {
  Pair pair({});
  for (auto _ : state) {
    pair.Handshake();
    state.SetIterationTime(pair.Free());
  }
}
// By its time alone, half a second of frees would need millions of handshakes.
BENCHMARK(FreeEngine)->UseManualTime()->Iterations(5'000);

// What SMTP waits for at the first MAIL of a connection: a chain of one certificate below its CA.
void VerifyClient(benchmark::State& state, Shown shown) {
  Setting setting;
  setting.ask = true;
  setting.shown = shown;
  Pair pair(setting);
  pair.Handshake();
  const auto certificate = pair.server.engine->TakePeerCertificate();
  TrustOptions options;
  options.ca_files = {{"ca.pem", Certificates::Get().ca()}};
  auto store = TrustStore::Load(options, kNow);
  if (certificate == nullptr || !store.ok()) {
    Stop("no certificate or no store");
  }
  const std::int64_t now = certificate->not_before + 60;
  for (auto _ : state) {
    if ((*store)->Verify(*certificate, now) != PolicyFault::kNone) {
      Stop("the certificate is not good");
    }
  }
}

// The server seals what it has been given, up to 256 KiB at a time.
void Seal(benchmark::State& state) {
  Pair pair({});
  pair.Handshake();
  BufferPool pool(64, 16);
  ByteQueue plain(&pool);
  ByteQueue cipher(&pool);
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    (void)plain.Append(text);
    if (pair.server.engine->Write(plain, cipher, 1 << 20) != TlsOutcome::kDone) {
      Stop("sealing failed");
    }
    cipher.Clear();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Seal)->Arg(64)->Arg(1024)->Arg(4096)->Arg(16384);

void OpenRecords(benchmark::State& state) {
  Pair pair({});
  pair.Handshake();
  Side& client = pair.client;
  Side& server = pair.server;
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    (void)client.plain_out.Append(text);
    (void)client.engine->Write(client.plain_out, client.cipher_out, 1 << 20);
    client.cipher_out.MoveFront(client.cipher_out.size(), server.cipher_in);
    const Pair::Clock::time_point start = Pair::Clock::now();
    const TlsOutcome outcome =
        server.engine->Read(server.cipher_in, server.plain_in, 1 << 20, server.cipher_out);
    server.plain_in.Clear();
    const std::chrono::duration<double> spent = Pair::Clock::now() - start;
    if (outcome != TlsOutcome::kDone) {
      Stop("opening failed");
    }
    state.SetIterationTime(spent.count());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(OpenRecords)->Arg(64)->Arg(1024)->Arg(4096)->Arg(16384)->UseManualTime();

// Not a time: octets that malloc holds for one idle server connection.
void IdleMemory(benchmark::State& state, Setting setting) {
  constexpr std::size_t kCount = 500;
  std::size_t octets = 0;
  for (auto _ : state) {
    Pair pair(setting);
    std::vector<std::unique_ptr<TlsEngine>> idle;
    idle.reserve(kCount);
    pair.Handshake();
    pair.Free();
    const std::size_t before = mallinfo2().uordblks;
    for (std::size_t i = 0; i < kCount; ++i) {
      pair.Handshake();
      idle.push_back(std::move(pair.server.engine));
      pair.Free();
    }
    octets = (mallinfo2().uordblks - before) / kCount;
  }
  state.counters["octets"] = static_cast<double>(octets);
}

void Register() {
  const auto handshake = [](const std::string& name, Setting setting) {
    benchmark::RegisterBenchmark(("ServerHandshake/" + name).c_str(), ServerHandshake, setting)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  };
  Setting setting;
  for (const auto& [name, group] : {std::pair{"x25519", "X25519"},
                                    {"x25519mlkem768", "X25519MLKEM768"},
                                    {"p256", "P-256"},
                                    {"p384", "P-384"}}) {
    setting.group = group;
    setting.resumed = false;
    for (const auto& [certificate, key] :
         {std::pair{"ecdsa_", Key::kP256}, {"ecdsa384_", Key::kP384}, {"rsa_", Key::kRsa}}) {
      setting.key = key;
      handshake(std::string("tls13_") + certificate + name, setting);
    }
    setting.key = Key::kP256;
    setting.resumed = true;
    handshake(std::string("tls13_resumed_") + name, setting);
  }
  setting = {};
  setting.tickets = false;
  handshake("tls13_ecdsa_x25519_no_ticket", setting);
  setting = {};
  setting.versions = TlsVersions::kTls12Only;
  handshake("tls12_ecdsa_x25519", setting);
  setting.resumed = true;
  handshake("tls12_resumed", setting);
  setting.resumed = false;
  setting.key = Key::kRsa;
  handshake("tls12_rsa_x25519", setting);

  Setting asking;
  asking.tickets = false;  // as a route that asks has it
  asking.ask = true;
  handshake("tls13_asked_none_shown", asking);
  asking.shown = Shown::kEcdsa;
  handshake("tls13_asked_ecdsa_shown", asking);
  asking.shown = Shown::kRsa;
  handshake("tls13_asked_rsa_shown", asking);
  asking.versions = TlsVersions::kTls12Only;
  handshake("tls12_asked_rsa_shown", asking);
  for (const auto& [name, shown] : {std::pair{"ecdsa", Shown::kEcdsa}, {"rsa", Shown::kRsa}}) {
    benchmark::RegisterBenchmark((std::string("VerifyClient/") + name).c_str(), VerifyClient, shown)
        ->Unit(benchmark::kMicrosecond);
  }

  const auto memory = [](const char* name, Setting of) {
    benchmark::RegisterBenchmark((std::string("IdleMemory/") + name).c_str(), IdleMemory, of)
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  };
  memory("tls13_tickets", {});
  Setting no_tickets;
  no_tickets.tickets = false;
  memory("tls13_no_tickets", no_tickets);
  Setting asked;
  asked.tickets = false;
  asked.ask = true;
  memory("tls13_asked_none_shown", asked);
  asked.shown = Shown::kEcdsa;
  memory("tls13_asked_ecdsa_shown", asked);
  Setting tls12;
  tls12.versions = TlsVersions::kTls12Only;
  memory("tls12_tickets", tls12);
}

}  // namespace
}  // namespace ringpost

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 1;
  }
  ringpost::Register();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
