// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>

#include "core/io/json_file.h"
#include "core/io/safetensors_writer.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;
using test::readText;
using test::safetensorsBytes;
using test::TemporaryFolder;
using test::writeText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kTinyWeights = safetensorsBytes(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "abcd");

/// A folder with config.json; the test adds the weights.
class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override { writeText(folder_ / "config.json", R"({"model_type": "llama"})"); }

  [[nodiscard]] Error refusal() const {
    const auto checkpoint = openCheckpoint(folder_.path());
    return checkpoint ? Error{ErrorCode::internal, "accepted", "", ""} : checkpoint.error();
  }

  TensorToWrite tensor(const std::string& name) const {
    return {name, {2}, DataType::f32, [this]() -> Result<std::span<const std::byte>> {
              return std::as_bytes(std::span(numbers_));
            }};
  }

  std::array<float, 2> numbers_ = {1, 2};
  TemporaryFolder folder_;
};

TEST_F(CheckpointTest, OpensAFolderOrAFileInIt) {
  writeText(folder_ / "model.safetensors", kTinyWeights);
  for (const auto& path : {folder_.path(), folder_ / "model.safetensors", folder_ / "config.json"}) {
    const auto checkpoint = openCheckpoint(path);
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->path, folder_.path());
    EXPECT_EQ(checkpoint->format, Checkpoint::Format::safetensors);
    EXPECT_EQ(checkpoint->config["model_type"], "llama");
    EXPECT_THAT(checkpoint->files, ElementsAre(folder_ / "model.safetensors"));
    EXPECT_THAT(checkpoint->warnings, IsEmpty());
    EXPECT_TRUE(checkpoint->tensors->tensors().contains("w"));
  }
}

TEST_F(CheckpointTest, SaysWhatAFileIsThatIsNoModel) {
  const auto refusalOf = [&](const std::string& name, const std::string& content) {
    const TemporaryFolder alone;
    writeText(alone / name, content);
    const auto checkpoint = openCheckpoint(alone / name);
    EXPECT_FALSE(checkpoint);
    return checkpoint ? std::string() : checkpoint.error().message.substr(alone.path().string().size() + 1);
  };
  EXPECT_EQ(refusalOf("a.txt", ""), "a.txt is not a model: it is an empty file.");
  EXPECT_EQ(refusalOf("a.txt", "Once upon a time"), "a.txt is not a model: it is a text.");
  EXPECT_EQ(
      refusalOf("s.kvstats",
                safetensorsBytes(R"({"kvista.statistics":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd")),
      "s.kvstats is not a model: it is a file of statistics.");
  EXPECT_EQ(refusalOf("other.safetensors", kTinyWeights),
            "other.safetensors is not a whole model: there is no config.json beside it.");
  EXPECT_EQ(refusalOf("a.json", "{}"), "a.json is not a whole model: there is no config.json beside it.");
}

TEST_F(CheckpointTest, OpensShardsThroughFolderIndexOrOneShard) {
  ASSERT_TRUE(writeShardedSafetensors(folder_.path(), {tensor("a"), tensor("b"), tensor("c")}, 16, {}));
  for (const auto& path :
       {folder_.path(), folder_ / "model.safetensors.index.json", folder_ / "model-00002-of-00002.safetensors"}) {
    const auto checkpoint = openCheckpoint(path);
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->path, folder_.path());
    EXPECT_EQ(checkpoint->tensors->tensors().size(), 3u);
    EXPECT_THAT(checkpoint->files, ElementsAre(folder_ / "model-00001-of-00002.safetensors",
                                               folder_ / "model-00002-of-00002.safetensors"));
  }
  // A file that the index does not name stands for itself; model.safetensors wins over an index.
  writeText(folder_ / "other.safetensors", kTinyWeights);
  EXPECT_EQ(openCheckpoint(folder_ / "other.safetensors")->tensors->tensors().size(), 1u);
  writeText(folder_ / "model.safetensors", kTinyWeights);
  EXPECT_EQ(openCheckpoint(folder_.path())->tensors->tensors().size(), 1u);
  EXPECT_EQ(openCheckpoint(folder_ / "model.safetensors.index.json")->tensors->tensors().size(), 3u);
}

