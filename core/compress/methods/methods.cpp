// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/methods/methods.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace kvista {

const std::vector<Method>& methods() {
  static const std::vector<Method> all = {
      codedMethod(),
      codedJointMethod(),
      codedHeadMethod(),
      jointMethod(),
      separateMethod(),
      groupedMethod(),
      recalkvMethod(),
      svdMethod(),
      plainMethod(),
  };
  return all;
}

Result<const Method*> findMethod(std::string_view name) {
  const auto found = std::ranges::find(methods(), name, &Method::name);
  if (found != methods().end()) return &*found;
  std::vector<std::string_view> names;
  for (const Method& method : methods()) names.push_back(method.name);
  return fail(ErrorCode::invalidArgument, fmt::format("There is no method \"{}\".", name),
              fmt::format("Choose one of: {}.", fmt::join(names, ", ")));
}

}  // namespace kvista
