// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Codes worked out by hand, and files that do not fit themselves. Whole models of every method:
// tests/e2e/test_quantised.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/io/checkpoint.h"
#include "core/io/safetensors_writer.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/io/torch_builder.h"

namespace kvista {
namespace {

using namespace test;  // NOLINT: pieces of files
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

template <class Number>
std::string bytesOf(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

class QuantisedTest : public ::testing::Test {
 protected:
  void add(const std::string& name, DataType type, const std::vector<std::int64_t>& shape, const std::string& bytes) {
    tensors_[name] = {name, shape, type,
                      [bytes]() -> Result<std::span<const std::byte>> { return std::as_bytes(std::span(bytes)); }};
  }
  Result<Checkpoint> open(const std::string& settings) {
    writeText(folder_ / "config.json", R"({"model_type": "llama", "quantization_config": )" + settings + "}");
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, tensor] : tensors_) tensors.push_back(tensor);
    EXPECT_TRUE(writeSafetensors(folder_ / "model.safetensors", tensors, {}, {}));
    return openCheckpoint(folder_.path());
  }
  std::string refusalOf(const std::string& settings) {
    const auto checkpoint = open(settings);
    if (checkpoint) return "accepted";
    EXPECT_THAT(checkpoint.error().message,
                ::testing::AllOf(HasSubstr(folder_.path().string()), ::testing::EndsWith(".")));
    EXPECT_THAT(checkpoint.error().hint, ::testing::EndsWith("."));
    return checkpoint.error().message;
  }
  /// The one weight w.weight, of `shape`.
  std::vector<float> numbers(const std::string& settings, const std::vector<std::int64_t>& shape) {
    const auto checkpoint = open(settings);
    if (!checkpoint) throw std::runtime_error(checkpoint.error().message);
    const auto& tensors = checkpoint->tensors->tensors();
    EXPECT_THAT(tensors, SizeIs(1)) << "codes and scales are out of sight";
    const TensorInfo& weight = tensors.at("w.weight");
    EXPECT_EQ(weight.shape, shape);
    EXPECT_EQ(weight.type, DataType::packed);
    EXPECT_TRUE(isFloating(weight.type));
    EXPECT_TRUE(checkpoint->tensors->raw(weight).empty());
    EXPECT_FALSE(checkpoint->config.contains("quantization_config"));
    EXPECT_THAT(checkpoint->warnings, ElementsAre(HasSubstr("1 matrices are quantised")));
    std::vector<float> out(weight.count());
    const auto read = checkpoint->tensors->readFloat32(weight, out);
    if (!read) throw std::runtime_error(read.error().message);
    std::vector<float> few(1);
    EXPECT_EQ(checkpoint->tensors->readFloat32(weight, few).error().code, ErrorCode::invalidArgument);
    return out;
  }

