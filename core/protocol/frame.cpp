// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/protocol/frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvista {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::array kCodes = {
    ErrorCode::invalidArgument, ErrorCode::unsupportedModel, ErrorCode::corruptFile, ErrorCode::io,
    ErrorCode::outOfMemory,     ErrorCode::device,           ErrorCode::numerical,   ErrorCode::cancelled,
    ErrorCode::internal};

/// Real messages nest less than this; a parser that follows any depth would run out of stack.
constexpr std::size_t kMaxDepth = 32;

/// Walks over one CBOR item without building it: whole, nested less than kMaxDepth, every length within the bytes, keys
/// texts. The parser behind it believes lengths and recurses.
bool isSound(std::span<const std::uint8_t> bytes) {
  struct Open {
    std::uint64_t left;  ///< Items still to come; for maps keys and values.
    bool isMap, isEndless;
    bool atKey = true;
  };
  std::vector<Open> open;
  std::size_t at = 0;
  do {
    if (at >= bytes.size()) return false;
    const std::uint8_t head = bytes[at++];
    const int major = head >> 5, minor = head & 31;
    if (head == 0xff) {  // the end of what has no length; not between a key and its value
      if (open.empty() || !open.back().isEndless || (open.back().isMap && !open.back().atKey)) return false;
      open.pop_back();
    } else {
      if (!open.empty() && open.back().isMap && open.back().atKey && major != 3) return false;
      std::uint64_t argument = static_cast<std::uint64_t>(minor);
      const bool endless = minor == 31;
      if (minor >= 24 && minor < 28) {
        const std::size_t size = std::size_t{1} << (minor - 24);
        if (bytes.size() - at < size) return false;
        argument = 0;
        for (std::size_t i = 0; i < size; ++i) argument = argument << 8 | bytes[at++];
      } else if (minor >= 28 && !endless) {
        return false;
      }
      if (!open.empty()) {
        if (open.back().isMap) open.back().atKey = !open.back().atKey;
        if (!open.back().isEndless) --open.back().left;
      }
      switch (major) {
        case 2:
        case 3:  // Nobody sends strings in pieces of unknown number.
          if (endless || argument > bytes.size() - at) return false;
          at += argument;
          break;
        case 4:
        case 5: {
          if (!endless && argument > (bytes.size() - at) / (major == 5 ? 2 : 1)) return false;
          if (open.size() >= kMaxDepth) return false;
          open.push_back({major == 5 ? 2 * argument : argument, major == 5, endless});
          break;
        }
        case 6:
          return false;  // no message has tags
        default:
          if (endless) return false;
      }
    }
    while (!open.empty() && !open.back().isEndless && open.back().left == 0) open.pop_back();
  } while (!open.empty());
  return at == bytes.size();
}

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

void FrameReader::append(std::span<const std::uint8_t> bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<nlohmann::json>> FrameReader::next() {
  const std::size_t there = buffer_.size() - begin_;
  if (there < kLengthBytes) return std::nullopt;
  std::size_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= std::size_t{buffer_[begin_ + i]} << (8 * i);
  if (length > kMaxFrameBytes)
    return fail(ErrorCode::corruptFile,
                fmt::format("A message announces {} bytes where at most {} are allowed.", length, kMaxFrameBytes));
  if (there < kLengthBytes + length) return std::nullopt;
  const std::span<const std::uint8_t> bytes = std::span(buffer_).subspan(begin_ + kLengthBytes, length);
  nlohmann::json message(nlohmann::json::value_t::discarded);
  if (isSound(bytes)) message = nlohmann::json::from_cbor(bytes.begin(), bytes.end(), true, false);
  if (!message.is_object())
    return fail(ErrorCode::corruptFile, fmt::format("A message of {} bytes is not one CBOR map.", length));
  begin_ += kLengthBytes + length;
  // What was read is dropped once it is the larger part, so that a long stream neither grows nor copies itself for each
  // message.
  if (begin_ * 2 >= buffer_.size()) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  return message;
}

nlohmann::json requestMessage(std::int64_t id, std::string_view method, nlohmann::json params) {
  return {{"id", id}, {"method", method}, {"params", std::move(params)}};
}
nlohmann::json resultMessage(std::int64_t id, nlohmann::json result) {
  return {{"id", id}, {"result", std::move(result)}};
}
nlohmann::json errorMessage(std::optional<std::int64_t> id, const Error& error) {
  return {{"id", id ? nlohmann::json(*id) : nlohmann::json()},
          {"error",
           {{"code", nameOf(error.code)}, {"message", error.message}, {"detail", error.detail}, {"hint", error.hint}}}};
}
nlohmann::json progressMessage(std::int64_t id, nlohmann::json progress) {
  return {{"id", id}, {"progress", std::move(progress)}};
}

Error errorFromJson(const nlohmann::json& json) {
  if (!json.is_object())
    return {ErrorCode::internal, "The engine answered an error that says nothing.",
            json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace), ""};
  const std::string name = textAt(json, "code");
  const auto code = std::ranges::find_if(kCodes, [&](ErrorCode each) { return nameOf(each) == name; });
  return {code == kCodes.end() ? ErrorCode::internal : *code, textAt(json, "message"), textAt(json, "detail"),
          textAt(json, "hint")};
}

}  // namespace kvista
