// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string_view>

#include "core/base/error.h"
#include "core/evaluate/calibrate.h"
#include "core/io/checkpoint.h"
#include "core/model/decoder.h"
#include "core/model/description.h"
#include "core/plan/plan.h"

namespace kvista {

/// Memory that weights take in `dtype`: on a GPU all of them, on the CPU those that must be converted, since the others
/// are read from the mapped file; of streamed layers two (core/model/layer_stream.h).
std::int64_t weightBytes(const Checkpoint& checkpoint, const DecoderDescription& description, c10::Device device,
                         c10::ScalarType dtype, bool streamLayers);
/// Tokens that go through the model at a time where a text is read in windows of `window`.
std::int64_t tokensPerPass(std::int64_t window, c10::Device device);
/// Of a forward pass of so many tokens, beyond the weights.
std::int64_t activationBytes(const ModelShape& shape, std::int64_t tokens);
/// Of a calibration pass of `tokensPerBatch` tokens at a time beyond the weights: sums, their file's copy, activations.
std::int64_t calibrationBytes(const ModelShape& shape, bool gradients, std::int64_t tokensPerBatch);
/// Of the factors of a plan over all of the model's groups, and one layer's decomposition.
std::int64_t planBytes(const CompressionPlan& plan, const ModelShape& shape);

/// Of refining a plan, beyond the weights: factors with gradients and moments, a forward pass with what its way back
/// needs of each layer, and the logits of both models.
std::int64_t refiningBytes(const CompressionPlan& plan, const ModelShape& shape, std::int64_t tokensPerStep,
                           c10::Device device);

/// One group over a whole layer: no plan of a method decomposes anything larger.
CompressionPlan widestPlan(const ModelShape& shape);

/// Refuses (outOfMemory, with both numbers) a calibration that the decoder's device has no room for.
Result<void> checkCalibrationMemory(const Decoder& decoder, const CalibrationRequest& request);

/// Refuses (outOfMemory, with both numbers) what needs more than `device` has.
Result<void> checkMemory(std::int64_t bytes, c10::Device device, std::string_view what);

}  // namespace kvista
