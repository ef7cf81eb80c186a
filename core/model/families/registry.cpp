// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/registry.h"

#include <algorithm>

// One line a family: its model_type, which is also the name of its function in namespace kvista::families.
#define KVISTA_FAMILIES(FAMILY) \
  FAMILY(arcee)                 \
  FAMILY(bloom)                 \
  FAMILY(codegen)               \
  FAMILY(cohere)                \
  FAMILY(cohere2)               \
  FAMILY(deepseek_v2)           \
  FAMILY(deepseek_v3)           \
  FAMILY(dots1)                 \
  FAMILY(ernie4_5)              \
  FAMILY(ernie4_5_moe)          \
  FAMILY(exaone)                \
  FAMILY(exaone4)               \
  FAMILY(falcon)                \
  FAMILY(gemma)                 \
  FAMILY(gemma2)                \
  FAMILY(gemma3_text)           \
  FAMILY(glm)                   \
  FAMILY(glm4)                  \
  FAMILY(glm4_moe)              \
  FAMILY(glm4_moe_lite)         \
  FAMILY(glm4v_text)            \
  FAMILY(gpt2)                  \
  FAMILY(gpt_bigcode)           \
  FAMILY(gpt_neo)               \
  FAMILY(gpt_neox)              \
  FAMILY(gpt_oss)               \
  FAMILY(gptj)                  \
  FAMILY(granite)               \
  FAMILY(granitemoe)            \
  FAMILY(helium)                \
  FAMILY(hunyuan_v1_dense)      \
  FAMILY(internlm2)             \
  FAMILY(internlm3)             \
  FAMILY(llama)                 \
  FAMILY(mimo_v2_flash)         \
  FAMILY(minicpm)               \
  FAMILY(minimax_m2)            \
  FAMILY(ministral3)            \
  FAMILY(mistral)               \
  FAMILY(mixtral)               \
  FAMILY(mpt)                   \
  FAMILY(nemotron)              \
  FAMILY(olmo)                  \
  FAMILY(olmo2)                 \
  FAMILY(olmo3)                 \
  FAMILY(olmoe)                 \
  FAMILY(opt)                   \
  FAMILY(persimmon)             \
  FAMILY(phi)                   \
  FAMILY(phi3)                  \
  FAMILY(qwen2)                 \
  FAMILY(qwen2_moe)             \
  FAMILY(qwen2_vl)              \
  FAMILY(qwen3)                 \
  FAMILY(qwen3_moe)             \
  FAMILY(qwen3_vl_moe_text)     \
  FAMILY(qwen3_vl_text)         \
  FAMILY(seed_oss)              \
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
/// Behind them other names of some.
constexpr Family kFamilies[] = {KVISTA_FAMILIES(KVISTA_LIST_FAMILY){"granitemoeshared", families::granitemoe},
                                {"kimi_k2", families::deepseek_v3},
                                {"qwen2_5_vl", families::qwen2_vl},
                                {"qwen2_5_vl_text", families::qwen2_vl},
                                {"qwen2_vl_text", families::qwen2_vl}};
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
