// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "core/model/decoder.h"
#include "core/model/decoder_layer.h"
#include "core/model/head.h"
#include "core/model/recording.h"
#include "core/model/torch_guard.h"

namespace kvista {

Result<double> Decoder::forwardBackward(const at::Tensor& ids, const LayerVisitor& visitor, const Task& task) const {
  return guardTorch("The backward pass", [&]() -> Result<double> {
    KVISTA_CHECK(checkIds(ids, 2));
    const c10::NoGradGuard noGrad;
    if (options_.streamLayers) return forwardBackwardStreamed(ids.to(options_.device), visitor, task);
    const at::Tensor idsOnDevice = ids.to(options_.device);
    const PassContext pass = beginPass(ids.size(1), nullptr);
    KVISTA_ASSIGN(Recording recording, Recording::begin(pass, idsOnDevice, options_, task));
    const RecordedNorm norm = RecordedNorm::of(pass, recording.hidden());
    KVISTA_ASSIGN(const LossGradient loss, nextTokenLossGradient(head(), norm.output.detach(), idsOnDevice, task));
    at::Tensor gradient = norm.back(loss.gradient);

    for (int layer = description_.shape.layers - 1; layer >= 0; --layer) {
      KVISTA_CHECK(task.checkStop());
      KVISTA_ASSIGN(gradient, backThrough(recording.take(pass, layer), layer, 0, gradient, visitor));
    }
    return loss.sum;
  });
}

Result<double> Decoder::distil(const at::Tensor& ids, const CacheTransform& student, const Task& task) const {
  return guardTorch("The distilling pass", [&]() -> Result<double> {
    KVISTA_CHECK(checkIds(ids, 1));
    const c10::NoGradGuard noGrad;
    KVISTA_CHECK(checkResident());
    const at::Tensor idsOnDevice = ids.to(options_.device);
    KVISTA_ASSIGN(const at::Tensor teacher, runLayers(idsOnDevice, nullptr, {}, task));
    const PassContext pass = beginPass(ids.size(1), &student);
    KVISTA_ASSIGN(Recording recording, Recording::begin(pass, idsOnDevice, options_, task));
    const RecordedNorm norm = RecordedNorm::of(pass, recording.hidden());
    KVISTA_ASSIGN(const LossGradient loss, divergenceGradient(head(), teacher, norm.output.detach(), task));
    at::Tensor gradient = norm.back(loss.gradient);

    for (int layer = description_.shape.layers - 1; layer >= 0; --layer) {
      KVISTA_CHECK(task.checkStop());
      const RecordedLayer recorded = recording.take(pass, layer);
      torch::autograd::backward({recorded.activations.output}, {gradient});
      gradient = recorded.input.grad();
    }
    return loss.sum;
  });
}

Result<double> Decoder::divergence(const at::Tensor& ids, const CacheTransform& student, const Task& task) const {
  return guardTorch("The forward pass", [&]() -> Result<double> {
    KVISTA_CHECK(checkIds(ids, 1));
    const c10::NoGradGuard noGrad;
    KVISTA_CHECK(checkResident());
    const at::Tensor idsOnDevice = ids.to(options_.device);
    KVISTA_ASSIGN(const at::Tensor teacher, runLayers(idsOnDevice, nullptr, {}, task));
    KVISTA_ASSIGN(const at::Tensor taught, runLayers(idsOnDevice, &student, {}, task));
    return kvista::divergence(head(), teacher, taught, task);
  });
}

Result<void> Decoder::checkResident() const {
  if (!options_.streamLayers) return {};
  return fail(ErrorCode::unsupportedModel,
              "Refining computes with all of the model's layers at once, but they are read one after the other because "
              "the device has too little memory for them, or because it was asked for.",
              "Refine on a device with more memory, without --stream-layers.");
}

}  // namespace kvista
