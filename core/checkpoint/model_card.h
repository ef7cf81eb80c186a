// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/base/error.h"
#include "core/checkpoint/export_form.h"

namespace kvista {

/// What people call a checkpoint: "owner/name" where it lies in the cache that Hugging Face's downloads go to, else the
/// name of its folder or file.
std::string nameOfOriginal(const Checkpoint& checkpoint);

/// README.md of an export, from its report: what it is, how it is loaded, its figures, its plan, what it was calibrated
/// on, and the licence of the original. Of the original's own card only the header's fields are taken over
/// (CardHeader); no path of this machine is written. The same report gives the same text. Errors: io.
Result<std::string> modelCard(const Checkpoint& checkpoint, const ExportForm& form, const CompressionPlan& plan,
                              const nlohmann::json& report);

}  // namespace kvista