  std::map<std::string, TensorToWrite> tensors_;
  TemporaryFolder folder_;
};

TEST_F(QuantisedTest, EveryCodeOfFloat8IsItsNumber) {
  std::string codes;
  for (int code = 0; code < 256; ++code) codes += static_cast<char>(code);
  add("w.weight", DataType::f8e4m3, {2, 128}, codes);
  add("w.weight_scale_inv", DataType::f32, {1, 1}, floats({2}));
  const auto e4m3 = numbers(R"({"quant_method": "fp8", "weight_block_size": [128, 128]})", {2, 128});
  add("w.weight", DataType::f8e5m2, {2, 128}, codes);
  const auto e5m2 = numbers(R"({"quant_method": "fp8"})", {2, 128});
  for (int code = 0; code < 256; ++code) {
    // Sign, exponent, fraction, by the definition of each.
    const auto value = [&](int fractionBits, int bias) {
      const int exponent = (code & 127) >> fractionBits, fraction = code & ((1 << fractionBits) - 1);
      const double size = exponent == 0 ? std::ldexp(fraction, 1 - bias - fractionBits)
                                        : std::ldexp((1 << fractionBits) + fraction, exponent - bias - fractionBits);
      return static_cast<float>(code < 128 ? 2 * size : -2 * size);
    };
    const auto at = static_cast<std::size_t>(code);
    if ((code & 127) == 127)
      EXPECT_TRUE(std::isnan(e4m3[at]));
    else
      EXPECT_EQ(e4m3[at], value(3, 7)) << code;
    if ((code & 127) > 124)
      EXPECT_TRUE(std::isnan(e5m2[at]));
    else if ((code & 127) == 124)
      EXPECT_EQ(std::abs(e5m2[at]), std::numeric_limits<float>::infinity());
    else
      EXPECT_EQ(e5m2[at], value(2, 15)) << code;
  }
}

TEST_F(QuantisedTest, ScalesAreOfBlocksRowsOrAll) {
  const std::string one(15, '\x38');  // 1 in E4M3
  add("w.weight", DataType::f8e4m3, {3, 5}, one);
  add("w.weight_scale_inv", DataType::f32, {2, 3}, floats({1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(numbers(R"({"quant_method": "fp8", "weight_block_size": [2, 2]})", {3, 5}),
              ElementsAre(1, 1, 2, 2, 3, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6));
  add("w.weight_scale_inv", DataType::bf16, {3, 1}, bytesOf<std::uint16_t>({0x3f80, 0x4000, 0x4040}));
  EXPECT_THAT(numbers(R"({"quant_method": "fp8"})", {3, 5}), ElementsAre(1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3));
  add("w.weight_scale_inv", DataType::f32, {}, floats({7}));
  EXPECT_THAT(numbers(R"({"quant_method": "fp8"})", {3, 5}), ::testing::Each(7));
  add("w.weight_scale_inv", DataType::f32, {2, 3}, floats({1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(refusalOf(R"({"quant_method": "fp8"})"),
              HasSubstr("shape [2, 3], which is none for a weight [3, 5] in blocks of 128 by 128"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "fp8", "weight_block_size": [0, 2]})"), HasSubstr("no two block lengths"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "fp8", "weight_block_size": "2x2"})"), HasSubstr("no two block lengths"));
  add("w.weight_scale_inv", DataType::i32, {}, std::string(4, '\0'));
  EXPECT_THAT(refusalOf(R"({"quant_method": "fp8"})"), HasSubstr("I32 instead of F32, BF16, F16 or U8"));
  tensors_.erase("w.weight_scale_inv");
  EXPECT_THAT(refusalOf(R"({"quant_method": "fp8"})"), HasSubstr("\"w.weight\" is made of F8_E4M3, but has no scale"));
  add("w.weight", DataType::f8e4m3, {15}, one);
  add("w.weight_scale", DataType::f32, {}, floats({7}));
  EXPECT_THAT(refusalOf(R"({"quant_method": "fbgemm_fp8"})"),
              HasSubstr("shape [15] instead of two lengths, or three of a stack"));
}

TEST_F(QuantisedTest, EachMatrixOfAStackHasScalesOfItsOwn) {
  const std::string ones(12, '\x38');  // 1 in E4M3
  const std::string settings = R"({"quant_method": "fp8", "weight_block_size": [2, 2]})";
  add("w.weight", DataType::f8e4m3, {2, 2, 3}, ones);
  add("w.weight_scale_inv", DataType::f32, {2, 1, 2}, floats({1, 2, 3, 4}));
  EXPECT_THAT(numbers(settings, {2, 2, 3}), ElementsAre(1, 1, 2, 1, 1, 2, 3, 3, 4, 3, 3, 4)) << "of blocks";
  const auto opened = open(settings);
  std::vector<float> second(6), some(2);
  const TensorInfo& weight = opened->tensors->tensors().at("w.weight");
  ASSERT_TRUE(opened->tensors->readFloat32Part(weight, 6, second));
  EXPECT_THAT(second, ElementsAre(3, 3, 4, 3, 3, 4)) << "one matrix alone";
  ASSERT_TRUE(opened->tensors->readFloat32Part(weight, 5, some));
  EXPECT_THAT(some, ElementsAre(2, 3)) << "across two";
  EXPECT_EQ(opened->tensors->readFloat32Part(weight, 7, second).error().code, ErrorCode::invalidArgument);
  add("w.weight_scale_inv", DataType::u8, {2, 1, 2}, "\x7f\x80\x7e\x82");
  EXPECT_THAT(numbers(settings, {2, 2, 3}), ElementsAre(1, 1, 2, 1, 1, 2, 0.5, 0.5, 8, 0.5, 0.5, 8)) << "powers of two";
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{2}, {2, 1, 1}}) {
    add("w.weight_scale_inv", DataType::f32, shape, floats({5, 6}));
    EXPECT_THAT(numbers(settings, {2, 2, 3}), ElementsAre(5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6)) << "of matrices";
  }
  add("w.weight_scale_inv", DataType::f32, {2, 2, 1}, floats({1, 2, 3, 4}));
  EXPECT_THAT(numbers(settings, {2, 2, 3}), ElementsAre(1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4)) << "of rows";
  add("w.weight_scale_inv", DataType::f32, {2, 1, 3}, floats({1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(numbers(settings, {2, 2, 3}), ElementsAre(1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6)) << "of columns";
  add("w.weight_scale_inv", DataType::f32, {}, floats({7}));
  EXPECT_THAT(numbers(settings, {2, 2, 3}), ::testing::Each(7)) << "of all";
  add("w.weight_scale_inv", DataType::f32, {3, 1, 2}, floats({1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(refusalOf(settings),
              HasSubstr("shape [3, 1, 2], which is none for a weight [2, 2, 3] in blocks of 2 by 2"));
}

TEST_F(QuantisedTest, Mxfp4IsPairsOfCodesTimesPowersOfTwo) {
  const std::string settings = R"({"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]})";
  std::string pairs;  // Row 0 counts up in both halves, row 1 has the same code everywhere.
  for (int i = 0; i < 16; ++i) pairs += static_cast<char>(i % 8 * 2 | (i % 8 * 2 + 1) << 4);
  pairs += std::string(16, '\x77');
  add("w.weight_blocks", DataType::u8, {1, 2, 1, 16}, pairs);
  add("w.weight_scales", DataType::u8, {1, 2, 1}, "\x80\x7d");
  const auto found = numbers(settings, {1, 32, 2});  // [expert, in, out]
  const float sizes[] = {0, 1, 2, 3, 4, 6, 8, 12};   // twice what E2M1 has
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(found[2 * i], i % 16 < 8 ? sizes[i % 16] : -sizes[i % 16 - 8]) << i;
    EXPECT_EQ(found[2 * i + 1], 1.5F) << i;
  }
  add("w.weight_scales", DataType::u8, {1, 2, 1}, std::string("\x00\xff", 2));
  const auto ends = numbers(settings, {1, 32, 2});
  EXPECT_EQ(ends[2], std::ldexp(0.5F, -127));
  EXPECT_TRUE(std::isnan(ends[1]));
  add("w.weight_scales", DataType::u8, {1, 1, 2}, std::string(2, '\x7f'));
  EXPECT_THAT(refusalOf(settings), HasSubstr("has shape [1, 1, 2]; the tensors it belongs to ask for [1, 2, 1]"));
  add("w.weight_blocks", DataType::u8, {2, 1, 16}, pairs);
  EXPECT_THAT(refusalOf(settings), HasSubstr("ask for [any, any, any, 16]"));
  tensors_.clear();
  add("w.weight", DataType::f32, {1}, floats({1}));
  EXPECT_THAT(refusalOf(settings), HasSubstr("of which none is quantised in this way"));
}

/// Eight inputs, eight outputs: code (i + o) % 16, zero point 8 stored as 7, scale 0.5.
class GptqTest : public QuantisedTest {
 protected:
  void SetUp() override {
    std::vector<std::uint32_t> words(8);
    for (std::uint32_t o = 0; o < 8; ++o)
      for (std::uint32_t i = 0; i < 8; ++i) words[o] |= (i + o) % 16 << (4 * i);
    add("w.qweight", DataType::i32, {1, 8}, bytesOf(words));
    add("w.qzeros", DataType::i32, {2, 1}, bytesOf<std::uint32_t>({0x77777777, 0xffffffff}));
    add("w.scales", DataType::f16, {2, 8}, bytesOf(std::vector<std::uint16_t>(16, 0x3800)));
  }
  const std::string settings_ = R"({"quant_method": "gptq", "bits": 4, "group_size": 4})";
};

TEST_F(GptqTest, CodesLessZeroPointsTimesScales) {
  // The second group's stored 15 means zero: one more than the largest code begins anew.
  const auto found = numbers(settings_, {8, 8});
  for (std::size_t o = 0; o < 8; ++o)
    for (std::size_t i = 0; i < 8; ++i)
      EXPECT_EQ(found[o * 8 + i], 0.5F * (static_cast<float>((i + o) % 16) - (i < 4 ? 8.0F : 0.0F)));
  const auto second =
      numbers(R"({"quant_method": "gptq", "bits": 4, "group_size": 4, "checkpoint_format": "gptq_v2"})", {8, 8});
  EXPECT_EQ(second[0], 0.5F * (0 - 7)) << "the second version stores zero points as they are";
  EXPECT_EQ(second[7], 0.5F * (7 - 15));
  add("w.g_idx", DataType::i32, {8}, bytesOf<std::uint32_t>({1, 0, 1, 0, 1, 0, 1, 0}));
  const auto ordered = numbers(settings_, {8, 8});
  EXPECT_EQ(ordered[2], 0.5F * 2);
  EXPECT_EQ(ordered[3], 0.5F * (3 - 8));
}

TEST_F(GptqTest, WhatDoesNotFitIsRefused) {
  EXPECT_THAT(refusalOf(R"({"quant_method": "gptq", "bits": 5})"), HasSubstr("5 bits, where 2, 3, 4 or 8 are read"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "gptq", "bits": "4"})"), HasSubstr("\"4\" as bits"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "gptq", "bits": 4, "group_size": 0})"), HasSubstr("group_size of 0"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "gptq", "bits": 4, "group_size": -7})"), HasSubstr("-7 as group_size"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "gptq", "bits": 4, "group_size": 4, "checkpoint_format": "marlin"})"),
              HasSubstr("marlin"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "gptq", "bits": 4, "group_size": 2})"),
              HasSubstr("has shape [2, 1]; the tensors it belongs to ask for [4, 1]"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "gptq", "bits": 8, "group_size": 4})"), HasSubstr("ask for [1, 2]"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "gptq", "bits": 3, "group_size": 4})"),
              HasSubstr("no whole number of codes of 3 bits"));
  add("w.g_idx", DataType::i32, {8}, bytesOf<std::uint32_t>({1, 0, 1, 0, 2, 0, 1, 0}));
  const auto opened = open(settings_);
  ASSERT_TRUE(opened) << opened.error().message;
  std::vector<float> out(64);
  EXPECT_THAT(opened->tensors->readFloat32(opened->tensors->tensors().at("w.weight"), out).error().message,
              HasSubstr("names group 2, where there are 2"));
  add("w.g_idx", DataType::i32, {7}, std::string(28, '\0'));
  EXPECT_THAT(refusalOf(settings_), HasSubstr("g_idx"));
  tensors_.erase("w.g_idx");
  tensors_.erase("w.scales");
  EXPECT_THAT(refusalOf(settings_), HasSubstr("tensor \"w.scales\" is missing"));
  add("w.scales", DataType::i32, {2, 8}, std::string(64, '\0'));
  EXPECT_THAT(refusalOf(settings_), HasSubstr("made of I32 instead of F16 or BF16 or F32"));
}

