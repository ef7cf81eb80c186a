// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/io/safetensors_reader.h"
#include "core/io/safetensors_writer.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;
using test::namesIn;
using test::readText;
using test::safetensorsBytes;
using test::TemporaryFolder;
using test::writeText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A tensor whose bytes count up from `first`.
TensorToWrite counting(std::string name, std::vector<std::int64_t> shape, DataType type, unsigned first = 0) {
  std::uint64_t count = 1;
  for (const auto length : shape) count *= static_cast<std::uint64_t>(length);
  std::vector<std::byte> bytes(*byteCount(type, count));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(first + i);
  return {std::move(name), std::move(shape), type,
          [bytes = std::move(bytes)]() -> Result<std::span<const std::byte>> { return std::span(bytes); }};
}

std::vector<TensorToWrite> someTensors() {
  return {counting("b", {2, 3}, DataType::bf16, 1),     counting("model.norm.weight", {5}, DataType::f32, 2),
          counting("flags", {3}, DataType::boolean, 3), counting("a", {}, DataType::f64, 4),
          counting("nothing", {0, 7}, DataType::f32),   counting("na\"me\n\xc3\xa9", {1}, DataType::i64, 6)};
}

Result<std::shared_ptr<const TensorStore>> openBytes(const TemporaryFolder& folder, const std::string& bytes) {
  writeText(folder / "x.safetensors", bytes);
  return openSafetensors({folder / "x.safetensors"});
}

TEST(Safetensors, ReaderReadsBackWhatTheWriterWrote) {
  const TemporaryFolder folder;
  const auto file = folder / "x.safetensors";
  const auto tensors = someTensors();
  ASSERT_TRUE(writeSafetensors(file, tensors, {{"format", "pt"}}, {}));
  const auto store = openSafetensors({file});
  ASSERT_TRUE(store) << store.error().message;
  ASSERT_EQ((*store)->tensors().size(), tensors.size());
  for (const TensorToWrite& written : tensors) {
    const auto found = (*store)->tensors().find(written.name);
    ASSERT_NE(found, (*store)->tensors().end()) << written.name;
    const TensorInfo& read = found->second;
    EXPECT_EQ(read.name, written.name);
    EXPECT_EQ(read.shape, written.shape);
    EXPECT_EQ(read.type, written.type);
    EXPECT_EQ(read.file, file);
    const auto raw = (*store)->raw(read);
    const auto wanted = *written.produce();
    EXPECT_TRUE(std::ranges::equal(raw, wanted)) << written.name;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(raw.data()) % *byteCount(read.type, 1), 0u) << written.name;
  }
}

TEST(Safetensors, SameTensorsGiveTheSameBytesInAnyOrder) {
  const TemporaryFolder folder;
  auto tensors = someTensors();
  ASSERT_TRUE(writeSafetensors(folder / "one", tensors, {{"b", "2"}, {"a", "1"}}, {}));
  std::ranges::reverse(tensors);
  ASSERT_TRUE(writeSafetensors(folder / "two", tensors, {{"a", "1"}, {"b", "2"}}, {}));
  EXPECT_EQ(readText(folder / "one"), readText(folder / "two"));
}

TEST(Safetensors, LayoutIsTheOneOfTheFormat) {
  const TemporaryFolder folder;
  ASSERT_TRUE(writeSafetensors(folder / "x",
                               {counting("b", {1}, DataType::u8, 9), counting("a", {1, 2}, DataType::f16, 1)},
                               {{"format", "pt"}}, {}));
  std::string header = R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},)"
                       R"("b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(readText(folder / "x"), safetensorsBytes(header, "\1\2\3\4\x9"));
}