TEST_F(CheckpointTest, WarnsOfTensorsThatTheIndexDoesNotList) {
  writeText(folder_ / "a.safetensors", kTinyWeights);
  ASSERT_TRUE(writeSafetensors(folder_ / "b.safetensors", {tensor("x"), tensor("y")}, {}, {}));
  writeText(folder_ / "model.safetensors.index.json",
            R"({"weight_map": {"w": "a.safetensors", "x": "b.safetensors"}})");
  const auto checkpoint = openCheckpoint(folder_.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  EXPECT_TRUE(checkpoint->tensors->tensors().contains("y"));
  EXPECT_THAT(checkpoint->warnings,
              ElementsAre(HasSubstr("does not list 1 of the 3 tensors in its shards, such as \"y\"")));
}

TEST_F(CheckpointTest, RefusesAnIndexThatDoesNotFitItsShards) {
  writeText(folder_ / "a.safetensors", kTinyWeights);
  const auto refusalOf = [&](std::string_view index) {
    writeText(folder_ / "model.safetensors.index.json", index);
    return refusal().message;
  };
  EXPECT_THAT(refusalOf(R"({"weight_map": {"w": "a.safetensors", "v": "a.safetensors"}})"),
              HasSubstr("tensor \"v\" is in \"a.safetensors\", but that file does not hold it"));
  EXPECT_THAT(refusalOf(R"({"weight_map": {"w": ""}})"), HasSubstr("which is empty"));
  EXPECT_THAT(refusalOf(R"({"weight_map": {"w": "x/../../a.safetensors"}})"), HasSubstr("leads out"));
  EXPECT_THAT(refusalOf(R"({"weight_map": {"w": "/dev/zero"}})"), HasSubstr("absolute"));
  EXPECT_THAT(refusalOf(R"({"weight_map": {"w": "a.safetensors\u0000"}})"), HasSubstr("NUL"));
  EXPECT_THAT(refusalOf(R"({"weight_map": {"w": "."}})"), HasSubstr("is a folder"));
  EXPECT_THAT(refusalOf(R"({"weight_map": {}})"), HasSubstr("empty \"weight_map\""));
  EXPECT_THAT(refusalOf(R"({"weight_map": []})"), HasSubstr("an array as \"weight_map\""));
  EXPECT_THAT(refusalOf("[]"), HasSubstr("an array instead of an object"));
}

TEST_F(CheckpointTest, FollowsLinksAsInAHubCache) {
  const TemporaryFolder blobs;
  writeText(blobs / "4f2a", kTinyWeights);
  fs::rename(folder_ / "config.json", blobs / "77b1");
  fs::create_symlink(fs::relative(blobs / "4f2a", folder_.path()), folder_ / "model.safetensors");
  fs::create_symlink(blobs / "77b1", folder_ / "config.json");
  const auto checkpoint = openCheckpoint(folder_.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->files.front(), folder_ / "model.safetensors");
  fs::create_directory_symlink(folder_.path(), blobs / "snapshot");
  EXPECT_TRUE(openCheckpoint(blobs / "snapshot"));
}

TEST_F(CheckpointTest, RefusesLinksToNothingToThemselvesAndToDevices) {
  const auto refusalOf = [&](const fs::path& target) {
    fs::remove(folder_ / "model.safetensors");
    fs::create_symlink(target, folder_ / "model.safetensors");
    const Error error = refusal();
    EXPECT_EQ(error.code, ErrorCode::io);
    EXPECT_THAT(error.message, HasSubstr("model.safetensors is not a regular file"));
    return error.message;
  };
  EXPECT_THAT(refusalOf("nowhere"), HasSubstr("broken link to nowhere"));
  fs::create_symlink("model.safetensors", folder_ / "loop");
  EXPECT_THAT(refusalOf("loop"), HasSubstr("leads back to itself"));
  EXPECT_THAT(refusalOf("/dev/zero"), HasSubstr("a device"));
  EXPECT_THAT(refusalOf(folder_.path()), HasSubstr("a folder"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusalOf("pipe"), HasSubstr("a pipe"));
}

TEST_F(CheckpointTest, ConfigurationsAreHeldToTheSameRules) {
  writeText(folder_ / "model.safetensors", kTinyWeights);
  fs::remove(folder_ / "config.json");
  fs::create_symlink("/dev/zero", folder_ / "config.json");
  EXPECT_THAT(refusal().message, HasSubstr("config.json is not a regular file: it is a device"));
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(refusal().message, HasSubstr("it has no config.json"));
  EXPECT_THAT(openCheckpoint(folder_ / "model.safetensors").error().message,
              HasSubstr("there is no config.json beside it"));
}

TEST_F(CheckpointTest, NamesWhatThereIsInPlaceOfWeights) {
  EXPECT_THAT(refusal().message, HasSubstr("holds no weights"));
  writeText(folder_ / "consolidated.00.pth", "PK\x03\x04....");
  EXPECT_THAT(refusal().message, HasSubstr("but a file consolidated.00.pth"));
  EXPECT_THAT(refusal().hint, HasSubstr((folder_ / "consolidated.00.pth").string()));
  writeText(folder_ / "q.gguf", "GGUF");
  EXPECT_THAT(refusal().hint, HasSubstr((folder_ / "q.gguf").string()));
}

TEST_F(CheckpointTest, DetectsFilesByContent) {
  writeText(folder_ / "weights", kTinyWeights);
  EXPECT_TRUE(openCheckpoint(folder_ / "weights"));
  writeText(folder_ / "index", R"({"weight_map": {"w": "weights"}})");
  EXPECT_TRUE(openCheckpoint(folder_ / "index"));
  // Header lengths whose bytes look like the start of other formats: '{', a pickle's 0x80 0x02, a zip archive's PK.
  for (const std::size_t length :
       {std::size_t{0x7b}, std::size_t{0x280}, std::size_t{0x227b}, std::size_t{0x04034b50}}) {
    std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    header.resize(length, ' ');
    writeText(folder_ / "weights", safetensorsBytes(header, "abcd"));
    EXPECT_TRUE(openCheckpoint(folder_ / "weights")) << length;
  }
  writeText(folder_ / "gguf.safetensors", "GGUF");
  const auto gguf = openCheckpoint(folder_ / "gguf.safetensors");
  ASSERT_FALSE(gguf);
  EXPECT_THAT(gguf.error().message, HasSubstr("gguf.safetensors"));
  EXPECT_FALSE(openCheckpoint(folder_ / "missing"));
  EXPECT_THAT(openCheckpoint(folder_ / "missing").error().message, HasSubstr("does not exist"));
  EXPECT_FALSE(openCheckpoint(""));
  EXPECT_THAT(openCheckpoint("/dev/null").error().message, HasSubstr("is a device"));
  EXPECT_EQ(openCheckpoint(std::string("a\0b", 3)).error().code, ErrorCode::invalidArgument);
}

TEST_F(CheckpointTest, ContentHashFollowsContentAndNotPath) {
  const auto hashOf = [](const fs::path& path) {
    const auto checkpoint = openCheckpoint(path);
    EXPECT_TRUE(checkpoint) << checkpoint.error().message;
    return *contentHash(*checkpoint);
  };
  writeText(folder_ / "model.safetensors", kTinyWeights);
  const std::string hash = hashOf(folder_.path());
  EXPECT_THAT(hash, ::testing::MatchesRegex("[0-9a-f]{16}"));
  const TemporaryFolder copy;
  fs::copy(folder_ / "model.safetensors", copy.path());
  writeText(copy / "config.json", "{ \"model_type\":\"llama\" }\n");  // The same configuration in other letters.
  EXPECT_EQ(hashOf(copy.path()), hash);
  writeText(copy / "config.json", R"({"model_type":"qwen2"})");
  EXPECT_NE(hashOf(copy.path()), hash);
  std::string changed = kTinyWeights;
  changed.back() = 'x';
  writeText(folder_ / "model.safetensors", changed);
  EXPECT_NE(hashOf(folder_.path()), hash);
}

TEST_F(CheckpointTest, ContentHashOfALargeFileSeesSizeStartAndEnd) {
  constexpr std::uint64_t kData = std::uint64_t{200} << 20;
  const std::string bytes =
      safetensorsBytes(R"({"w":{"dtype":"U8","shape":[209715200],"data_offsets":[0,209715200]}})", "");
  const auto file = folder_ / "model.safetensors";
  writeText(file, bytes);
  fs::resize_file(file, bytes.size() + kData);
  const auto hash = [&] { return *contentHash(*openCheckpoint(folder_.path())); };
  const std::string zeros = hash();
  const auto poke = [&](std::uint64_t position, char value) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(position)).put(value);
  };
  for (const std::uint64_t position : {bytes.size() + 5, bytes.size() + kData - 1, (std::uint64_t{8} << 20) + 1000}) {
    poke(position, 'x');
    EXPECT_NE(hash(), zeros) << position;
    poke(position, '\0');
  }
  EXPECT_EQ(hash(), zeros);
}

