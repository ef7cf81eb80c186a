// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Forward and backward passes against reference outputs of another implementation.
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/model/decoder.h"
#include "test_models.h"

namespace kvista::test {
namespace {

const std::filesystem::path kFamilies = std::filesystem::path(KVISTA_SHARED_DIR) / "fixtures" / "families";
const std::filesystem::path kModels = std::filesystem::path(KVISTA_SHARED_DIR) / "models";

class Reference : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = kFamilies / GetParam();
    if (!std::filesystem::exists(folder_)) GTEST_SKIP() << folder_ << " is not there";
    decoder_ = load(valueOf(openCheckpoint(folder_)));
    reference_ = readTensors(folder_ / "reference.safetensors");
  }

  /// What the cache holds of `layer`, or with "grad_" its gradients: of latent attention the rotated key and the
  /// latent.
  KeyValues held(const std::string& prefix, int layer) const {
    if (const auto both = reference_.find(fmt::format("{}ckv_{}", prefix, layer)); both != reference_.end()) {
      const std::int64_t latent = decoder_->shape().valueWidth();
      return {both->second.narrow(-1, latent, both->second.size(-1) - latent), both->second.narrow(-1, 0, latent)};
    }
    return {reference_.at(fmt::format("{}k_{}", prefix, layer)), reference_.at(fmt::format("{}v_{}", prefix, layer))};
  }

  std::filesystem::path folder_;
  std::shared_ptr<const Decoder> decoder_;
  std::map<std::string, at::Tensor> reference_;
};

TEST_P(Reference, ForwardAgrees) {
  int layers = 0;
  const auto visitor = [&](const LayerRecord& record) -> Result<void> {
    EXPECT_EQ(record.layer, layers++);
    const KeyValues expected = held("", record.layer);
    EXPECT_LE(maximumDifference(record.keys, expected.keys), 1e-4);
    EXPECT_LE(maximumDifference(record.values, expected.values), 1e-4);
    const auto& latent = decoder_->description().layers[static_cast<std::size_t>(record.layer)].attention.latent;
    if (!latent) return {};
    const KeyValues heads = decoder_->attendedHeads(record.layer, record.rotatedKeys, record.values);
    const at::Tensor still = heads.keys.narrow(-1, 0, latent->keyWidth).transpose(1, 2).flatten(2);
    EXPECT_LE(maximumDifference(still, reference_.at(fmt::format("k_{}", record.layer))), 1e-4);
    EXPECT_LE(
        maximumDifference(heads.values.transpose(1, 2).flatten(2), reference_.at(fmt::format("v_{}", record.layer))),
        1e-4);
    return {};
  };
  const auto result = valueOf(decoder_->forward(reference_.at("input_ids"), nullptr, visitor, true, {}));
  EXPECT_EQ(layers, decoder_->shape().layers);
  EXPECT_LE(maximumDifference(result.hiddenLast, reference_.at("hidden_last")), 1e-4);
  EXPECT_LE(maximumDifference(result.logits, reference_.at("logits")), 1e-4);
}

TEST_P(Reference, LossAgrees) {
  const at::Tensor losses = valueOf(decoder_->tokenLosses(reference_.at("input_ids"), nullptr, {}));
  EXPECT_NEAR(losses.mean().item<double>(), reference_.at("loss").item<double>(), 1e-5);
}

TEST_P(Reference, GradientsAgree) {
  int layers = decoder_->shape().layers;
  const auto visitor = [&](const LayerRecord& record) -> Result<void> {
    EXPECT_EQ(record.layer, --layers);
    const KeyValues expected = held("grad_", record.layer);
    EXPECT_LE(relativeDifference(record.gradientKeys, expected.keys), 1e-3);
    EXPECT_LE(relativeDifference(record.gradientValues, expected.values), 1e-3);
    return {};
  };
  const at::Tensor& ids = reference_.at("input_ids");
  const double sum = valueOf(decoder_->forwardBackward(ids, visitor, {}));
  EXPECT_EQ(layers, 0);
  const auto predictions = static_cast<double>(ids.size(0) * (ids.size(1) - 1));
  EXPECT_NEAR(sum / predictions, reference_.at("loss").item<double>(), 1e-5);
}

/// Ropes that depend on the whole sequence's length: the reference holds a shorter one as well.
TEST(StretchedRope, ShortRunAgrees) {
  for (const char* name : {"llama-dynamic-ntk", "phi3-longrope"}) {
    const auto folder = kFamilies / name;
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
    const auto reference = readTensors(folder / "reference.safetensors");
    const auto decoder = load(valueOf(openCheckpoint(folder)));
    const auto result = valueOf(decoder->forward(reference.at("short.input_ids"), nullptr, {}, true, {}));
    EXPECT_LE(maximumDifference(result.logits, reference.at("short.logits")), 1e-4) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Reference,
                         testing::Values("bloom", "deepseek_v2", "falcon", "falcon-new", "falcon-rw", "gemma", "gemma2",
                                         "glm", "glm4", "gpt2", "gpt2-prefixed", "gpt_bigcode", "gpt_neox",
                                         "gpt_neox-seq", "gptj", "granite", "internlm3", "llama", "llama-bf16",
                                         "llama-bin", "llama-dynamic-ntk", "llama-extra", "llama-fp16", "llama-gqa",
                                         "llama-legacy-rope", "llama-linear-rope", "llama31-rope", "llama31-rope-v5",
                                         "mistral", "mistral-nowindow", "mixtral", "olmo", "opt", "opt-350m-style",
                                         "phi", "phi-v5", "phi3", "phi3-longrope", "phi3-longrope-v5", "phi4-mini",
                                         "qwen2", "qwen3", "qwen3_moe", "smollm3", "starcoder2"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

class TrainedModel : public testing::TestWithParam<const char*> {};

TEST_P(TrainedModel, LastLogitsAgree) {
  const std::filesystem::path folder = kModels / GetParam();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const auto decoder = load(valueOf(openCheckpoint(folder)));
  const auto reference = nlohmann::json::parse(std::ifstream(folder / "reference.json"));
  const at::Tensor ids = at::tensor(reference["prompt_ids"].get<std::vector<std::int64_t>>()).unsqueeze(0);
  const at::Tensor expected = at::tensor(reference["last_logits"].get<std::vector<double>>());
  const auto result = valueOf(decoder->forward(ids, nullptr, {}, true, {}));
  EXPECT_LE(maximumDifference(result.logits.select(0, 0).select(0, -1), expected), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Models, TrainedModel, testing::Values("austen-mha-30m", "kvista-demo-7m"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace kvista::test
