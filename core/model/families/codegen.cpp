// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// CodeGen: GPT-J, whose q, v and k lie in one matrix as four processors once held them: a quarter of all heads each.
Result<DecoderDescription> codegen(const ConfigReader& config) {
  constexpr std::int64_t kQuarters = 4;
  KVISTA_ASSIGN(Layout layout, readGptJ(config));
  const ModelShape& shape = layout.description.shape;
  if (shape.queryHeads % kQuarters != 0)
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; CodeGen's must be a multiple of {}.",
                                                    config.describeField("n_head"), shape.queryHeads, kQuarters));
  layout.eachLayer("transformer.h.", [&](const std::string& at, LayerDescription& layer, int) {
    const std::int64_t block = layout.queryWidth() / kQuarters;
    const auto part = [&](std::string_view name, std::int64_t place) {
      return layout.rows(at + "attn.qkv_proj", name,
                         {.first = place * block, .block = block, .stride = 3 * block, .blocks = kQuarters},
                         layout.hidden(), false);
    };
    layer.attention.query = part("query", 0);
    layer.attention.value = part("value", 1);
    layer.attention.key = part("key", 2);
  });
  return layout.description;
}

}  // namespace kvista::families
