// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "export_cases.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <random>

#include "core/checkpoint/open_model.h"
#include "core/checkpoint/tensor_source.h"
#include "core/compress/plan_transform.h"
#include "core/model/tensor_file.h"

namespace kvista::test {

namespace {

constexpr int kWidth = 8;

at::Tensor randomTensor(const std::vector<std::int64_t>& shape, std::mt19937& generator, float scale, float mean = 0) {
  std::normal_distribution<float> normal(mean, scale);
  at::Tensor tensor = at::empty(shape, at::TensorOptions(at::kFloat));
  std::generate_n(tensor.mutable_data_ptr<float>(), tensor.numel(), [&] { return normal(generator); });
  return tensor;
}

}  // namespace

TinyModel tinyModel(const std::filesystem::path& folder, const nlohmann::json& changes, at::ScalarType type) {
  nlohmann::json config = {{"architectures", {"LlamaForCausalLM"}},
                           {"model_type", "llama"},
                           {"hidden_size", 32},
                           {"intermediate_size", 40},
                           {"num_hidden_layers", 2},
                           {"num_attention_heads", 4},
                           {"num_key_value_heads", 2},
                           {"head_dim", kWidth},
                           {"vocab_size", 61},
                           {"max_position_embeddings", 64},
                           {"tie_word_embeddings", false},
                           {"bos_token_id", 1},
                           {"torch_dtype", type == at::kFloat ? "float32" : "bfloat16"}};
  config.update(changes);
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << config.dump(2);
  std::ofstream(folder / "tokenizer.json") << "{\"version\": \"1.0\"}\n";
  std::ofstream(folder / "README.md") << "not copied\n";

  std::mt19937 generator(5);
  NamedTensors tensors;
  for (const RequiredTensor& required : requiredTensors(valueOf(describeConfig(config, "config.json")))) {
    const bool isNorm = required.name.find("norm") != std::string::npos;
    tensors.emplace_back(required.name,
                         randomTensor(required.shape, generator, isNorm ? 0.2F : 0.4F, isNorm ? 1 : 0).to(type));
  }
  if (const auto written = writeTensorFile(folder / "model.safetensors", tensors, {{"format", "pt"}}, {}); !written)
    throw std::runtime_error(written.error().message);
  TinyModel model{folder, valueOf(openCheckpoint(folder)), nullptr};
  model.decoder = valueOf(Decoder::load(model.checkpoint, {}, {}));
  return model;
}

TinyModel wideModel(const std::filesystem::path& folder, const nlohmann::json& changes) {
  nlohmann::json all = {{"head_dim", kWideHead}, {"hidden_size", 48}};
  all.update(changes);
  return tinyModel(folder, all);
}

std::vector<std::uint8_t> widths(int count, int bits) {
  return std::vector<std::uint8_t>(static_cast<std::size_t>(count), static_cast<std::uint8_t>(bits));
}

std::vector<std::uint8_t> operator+(std::vector<std::uint8_t> a, const std::vector<std::uint8_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Group group(int layer, std::vector<std::string> slots, std::vector<std::uint8_t> bits) {
  Group result;
  for (const std::string& slot : slots)
    result.slots.push_back({layer, slot[0] == 'K' ? Side::key : Side::value, slot[1] - '0'});
  bits.resize(slots.size() * kWidth, 0);
  result.widths = std::move(bits);
  return result;
}

CompressionPlan planNamed(const std::string& name) {
  CompressionPlan plan;
  plan.method = "manual";
  plan.grouping = "manual";
  plan.allocator = "waterline";
  const bool isNumbered = name == "numbered" || name == "numberedAll",
             isChained = name == "chained" || name == "chainedAll" || isNumbered;
  const bool isCoded = name == "coded" || name == "codedAll" || name == "afterRope" || name == "codedCentred" ||
                       name == "trellis" || isChained;
  plan.storage = isCoded ? Storage::coded : Storage::lowRank16;
  plan.rankStep = 1;
  plan.exactTokens = isCoded && name != "codedAll" && name != "chainedAll" && name != "numberedAll" ? 4 : 0;
  if (isChained && name != "numbered") plan.chain = 2;
  plan.tokenNumbers = isNumbered;
  plan.trellis = name == "trellis" || name == "chainedAll";
  if (name == "afterRope") plan.keyPosition = KeyPosition::afterRope;
  plan.centred = name == "centred" || name == "codedCentred";
  const auto mixedWidths = widths(2, 16) + widths(7, 8) + widths(3, 4) + widths(5, 2) + widths(3, 1);
  for (int layer = 0; layer < 2; ++layer) {
    const auto add = [&](std::vector<std::string> slots, std::vector<std::uint8_t> bits) {
      plan.groups.push_back(group(layer, std::move(slots), std::move(bits)));
    };
    if (name == "shared" && layer == 1) {
      plan.sharedFrom = {0, 0};
      add({"K0", "K1", "V0", "V1"}, {});
    } else if (name == "joint" || name == "centred" || name == "shared") {
      add({"K0", "K1", "V0", "V1"}, widths(19, 16));
    } else if (name == "separate") {
      add({"K1", "K0"}, widths(9, 16));
      add({"V0", "V1"}, widths(11, 16));
    } else if (name == "coded" || name == "codedCentred" || name == "trellis" || isChained) {
      add({"K0", "K1", "V0", "V1"}, storesTokenNumbers(plan, layer) ? std::vector<std::uint8_t>() : mixedWidths);
    } else if (name == "codedAll") {
      add({"K0", "V1"}, widths(9, 8));
      add({"V0", "K1"}, widths(5, 8) + widths(5, 4));
    } else if (name == "afterRope") {
      add({"K0"}, widths(5, 8));
      add({"K1"}, widths(3, 16) + widths(2, 8));
      add({"V0", "V1"}, widths(11, 8));
    } else if (name == "mixed") {
      add({"K0", "K1"}, layer == 0 ? widths(16, 16) : widths(0, 16));
      add({"V0"}, widths(8, 16));
      add({"V1"}, widths(5, 16));
    } else if (name == "whole") {
      add({"K0", "K1", "V0", "V1"}, widths(32, 16));
    } else {
      throw std::runtime_error("no plan " + name);
    }
  }
  return plan;
}

CompressionPlan headwisePlan(const std::function<int(Side side, int head)>& rank) {
  CompressionPlan plan = planNamed("whole");
  plan.groups.clear();
  for (int layer = 0; layer < 2; ++layer)
    for (const Side side : {Side::key, Side::value})
      for (int head = 0; head < 2; ++head) {
        Group alone;
        alone.slots = {{layer, side, head}};
        alone.widths = widths(rank(side, head), 16);
        alone.widths.resize(kWideHead, 0);
        plan.groups.push_back(std::move(alone));
      }
  return plan;
}

PlanFactors randomFactors(const CompressionPlan& plan) {
  std::mt19937 generator(11);
  PlanFactors factors;
  for (const Group& member : plan.groups) {
    GroupFactors own;
    if (std::ranges::all_of(member.widths, [](std::uint8_t bits) { return bits == 16; })) {
      factors.push_back(own);
      continue;
    }
    own.trellis = plan.trellis;
    own.widths = member.widths;
    std::erase(own.widths, std::uint8_t{0});
    std::ranges::sort(own.widths, std::greater());
    const auto n = static_cast<std::int64_t>(member.widths.size());
    const auto r = static_cast<std::int64_t>(own.widths.size());
    const at::Tensor basis = std::get<0>(at::linalg_qr(randomTensor({n, n}, generator, 1))).narrow(1, 0, r);
    const at::Tensor stretch = randomTensor({n}, generator, 0.1F, 1).abs() + 0.2;
    own.up = (basis / stretch.unsqueeze(1)).contiguous();
    own.down = (basis * stretch.unsqueeze(1)).t().contiguous();
    own.steps = at::zeros({r});
    for (std::int64_t i = 0; i < r; ++i) {
      const int bits = own.widths[static_cast<std::size_t>(i)];
      if (bits != 16) own.steps[i] = 12.0 / (1 << bits);
    }
    if (predictedFrom(plan, member.slots.front().layer)) own.prediction = randomTensor({n, n}, generator, 0.2F);
    if (plan.centred) {
      own.shift = randomTensor({r}, generator, 0.5F);
      own.offset = randomTensor({n}, generator, 0.5F);
    }
    factors.push_back(own);
  }
  return factors;
}

Result<ExportReport> exportTo(const std::filesystem::path& target, const TinyModel& model, const CompressionPlan& plan,
                              const PlanFactors& factors, const std::string& form) {
  return exportCheckpoint({model.checkpoint, *model.decoder, plan, factors}, {.form = form, .target = target}, {});
}

CheckedExport checkExport(const std::filesystem::path& target, const TinyModel& model, const CompressionPlan& plan,
                          const PlanFactors& factors, const std::string& form) {
  CheckedExport result{valueOf(exportTo(target, model, plan, factors, form)), nullptr};
  const OpenedModel opened = valueOf(openModel(target));
  result.decoder = valueOf(Decoder::load(opened.checkpoint, {}, {}));
  const at::Tensor expected = logitsOf(*model.decoder, &plan, factors);
  EXPECT_LT(
      largestDifference(logitsOf(*result.decoder, opened.plan ? &*opened.plan : nullptr, opened.factors), expected),
      1e-3)
      << model.checkpoint.config;
  EXPECT_GT(largestDifference(logitsOf(*model.decoder), expected), 0.05) << "the plan changes nothing";
  return result;
}

std::string refusalOf(const std::filesystem::path& target, const TinyModel& model, const CompressionPlan& plan,
                      const PlanFactors& factors, const std::string& form) {
  const auto report = exportTo(target, model, plan, factors, form);
  if (report) {
    std::filesystem::remove_all(target);
    return "written";
  }
  EXPECT_FALSE(std::filesystem::exists(target));
  EXPECT_EQ(report.error().code, ErrorCode::invalidArgument);
  return report.error().message + " " + report.error().hint;
}

at::Tensor weightOf(const Checkpoint& checkpoint, const std::string& name) {
  return valueOf(readWeight(*checkpoint.tensors, name)).to(at::kDouble);
}

at::Tensor outputOfValueBiases(const Checkpoint& checkpoint, const std::string& attention, int width) {
  const at::Tensor bias = weightOf(checkpoint, attention + "v_proj.bias"),
                   output = weightOf(checkpoint, attention + "o_proj.weight");
  at::Tensor sum = at::zeros({output.size(0)}, at::TensorOptions(at::kDouble));
  for (int query = 0; query < 4; ++query)
    sum = sum + at::matmul(output.narrow(1, query * width, width), bias.narrow(0, query / 2 * width, width));
  return sum;
}

at::Tensor logitsOf(const Decoder& decoder, const CompressionPlan* plan, const PlanFactors& factors) {
  std::optional<PlanTransform> transform;
  if (plan != nullptr) transform.emplace(*plan, factors, decoder.shape(), at::kCPU);
  const at::Tensor ids = (at::arange(12, at::TensorOptions(at::kLong)) * 17 + 3).remainder(61).view({1, 12});
  return valueOf(decoder.forward(ids, transform ? &*transform : nullptr, {}, true, {})).logits;
}

double largestDifference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace kvista::test
