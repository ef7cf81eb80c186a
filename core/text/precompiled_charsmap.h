// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// The character map of a SentencePiece model: a double-array trie (Darts-clone layout) from UTF-8 to offsets into a
/// blob of strings that end with NUL. Layout: uint32 LE bytes of the trie, its uint32 LE units, the blob.
class PrecompiledCharsmap {
 public:
  /// `base64`: the field's text. Errors name `where`.
  static Result<PrecompiledCharsmap> read(std::string_view base64, std::string_view where);

  /// Applies the map to each grapheme of up to five bytes, and where that finds nothing to each character.
  [[nodiscard]] Result<std::string> normalize(std::string_view text) const;

 private:
  /// The replacement of the shortest prefix of `key` that has one; the rest of `key` is dropped with it, as the
  /// `tokenizers` library does.
  [[nodiscard]] Result<std::optional<std::string_view>> find(std::string_view key) const;
  [[nodiscard]] tl::unexpected<Error> corrupt() const;

  std::vector<std::uint32_t> units_;
  std::string blob_;
  std::string where_;
};

}  // namespace kvista
