// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What is written as a GGUF file is read back as the same numbers and the same tokens; what cannot be said is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <stop_token>

#include "core/checkpoint/export_checkpoint.h"
#include "core/checkpoint/gguf/content.h"
#include "core/checkpoint/stock_config.h"
#include "core/checkpoint/tensor_source.h"
#include "core/checkpoint/verify_export.h"
#include "core/io/gguf.h"
#include "core/io/gguf_convert.h"
#include "core/io/gguf_vocabulary.h"
#include "core/io/json_file.h"
#include "core/text/tokenizer.h"
#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const fs::path kFixtures = fs::path(KVISTA_SHARED_DIR) / "fixtures";

Result<GgufContent> contentOf(const Checkpoint& checkpoint) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors())
    tensors.push_back(carriedOver(checkpoint.tensors, tensor, name, DataType::f32));
  return contentOfGguf(stockConfig(checkpoint), std::move(tensors), checkpoint);
}

void write(GgufContent content, const fs::path& file) {
  fs::create_directories(file.parent_path());
  if (const auto written = writeGguf(file, content.metadata, std::move(content.tensors), {}); !written)
    throw std::runtime_error(written.error().message);
}

std::vector<float> numbersOf(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  std::vector<float> numbers(tensor.count());
  if (const auto read = checkpoint.tensors->readFloat32(tensor, numbers); !read)
    throw std::runtime_error(read.error().message);
  return numbers;
}

std::string bytesOf(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class GgufFamilies : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!fs::exists(kFixtures / "families" / GetParam()))
      GTEST_SKIP() << kFixtures / "families" / GetParam() << " is missing";
  }
  const TemporaryFolder folder;
};

TEST_P(GgufFamilies, weightsAreReadBackBitForBit) {
  const Checkpoint before = valueOf(openCheckpoint(kFixtures / "families" / GetParam()));
  write(valueOf(contentOf(before)), folder / "a" / "model.gguf");
  const Checkpoint after = valueOf(openCheckpoint(folder / "a" / "model.gguf"));
  const std::vector<RequiredTensor> theirs = storedTensors(valueOf(describe(before))),
                                    ours = storedTensors(valueOf(describe(after)));
  ASSERT_EQ(theirs.size(), ours.size());
  const bool isPlusOne = GetParam().starts_with("gemma");
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const TensorInfo& written = after.tensors->tensors().at(ours[i].name);
    std::vector<float> expected = numbersOf(before, before.tensors->tensors().at(theirs[i].name));
    // The format holds 1 more, rounded; the difference is exact.
    if (isPlusOne && written.shape.size() == 1)
      for (float& number : expected) number = (number + 1) - 1;
    EXPECT_EQ(numbersOf(after, written), expected) << ours[i].name;
  }
}

