// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/io/safetensors_writer.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"
#include "core/policy/policy.h"

namespace kvista {

/// Refuses a policy that has no line in policy_fields_kvista.py, by which the model code checks what config.json
/// records.
Result<void> checkIsInModelCode(const Policy& policy);

/// Refuses what the model code of the form `latent` (resources/model_code/policy_kvista.py) does not do, or would do
/// otherwise than `evaluate` measures it. Whose model a file of an option is of is seen by latentPolicyTensors. Errors:
/// invalidArgument, those of opening such files.
Result<void> checkLatentPolicy(const PolicyRequest& request, const CompressionPlan& plan,
                               const DecoderDescription& description);

// Only for requests that pass the check:

/// For config.json (see configuration_kvista.py): every option as it is, but no file.
nlohmann::json latentPolicy(const PolicyRequest& request, const CompressionPlan& plan);

/// Whether it reads keys and values as the model makes them, of tokens that the plan compresses.
bool readsExactHeads(const PolicyRequest& request);

/// What it foretells by, from the files of its options, as predictors_kvista.py names them: `model.foreteller.*`,
/// float32. Errors: corruptFile; invalidArgument for a file made for another model than `checkpoint`.
Result<std::vector<TensorToWrite>> latentPolicyTensors(const PolicyRequest& request, const Decoder& decoder,
                                                       const Checkpoint& checkpoint);

/// The line that says the request, without options that are files: what was in them is in the export.
std::string textWithoutFiles(PolicyRequest request);

}  // namespace kvista
