// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/palu_model.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "core/checkpoint/tensor_source.h"
#include "core/io/computed_tensors.h"
#include "core/io/json_file.h"
#include "core/model/torch_guard.h"

namespace kvista {

namespace {

using nlohmann::json;

constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kTypes = {
    {{"llama", "palullama"}, {"mistral", "palumistral"}}};
constexpr std::int64_t kMostHeads = 65536;

std::string modelType(const Checkpoint& checkpoint) {
  const auto type = checkpoint.config.find("model_type");
  return type != checkpoint.config.end() && type->is_string() ? type->get<std::string>() : std::string();
}

/// One factored projection as its tensors are named.
struct Projection {
  std::string name;
  std::vector<std::int64_t> ranks = {};
  std::vector<std::int64_t> places = {};  ///< Of each head; empty: as they are.
  std::int64_t in = 0, groupRows = 0;
  bool hasBias = false;

  [[nodiscard]] std::int64_t out() const { return groupRows * static_cast<std::int64_t>(ranks.size()); }
  [[nodiscard]] std::string up(std::size_t group, std::string_view tensor) const {
    return fmt::format("{}.U.{}.{}", name, group, tensor);
  }
};

class Reader {
 public:
  explicit Reader(const Checkpoint& checkpoint) : checkpoint_(checkpoint), store_(checkpoint.tensors) {}

  Result<Checkpoint> read() {
    const json ranks = checkpoint_.config.value("head_wise_ranks", json());
    if (!ranks.is_object()) return corrupt("head_wise_ranks in config.json is not an object");
    auto tensors = std::make_shared<ComputedTensors>(store_);
    for (const auto& [name, list] : ranks.items()) {
      KVISTA_ASSIGN(const Projection projection, describe(name, list));
      add(projection, *tensors);
    }
    Checkpoint original = checkpoint_;
    original.tensors = std::move(tensors);
    const std::string type = modelType(checkpoint_);
    for (const auto& [family, paluType] : kTypes)
      if (type == paluType) original.config["model_type"] = family;
    for (const char* field : {"head_wise_ranks", "permutation_info", "architectures"}) original.config.erase(field);
    return original;
  }

 private:
  [[nodiscard]] tl::unexpected<Error> corrupt(const std::string& what) const {
    return fail(ErrorCode::corruptFile, fmt::format("{}: {}.", checkpoint_.path.string(), what),
                "Get the whole folder as it was exported.");
  }

  [[nodiscard]] Result<const TensorInfo*> find(const std::string& name, std::size_t dimensions) const {
    const auto found = store_->tensors().find(name);
    if (found == store_->tensors().end()) return corrupt(fmt::format("tensor {} is missing", quoteForMessage(name)));
    if (found->second.shape.size() != dimensions)
      return corrupt(fmt::format("tensor {} has {} dimensions, not {}", quoteForMessage(name),
                                 found->second.shape.size(), dimensions));
    return &found->second;
  }

  Result<Projection> describe(const std::string& name, const json& list) {
    Projection projection{.name = name};
    const bool isList = list.is_array() && !list.empty() && list.size() <= static_cast<std::size_t>(kMostHeads) &&
                        std::ranges::all_of(list, [](const json& rank) {
                          return rank.is_number_unsigned() && rank.get<std::uint64_t>() < (1U << 20);
                        });
    if (!isList)
      return corrupt(fmt::format("head_wise_ranks of {} in config.json is not a list of ranks", quoteForMessage(name)));
    projection.ranks = list.get<std::vector<std::int64_t>>();
    KVISTA_ASSIGN(const TensorInfo* down, find(name + ".VT.weight", 2));
    const std::int64_t total = std::accumulate(projection.ranks.begin(), projection.ranks.end(), std::int64_t{0});
    projection.in = down->shape[1];
    if (down->shape[0] != total)
      return corrupt(
          fmt::format("tensor {} has {} rows, its ranks need {}", quoteForMessage(down->name), down->shape[0], total));
    projection.hasBias = store_->tensors().contains(projection.up(0, "bias"));
    for (std::size_t group = 0; group < projection.ranks.size(); ++group) {
      KVISTA_ASSIGN(const TensorInfo* up, find(projection.up(group, "weight"), 2));
      if (group == 0) projection.groupRows = up->shape[0];
      if (up->shape[0] != projection.groupRows || up->shape[1] != projection.ranks[group])
        return corrupt(fmt::format("tensor {} has shape [{}, {}], not [{}, {}]", quoteForMessage(up->name),
                                   up->shape[0], up->shape[1], projection.groupRows, projection.ranks[group]));
      if (!projection.hasBias) continue;
      KVISTA_ASSIGN(const TensorInfo* bias, find(projection.up(group, "bias"), 1));
      if (bias->shape[0] != projection.groupRows)
        return corrupt(fmt::format("tensor {} has {} numbers, not {}", quoteForMessage(bias->name), bias->shape[0],
                                   projection.groupRows));
    }
    KVISTA_ASSIGN(projection.places, placesOf(projection));
    return projection;
  }