TEST_P(GgufFamilies, aFileWrittenFromAFileHasItsBytes) {
  write(valueOf(contentOf(valueOf(openCheckpoint(kFixtures / "families" / GetParam())))), folder / "a" / "model.gguf");
  const Checkpoint first = valueOf(openCheckpoint(folder / "a" / "model.gguf"));
  write(valueOf(contentOf(first)), folder / "b" / "model.gguf");
  write(valueOf(contentOf(valueOf(openCheckpoint(folder / "b")))), folder / "c" / "model.gguf");
  EXPECT_EQ(bytesOf(folder / "b" / "model.gguf").size(), fs::file_size(folder / "b" / "model.gguf"));
  EXPECT_TRUE(bytesOf(folder / "b" / "model.gguf") == bytesOf(folder / "c" / "model.gguf"));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GgufFamilies,
                         ::testing::Values("bloom", "deepseek_v2", "falcon", "falcon-new", "gemma", "glm4", "gpt2",
                                           "gpt_bigcode", "gpt_neox", "granite", "llama", "llama-bf16", "llama-fp16",
                                           "llama-gqa", "llama-linear-rope", "llama31-rope", "mistral", "mixtral",
                                           "olmo", "phi", "phi3-longrope", "phi4-mini", "qwen2", "qwen3", "starcoder2"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(GgufExport, whatNoArchitectureSaysIsRefusedByName) {
  if (!fs::exists(kFixtures / "families"))
    GTEST_SKIP() << kFixtures / "families"
                 << " is missing";
  const auto refusal = [](const char* family) {
    const auto content = contentOf(valueOf(openCheckpoint(kFixtures / "families" / family)));
    EXPECT_FALSE(content.has_value()) << family;
    EXPECT_EQ(content.error().code, ErrorCode::unsupportedModel);
    EXPECT_EQ(content.error().hint, "Export with --container safetensors.");
    return content.error().message;
  };
  EXPECT_THAT(refusal("opt"), HasSubstr("no architecture that computes the same"));
  EXPECT_THAT(refusal("gptj"), HasSubstr("no architecture that computes the same"));
  EXPECT_THAT(refusal("llama-dynamic-ntk"), HasSubstr("cannot say that rotary frequencies grow with the length"));
  EXPECT_THAT(refusal("falcon-rw"), HasSubstr("'falcon' has rotary embeddings, the model has none"));
  EXPECT_THAT(refusal("gemma2"), HasSubstr("does not say the scale of the scores of layer 0"));
  EXPECT_THAT(refusal("smollm3"), HasSubstr("does not say the rotary embedding of layer 2"));
  EXPECT_THAT(refusal("gpt2-prefixed"), HasSubstr("does not say the scale of the scores of layer 1"));
  EXPECT_THAT(refusal("glm"), HasSubstr("4 heads of 16 are not 48"));
}

/// The tiny model without its tokenizer, which is none.
TinyModel withoutTokenizer(const fs::path& folder, const json& changes = json::object()) {
  const TinyModel model = tinyModel(folder, changes);
  fs::remove(folder / "tokenizer.json");
  return model;
}

TEST(GgufExport, aPlansFolderHoldsOneFileAndIsVerified) {
  const TemporaryFolder folder;
  const TinyModel model = withoutTokenizer(folder / "model", {{"model_type", "qwen3"}});
  std::ofstream(model.folder / "LICENSE") << "free\n";
  const CompressionPlan plan = planNamed("joint");
  const ExportPlace place{.form = "dense", .container = Container::gguf, .target = folder / "small"};
  const ExportReport report =
      valueOf(exportCheckpoint({model.checkpoint, *model.decoder, plan, randomFactors(plan)}, place, {}));
  EXPECT_THAT(report.files, ElementsAre("LICENSE", "README.md", "model.gguf", "kvista-report.json"));
  EXPECT_THAT(report.notes, ::testing::Contains(HasSubstr("The model has no tokenizer")));
  EXPECT_LT(report.largestLogitDifference, 1e-3);
  EXPECT_TRUE(valueOf(verifyExport(folder / "small", {}, {})).problems.empty());
  std::fstream(folder / "small" / "model.gguf", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(-200, std::ios::end)
      .write("\1\2\3", 3);
  EXPECT_THAT(valueOf(verifyExport(folder / "small", {}, {})).problems,
              ElementsAre(HasSubstr("model.gguf is not what was written")));
}

TEST(GgufExport, aCancelledExportLeavesNothing) {
  const TemporaryFolder folder;
  const TinyModel model = withoutTokenizer(folder / "model");
  const CompressionPlan plan = planNamed("joint");
  std::stop_source stop;
  const Task task{stop.get_token(), [&](const ProgressReport& progress) {
                    if (progress.stage == "write") stop.request_stop();
                  }};
  const ExportPlace place{.form = "dense", .container = Container::gguf, .target = folder / "small"};
  const auto report = exportCheckpoint({model.checkpoint, *model.decoder, plan, randomFactors(plan)}, place, task);
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::cancelled);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(GgufExport, theForecastCountsWhatIsWrittenAndListsWhatIsRefused) {
  const TemporaryFolder folder;
  const TinyModel model = withoutTokenizer(folder / "model");
  const CompressionPlan plan = planNamed("joint");
  const auto forecast = [&](ExportPlace place) {
    place.container = Container::gguf;
    place.target = folder / "small";
    return valueOf(forecastExport({model.checkpoint, model.decoder->description(), plan, place}));
  };
  const ExportForecast good = forecast({.form = "dense"});
  EXPECT_TRUE(good.problems.empty());
  EXPECT_EQ(good.tensorsChanged, 4);
  EXPECT_EQ(good.tensorsCarried + good.tensorsChanged,
            static_cast<std::int64_t>(requiredTensors(model.decoder->description()).size()));
  EXPECT_THAT(forecast({.form = "latent"}).problems,
              ElementsAre(HasSubstr("The form latent is not written into a GGUF file")));
  EXPECT_THAT(forecast({.form = "dense", .shardBytes = 1000}).problems, ElementsAre(HasSubstr("written whole")));
}

class GgufTokenizers : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!fs::exists(place)) GTEST_SKIP() << place << " is missing";
    files.tokenizer = valueOf(readJsonFile(place / "tokenizer.json", 1 << 26));
    files.tokenizerConfig = valueOf(readJsonFile(place / "tokenizer_config.json", 1 << 26));
  }
  /// What a file with these words says.
  GgufTokenizer readBack(const GgufMetadata& metadata) const {
    static const std::vector<float> zero = {0};
    const TensorToWrite one{"token_embd.weight", {1, 1}, DataType::f32, [] {
                              return Result<std::span<const std::byte>>(std::as_bytes(std::span(zero)));
                            }};
    return valueOf(ggufTokenizer(valueOf(GgufFile::fromBeginning(valueOf(ggufBeginning(metadata, {one})), "words"))));
  }
  const fs::path place = kFixtures / "tokenizers" / GetParam();
  GgufTokenizer files;
};

