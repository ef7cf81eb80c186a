// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/quantised/quantised.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "core/io/json_file.h"
#include "core/io/quantised/quantised_tensors.h"

namespace kvista {
namespace {

struct Method {
  std::string_view name;  // quant_method
  Result<void> (*read)(QuantisedTensors&);
};
constexpr Method kMethods[] = {
    {"fp8", readScaledWeights},
    {"fbgemm_fp8", readScaledWeights},
    {"gptq", readGptqWeights},
    {"awq", readAwqWeights},
    {"mxfp4", readMxfp4Weights},
    {"bitsandbytes", readBitsAndBytesWeights},
    {"compressed-tensors", readCompressedTensors},
};

}  // namespace

Result<void> readQuantised(Checkpoint& checkpoint) {
  const auto field = checkpoint.config.find("quantization_config");
  if (field == checkpoint.config.end()) return {};
  if (field->is_null()) {
    checkpoint.config.erase(field);
    return {};
  }
  const std::string place = fmt::format("config.json of {}", checkpoint.path.string());
  if (!field->is_object())
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: quantization_config is {} instead of an object.", place, kindOf(*field)),
                "Get the model's config.json again from where the model came from.");
  QuantisedTensors tensors(*field, checkpoint.tensors, place);
  // The oldest configurations of bitsandbytes do not say whose they are.
  const bool isUnnamed =
      !field->contains("quant_method") && (field->contains("load_in_4bit") || field->contains("load_in_8bit"));
  KVISTA_ASSIGN(const std::string name, tensors.text("quant_method", isUnnamed ? "bitsandbytes" : "unnamed"));
  const auto* method = std::ranges::find(kMethods, name, &Method::name);
  if (method == std::end(kMethods)) {
    std::vector<std::string_view> names;
    for (const Method& each : kMethods) names.push_back(each.name);
    return tensors.unsupported(fmt::format("with quant_method {} is not read; those that are: {}",
                                           quoteForMessage(name), fmt::join(names, ", ")));
  }
  KVISTA_CHECK(method->read(tensors));
  if (tensors.replaced() == 0)
    return tensors.unsupported(
        fmt::format("with quant_method {} does not fit the weights, of which none is quantised in this way",
                    quoteForMessage(name)));
  checkpoint.warnings.push_back(
      fmt::format("{} matrices are quantised ({}) and read as the numbers that their codes stand for; what is exported "
                  "is not quantised in this way.",
                  tensors.replaced(), name));
  checkpoint.tensors = tensors.result();
  checkpoint.config.erase("quantization_config");
  return {};
}

}  // namespace kvista
