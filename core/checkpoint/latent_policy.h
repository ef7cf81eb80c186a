// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/base/error.h"
#include "core/model/description.h"
#include "core/plan/plan.h"
#include "core/policy/policy.h"

namespace kvista {

/// Refuses what the model code of the form `latent` (resources/model_code/policy_kvista.py) does not do, or would do otherwise than
/// `evaluate` measures it. Errors: invalidArgument.
Result<void> checkLatentPolicy(const PolicyRequest& request, const CompressionPlan& plan, const DecoderDescription& description);

/// For config.json (see configuration_kvista.py): every option as it is. Only for requests that pass the check.
nlohmann::json latentPolicy(const PolicyRequest& request);

}  // namespace kvista
