// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/gguf_architectures.h"
#include "core/io/safetensors_writer.h"
#include "core/model/description.h"

namespace kvista {

/// The tensors of a GGUF file of this architecture, made of those under Hugging Face's names (as transformers' classes
/// write them), in their order: rows and columns where llama.cpp has them, numbers of one type a tensor. Vectors,
/// norms, routers and positions are float32, as llama.cpp wants them. `description` names sizes. No weight is read
/// before it is written. Errors: unsupportedModel (a tensor that models of this architecture do not have).
Result<std::vector<TensorToWrite>> tensorsInGguf(const std::vector<TensorToWrite>& tensors,
                                                 const DecoderDescription& description,
                                                 const GgufArchitecture& architecture);

}  // namespace kvista
