// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// Files that torch.save wrote, the shards of one checkpoint (pytorch_model.bin), as one store: mapped zip archives, or
/// the older form of pickles with the numbers behind them. Their pickles are read as data (core/io/pickle.h); nothing
/// in them runs. `raw` answers the bytes of any type that lie in row-major order. Errors: io; corruptFile;
/// unsupportedModel for a file that is anything else than a dictionary of tensors; each naming file, tensor or global.
Result<std::shared_ptr<const TensorStore>> openTorchFiles(const std::vector<std::filesystem::path>& files);

}  // namespace kvista
