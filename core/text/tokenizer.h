// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// Text to token ids and back, exactly as the `tokenizers` library does it for the same tokenizer.json.
class Tokenizer {
 public:
  /// Reads tokenizer.json. Errors name the file and field; an unknown part is named, never skipped.
  static Result<Tokenizer> fromFile(const std::filesystem::path& tokenizerJson);
  /// `json`: parsed tokenizer.json (a GGUF's vocabulary is brought into this form); `what` names the source in
  /// messages.
  static Result<Tokenizer> fromJson(const nlohmann::json& json, std::string_view what);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Told now and then how many bytes of the text are encoded; an error that it answers ends the work.
  using Listener = std::function<Result<void>(std::size_t bytes)>;
  /// `addSpecial`: let the post-processor add BOS and the like. Text must be UTF-8. Takes about the text's size beside
  /// it and the ids.
  [[nodiscard]] Result<std::vector<std::uint32_t>> encode(std::string_view text, bool addSpecial,
                                                          const Listener& listener = {}) const;
  [[nodiscard]] Result<std::string> decode(const std::vector<std::uint32_t>& ids, bool skipSpecial) const;
  /// Whether `id` stands for a token; decode leaves out those that do not.
  [[nodiscard]] bool holds(std::uint32_t id) const;
  [[nodiscard]] std::size_t vocabularySize() const;  ///< Largest id plus one.

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace kvista
