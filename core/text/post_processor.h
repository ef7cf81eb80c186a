// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// The "post_processor" of tokenizer.json, for a single text: puts special tokens around its ids. ByteLevel changes
/// only offsets, so it adds nothing here.
class PostProcessor {
 public:
  /// `where` names the object in messages.
  static Result<PostProcessor> read(const nlohmann::json& json, const std::string& where, int depth = 0);

  /// Without `addSpecial` only the text's own ids are placed.
  [[nodiscard]] std::vector<std::uint32_t> apply(std::vector<std::uint32_t> ids, bool addSpecial) const;
  [[nodiscard]] std::optional<std::uint32_t> largestId() const;

 private:
  /// A template's parts in order: ids to add, or (nothing) the text.
  using Template = std::vector<std::optional<std::vector<std::uint32_t>>>;
  std::vector<Template> steps_;
};

}  // namespace kvista