TEST(Safetensors, ReadsEveryFloatingTypeAsFloat32) {
  const TemporaryFolder folder;
  const std::string header =
      R"({"f64":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"f32":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},)"
      R"("f16":{"dtype":"F16","shape":[2],"data_offsets":[12,16]},"bf16":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]},)"
      R"("i8":{"dtype":"I8","shape":[1],"data_offsets":[18,19]}} )";
  std::string data(19, '\0');
  const double f64 = 1.5;
  const float f32 = -2.5f;
  std::memcpy(data.data(), &f64, 8);
  std::memcpy(data.data() + 8, &f32, 4);
  std::memcpy(data.data() + 12, "\x00\x3c\x01\x00", 4);       // 1 and 2^-24
  std::memcpy(data.data() + 16, "\x40\xc0", 2);               // -3
  for (const std::string padding : {"", " ", "  ", "   "}) {  // at several alignments
    const auto store = openBytes(folder, safetensorsBytes(header + padding, data));
    ASSERT_TRUE(store) << store.error().message;
    const auto read = [&](std::string_view name, std::size_t count) {
      std::vector<float> out(count);
      const auto result = (*store)->readFloat32((*store)->tensors().find(name)->second, out);
      EXPECT_TRUE(result) << result.error().message;
      return out;
    };
    EXPECT_THAT(read("f64", 1), ElementsAre(1.5f));
    EXPECT_THAT(read("f32", 1), ElementsAre(-2.5f));
    EXPECT_THAT(read("f16", 2), ElementsAre(1.0f, 0x1p-24f));
    EXPECT_THAT(read("bf16", 1), ElementsAre(-3.0f));
    std::vector<float> out(1);
    const auto integer = (*store)->readFloat32((*store)->tensors().find("i8")->second, out);
    ASSERT_FALSE(integer);
    EXPECT_EQ(integer.error().code, ErrorCode::unsupportedModel);
    EXPECT_THAT(integer.error().message, ::testing::AllOf(HasSubstr("\"i8\""), HasSubstr("type I8")));
    EXPECT_THAT((*store)->readFloat32((*store)->tensors().find("f16")->second, out).error().message,
                HasSubstr("holds 2 numbers, but 1 are asked for"));
    EXPECT_EQ((*store)->readFloat32({.name = "other", .shape = {1}, .file = {}}, out).error().code,
              ErrorCode::invalidArgument);
    EXPECT_THAT((*store)->raw({.name = "other", .shape = {1}, .file = {}}), IsEmpty());
  }
}

TEST(Safetensors, AcceptsWhatTheFormatAllows) {
  const TemporaryFolder folder;
  EXPECT_EQ((*openBytes(folder, safetensorsBytes("{}", "")))->tensors().size(), 0u);
  EXPECT_TRUE(openBytes(folder, safetensorsBytes("  {\"__metadata__\": null}\n", "")));
  EXPECT_TRUE(openBytes(folder, safetensorsBytes(R"({"__metadata__":{"a":""}})", "")));
  // Empty tensors may lie anywhere that no other tensor is torn apart; order of keys and further fields do not matter.
  const std::string header =
      R"({"z":{"data_offsets":[0,2],"shape":[2,1],"dtype":"U8","more":[{}]},)"
      R"("e":{"dtype":"F32","shape":[0],"data_offsets":[2,2]},"a":{"dtype":"U8","shape":[],"data_offsets":[2,3]}})";
  const auto store = openBytes(folder, safetensorsBytes(header, "abc"));
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->tensors().find("a")->second.count(), 1u);
  EXPECT_EQ((*store)->tensors().find("e")->second.count(), 0u);
}

TEST(Safetensors, RefusesInconsistentHeadersEachWithItsOwnSentence) {
  const TemporaryFolder folder;
  struct Case {
    std::string header;
    std::string sentence;
    std::string data = "abcd";
  };
  const auto one = [](const std::string& fields) { return "{\"t\":{" + fields + "}}"; };
  const std::vector<Case> cases = {
      {one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])"), ""},
      {one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])"), "1 bytes after the last tensor", "abcde"},
      {one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])"), "need 4 data bytes, but only 3", "abc"},
      {one(R"("dtype":"U8","shape":[3],"data_offsets":[0,4])"), "U8 of shape [3] and needs 3 bytes"},
      {one(R"("dtype":"U8","shape":[4],"data_offsets":[4,0])"), "ends at byte 0, before it begins at byte 4"},
      {one(R"("dtype":"U8","shape":[3],"data_offsets":[1,4])"), "leaving 1 bytes before it"},
      {one(R"("shape":[4],"data_offsets":[0,4])"), "no field \"dtype\""},
      {one(R"("dtype":"U8","data_offsets":[0,4])"), "no field \"shape\""},
      {one(R"("dtype":"U8","shape":[4])"), "no field \"data_offsets\""},
      {one(R"("dtype":1,"shape":[4],"data_offsets":[0,4])"), "a number as \"dtype\""},
      {one(R"("dtype":"U8","shape":4,"data_offsets":[0,4])"), "a number as \"shape\""},
      {one(R"("dtype":"U8","shape":[4],"data_offsets":{})"), "an object as \"data_offsets\""},
      {one(R"("dtype":"U8","shape":[4],"data_offsets":[0])"), "1 data_offsets instead of 2"},
      {one(R"("dtype":"U8","shape":[4],"data_offsets":[-0,4])"), "data offset"},
      {one(R"("dtype":"U8","shape":[4.0],"data_offsets":[0,4])"), "length 4.0 in dimension 0"},
      {one(R"("dtype":"U8","shape":[2,9223372036854775808],"data_offsets":[0,4])"), "in dimension 1"},
      {one(R"("dtype":"F64","shape":[4294967296,536870912],"data_offsets":[0,0])"), "does not fit into 64 bits"},
      {one(R"("dtype":"F4","shape":[8],"data_offsets":[0,4])"), "type F4, which is not supported"},
      {one(R"("dtype":"Q4_0","shape":[32],"data_offsets":[0,18])"), "unknown dtype \"Q4_0\""},
      {R"({"t":[]})", "described by an array"},
      {R"({"__metadata__":[]})", "\"__metadata__\" is an array"},
      {R"({"__metadata__":{"k":1}})", "a number instead of a string as \"k\""},
      {"[]", "does not begin with '{'"},
      {"    ", "holds no JSON"},
      {R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "\"t\" twice"},
      {one("\"dtype\":\"U8\",\"shape\":[" +
           [] {
             std::string s;
             for (int i = 0; i < 64; ++i) s += "1,";
             return s;
           }() +
           "4],\"data_offsets\":[0,4]"),
       "65 dimensions"},
  };
  std::set<std::string> sentences;
  for (const Case& c : cases) {
    const auto store = openBytes(folder, safetensorsBytes(c.header, c.data));
    ASSERT_EQ(store.has_value(), c.sentence.empty()) << c.header;
    if (store) continue;
    EXPECT_THAT(store.error().message,
                ::testing::AllOf(HasSubstr(c.sentence), HasSubstr((folder / "x.safetensors").string())));
    EXPECT_FALSE(store.error().message.find('\n') != std::string::npos);
  }
}

