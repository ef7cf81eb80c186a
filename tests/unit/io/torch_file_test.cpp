// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/checkpoint.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/io/torch_builder.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;
using namespace test;  // NOLINT: pieces of files
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TorchFileTest : public ::testing::Test {
 protected:
  [[nodiscard]] Result<std::shared_ptr<const TensorStore>> open(const std::string& bytes) const {
    writeText(folder_ / "pytorch_model.bin", bytes);
    return openTorchFiles({folder_ / "pytorch_model.bin"});
  }
  [[nodiscard]] std::string refusalOf(const std::string& bytes) const {
    const auto store = open(bytes);
    if (store) return "accepted";
    EXPECT_THAT(store.error().message,
                ::testing::AllOf(HasSubstr((folder_ / "pytorch_model.bin").string() + ": "), ::testing::EndsWith(".")));
    EXPECT_THAT(store.error().hint, ::testing::EndsWith("."));
    return store.error().message;
  }
  /// What a single tensor of a storage "0" with six numbers is refused for.
  [[nodiscard]] std::string refusalOfTensor(const std::string& tensor) const {
    return refusalOf(
        zipBytes({{"a/data.pkl", pickledDictionary({{"w", tensor}})}, {"a/data/0", floats({1, 2, 3, 4, 5, 6})}}));
  }
  static std::vector<float> numbers(const TensorStore& store, std::string_view name) {
    const TensorInfo& tensor = store.tensors().find(name)->second;
    std::vector<float> out(tensor.count());
    const auto read = store.readFloat32(tensor, out);
    EXPECT_TRUE(read) << read.error().message;
    return out;
  }

  TemporaryFolder folder_;
};

/// Two tensors share a storage: one as it lies, from the second number on; one transposed.
std::vector<std::pair<std::string, std::string>> twoViews() {
  return {{"plain", pickledTensor("0", "FloatStorage", 6, 1, {2, 2}, {2, 1})},
          {"turned", pickledTensor("0", "FloatStorage", 6, 0, {3, 2}, {1, 3})}};
}

TEST_F(TorchFileTest, ViewsOfOneStorageAreReadThroughOffsetsAndStrides) {
  for (const bool longLengths : {false, true}) {
    const auto store = open(zipBytes({{"model/data.pkl", pickledDictionary(twoViews())},
                                      {"model/byteorder", "little"},
                                      {"model/data/0", floats({1, 2, 3, 4, 5, 6})}},
                                     longLengths));
    ASSERT_TRUE(store) << store.error().message;
    const auto& tensors = (*store)->tensors();
    EXPECT_THAT(numbers(**store, "plain"), ElementsAre(2, 3, 4, 5));
    EXPECT_THAT(numbers(**store, "turned"), ElementsAre(1, 4, 2, 5, 3, 6));
    EXPECT_EQ(tensors.find("plain")->second.type, DataType::f32);
    const auto raw = (*store)->raw(tensors.find("plain")->second);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(raw.data()), raw.size()), floats({2, 3, 4, 5}));
    EXPECT_TRUE((*store)->raw(tensors.find("turned")->second).empty()) << "its numbers do not lie in order";
  }
}

TEST_F(TorchFileTest, TheOlderFormHasItsStoragesBehindItsPickles) {
  const std::string start =
      std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15) + "\x80\x02M\xe9\x03.";
  const auto machine = [](bool little) {
    return "\x80\x02}" + pickledText("little_endian") + (little ? "\x88" : "\x89") + "s.";
  };
  const std::string keys = "\x80\x02](" + pickledText("0") + "e.",
                    storage = littleEndian<std::int64_t>(6) + floats({1, 2, 3, 4, 5, 6});
  const auto store = open(start + machine(true) + pickledDictionary(twoViews()) + keys + storage);
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_THAT(numbers(**store, "plain"), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(numbers(**store, "turned"), ElementsAre(1, 4, 2, 5, 3, 6));

  EXPECT_THAT(refusalOf(start + machine(false) + pickledDictionary(twoViews()) + keys + storage),
              HasSubstr("big endian"));
  EXPECT_THAT(refusalOf(start + machine(true) + pickledDictionary(twoViews()) + keys + storage.substr(0, 30)),
              HasSubstr("storage \"0\" has 6 numbers in 30 bytes"));
  EXPECT_THAT(refusalOf(start + machine(true) + pickledDictionary(twoViews()) + "\x80\x02]."),
              HasSubstr("does not hold storage \"0\""));
  EXPECT_THAT(refusalOf("\x80\x02M\xe9\x03."), HasSubstr("begins with a pickle that torch.save does not write"));
  EXPECT_THAT(
      refusalOf(start + machine(true) +
                pickledDictionary({{"w", pickledTensor("0", "FloatStorage", 6, 0, {2}, {1}, ")")}}) + keys + storage),
      HasSubstr("view of a storage"));
}

