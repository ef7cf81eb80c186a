// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What the pickle in a file of torch.save says about tensors and storages.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/pickle.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// A run of numbers in the file that tensors are views of.
struct TorchStorage {
  DataType type = DataType::u8;
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
};

struct TorchTensor {
  std::string name;
  std::string storage;
  DataType type = DataType::f32;
  std::uint64_t offset = 0;  ///< In numbers of `type`, as the strides.
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  ///< Empty: row-major.
};

/// A dictionary from names to tensors. Every tensor stays within its storage and has no more numbers than that.
struct TorchStateDict {
  std::map<std::string, TorchStorage, std::less<>> storages;
  std::vector<TorchTensor> tensors;
};

/// The globals that such a pickle is made with.
bool isKnownTorchGlobal(std::string_view global);

/// Errors (corruptFile, unsupportedModel) are sentences about "its pickle".
Result<TorchStateDict> torchStateDict(const Pickle& pickle);

}  // namespace kvista