TEST(Safetensors, RefusesATensorThatIsInTwoShards) {
  const TemporaryFolder folder;
  ASSERT_TRUE(writeSafetensors(folder / "1", {counting("t", {1}, DataType::f32)}, {}, {}));
  ASSERT_TRUE(writeSafetensors(folder / "2", {counting("t", {1}, DataType::f32)}, {}, {}));
  const auto store = openSafetensors({folder / "1", folder / "2"});
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, HasSubstr("\"t\" is in " + (folder / "1").string() + " too"));
}

TEST(Safetensors, OpensAHeaderOfManyMegabytes) {
  const TemporaryFolder folder;
  std::string header = "{";
  constexpr int kTensors = 60'000;
  for (int i = 0; i < kTensors; ++i)
    header += (i ? ",\"t" : "\"t") + std::to_string(i) + R"(":{"dtype":"U8","shape":[1,1],"data_offsets":[)" +
              std::to_string(i) + "," + std::to_string(i + 1) + "]}";
  const auto store = openBytes(folder, safetensorsBytes(header + "}", std::string(kTensors, 'x')));
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->tensors().size(), std::size_t{kTensors});
}

TEST(WriteSafetensors, RefusesWhatTheFormatCannotHold) {
  const TemporaryFolder folder;
  const auto problem = [&](std::vector<TensorToWrite> tensors,
                           const std::map<std::string, std::string>& metadata = {}) {
    const auto written = writeSafetensors(folder / "x", std::move(tensors), metadata, {});
    return written ? "accepted" : written.error().message;
  };
  EXPECT_THAT(problem({counting("a", {1}, DataType::f32), counting("a", {2}, DataType::f32)}),
              HasSubstr("Two tensors are named \"a\""));
  EXPECT_THAT(problem({counting("__metadata__", {1}, DataType::f32)}), HasSubstr("must not have this name"));
  EXPECT_THAT(problem({counting("q", {32}, DataType::q4_0)}), HasSubstr("no type Q4_0"));
  EXPECT_THAT(problem({counting("\xff", {1}, DataType::f32)}), HasSubstr("UTF-8"));
  EXPECT_THAT(problem({}, {{"a", "\xff"}}), HasSubstr("UTF-8"));
  EXPECT_THAT(problem({{"n", {-1}, DataType::f32, {}}}), HasSubstr("shape [-1]"));
  EXPECT_THAT(problem({{"n", {1LL << 40, 1LL << 40}, DataType::f32, {}}}), HasSubstr("makes no sense"));
  EXPECT_THAT(problem({{"n", {1LL << 50}, DataType::f32, {}}}), HasSubstr("free"));
  auto wrong = counting("w", {4}, DataType::f32);
  wrong.shape = {5};
  EXPECT_THAT(problem({wrong}), HasSubstr("has 16 bytes instead of 20"));
  auto failing = counting("f", {4}, DataType::f32);
  failing.produce = [] { return fail(ErrorCode::numerical, "No numbers."); };
  EXPECT_EQ(problem({counting("a", {4}, DataType::f64), failing}), "No numbers.");
  EXPECT_THAT(namesIn(folder.path()), IsEmpty());
}

