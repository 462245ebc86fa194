// SPDX-License-Identifier: GPL-3.0-or-later
//
// Keeps the secrets that our own record layer begins with, and the one that tells early data from
// what follows it.
#include <algorithm>
#include <new>

#include "early_data.h"
#include "record_layer.h"
#include "ringpost/tls/tls_engine.h"
#include "tls_callbacks.h"

namespace ringpost {
namespace {

int Keep(const unsigned char* secret, int size, TrafficSecrets::Secret* to, std::size_t* bytes) {
  const auto length = static_cast<std::size_t>(size);
  if (size < 0 || length > to->size()) {
    return -1;
  }
  std::copy_n(secret, length, to->begin());
  *bytes = length;
  return 0;
}

}  // namespace

// Not 0: the handshake fails.
int TlsCallbacks::Secret(WOLFSSL* /*ssl*/, int kind, const unsigned char* secret, int size,
                         void* context) {
  auto& engine = *static_cast<TlsEngine*>(context);
  if (kind == CLIENT_HANDSHAKE_TRAFFIC_SECRET && engine.early_data_ != nullptr) {
    return size >= 0 && engine.early_data_->Keep({secret, static_cast<std::size_t>(size)}) ? 0 : -1;
  }
  if ((kind != CLIENT_TRAFFIC_SECRET && kind != SERVER_TRAFFIC_SECRET) ||
      engine.records_of_ != TlsRecords::kOwn) {
    return 0;
  }
  std::unique_ptr<TrafficSecrets>& secrets = engine.secrets_;
  if (secrets == nullptr) {
    secrets.reset(new (std::nothrow) TrafficSecrets);  // no exception through wolfSSL
  }
  if (secrets == nullptr) {
    return -1;
  }
  return kind == CLIENT_TRAFFIC_SECRET
             ? Keep(secret, size, &secrets->client, &secrets->client_bytes)
             : Keep(secret, size, &secrets->server, &secrets->server_bytes);
}

}  // namespace ringpost
