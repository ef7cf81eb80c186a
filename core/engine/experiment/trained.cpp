// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/experiment/trained.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/policy/train_predictor.h"

namespace kvista {
namespace {

constexpr std::int64_t kMostWindows = 32;
constexpr double kRidge = 1e-4;  // As `kvista gate` has it.
constexpr std::size_t kHashLength = 12;

}  // namespace

std::optional<PredictorKind> predictorOf(std::string_view policy) {
  for (const auto& [name, kind] : kPredictorKinds)
    for (std::string_view rest = policy; !rest.empty();) {
      const std::size_t plus = rest.find('+');
      if (rest.substr(0, plus) == name) return kind;
      rest = plus == std::string_view::npos ? std::string_view() : rest.substr(plus + 1);
    }
  return std::nullopt;
}

Result<std::filesystem::path> trainedFile(PredictorKind kind, const ExperimentSubject& subject, const Task& task) {
  const Statistics& statistics = subject.statistics;
  const std::filesystem::path file = subject.folder / fmt::format("{}-{}-{}.safetensors", nameIn(kPredictorKinds, kind), subject.modelHash.substr(0, kHashLength),
                                                                  statistics.tokensHash.substr(0, kHashLength));
  if (std::filesystem::exists(file)) return file;
  const at::Tensor& ids = statistics.tokenIds;
  KVISTA_CHECK(trainPredictor(kind, subject.decoder, ids.narrow(0, 0, std::min(kMostWindows, ids.size(0))).to(at::kLong), kRidge, file, subject.modelHash, task));
  return file;
}

}  // namespace kvista
