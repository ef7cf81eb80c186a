// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/registry.h"

#include <algorithm>

// One line a family: its model_type, which is also the name of its function in namespace kvista::families.
#define KVISTA_FAMILIES(FAMILY) \
  FAMILY(bloom)                 \
  FAMILY(cohere)                \
  FAMILY(deepseek_v2)           \
  FAMILY(falcon)                \
  FAMILY(gemma)                 \
  FAMILY(gemma2)                \
  FAMILY(gemma3_text)           \
  FAMILY(glm)                   \
  FAMILY(glm4)                  \
  FAMILY(gpt2)                  \
  FAMILY(gpt_bigcode)           \
  FAMILY(gpt_neox)              \
  FAMILY(gptj)                  \
  FAMILY(granite)               \
  FAMILY(internlm3)             \
  FAMILY(llama)                 \
  FAMILY(mistral)               \
  FAMILY(mixtral)               \
  FAMILY(olmo)                  \
  FAMILY(olmo2)                 \
  FAMILY(opt)                   \
  FAMILY(phi)                   \
  FAMILY(phi3)                  \
  FAMILY(qwen2)                 \
  FAMILY(qwen3)                 \
  FAMILY(qwen3_moe)             \
  FAMILY(smollm3)               \
  FAMILY(stablelm)              \
  FAMILY(starcoder2)

namespace kvista {

namespace families {
#define KVISTA_DECLARE_FAMILY(name) Result<DecoderDescription> name(const ConfigReader& config);
KVISTA_FAMILIES(KVISTA_DECLARE_FAMILY)
}  // namespace families

namespace {
#define KVISTA_LIST_FAMILY(name) Family{#name, families::name},
constexpr Family kFamilies[] = {KVISTA_FAMILIES(KVISTA_LIST_FAMILY)};
}  // namespace

const Family* findFamily(std::string_view modelType) {
  const auto* const found = std::ranges::find(kFamilies, modelType, &Family::modelType);
  return found == std::end(kFamilies) ? nullptr : found;
}

std::vector<std::string_view> familyNames() {
  std::vector<std::string_view> names;
  for (const Family& family : kFamilies) names.push_back(family.modelType);
  std::ranges::sort(names);
  return names;
}

}  // namespace kvista
