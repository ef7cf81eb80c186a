// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// The "decoder" of tokenizer.json: rewrites the tokens of an id list until they can be joined to text.
class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  [[nodiscard]] virtual Result<void> apply(std::vector<std::string>& tokens) const = 0;

  /// `where` names the object in messages.
  static Result<std::unique_ptr<TokenDecoder>> read(const nlohmann::json& json, std::string where, int depth = 0);
};

}  // namespace kvista