TEST_F(QuantisedTest, AwqWordsAreShuffled) {
  // Bits of a word, from the lowest, are of outputs 0, 2, 4, 6, 1, 3, 5, 7.
  add("w.qweight", DataType::i32, {2, 1}, bytesOf<std::uint32_t>({0x75316420, 0xfdb9eca8}));
  add("w.qzeros", DataType::i32, {1, 1}, bytesOf<std::uint32_t>({0x11111111}));
  add("w.scales", DataType::f32, {1, 8}, floats({1, 1, 1, 1, 1, 1, 1, 10}));
  const std::string settings = R"({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "GEMM"})";
  EXPECT_THAT(numbers(settings, {8, 2}), ElementsAre(-1, 7, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 60, 140));
  EXPECT_THAT(refusalOf(R"({"quant_method": "awq", "bits": 4, "version": "gemv"})"),
              HasSubstr("version \"gemv\", where gemm is read"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "awq", "bits": 3})"), HasSubstr("3 bits, where 4 are read"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "awq", "group_size": 1})"),
              HasSubstr("has shape [1, 1]; the tensors it belongs to ask for [2, 1]"));
}

class BitsAndBytesTest : public QuantisedTest {
 protected:
  void SetUp() override {
    std::vector<float> map(16);
    for (std::size_t i = 0; i < 16; ++i) map[i] = static_cast<float>(i);
    add("w.weight", DataType::u8, {3, 1}, "\x12\x34\x56");
    add("w.weight.absmax", DataType::f32, {2}, floats({1, 10}));
    add("w.weight.quant_map", DataType::f32, {16}, floats(map));
    state(R"({"quant_type": "nf4", "blocksize": 4, "dtype": "float16", "shape": [2, 3]})");
  }
  void state(const std::string& json) {
    add("w.weight.quant_state.bitsandbytes__nf4", DataType::u8, {static_cast<std::int64_t>(json.size())}, json);
  }
  const std::string settings_ = R"({"quant_method": "bitsandbytes", "load_in_4bit": true})";
};

