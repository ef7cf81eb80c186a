// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/export_form.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// Lines of Python that load what transformers knows by itself.
inline constexpr std::string_view kLoadAsOriginal =
    "```python\n"
    "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
    "model = AutoModelForCausalLM.from_pretrained(\"FOLDER\")\n"
    "tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\n"
    "```\n"
    "or with whatever else loads the original.";

/// A tensor of the model as model code names it, byte for byte where that can be.
TensorToWrite carriedRole(const std::shared_ptr<const TensorStore>& store, const TensorRole& role, DataType dtype);

/// True where nothing is laid out yet: every direction of every group is dropped, as `draftPlan` answers it.
bool isDraft(const CompressionPlan& plan);

/// What all forms refuse: plain quantisation, which has no factors, and latents that several layers share.
Result<void> checkPerLayerFactors(const CompressionPlan& plan, std::string_view form);

}  // namespace kvista
