// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/train_predictor.h"

#include <algorithm>

#include "core/policy/importance_gate.h"

namespace kvista {
namespace {

constexpr std::int64_t kHeldOutOf = 8, kMostHeldOut = 4;

}  // namespace

Result<TrainedPredictor> trainPredictor(PredictorKind kind, const Decoder& decoder, const at::Tensor& ids, double ridge,
                                        const std::filesystem::path& file, const std::string& modelHash,
                                        const Task& task) {
  const std::int64_t windows = ids.size(0);
  if (windows < 2)
    return fail(ErrorCode::invalidArgument,
                "The text has one window, so none can be held out to say how well what is learnt from it holds.",
                "Give a longer text, or shorter windows.");
  TrainedPredictor trained;
  trained.heldOutWindows = std::clamp<std::int64_t>(windows / kHeldOutOf, 1, kMostHeldOut);
  trained.windows = windows - trained.heldOutWindows;
  const at::Tensor seen = ids.narrow(0, 0, trained.windows),
                   heldOut = ids.narrow(0, trained.windows, trained.heldOutWindows);
  switch (kind) {
    case PredictorKind::fastKvzip: {
      KVISTA_ASSIGN(const FittedGate fitted, fitGate(decoder, seen, heldOut, ridge, task));
      KVISTA_CHECK(saveGate(file, fitted.gate, modelHash, task));
      trained.correlation = fitted.correlation;
      break;
    }
    case PredictorKind::attentionPredictor: {
      KVISTA_ASSIGN(const FittedAttentionPredictor fitted, fitAttentionPredictor(decoder, seen, heldOut, task));
      KVISTA_CHECK(saveAttentionPredictor(file, fitted.predictor, modelHash, task));
      trained.correlation = fitted.correlation;
      trained.recall = fitted.recall;
      break;
    }
  }
  return trained;
}

}  // namespace kvista
