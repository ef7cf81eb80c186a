// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/protocol/frame.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace kvista {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::array kCodes = {ErrorCode::invalidArgument, ErrorCode::unsupportedModel, ErrorCode::corruptFile,
                               ErrorCode::io,              ErrorCode::outOfMemory,      ErrorCode::device,
                               ErrorCode::numerical,       ErrorCode::cancelled,        ErrorCode::internal};

std::string textAt(const nlohmann::json& json, const char* field) {
  const auto found = json.find(field);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::vector<std::uint8_t> encodeFrame(const nlohmann::json& message) {
  std::vector<std::uint8_t> frame(kLengthBytes);
  nlohmann::json::to_cbor(message, frame);
  const std::size_t length = frame.size() - kLengthBytes;
  for (std::size_t i = 0; i < kLengthBytes; ++i) frame[i] = static_cast<std::uint8_t>(length >> (8 * i));
  return frame;
}

void FrameReader::append(std::span<const std::uint8_t> bytes) { buffer_.insert(buffer_.end(), bytes.begin(), bytes.end()); }

Result<std::optional<nlohmann::json>> FrameReader::next() {
  const std::size_t there = buffer_.size() - begin_;
  if (there < kLengthBytes) return std::nullopt;
  std::size_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= std::size_t{buffer_[begin_ + i]} << (8 * i);
  if (length > kMaxFrameBytes)
    return fail(ErrorCode::corruptFile, fmt::format("A message announces {} bytes where at most {} are allowed.", length, kMaxFrameBytes));
  if (there < kLengthBytes + length) return std::nullopt;
  const auto first = buffer_.begin() + static_cast<std::ptrdiff_t>(begin_ + kLengthBytes);
  nlohmann::json message = nlohmann::json::from_cbor(first, first + static_cast<std::ptrdiff_t>(length), true, false);
  if (!message.is_object())
    return fail(ErrorCode::corruptFile, fmt::format("A message of {} bytes is not one CBOR map.", length));
  begin_ += kLengthBytes + length;
  // What was read is dropped once it is the larger part, so that a long stream neither grows nor copies itself for each message.
  if (begin_ * 2 >= buffer_.size()) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  return message;
}

nlohmann::json requestMessage(std::int64_t id, std::string_view method, nlohmann::json params) {
  return {{"id", id}, {"method", method}, {"params", std::move(params)}};
}
nlohmann::json resultMessage(std::int64_t id, nlohmann::json result) { return {{"id", id}, {"result", std::move(result)}}; }
nlohmann::json errorMessage(std::int64_t id, const Error& error) {
  return {{"id", id},
          {"error",
           {{"code", nameOf(error.code)}, {"message", error.message}, {"detail", error.detail}, {"hint", error.hint}}}};
}
nlohmann::json progressMessage(std::int64_t id, nlohmann::json progress) { return {{"id", id}, {"progress", std::move(progress)}}; }

Error errorFromJson(const nlohmann::json& json) {
  if (!json.is_object()) return {ErrorCode::internal, "The engine answered an error that says nothing.", json.dump(), ""};
  const std::string name = textAt(json, "code");
  const auto code = std::ranges::find_if(kCodes, [&](ErrorCode each) { return nameOf(each) == name; });
  return {code == kCodes.end() ? ErrorCode::internal : *code, textAt(json, "message"), textAt(json, "detail"), textAt(json, "hint")};
}

}  // namespace kvista
