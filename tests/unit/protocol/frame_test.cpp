// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/protocol/frame.h"

#include <gmock/gmock.h>

#include <random>

namespace kvista {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<std::uint8_t> framed(std::vector<std::uint8_t> body) {
  const auto length = static_cast<std::uint32_t>(body.size());
  std::vector<std::uint8_t> frame;
  for (int i = 0; i < 4; ++i) frame.push_back(static_cast<std::uint8_t>(length >> (8 * i)));
  frame.insert(frame.end(), body.begin(), body.end());
  return frame;
}

Result<std::optional<json>> readOne(const std::vector<std::uint8_t>& bytes) {
  FrameReader reader;
  reader.append(bytes);
  return reader.next();
}

TEST(Frame, IsALengthAndACborMap) {
  // {"id": 7}: map of one, text of two, 7.
  EXPECT_EQ(encodeFrame({{"id", 7}}), (std::vector<std::uint8_t>{5, 0, 0, 0, 0xa1, 0x62, 'i', 'd', 7}));
}

TEST(Frame, ComesWholeHoweverItsBytesCome) {
  std::vector<std::uint8_t> stream;
  std::vector<json> sent;
  for (int i = 0; i < 20; ++i) {
    sent.push_back(requestMessage(
        i, "list", {{"bytes", json::binary(std::vector<std::uint8_t>(static_cast<std::size_t>(i * 40), 9))}}));
    const auto frame = encodeFrame(sent.back());
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, stream.size()}) {
    FrameReader reader;
    std::vector<json> got;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.append(std::span(stream).subspan(at, std::min(step, stream.size() - at)));
      for (;;) {
        auto message = reader.next();
        ASSERT_TRUE(message) << message.error().message;
        if (!*message) break;
        got.push_back(**message);
      }
    }
    EXPECT_EQ(got, sent) << "in steps of " << step;
  }
}

TEST(Frame, RefusesALengthBeyondTheLimit) {
  const auto message = readOne({0xff, 0xff, 0xff, 0xff});
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, ErrorCode::corruptFile);
  EXPECT_THAT(message.error().message, HasSubstr("4294967295 bytes where at most 1073741824"));
}

TEST(Frame, WaitsForWhatIsCutShort) {
  auto frame = encodeFrame({{"id", 1}, {"method", "hello"}});
  frame.pop_back();
  const auto message = readOne(frame);
  ASSERT_TRUE(message);
  EXPECT_FALSE(*message);
}

TEST(Frame, RefusesWhatIsNotOneMap) {
  const std::vector<std::pair<std::string, std::vector<std::uint8_t>>> cases = {
      {"nothing", {}},
      {"a number", {7}},
      {"a list", {0x80}},
      {"a text", {0x61, 'a'}},
      {"a map cut short", {0xa1, 0x61, 'a'}},
      {"a map and more", {0xa0, 0}},
      {"a key that is a number", {0xa1, 1, 2}},
      {"a tag", {0xa1, 0x61, 'a', 0xc0, 0}},
      {"a reserved length", {0xa1, 0x61, 'a', 0x1c}},
      {"an end without a beginning", {0xff}},
      {"a key without a value", {0xbf, 0x61, 'a', 0xff}},
      {"a text of 2^63 bytes", {0xa1, 0x7b, 0x80, 0, 0, 0, 0, 0, 0, 0}},
      {"a list of 2^63", {0xa1, 0x61, 'a', 0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0}},
      {"a map of 2^64 - 1", {0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
      {"garbage", {0x12, 0x34, 0x56}},
  };
  for (const auto& [name, body] : cases) {
    const auto message = readOne(framed(body));
    ASSERT_FALSE(message) << name;
    EXPECT_EQ(message.error().code, ErrorCode::corruptFile) << name;
    EXPECT_THAT(message.error().message, HasSubstr("is not one CBOR map")) << name;
  }
}

TEST(Frame, RefusesDepthInsteadOfFollowingIt) {
  std::vector<std::uint8_t> body = {0xa1, 0x61, 'a'};
  body.insert(body.end(), 10'000'000, 0x81);
  EXPECT_FALSE(readOne(framed(body)));
  std::vector<std::uint8_t> endless = {0xa1, 0x61, 'a'};
  endless.insert(endless.end(), 10'000'000, 0x9f);
  EXPECT_FALSE(readOne(framed(endless)));
}

TEST(Frame, TakesMapsAndListsWithoutALength) {
  const auto message = readOne(framed({0xbf, 0x61, 'a', 0x9f, 1, 2, 0xff, 0xff}));
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(**message, json::parse(R"({"a": [1, 2]})"));
}

TEST(Frame, SurvivesEveryChangedByte) {
  const auto frame = encodeFrame(requestMessage(3, "makePlan",
                                                {{"wish", {{"method", "coded"}, {"target", {{"value", 0.125}}}}},
                                                 {"data", json::binary({1, 2, 3})},
                                                 {"list", {1, -2, 3.5, true, nullptr}}}));
  int accepted = 0;
  for (std::size_t i = 4; i < frame.size(); ++i)
    for (int value = 0; value < 256; ++value) {
      auto changed = frame;
      changed[i] = static_cast<std::uint8_t>(value);
      const auto message = readOne(changed);
      if (message && *message) {
        EXPECT_TRUE((*message)->is_object());
        ++accepted;
      }
    }
  EXPECT_GT(accepted, 1000);  // letters of texts and numbers, at least
}

TEST(Message, KeepsAnErrorWhole) {
  const Error error{ErrorCode::unsupportedModel, "No.", "Because.", "Take another."};
  EXPECT_EQ(errorFromJson(errorMessage(4, error)["error"]), error);
  EXPECT_TRUE(errorMessage(std::nullopt, error)["id"].is_null());
}

TEST(Message, ReadsErrorsOfOtherVersions) {
  EXPECT_EQ(errorFromJson({{"code", "unheardOf"}, {"message", "No."}}).code, ErrorCode::internal);
  EXPECT_EQ(errorFromJson({{"code", 7}, {"message", 8}}).message, "");
  const Error nonsense = errorFromJson("\xff\xfe");
  EXPECT_EQ(nonsense.code, ErrorCode::internal);
  EXPECT_FALSE(nonsense.message.empty());
}

}  // namespace
}  // namespace kvista