  /// permutation_info: {"head": place}; null or nothing: heads are where they belong.
  [[nodiscard]] Result<std::vector<std::int64_t>> placesOf(const Projection& projection) const {
    const json all = checkpoint_.config.value("permutation_info", json::object());
    if (!all.is_object() || !all.contains(projection.name) || all[projection.name].is_null())
      return std::vector<std::int64_t>();
    const json& own = all[projection.name];
    const auto wrong = [&] {
      return corrupt(
          fmt::format("permutation_info of {} in config.json is not an order of heads that divide its {} rows",
                      quoteForMessage(projection.name), projection.out()));
    };
    const auto heads = static_cast<std::int64_t>(own.size());
    if (!own.is_object() || heads == 0 || heads > kMostHeads || projection.out() % heads != 0) return wrong();
    std::vector<std::int64_t> places(own.size(), -1);
    std::vector<bool> taken(own.size());
    for (const auto& [head, place] : own.items()) {
      std::size_t number = 0;
      const auto [end, error] = std::from_chars(head.data(), head.data() + head.size(), number);
      if (error != std::errc() || end != head.data() + head.size() || number >= own.size() ||
          !place.is_number_unsigned() || place.get<std::uint64_t>() >= own.size() || places[number] >= 0 ||
          taken[place.get<std::size_t>()])
        return wrong();
      places[number] = place.get<std::int64_t>();
      taken[place.get<std::size_t>()] = true;
    }
    return places;
  }

  void add(const Projection& projection, ComputedTensors& tensors) const {
    const TensorInfo& down = store_->tensors().at(projection.name + ".VT.weight");
    const auto inOrder = [places = projection.places](const at::Tensor& rows) {
      if (places.empty()) return rows.contiguous();
      const auto heads = static_cast<std::int64_t>(places.size());
      const at::Tensor apart = rows.reshape({heads, rows.size(0) / heads, -1});
      return apart.index_select(0, at::tensor(places, at::kLong)).reshape(rows.sizes()).contiguous();
    };
    const auto computeTensor = [&](const std::string& suffix, std::vector<std::int64_t> shape, auto compute) {
      TensorInfo info{
          .name = projection.name + suffix, .shape = std::move(shape), .type = DataType::f32, .file = down.file};
      tensors.set(info, [what = fmt::format("Computing tensor {}", info.name), compute, inOrder](std::span<float> out) {
        return guardTorch(what, [&]() -> Result<void> {
          KVISTA_ASSIGN(const std::vector<at::Tensor> parts, compute());
          const at::Tensor rows = inOrder(at::cat(parts)).to(at::kFloat).contiguous();
          if (static_cast<std::size_t>(rows.numel()) != out.size())
            return fail(ErrorCode::internal, what + " gave a wrong number of places.");
          std::memcpy(out.data(), rows.const_data_ptr(), out.size_bytes());
          return {};
        });
      });
    };
    computeTensor(".weight", {projection.out(), projection.in},
                  [store = store_, projection]() -> Result<std::vector<at::Tensor>> {
                    KVISTA_ASSIGN(const at::Tensor all, readWeight(*store, projection.name + ".VT.weight"));
                    std::vector<at::Tensor> parts;
                    std::int64_t begin = 0;
                    for (std::size_t group = 0; group < projection.ranks.size(); ++group) {
                      KVISTA_ASSIGN(const at::Tensor up, readWeight(*store, projection.up(group, "weight")));
                      parts.push_back(at::matmul(up.to(at::kDouble),
                                                 all.narrow(0, begin, projection.ranks[group]).to(at::kDouble)));
                      begin += projection.ranks[group];
                    }
                    return parts;
                  });
    if (projection.hasBias) {
      computeTensor(".bias", {projection.out()}, [store = store_, projection]() -> Result<std::vector<at::Tensor>> {
        std::vector<at::Tensor> parts;
        for (std::size_t group = 0; group < projection.ranks.size(); ++group) {
          KVISTA_ASSIGN(at::Tensor bias, readWeight(*store, projection.up(group, "bias")));
          parts.push_back(bias.to(at::kDouble));
        }
        return parts;
      });
    }
    tensors.hide(projection.name + ".VT.weight");
    for (std::size_t group = 0; group < projection.ranks.size(); ++group)
      for (const char* tensor : {"weight", "bias"}) tensors.hide(projection.up(group, tensor));
  }

  const Checkpoint& checkpoint_;
  std::shared_ptr<const TensorStore> store_;
};

}  // namespace

std::string_view paluModelType(std::string_view family) {
  const auto found = std::ranges::find(kTypes, family, &std::pair<std::string_view, std::string_view>::first);
  return found == kTypes.end() ? std::string_view() : found->second;
}

bool isPalu(const Checkpoint& checkpoint) {
  const std::string type = modelType(checkpoint);
  return std::ranges::any_of(kTypes, [&](const auto& known) { return known.second == type; });
}

Result<Checkpoint> asOriginal(const Checkpoint& checkpoint) {
  return guardTorch(fmt::format("Reading {}", checkpoint.path.string()), [&] { return Reader(checkpoint).read(); });
}

}  // namespace kvista
