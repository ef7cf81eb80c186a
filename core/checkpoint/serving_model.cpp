// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/serving_model.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/latent_store.h"
#include "core/checkpoint/tensor_source.h"
#include "core/io/computed_tensors.h"
#include "core/model/description.h"
#include "core/model/torch_guard.h"

namespace kvista {

namespace {

class Reader {
 public:
  explicit Reader(const Checkpoint& checkpoint) : checkpoint_(checkpoint), files_(checkpoint.tensors) {}

  Result<OpenedModel> read() {
    const nlohmann::json& config = checkpoint_.config;
    if (!config.contains("kvista") || !config["kvista"].is_object() || !config["kvista"].contains("base_config"))
      return corrupt("config.json has no kvista.base_config");
    const nlohmann::json& base = config["kvista"]["base_config"];
    KVISTA_ASSIGN(description_, describeConfig(base, fmt::format("kvista.base_config in config.json of {}",
                                                                 checkpoint_.path.string())));
    const ModelShape& shape = description_.shape;
    const auto rank = config.find("head_dim");
    if (rank == config.end() || !rank->is_number_unsigned() || *rank == 0U ||
        *rank >= static_cast<unsigned>(std::min(shape.headDim, shape.valueHeadDim)))
      return corrupt(fmt::format("head_dim in config.json is not a number from 1 to {}",
                                 std::min(shape.headDim, shape.valueHeadDim) - 1));
    rank_ = rank->get<std::int64_t>();

    OpenedModel opened{.checkpoint = checkpoint_, .plan = emptyPlan(), .factors = {}};
    const auto layers = static_cast<std::size_t>(shape.layers);
    const LatentLayout whole{
        .groups = {}, .keepsKeys = std::vector<bool>(layers, true), .keepsValues = std::vector<bool>(layers, true)};
    auto tensors = std::make_shared<ComputedTensors>(std::make_shared<LatentStore>(files_, description_, whole));
    for (int layer = 0; layer < shape.layers; ++layer) {
      KVISTA_CHECK(addKeys(layer, opened));
      KVISTA_CHECK(addValues(layer, *tensors, opened));
    }
    opened.checkpoint.config = base;
    opened.checkpoint.tensors = std::move(tensors);
    return opened;
  }

 private:
  [[nodiscard]] tl::unexpected<Error> corrupt(const std::string& what) const {
    return fail(ErrorCode::corruptFile, fmt::format("{}: {}.", checkpoint_.path.string(), what),
                "Get the whole folder as it was exported.");
  }

  static CompressionPlan emptyPlan() {
    CompressionPlan plan;
    plan.method = plan.grouping = plan.allocator = "manual";
    plan.keyPosition = KeyPosition::afterRope;
    plan.storage = Storage::lowRank16;
    plan.rankStep = 1;
    return plan;
  }

  [[nodiscard]] Result<void> checkTensor(const std::string& name, const std::vector<std::int64_t>& expected) const {
    const auto found = files_->tensors().find(name);
    if (found == files_->tensors().end()) return corrupt(fmt::format("tensor {} is missing", name));
    if (found->second.shape == expected) return {};
    return corrupt(fmt::format("tensor {} has shape [{}], not [{}]", name, fmt::join(found->second.shape, ", "),
                               fmt::join(expected, ", ")));
  }

  Result<void> addKeys(int layer, OpenedModel& opened) const {
    const ModelShape& shape = description_.shape;
    std::vector<at::Tensor> bases;
    for (const char* name : {"key_basis", "query_basis"}) {
      const std::string tensor = attentionPrefix(layer) + name;
      KVISTA_CHECK(checkTensor(tensor, {shape.kvHeads, shape.headDim, rank_}));
      KVISTA_ASSIGN(at::Tensor basis, readWeight(*files_, tensor));
      if (!basis.isfinite().all().item<bool>()) return corrupt(fmt::format("tensor {} holds NaN or infinity", tensor));
      bases.push_back(basis.to(at::kFloat));
    }
    for (int head = 0; head < shape.kvHeads; ++head) {
      Group group;
      group.slots = {{layer, Side::key, head}};
      group.widths.assign(static_cast<std::size_t>(shape.headDim), 0);
      std::fill_n(group.widths.begin(), rank_, std::uint8_t{16});
      GroupFactors factors;
      factors.widths.assign(static_cast<std::size_t>(rank_), 16);
      factors.down = bases[0][head].t().contiguous();
      factors.up = bases[1][head].contiguous();
      factors.steps = at::zeros({rank_});
      opened.plan->groups.push_back(std::move(group));
      opened.factors.push_back(std::move(factors));
    }
    return {};
  }

