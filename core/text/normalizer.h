// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/base/error.h"

namespace kvista {

/// A text on its way through the normalisers.
struct NormalizedText {
  std::string text;
  /// False once characters were taken away in front of it: then Metaspace's scheme "first" does not hold it for the
  /// beginning of the input.
  bool keepsFront = true;
};

/// The "normalizer" of tokenizer.json. Applied to each stretch between added tokens by itself.
class TextNormalizer {
 public:
  virtual ~TextNormalizer() = default;
  [[nodiscard]] virtual Result<void> apply(NormalizedText& text) const = 0;

  /// `where` names the object in messages.
  static Result<std::unique_ptr<TextNormalizer>> read(const nlohmann::json& json, std::string where, int depth = 0);
};

}  // namespace kvista
