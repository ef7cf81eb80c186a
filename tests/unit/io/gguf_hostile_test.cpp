// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/gguf.h"
#include "tests/unit/io/gguf_builder.h"

namespace kvista {
namespace {

using test::ByteString;
using test::GgufBuilder;
using test::TemporaryGguf;
using test::tinyModel;

void expectRefused(const std::string& bytes, ErrorCode code, std::string_view sentence) {
  const TemporaryGguf file(bytes);
  const auto model = openGguf(file.path());
  ASSERT_FALSE(model) << "expected: " << sentence;
  EXPECT_EQ(model.error().code, code) << model.error().message;
  EXPECT_THAT(model.error().message, ::testing::HasSubstr(std::string(sentence)));
  EXPECT_THAT(model.error().message, ::testing::StartsWith(file.path().string()));
}

void expectRefused(const GgufBuilder& builder, ErrorCode code, std::string_view sentence) {
  expectRefused(builder.bytes(), code, sentence);
}

TEST(GgufHostile, EveryTruncationIsRefused) {
  const std::string whole = tinyModel().bytes();
  for (std::size_t length = 4; length < whole.size(); length += length < 700 ? 1 : 97) {
    const TemporaryGguf file(whole.substr(0, length));
    const auto model = openGguf(file.path());
    ASSERT_FALSE(model) << length;
    EXPECT_EQ(model.error().code, ErrorCode::corruptFile) << model.error().message;
  }
}

TEST(GgufHostile, Headers) {
  auto model = tinyModel();
  model.magic = "GGML";
  expectRefused(model, ErrorCode::corruptFile, "not a GGUF file");
  model = tinyModel();
  model.version = 1;
  expectRefused(model, ErrorCode::unsupportedModel, "it is GGUF version 1; versions 2 and 3 are supported.");
  model.version = 4;
  expectRefused(model, ErrorCode::unsupportedModel, "it is GGUF version 4");
  model.version = 0x03000000;
  expectRefused(model, ErrorCode::unsupportedModel, "big-endian");
  model = tinyModel();
  model.claimedTensors = std::uint64_t{1} << 63;
  expectRefused(model, ErrorCode::corruptFile, "says 9223372036854775808 tensors, but the file has");
  model = tinyModel();
  model.claimedKeys = ~std::uint64_t{0};
  expectRefused(model, ErrorCode::corruptFile, "says 18446744073709551615 metadata keys");
  model = tinyModel();
  model.claimedTensors = 0;
  expectRefused(model, ErrorCode::corruptFile, "holds no tensors");
}

TEST(GgufHostile, Metadata) {
  expectRefused(tinyModel().value("a", GgufType::string, ByteString().number(std::uint64_t{1} << 62).bytes()),
                ErrorCode::corruptFile, "a string in metadata key 'a' is said to be 4611686018427387904 bytes long");
  expectRefused(tinyModel().value("a", static_cast<GgufType>(77), ""), ErrorCode::corruptFile, "value type 77");
  expectRefused(tinyModel().value("a", GgufType::boolean, "\x02"), ErrorCode::corruptFile, "boolean with value 2");
  expectRefused(tinyModel().integer("llama.block_count", 1), ErrorCode::corruptFile,
                "metadata key 'llama.block_count' occurs twice.");
  const auto array = [](GgufType type, std::uint64_t count) {
    return ByteString().number(static_cast<std::uint32_t>(type)).number(count);
  };
  expectRefused(tinyModel().value("a", GgufType::array, array(GgufType::u64, std::uint64_t{1} << 61).bytes()),
                ErrorCode::corruptFile, "says 2305843009213693952 array elements");
  expectRefused(tinyModel().value("a", GgufType::array, array(GgufType::string, 1u << 30).bytes()),
                ErrorCode::corruptFile, "says 1073741824 strings");
  ByteString nested;
  for (int depth = 0; depth < 100000; ++depth) nested.raw(array(GgufType::array, 1).bytes());
  expectRefused(tinyModel().value("a", GgufType::array, nested.bytes()), ErrorCode::corruptFile,
                "nests arrays more than 4 deep");
}

TEST(GgufHostile, NestedArraysOfOtherKeysAreSkipped) {
  ByteString nested;
  nested.number(static_cast<std::uint32_t>(GgufType::array)).number<std::uint64_t>(1);
  nested.number(static_cast<std::uint32_t>(GgufType::u8)).number<std::uint64_t>(2).raw("xy");
  const TemporaryGguf file(tinyModel().value("a", GgufType::array, nested.bytes()));
  EXPECT_TRUE(openGguf(file.path()));
}

TEST(GgufHostile, Alignments) {
  expectRefused(tinyModel().integer("general.alignment", 0), ErrorCode::corruptFile,
                "is 0, but must be a power of two");
  expectRefused(tinyModel().integer("general.alignment", 48), ErrorCode::corruptFile,
                "is 48, but must be a power of two");
  expectRefused(tinyModel().integer("general.alignment", 1u << 31), ErrorCode::corruptFile, "before the tensor data");
  expectRefused(tinyModel().text("general.alignment", "32"), ErrorCode::corruptFile, "must be an integer");
}

TEST(GgufHostile, TensorTable) {
  const std::string four(16, '\0');
  expectRefused(tinyModel().tensor("x", {1, 1, 1, 1, 1}, 0, four), ErrorCode::corruptFile,
                "tensor 'x' has 5 dimensions");
  expectRefused(tinyModel().tensor("x", {}, 0, four), ErrorCode::corruptFile, "tensor 'x' has 0 dimensions");
  expectRefused(tinyModel().tensor("x", {4, 0}, 0, four), ErrorCode::corruptFile, "has a dimension of 0");
  expectRefused(tinyModel().tensor("x", {1u << 31, 1u << 31, 4}, 0, four), ErrorCode::corruptFile, "more than 2^63");
  expectRefused(tinyModel().tensor("x", {~std::uint64_t{0}}, 0, four), ErrorCode::corruptFile, "more than 2^63");
  expectRefused(tinyModel().tensor("x", {std::uint64_t{1} << 62}, 0, four), ErrorCode::corruptFile, "64 bits");
  expectRefused(tinyModel().tensor("x", {16}, 2, four), ErrorCode::corruptFile, "block length");
  expectRefused(tinyModel().tensor("x", {4}, 23, four), ErrorCode::unsupportedModel,
                "tensor 'x' is stored as IQ4_XS, which is not supported; supported: F32, F16, Q4_0");
  expectRefused(tinyModel().tensor("x", {4}, 999, four), ErrorCode::unsupportedModel, "type number 999");
  expectRefused(tinyModel().tensor("output_norm.weight", {4}, 0, four), ErrorCode::corruptFile, "occurs twice");
  expectRefused(tinyModel().tensor(std::string(200, 'n'), {4}, 0, four), ErrorCode::corruptFile, "1 to 127 bytes");
  expectRefused(tinyModel().tensor("\n\xff", {4}, 0, four), ErrorCode::corruptFile,
                "tensor name '?"
                "?' in");
  expectRefused(tinyModel().tensor("x", {4}, 0, four, 0), ErrorCode::corruptFile, "overlap");
  expectRefused(tinyModel().tensor("x", {4}, 0, four, 8), ErrorCode::corruptFile, "not a multiple of the alignment 32");
  expectRefused(tinyModel().tensor("x", {4}, 0, four, std::uint64_t{1} << 63), ErrorCode::corruptFile,
                "reaches past the end of the tensor data");
}

}  // namespace
}  // namespace kvista