TEST_F(BitsAndBytesTest, TheUpperHalfOfAByteComesFirst) {
  EXPECT_THAT(numbers(settings_, {2, 3}), ElementsAre(1, 2, 3, 4, 50, 60));
  EXPECT_THAT(numbers(R"({"load_in_4bit": true})", {2, 3}), ElementsAre(1, 2, 3, 4, 50, 60))
      << "as the oldest files have it";
}

TEST_F(BitsAndBytesTest, ScalesMayBeCodesThemselves) {
  std::vector<float> map(256);
  for (std::size_t i = 0; i < 256; ++i) map[i] = static_cast<float>(i) / 4;
  add("w.weight.absmax", DataType::u8, {2}, "\x04\x08");
  add("w.weight.nested_absmax", DataType::f32, {1}, floats({3}));
  add("w.weight.nested_quant_map", DataType::f32, {256}, floats(map));
  state(R"({"blocksize": 4, "shape": [2, 3], "nested_blocksize": 256, "nested_offset": 0.5})");
  EXPECT_THAT(numbers(settings_, {2, 3}), ElementsAre(3.5, 7, 10.5, 14, 5 * 6.5, 6 * 6.5));
  state(R"({"blocksize": 4, "shape": [2, 3], "nested_blocksize": 256})");
  EXPECT_THAT(refusalOf(settings_), HasSubstr("nested_offset"));
  state(R"({"blocksize": 4, "shape": [2, 3], "nested_blocksize": 1, "nested_offset": 0})");
  EXPECT_THAT(refusalOf(settings_), HasSubstr("has shape [1]; the tensors it belongs to ask for [2]"));
}