TEST(Checkpoints, RealOnesOpenAndAreFinite) {
  const fs::path models = fs::path(KVISTA_SHARED_DIR) / "models";
  if (!fs::exists(models)) GTEST_SKIP() << "the shared checkpoints are not here: " << models << " is missing";
  for (const char* name : {"austen-mha-30m", "kvista-demo-7m"}) {
    const auto checkpoint = openCheckpoint(models / name);
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_THAT(checkpoint->warnings, IsEmpty());
    std::uint64_t numbers = 0;
    for (const auto& [tensorName, tensor] : checkpoint->tensors->tensors()) {
      std::vector<float> values(tensor.count());
      ASSERT_TRUE(checkpoint->tensors->readFloat32(tensor, values));
      double sum = 0;
      for (const float value : values) sum += std::abs(value);
      EXPECT_TRUE(std::isfinite(sum)) << tensorName;
      EXPECT_LT(sum / static_cast<double>(values.size()), 100) << tensorName;
      numbers += values.size();
    }
    EXPECT_GT(numbers, 7'000'000u) << name;
  }
}

TEST(Checkpoints, EveryFamilyFixtureOpens) {
  const fs::path families = fs::path(KVISTA_SHARED_DIR) / "fixtures/families";
  if (!fs::exists(families)) GTEST_SKIP() << "the shared checkpoints are not here: " << families << " is missing";
  int opened = 0;
  for (const auto& entry : fs::directory_iterator(families)) {
    SCOPED_TRACE(entry.path().string());
    const auto checkpoint = openCheckpoint(entry.path());
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_GT(checkpoint->tensors->tensors().size(), 5u);
    ++opened;
  }
  EXPECT_GE(opened, 40);
}

}  // namespace
}  // namespace kvista
