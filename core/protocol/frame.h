// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// A message on the wire: its length as 4 little-endian bytes, then one CBOR map (RFC 8949). Numbers in bulk travel as
/// CBOR byte strings, float32 or float64 little-endian.
inline constexpr std::size_t kMaxFrameBytes = std::size_t{1} << 30;
inline constexpr int kProtocolVersion = 1;

std::vector<std::uint8_t> encodeFrame(const nlohmann::json& message);

/// Takes bytes as they come and gives messages as they are whole.
class FrameReader {
 public:
  void append(std::span<const std::uint8_t> bytes);
  /// The next whole message; nothing while it is not all there. Errors (corruptFile): a length above kMaxFrameBytes, or
  /// a frame that is not one CBOR map with texts for keys, nested less than 32 deep; the stream cannot be read further
  /// after one.
  Result<std::optional<nlohmann::json>> next();

 private:
  std::vector<std::uint8_t> buffer_;
  std::size_t begin_ = 0;
};

/// What travels: {id, method, params}; {id, result}; {id, error}; {id, progress}.
nlohmann::json requestMessage(std::int64_t id, std::string_view method, nlohmann::json params);
nlohmann::json resultMessage(std::int64_t id, nlohmann::json result);
/// Without an id: the stream itself is broken, and ends with this message.
nlohmann::json errorMessage(std::optional<std::int64_t> id, const Error& error);
nlohmann::json progressMessage(std::int64_t id, nlohmann::json progress);
/// The error of an answer; an unknown code counts as internal.
Error errorFromJson(const nlohmann::json& json);

}  // namespace kvista