TEST_F(BitsAndBytesTest, WhatDoesNotFitIsRefused) {
  const auto refusalOfState = [&](const char* json) {
    state(json);
    return refusalOf(settings_);
  };
  EXPECT_THAT(refusalOfState("{"), HasSubstr("quant_state.bitsandbytes__nf4"));
  EXPECT_THAT(refusalOfState("[]"), HasSubstr("holds no JSON object"));
  EXPECT_THAT(refusalOfState(R"({"blocksize": 4})"), HasSubstr("no shape of two lengths"));
  EXPECT_THAT(refusalOfState(R"({"blocksize": 4, "shape": [4294967296, 4294967296]})"),
              HasSubstr("no shape of two lengths"));
  EXPECT_THAT(refusalOfState(R"({"blocksize": 4, "shape": [-2, -3]})"), HasSubstr("no shape of two lengths"));
  EXPECT_THAT(refusalOfState(R"({"blocksize": 4, "shape": [4, 3]})"),
              HasSubstr("has 3 bytes, where 12 numbers of 4 bits are said to be"));
  EXPECT_THAT(refusalOfState(R"({"blocksize": 0, "shape": [2, 3]})"), HasSubstr("blocksize"));
  EXPECT_THAT(refusalOfState(R"({"blocksize": 1, "shape": [2, 3]})"),
              HasSubstr("has shape [2]; the tensors it belongs to ask for [6]"));
}