TEST_F(TorchFileTest, NothingButTensorsIsAskedFor) {
  const std::string call = "cos\nsystem\n" + pickledText("touch HOSTILE_MARKER") + "\x85R";
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", pickledDictionary({{"w", call}})}})),
              HasSubstr("asks for \"os.system\", which is no part of a file of tensors"));
  const std::string byStack =
      "\x8c\x08"
      "builtins\x8c\x04"
      "eval\x93";
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", pickledDictionary({{"w", byStack}})}})),
              HasSubstr("\"builtins.eval\""));
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", pickledDictionary({{"w", "i"}})}})), HasSubstr("instruction 0x69"));
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", pickledDictionary({{"w", "K\x01"}})}})),
              HasSubstr("an integer as \"w\" instead of a tensor"));
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", pickledDictionary({{"model", "}"}})}})),
              HasSubstr("a dictionary as \"model\" instead of a tensor"));
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", "\x80\x02]."}})), HasSubstr("is a list instead of a dictionary"));
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", "\x80\x02}K\x01K\x02s."}})),
              HasSubstr("names a tensor by an integer"));
  EXPECT_FALSE(fs::exists("HOSTILE_MARKER"));
}

TEST_F(TorchFileTest, TensorsStayWithinTheirStorages) {
  EXPECT_EQ(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 0, {2, 3}, {3, 1})), "accepted");
  EXPECT_EQ(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 6, {0, 3}, {3, 1})), "accepted")
      << "no number lies there";
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  const char* const outside = "does not fit into its storage of 6 numbers";
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 1, {2, 3}, {3, 1})), HasSubstr(outside));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 0, {2, 3}, {4, 1})), HasSubstr(outside));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 0, {kHuge, 4, 1}, {0, 0, 0})), HasSubstr(outside));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 0, {1000000}, {0})), HasSubstr(outside));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 0, {3, 2}, {kHuge, 1})), HasSubstr(outside));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, kHuge, {1}, {1})), HasSubstr(outside));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, -1, {1}, {1})), HasSubstr("offset"));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 0, {-1}, {1})), HasSubstr("shape"));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 0, {2}, {-1})), HasSubstr("strides"));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 6, 0, {2, 3}, {1})),
              HasSubstr("2 lengths, but 1 strides"));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", 7, 0, {7}, {1})),
              HasSubstr("has 24 bytes, but its pickle says 7 numbers of F32"));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", -6, 0, {6}, {1})),
              HasSubstr("without type, name or length"));
  EXPECT_THAT(refusalOfTensor(pickledTensor("0", "FloatStorage", kHuge, 0, {6}, {1})),
              HasSubstr("does not fit into 64 bits"));
  EXPECT_THAT(refusalOfTensor(pickledTensor("1", "FloatStorage", 6, 0, {6}, {1})), HasSubstr("has no \"a/data/1\""));
  EXPECT_THAT(refusalOfTensor(pickledTensor("../data.pkl", "FloatStorage", 6, 0, {6}, {1})),
              HasSubstr("has no \"a/data/../data.pkl\""));
}

TEST_F(TorchFileTest, DamagedPicklesAreRefused) {
  const auto refusalOfPickle = [&](const std::string& pickle) { return refusalOf(zipBytes({{"a/data.pkl", pickle}})); };
  EXPECT_THAT(refusalOfPickle(""), HasSubstr("ends in the middle"));
  EXPECT_THAT(refusalOfPickle("\x80\x02."), HasSubstr("empty stack"));
  EXPECT_THAT(refusalOfPickle("\x80\x05}."), HasSubstr("protocol 5"));
  EXPECT_THAT(refusalOfPickle("\x80\x02}u."), HasSubstr("mark that was not set"));
  EXPECT_THAT(refusalOfPickle("\x80\x02}(K\x01u."), HasSubstr("a key without a value"));
  EXPECT_THAT(refusalOfPickle("\x80\x02](s."), HasSubstr("empty stack"));
  EXPECT_THAT(refusalOfPickle("\x80\x02]K\x01K\x02s."), HasSubstr("adds to a dictionary where there is none"));
  EXPECT_THAT(refusalOfPickle("\x80\x02h\x07."), HasSubstr("recalls value 7"));
  EXPECT_THAT(refusalOfPickle("\x80\x02X\xff\xff\xff\xff"
                              "ab."),
              HasSubstr("a text of 4294967295 bytes, where 3 are left"));
  EXPECT_THAT(refusalOfPickle("\x80\x02" + std::string(100000, ']') + "."), HasSubstr("stacks more than 16384 values"));
  EXPECT_THAT(refusalOfPickle("\x80\x02" + std::string(1000, '(') + "."), HasSubstr("nests more than 256 values"));
  std::string many = "\x80\x02";
  for (int i = 0; i < 3'000'000; ++i) many += ")0";
  EXPECT_THAT(refusalOfPickle(many + "."), HasSubstr("more than 2097152 values"));
  EXPECT_THAT(refusalOfPickle("\x80\x02K\x01K\x02R."), HasSubstr("no global"));
  // A dictionary that holds itself is no tensor, and no endless one.
  EXPECT_THAT(
      refusalOfPickle("\x80\x02}q" + std::string(1, '\0') + pickledText("w") + "h" + std::string(1, '\0') + "s."),
      HasSubstr("a dictionary as \"w\""));
}