TEST(WriteSafetensors, ReportsBytesAndStopsInTheMiddle) {
  const TemporaryFolder folder;
  writeText(folder / "x", "old");
  constexpr std::int64_t kBytes = std::int64_t{40} << 20;
  const auto tensor = counting("big", {kBytes}, DataType::u8);
  std::stop_source source;
  std::vector<std::uint64_t> done;
  const Task task{source.get_token(), [&](const ProgressReport& report) {
                    EXPECT_EQ(report.total, static_cast<std::uint64_t>(kBytes));
                    EXPECT_EQ(report.unit, "bytes");
                    done.push_back(report.done);
                    if (report.done >= kBytes / 2) source.request_stop();
                  }};
  const auto written = writeSafetensors(folder / "x", {tensor}, {}, task);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::cancelled);
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_LE(done.back(), static_cast<std::uint64_t>(kBytes / 2) + (16u << 20));
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("x"));
  EXPECT_EQ(readText(folder / "x"), "old");
}

TEST(WriteShardedSafetensors, WritesOneFileWhenItFits) {
  const TemporaryFolder folder;
  const auto names = writeShardedSafetensors(folder.path(), someTensors(), 1 << 20, {});
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ElementsAre("model.safetensors"));
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("model.safetensors"));
  EXPECT_THAT(readText(folder / "model.safetensors"), HasSubstr(R"("__metadata__":{"format":"pt"})"));
}

TEST(WriteShardedSafetensors, SplitsInOrderAndWritesAnIndex) {
  const TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (const char* name : {"e", "d", "c", "b", "a"}) tensors.push_back(counting(name, {10}, DataType::f32));
  tensors.push_back(counting("large", {30}, DataType::f32));
  std::uint64_t last = 0;
  const Task task{{}, [&](const ProgressReport& report) { last = report.done; }};
  const auto names = writeShardedSafetensors(folder.path(), tensors, 80, task);
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ElementsAre("model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
                                  "model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors",
                                  "model.safetensors.index.json"));
  EXPECT_EQ(namesIn(folder.path()), std::set<std::string>(names->begin(), names->end()));
  EXPECT_EQ(last, 320u);
  const auto index = nlohmann::json::parse(readText(folder / "model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 320);
  EXPECT_EQ(index["weight_map"], nlohmann::json::parse(R"({"e": "model-00001-of-00004.safetensors",
    "d": "model-00001-of-00004.safetensors", "c": "model-00002-of-00004.safetensors", "b": "model-00002-of-00004.safetensors",
    "a": "model-00003-of-00004.safetensors", "large": "model-00004-of-00004.safetensors"})"));
  const auto store =
      openSafetensors({folder / (*names)[0], folder / (*names)[1], folder / (*names)[2], folder / (*names)[3]});
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->tensors().size(), 6u);
}

TEST(WriteShardedSafetensors, GoesOnBehindWhatWasAddedBefore) {
  const TemporaryFolder folder;
  ShardedSafetensorsWriter writer(folder.path(), 80);
  ASSERT_TRUE(writer.add({counting("b", {10}, DataType::f32), counting("a", {20}, DataType::f32)}, {}));
  ASSERT_TRUE(writer.add({counting("c", {10}, DataType::f32)}, {}));
  for (const std::string& name : namesIn(folder.path())) EXPECT_THAT(name, Not(HasSubstr("model")));
  const auto names = writer.commit();
  ASSERT_TRUE(names);
  EXPECT_EQ(namesIn(folder.path()), std::set<std::string>(names->begin(), names->end()));
  const auto index = nlohmann::json::parse(readText(folder / "model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 160);
  EXPECT_EQ(index["weight_map"], nlohmann::json::parse(R"({"b": "model-00001-of-00003.safetensors",
    "a": "model-00002-of-00003.safetensors", "c": "model-00003-of-00003.safetensors"})"));
}

TEST(WriteShardedSafetensors, RefusesANameThatWasAddedBefore) {
  const TemporaryFolder folder;
  {
    ShardedSafetensorsWriter writer(folder.path(), 80);
    ASSERT_TRUE(writer.add({counting("a", {10}, DataType::f32)}, {}));
    ASSERT_TRUE(writer.add({counting("a", {10}, DataType::f32)}, {}));
    const auto names = writer.commit();
    ASSERT_FALSE(names);
    EXPECT_THAT(names.error().message, HasSubstr("Two tensors are named \"a\""));
  }
  EXPECT_THAT(namesIn(folder.path()), IsEmpty());
}

TEST(WriteShardedSafetensors, LeavesNoShardBehindWhenStopped) {
  const TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (const char* name : {"a", "b", "c"}) tensors.push_back(counting(name, {10}, DataType::f32));
  std::stop_source source;
  const Task task{source.get_token(), [&](const ProgressReport& report) {
                    if (report.done >= 80) source.request_stop();
                  }};
  const auto names = writeShardedSafetensors(folder.path(), tensors, 40, task);
  ASSERT_FALSE(names);
  EXPECT_EQ(names.error().code, ErrorCode::cancelled);
  EXPECT_THAT(namesIn(folder.path()), IsEmpty());
}

}  // namespace
}  // namespace kvista