  Result<void> addValues(int layer, ComputedTensors& tensors, OpenedModel& opened) const {
    const ModelShape& shape = description_.shape;
    const AttentionDescription& attention = description_.layers[static_cast<std::size_t>(layer)].attention;
    const std::string values = attentionPrefix(layer) + "v_proj.weight",
                      output = attentionPrefix(layer) + "o_proj.weight";
    const std::string bias = attentionPrefix(layer) + "o_proj.bias";
    KVISTA_CHECK(checkTensor(values, {shape.kvHeads * rank_, attention.value.in}));
    KVISTA_CHECK(checkTensor(output, {attention.output.out, shape.queryHeads * rank_}));
    const bool carriesBias = !attention.value.bias.empty() && attention.output.bias.empty();
    if (!attention.value.bias.empty() || !attention.output.bias.empty())
      KVISTA_CHECK(checkTensor(bias, {attention.output.out}));

    const std::int64_t width = shape.valueHeadDim, kvHeads = shape.kvHeads, queryHeads = shape.queryHeads, rank = rank_;
    const auto set = [&](const std::string& name, std::vector<std::int64_t> sizes, auto compute) {
      tensors.set(
          {.name = name, .shape = std::move(sizes), .type = DataType::f32, .file = files_->tensors().at(values).file},
          [what = fmt::format("Computing tensor {}", name), compute](std::span<float> out) {
            return guardTorch(what, [&]() -> Result<void> {
              KVISTA_ASSIGN(at::Tensor value, compute());
              value = value.contiguous();
              if (static_cast<std::size_t>(value.numel()) != out.size())
                return fail(ErrorCode::internal, what + " gave a wrong number of places.");
              std::copy_n(value.const_data_ptr<float>(), out.size(), out.begin());
              return {};
            });
          });
    };
    set(attention.value.weight, {attention.value.out, attention.value.in},
        [=, store = files_, in = attention.value.in]() -> Result<at::Tensor> {
          KVISTA_ASSIGN(const at::Tensor own, readWeight(*store, values));
          at::Tensor all = at::zeros({kvHeads, width, in});
          all.narrow(1, 0, rank).copy_(own.view({kvHeads, rank, in}));
          return all;
        });
    set(attention.output.weight, {attention.output.out, attention.output.in},
        [=, store = files_, out = attention.output.out]() -> Result<at::Tensor> {
          KVISTA_ASSIGN(const at::Tensor own, readWeight(*store, output));
          at::Tensor all = at::zeros({out, queryHeads, width});
          all.narrow(2, 0, rank).copy_(own.view({out, queryHeads, rank}));
          if (carriesBias) {
            KVISTA_ASSIGN(const at::Tensor added, readWeight(*store, bias));
            all.select(1, 0).select(1, rank).copy_(added);
          }
          return all;
        });
    if (!attention.value.bias.empty())
      set(attention.value.bias, {attention.value.out}, [=]() -> Result<at::Tensor> {
        at::Tensor all = at::zeros({kvHeads, width});
        if (carriesBias) all[0][rank] = 1;
        return all;
      });
    for (int head = 0; head < shape.kvHeads; ++head) {
      Group group;
      group.slots = {{layer, Side::value, head}};
      group.widths.assign(static_cast<std::size_t>(width), 16);
      opened.plan->groups.push_back(std::move(group));
      opened.factors.emplace_back();
    }
    return {};
  }

  const Checkpoint& checkpoint_;
  std::shared_ptr<const TensorStore> files_;
  DecoderDescription description_;
  std::int64_t rank_ = 0;
};

}  // namespace

bool isServed(const Checkpoint& checkpoint) {
  const auto type = checkpoint.config.find("model_type");
  return type != checkpoint.config.end() && *type == kServedType;
}

Result<OpenedModel> openServed(const Checkpoint& checkpoint) {
  return guardTorch(fmt::format("Reading {}", checkpoint.path.string()), [&] { return Reader(checkpoint).read(); });
}

}  // namespace kvista
