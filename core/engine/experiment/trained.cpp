// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/experiment/trained.h"

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/compress/factor_file.h"
#include "core/engine/memory_forecast.h"
#include "core/policy/named_policies.h"
#include "core/policy/train_predictor.h"

namespace kvista {
namespace {

constexpr std::int64_t kMostWindows = 32;
constexpr std::size_t kHashLength = 12;

}  // namespace

std::optional<PredictorKind> predictorOf(const std::string& policy) {
  const auto named = policiesNamed(policy);
  if (!named || named->chooser == nullptr) return std::nullopt;
  const auto found = std::ranges::find(kPredictorKinds, named->chooser->name, &Named<PredictorKind>::name);
  return found == kPredictorKinds.end() ? std::nullopt : std::optional(found->value);
}

Result<std::filesystem::path> trainedFile(PredictorKind kind, const ExperimentSubject& subject, const Task& task) {
  const Statistics& statistics = subject.statistics;
  const std::filesystem::path file = subject.folder / fmt::format("{}-{}-{}.safetensors", nameIn(kPredictorKinds, kind),
                                                                  subject.modelHash.substr(0, kHashLength),
                                                                  statistics.tokensHash.substr(0, kHashLength));
  if (std::filesystem::exists(file)) return file;
  const at::Tensor& ids = statistics.tokenIds;
  KVISTA_CHECK(trainPredictor(kind, subject.decoder,
                              ids.narrow(0, 0, std::min(kMostWindows, ids.size(0))).to(at::kLong), kUsualRidge, file,
                              subject.modelHash, task));
  return file;
}

Result<PlanFactors> refinedFactors(const CompressionPlan& plan, PlanFactors factors, RefineRequest request,
                                   const ExperimentSubject& subject, const Task& task) {
  const Statistics& statistics = subject.statistics;
  const ModelShape& shape = subject.decoder.shape();
  const auto beginningOf = [](const std::string& hash) { return hash.substr(0, kHashLength); };
  const std::filesystem::path file =
      subject.folder / fmt::format("refined-{}-{}-{}-{}-{}x{}-{:g}-{}{}.safetensors", beginningOf(subject.modelHash),
                                   beginningOf(statistics.tokensHash), beginningOf(fingerprint(plan)),
                                   c10::toString(subject.decoder.options().dtype), request.steps,
                                   request.windowsPerStep, request.rate, request.seed, request.nested ? "-nested" : "");
  if (std::filesystem::exists(file)) return loadFactors(file, plan, shape, subject.modelHash);
  const at::Tensor ids = statistics.tokenIds.to(at::kLong);
  const std::int64_t heldOut = heldOutWindows(ids.size(0), ids.size(1)), used = ids.size(0) - heldOut;
  const c10::Device device = subject.decoder.options().device;
  KVISTA_CHECK(
      checkMemory(refiningBytes(plan, shape, request.windowsPerStep * ids.size(1), device), device, "Refining"));
  request.partialFile = file.string() + ".partial";
  request.key = file.filename().string();
  KVISTA_ASSIGN(const RefineResult result, refine(subject.decoder, plan, factors, ids.narrow(0, 0, used),
                                                  ids.narrow(0, used, heldOut), request, {}, task));
  KVISTA_CHECK(saveFactors(file, plan, result.factors, subject.modelHash, Task{}));  // whole, whoever stops meanwhile
  return result.factors;
}

}  // namespace kvista