TEST_F(QuantisedTest, BytesOfRowsAre127thsOfTheLargest) {
  add("w.weight", DataType::i8, {2, 2}, "\x7f\x81\x01\xff");
  add("w.SCB", DataType::f32, {2}, floats({3, 254}));
  add("w.weight_format", DataType::u8, {}, std::string(1, '\0'));
  EXPECT_THAT(numbers(R"({"quant_method": "bitsandbytes", "load_in_8bit": true})", {2, 2}), ElementsAre(3, -3, 2, -2));
  add("w.weight_format", DataType::u8, {}, "\x01");
  EXPECT_THAT(refusalOf(R"({"quant_method": "bitsandbytes"})"), HasSubstr("does not lie row by row"));
}

TEST_F(QuantisedTest, CompressedTensorsPackAlongInputs) {
  const std::string groups = R"("config_groups": {"group_0": {"weights": {"num_bits": 4, "symmetric": true}}}})";
  const std::string settings = R"({"quant_method": "compressed-tensors", "format": "pack-quantized", )" + groups;
  add("w.weight_packed", DataType::i32, {2, 1}, bytesOf<std::uint32_t>({0x00009876, 0x0000fb81}));
  add("w.weight_scale", DataType::f32, {2, 2}, floats({1, 2, 3, 4}));
  add("w.weight_shape", DataType::i64, {2}, bytesOf<std::int64_t>({2, 4}));
  EXPECT_THAT(numbers(settings, {2, 4}), ElementsAre(-2, -1, 0, 2, -21, 0, 12, 28));
  add("w.weight_shape", DataType::i64, {2}, bytesOf<std::int64_t>({2, 40}));
  EXPECT_THAT(refusalOf(settings), HasSubstr("ask for [2, 5]"));
  add("w.weight_shape", DataType::i64, {2}, bytesOf<std::int64_t>({2, -4}));
  EXPECT_THAT(refusalOf(settings), HasSubstr("holds no two lengths"));
  add("w.weight_shape", DataType::i64, {2}, bytesOf<std::int64_t>({2, 3}));
  EXPECT_THAT(refusalOf(settings), HasSubstr("2 scales a row, which 3 inputs cannot share evenly"));
  add("w.weight_zero_point", DataType::i32, {1, 2}, std::string(8, '\0'));
  add("w.weight_shape", DataType::i64, {2}, bytesOf<std::int64_t>({2, 4}));
  EXPECT_THAT(refusalOf(settings), HasSubstr("says where zero lies"));
  EXPECT_THAT(refusalOf(R"({"quant_method": "compressed-tensors", "format": "marlin-24"})"),
              HasSubstr("format \"marlin-24\""));
  EXPECT_THAT(refusalOf(R"({"quant_method": "compressed-tensors", "format": "pack-quantized"})"),
              HasSubstr("other than 4 or 8 bits"));
}

TEST_F(QuantisedTest, OtherMethodsAndPlainWeightsAreToldApart) {
  add("w.weight", DataType::f32, {1}, floats({1}));
  EXPECT_THAT(refusalOf(R"({"quant_method": "aqlm"})"),
              HasSubstr("quant_method \"aqlm\" is not read; those that are: fp8, fbgemm_fp8, gptq, awq, mxfp4, "
                        "bitsandbytes, compressed-tensors"));
  EXPECT_THAT(refusalOf(R"({"quant_method": 3})"), HasSubstr("a number as quant_method"));
  EXPECT_THAT(refusalOf("[]"), HasSubstr("an array instead of an object"));
  for (const char* method : {"fp8", "gptq", "awq", "bitsandbytes"})
    EXPECT_THAT(refusalOf(std::string(R"({"quant_method": ")") + method + "\"}"),
                HasSubstr("of which none is quantised in this way"));
  const auto plain = open("null");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->config.contains("quantization_config"));
  EXPECT_EQ(plain->tensors->tensors().at("w.weight").type, DataType::f32);
}

}  // namespace
}  // namespace kvista
