// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// Makes a checkpoint whose configuration has a quantization_config one like any other: its tensors are read as the
/// numbers that codes and scales stand for (DataType::packed), the field is gone, and a warning says so. Others stay as
/// they are. Errors: unsupportedModel for a method that is not read; corruptFile for tensors that do not fit each
/// other; each naming file and tensor.
Result<void> readQuantised(Checkpoint& checkpoint);

}  // namespace kvista
