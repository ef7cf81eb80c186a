// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// Refuses a target that is the checkpoint, lies inside its folder or holds it; and an existing folder that is neither
/// empty nor an earlier export (`overwrite` must not cost anyone another folder); and one that cannot be written.
/// Nothing of this needs the export's content, so that it can be said before the work starts. Errors: invalidArgument,
/// io.
Result<void> checkTarget(const std::filesystem::path& target, const Checkpoint& checkpoint, bool overwrite);

/// Refuses types other than f32, bf16 and f16 for weights that are written.
Result<void> checkWeightType(const std::optional<DataType>& dtype);

}  // namespace kvista
