// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/next_hop.h"

namespace ringpost {

std::size_t NextHop::WriteIdentity(std::span<char, kProxyHeaderMax> out,
                                   const ClientIdentity& identity) const {
  if (!upstream_->sends_proxy_header()) {
    return 0;
  }
  return upstream_->identity == BackendIdentity::kProxyV1
             ? WriteProxyV1(out, identity.client, identity.server)
             : WriteProxyV2(out, identity.client, identity.server, identity.tls,
                            upstream_->proxy_tlvs, health_->proxy_header_max());
}

void NextHop::Blame(std::size_t index, Fault fault, TimeNs now) const {
  switch (fault) {
    case Fault::kUnreachable:
      (void)health_->Failed(index, now);
      break;
    case Fault::kMute:
      health_->Suspected(index, now);
      break;
    case Fault::kOutOfStep:
      health_->Doubted(index, now);
      break;
  }
}

// Where the address was not proven the probe's sentence is in the log. One that was is pending
// where this very end has put it in doubt.
bool NextHop::IsNews(std::size_t index, CloseReason reason) const {
  using Proof = UpstreamHealth::Proof;
  switch (reason) {
    case CloseReason::kBackendIdentity:
      return health_->proof(index) == Proof::kProven || health_->proof(index) == Proof::kPending;
    case CloseReason::kBackendProtocol:
    case CloseReason::kBackendReset:
    case CloseReason::kBackendTimeout:
      return health_->proof(index) == Proof::kProven;
    default:
      return false;
  }
}

}  // namespace ringpost