TEST_F(TorchFileTest, DamagedArchivesAreRefused) {
  const std::string good =
      zipBytes({{"a/data.pkl", pickledDictionary(twoViews())}, {"a/data/0", floats({1, 2, 3, 4, 5, 6})}});
  ASSERT_EQ(refusalOf(good), "accepted");
  for (std::size_t length = 0; length < good.size(); length += 7)
    EXPECT_NE(refusalOf(good.substr(0, length)), "accepted") << length;
  // Every byte that says where something lies, spoiled: no reading beyond the file.
  for (const bool longLengths : {false, true}) {
    const std::string whole = zipBytes(
        {{"a/data.pkl", pickledDictionary(twoViews())}, {"a/data/0", floats({1, 2, 3, 4, 5, 6})}}, longLengths);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      if (const auto store = open(whole.substr(0, at) + '\xff' + whole.substr(at + 1)))
        for (const auto& [name, tensor] : (*store)->tensors()) {
          std::vector<float> out(tensor.count());
          (void)(*store)->readFloat32(tensor, out);
        }
    }
  }
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", pickledDictionary(twoViews()), 8}})),
              HasSubstr("compressed or encrypted"));
  EXPECT_THAT(refusalOf(zipBytes({{"a/b/data.pkl", ""}})), HasSubstr("no data.pkl"));
  EXPECT_THAT(refusalOf(zipBytes({{"a", ""}, {"a", ""}})), HasSubstr("holds \"a\" twice"));
  EXPECT_THAT(refusalOf(zipBytes({{"a/data.pkl", "\x80\x02}."}, {"a/byteorder", "big"}})),
              HasSubstr("not little endian"));
}

TEST_F(TorchFileTest, FolderIndexAndFileOpenAndSafetensorsWin) {
  writeText(folder_ / "config.json", R"({"model_type": "llama"})");
  const auto file = [](const std::string& name, float value) {
    return zipBytes({{"a/data.pkl", pickledDictionary({{name, pickledTensor("0", "FloatStorage", 1, 0, {1}, {1})}})},
                     {"a/data/0", floats({value})}});
  };
  writeText(folder_ / "pytorch_model-00001-of-00002.bin", file("a", 1));
  writeText(folder_ / "pytorch_model-00002-of-00002.bin", file("b", 2));
  writeText(folder_ / "pytorch_model.bin.index.json",
            R"({"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}})");
  for (const char* name : {"", "pytorch_model.bin.index.json", "pytorch_model-00002-of-00002.bin"}) {
    const auto checkpoint = openCheckpoint(folder_.path() / name);
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->format, Checkpoint::Format::pytorch);
    EXPECT_EQ(checkpoint->path, *name == '\0' ? folder_.path() / "" : folder_.path());
    EXPECT_EQ(checkpoint->files.size(), 2u);
    EXPECT_THAT(numbers(*checkpoint->tensors, "b"), ElementsAre(2));
  }
  writeText(folder_ / "pytorch_model.bin", file("a", 3));
  EXPECT_THAT(numbers(*openCheckpoint(folder_.path())->tensors, "a"), ElementsAre(3));
  writeText(folder_ / "model.safetensors",
            safetensorsBytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", floats({4})));
  EXPECT_THAT(numbers(*openCheckpoint(folder_.path())->tensors, "a"), ElementsAre(4));
  EXPECT_THAT(numbers(*openCheckpoint(folder_ / "pytorch_model.bin")->tensors, "a"), ElementsAre(3));
  writeText(folder_ / "pytorch_model-00002-of-00002.bin", file("a", 2));
  EXPECT_THAT(openCheckpoint(folder_ / "pytorch_model.bin.index.json").error().message,
              HasSubstr("tensor \"a\" is in"));
}

}  // namespace
}  // namespace kvista
