// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// A tensor of independent random numbers, roughly normal and at most 3.5 deviations from the mean, in bfloat16.
struct RandomTensor {
  std::vector<std::int64_t> shape;
  float mean = 0;
  float deviation = 0;
};

/// The weights of a checkpoint that nobody trained: what its numbers follow from.
struct RandomTensors {
  std::uint64_t seed = 0;
  std::map<std::string, RandomTensor, std::less<>> tensors;
};

/// The file that stands in a model's folder in place of weights, which are then made when they are read.
inline constexpr std::string_view kVirtualTensorsName = "kvista-virtual.json";

/// Numbers `first` to `first + out.size()` of tensor `name` as bits of bfloat16: they depend on the seed, the name, the
/// place, mean and deviation alone, on every machine.
void fillRandom(std::uint64_t seed, std::string_view name, const RandomTensor& tensor, std::uint64_t first,
                std::span<std::uint16_t> out);

/// What the file holds.
nlohmann::json toJson(const RandomTensors& tensors);

/// Opens the file as a store whose tensors are made as they are read; `raw` answers nothing. Errors: io, corruptFile
/// (field and tensor named).
Result<std::shared_ptr<const TensorStore>> openVirtualTensors(const std::filesystem::path& file);

}  // namespace kvista
