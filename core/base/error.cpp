// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/base/error.h"

namespace kvista {

std::string_view nameOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalidArgument:
      return "invalidArgument";
    case ErrorCode::unsupportedModel:
      return "unsupportedModel";
    case ErrorCode::corruptFile:
      return "corruptFile";
    case ErrorCode::io:
      return "io";
    case ErrorCode::outOfMemory:
      return "outOfMemory";
    case ErrorCode::device:
      return "device";
    case ErrorCode::numerical:
      return "numerical";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

}  // namespace kvista