TEST_P(GgufTokenizers, textBecomesTheSameTokens) {
  GgufMetadata metadata;
  valueOf(addGgufVocabulary(files, 4000, {}, metadata));
  const GgufTokenizer said = readBack(metadata);
  const Tokenizer tokenizer = valueOf(Tokenizer::fromJson(said.tokenizer, "words"));
  for (const json& given : valueOf(readJsonFile(place / "cases.json", 1 << 26)).at("cases")) {
    const std::string text = given.at("text");
    EXPECT_EQ(json(valueOf(tokenizer.encode(text, true))), given.at("ids_special")) << text;
  }
  for (const char* role : {"bos_token", "eos_token", "pad_token"}) {
    const json token = files.tokenizerConfig.value(role, json());
    if (token.is_string()) EXPECT_EQ(said.tokenizerConfig.value(role, ""), token) << role;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GgufTokenizers,
                         ::testing::Values("deepseek", "gpt2", "llama3", "neox", "qwen2", "starcoder"));

class ScoredTokenizers : public GgufTokenizers {};

TEST_P(ScoredTokenizers, vocabulariesWithoutAllMergesAreRefused) {
  GgufMetadata metadata;
  const auto added = addGgufVocabulary(files, 4000, {}, metadata);
  ASSERT_FALSE(added.has_value());
  EXPECT_EQ(added.error().code, ErrorCode::unsupportedModel);
  EXPECT_THAT(added.error().message,
              ::testing::AnyOf(HasSubstr("a vocabulary with scores merges all"), HasSubstr("do not stand together")));
}

/// With every merge that its vocabulary allows, in the order of the tokens, as converters of SentencePiece models write
/// them.
TEST_P(ScoredTokenizers, withAllMergesTextBecomesTheSameTokens) {
  const json& vocabulary = files.tokenizer["model"]["vocab"];
  std::map<std::size_t, std::string> tokens;
  for (const auto& [token, id] : vocabulary.items()) tokens.emplace(id.get<std::size_t>(), token);
  json merges = json::array();
  for (const auto& [id, token] : tokens) {
    if (token.starts_with("<")) continue;
    for (std::size_t cut = token.size(); cut-- > 1;)
      if (vocabulary.contains(token.substr(0, cut)) && vocabulary.contains(token.substr(cut)))
        merges.push_back({token.substr(0, cut), token.substr(cut)});
  }
  files.tokenizer["model"]["merges"] = merges;
  GgufMetadata metadata;
  valueOf(addGgufVocabulary(files, 4000, {}, metadata));
  const Tokenizer meant = valueOf(Tokenizer::fromJson(files.tokenizer, "fixture")),
                  said = valueOf(Tokenizer::fromJson(readBack(metadata).tokenizer, "words"));
  for (const std::string text : {"The quick brown fox, it's 1234!", "  two spaces\nand a tab\t.",
                                 "caf\u00e9 \u4f60\u597d", "there is another thing"})
    EXPECT_EQ(valueOf(said.encode(text, true)), valueOf(meant.encode(text, true))) << text;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ScoredTokenizers, ::testing::Values("llama2", "gemma"));

TEST(GgufVocabulary, idsWithoutTokensAreFilledAndTokensWithoutRowsLeftOut) {
  const GgufTokenizer files{.tokenizer = json::parse(R"({
      "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 4}, "merges": ["a b"]},
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
      "added_tokens": [{"id": 2, "content": "<e>", "special": true, "rstrip": true}, {"id": 9, "content": "<x>"}]})"),
                            .tokenizerConfig = json::parse(R"({"eos_token": {"content": "<e>"}})")};
  GgufMetadata metadata;
  const std::vector<std::string> notes = valueOf(addGgufVocabulary(files, 6, {2, 4}, metadata));
  EXPECT_THAT(notes, ElementsAre(HasSubstr("1 of the tokenizer's tokens are left out"),
                                 HasSubstr("1 of the tokenizer's added tokens take white space")));
  const auto value = [&](std::string_view key) {
    for (const auto& entry : metadata.entries())
      if (entry.key == key) return entry.value;
    return GgufMetadata::Value();
  };
  EXPECT_THAT(std::get<std::vector<std::string>>(value("tokenizer.ggml.tokens")),
              ElementsAre("a", "b", "<e>", "[PAD3]", "ab", "[PAD5]"));
  EXPECT_THAT(std::get<std::vector<std::int32_t>>(value("tokenizer.ggml.token_type")), ElementsAre(1, 1, 3, 5, 1, 5));
  EXPECT_EQ(std::get<std::uint32_t>(value("tokenizer.ggml.eos_token_id")), 2U);
  EXPECT_EQ(std::get<std::uint32_t>(value("tokenizer.ggml.eot_token_id")), 4U);
}

}  // namespace
}  // namespace kvista::test
