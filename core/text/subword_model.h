// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// Lets a string map be searched by std::string_view.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using TokenIds = std::unordered_map<std::string, std::uint32_t, StringHash, std::equal_to<>>;

/// The "model" of tokenizer.json: turns one pre-token into ids.
class SubwordModel {
 public:
  virtual ~SubwordModel() = default;

  /// Appends the ids of `piece`, which is not empty.
  [[nodiscard]] virtual Result<void> encode(std::string_view piece, std::vector<std::uint32_t>& ids) const = 0;
  /// Parts of a long piece that can be encoded one by one with the same result; the whole piece when there is none.
  /// Returns the end of the part that starts at `begin`.
  [[nodiscard]] virtual std::size_t independentEnd(std::string_view piece, std::size_t begin) const;
  [[nodiscard]] virtual std::optional<std::uint32_t> idOf(std::string_view token) const = 0;
  /// Nothing for an id that is not in the vocabulary. The view lives as long as the model.
  [[nodiscard]] virtual std::optional<std::string_view> tokenOf(std::uint32_t id) const = 0;
  [[nodiscard]] virtual std::size_t tokenCount() const = 0;
  [[nodiscard]] virtual std::optional<std::uint32_t> largestId() const = 0;

  /// `where` names the object in messages.
  static Result<std::unique_ptr<SubwordModel>> read(const nlohmann::json& json, std::string where);
};

/// The ids of the "<0xNN>" tokens in a vocabulary.
std::array<std::optional<std::uint32_t>, 256> byteTokenIds(const TokenIds& ids);

}  // namespace kvista
