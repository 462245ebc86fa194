// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/outcome.h"

#include "ringpost/base/check.h"

namespace ringpost {

std::string_view CloseReasonName(CloseReason reason) {
  switch (reason) {
    case CloseReason::kNone:
      return "none";
    case CloseReason::kQuit:
      return "quit";
    case CloseReason::kClientEof:
      return "client_eof";
    case CloseReason::kBackendEof:
      return "backend_eof";
    case CloseReason::kBackend421:
      return "backend_421";
    case CloseReason::kClientReset:
      return "client_reset";
    case CloseReason::kClientTruncated:
      return "client_truncated";
    case CloseReason::kClientProtocol:
      return "client_protocol";
    case CloseReason::kClientTooManyErrors:
      return "client_too_many_errors";
    case CloseReason::kLineTooLong:
      return "line_too_long";
    case CloseReason::kStarttlsInjection:
      return "starttls_injection";
    case CloseReason::kBareNewline:
      return "bare_newline";
    case CloseReason::kBdatSyntax:
      return "bdat_syntax";
    case CloseReason::kCrossProtocol:
      return "cross_protocol";
    case CloseReason::kTlsHandshake:
      return "tls_handshake";
    case CloseReason::kTlsProtocol:
      return "tls_protocol";
    case CloseReason::kTlsFlood:
      return "tls_flood";
    case CloseReason::kBackendConnect:
      return "backend_connect";
    case CloseReason::kBackendIdentity:
      return "backend_identity";
    case CloseReason::kBackendReset:
      return "backend_reset";
    case CloseReason::kBackendProtocol:
      return "backend_protocol";
    case CloseReason::kBackendTimeout:
      return "backend_timeout";
    case CloseReason::kBackendTls:
      return "backend_tls";
    case CloseReason::kClientTimeout:
      return "client_timeout";
    case CloseReason::kHandshakeTimeout:
      return "handshake_timeout";
    case CloseReason::kClientRate:
      return "client_rate";
    case CloseReason::kPolicyChanged:
      return "policy_changed";
    case CloseReason::kOutOfResources:
      return "out_of_resources";
    case CloseReason::kDrain:
      return "drain";
    case CloseReason::kStop:
      return "stop";
  }
  CheckFailed("CloseReason is a closed set", __FILE__, __LINE__);
}

}  // namespace ringpost
