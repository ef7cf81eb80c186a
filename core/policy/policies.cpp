// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/policy/policy.h"

// One line a policy: X(name) is the function `Policy namePolicy()` of its file in policies/.
#define KVISTA_POLICIES(X) \
  X(streamingLlm)          \
  X(snapKv)                \
  X(l2Norm)                \
  X(curDkv)                \
  X(chunkKv)               \
  X(kvZip)                 \
  X(fastKvZip)             \
  X(attentionPredictor)    \
  X(dBudgetKv)             \
  X(think)                 \
  X(zipCache)              \
  X(kivi)                  \
  X(decoQuant)             \
  X(hadamard)              \
  X(fp8)                   \
  X(cskv)                  \
  X(commonKv)

namespace kvista {

#define KVISTA_DECLARE(name) Policy name##Policy();
KVISTA_POLICIES(KVISTA_DECLARE)

const std::vector<Policy>& policies() {
#define KVISTA_CALL(name) name##Policy(),
  static const std::vector<Policy> all = {KVISTA_POLICIES(KVISTA_CALL)};
  return all;
}

Result<const Policy*> findPolicy(std::string_view name) {
  const auto found = std::ranges::find(policies(), name, &Policy::name);
  if (found != policies().end()) return &*found;
  std::vector<std::string_view> names;
  for (const Policy& policy : policies()) names.push_back(policy.name);
  return fail(ErrorCode::invalidArgument, fmt::format("There is no policy \"{}\".", name),
              fmt::format("Choose one of: {}.", fmt::join(names, ", ")));
}

}  // namespace kvista
