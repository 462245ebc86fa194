// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls_fixture.h"

#include <filesystem>
#include <map>

namespace ringpost::test {
namespace {

void AppendAll(std::string_view text, ByteQueue& queue) {
  for (std::size_t i = 0; i < text.size(); i += BufferPool::kLargeBytes) {
    EXPECT_EQ(queue.Append(text.substr(i, BufferPool::kLargeBytes)), Room::kOk);
  }
}

}  // namespace

TlsCertificatePem Certificate(const std::string& kind, const std::vector<std::string>& names) {
  static std::map<std::vector<std::string>, std::string> folders;
  std::string& folder = folders[names];
  if (folder.empty()) {
    folder = TemporaryFolder() + "/" + std::to_string(folders.size());
    std::string command = std::string("'") + RINGPOST_MAKE_CERTS + "' '" + folder + "'";
    for (const std::string& name : names) {
      command += " '" + name + "'";
    }
    RunCommand(command);
  }
  const std::string base = folder + "/" + kind;
  return {base + ".pem", base + ".key", ReadFile(base + ".pem"), Secret(ReadFile(base + ".key"))};
}

TlsCertificatePem SelfSigned(const std::string& name, const std::string& key_options,
                             const std::string& options) {
  const std::string base = TemporaryFolder() + "/" + name;
  RunCommand("openssl genpkey " + key_options + " -out " + base +
             ".key 2>/dev/null && openssl req -x509 -new "
             "-key " +
             base + ".key -subj /CN=odd.example -days 2 " + options + " -out " + base + ".pem");
  return {base + ".pem", base + ".key", ReadFile(base + ".pem"), Secret(ReadFile(base + ".key"))};
}

std::string CaPem() {
  const std::string path = Certificate("ecdsa").cert_path;
  return ReadFile(std::filesystem::path(path).parent_path() / "ca.pem");
}

std::shared_ptr<const TlsContextSet> Contexts(std::vector<TlsCertificatePem> certificates,
                                              TicketKeys* keys, const std::string& route) {
  TlsContextOptions options;
  options.certificates = std::move(certificates);
  options.route = route;
  options.ticket_keys = keys;
  auto set = TlsContextSet::Load(options, kNow);
  EXPECT_TRUE(set.ok()) << set.status();
  return set.ok() ? *set : nullptr;
}

std::unique_ptr<TlsClientContext> ClientContext(const TlsClientOptions& options) {
  auto context = TlsClientContext::Create(options);
  EXPECT_TRUE(context.ok()) << context.status();
  return context.ok() ? std::move(*context) : nullptr;
}

std::string Side::Drain(ByteQueue& queue) {
  std::string text;
  while (!queue.empty()) {
    const std::string_view front = queue.Front();
    text += front;
    queue.Consume(front.size());
  }
  return text;
}

void Side::Receive(std::string_view octets) { AppendAll(octets, cipher_in); }

TlsOutcome Side::Write(std::string_view text) {
  AppendAll(text, plain_out);
  return engine->Write(plain_out, cipher_out, 1 << 20);
}

void TlsPair::Start(const TlsContextSet* contexts, const TlsClientContext* client_context,
                    std::string_view sni, const TlsSession* session) {
  for (Side* const side : {&server, &client}) {
    for (ByteQueue* const queue :
         {&side->cipher_in, &side->cipher_out, &side->plain_in, &side->plain_out}) {
      queue->Clear();
    }
  }
  server.engine = TlsEngine::Server(contexts);
  client.engine = TlsEngine::Client(client_context, sni, session);
  ASSERT_NE(client.engine, nullptr);
}

TlsPair::Outcomes TlsPair::Handshake(std::size_t chunk) {
  Outcomes outcomes;
  outcomes.client = client.Handshake();
  const auto deliver = [chunk](Side& from, Side& to, TlsOutcome& outcome) {
    const std::string octets = Side::Drain(from.cipher_out);
    const std::size_t step = chunk == 0 ? octets.size() : chunk;
    for (std::size_t i = 0; i < octets.size(); i += step) {
      to.Receive(std::string_view(octets).substr(i, step));
      outcome = to.Handshake();
    }
    return !octets.empty();
  };
  bool moved = true;
  while (moved) {
    moved = deliver(client, server, outcomes.server);
    moved |= deliver(server, client, outcomes.client);
  }
  return outcomes;
}

}  // namespace ringpost::test
