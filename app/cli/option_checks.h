// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace kvista {

/// Checks of options' values. Their answers complete the sentence "--windows is ...", with a hint after a line break;
/// usageError makes sentences of them. Each checks the whole word, so that CLI11 converts without complaint afterwards.
CLI::Validator wholeNumber(std::int64_t least, std::int64_t most = std::numeric_limits<std::int64_t>::max());
/// Finite numbers.
CLI::Validator numberAtLeast(double least);
CLI::Validator positiveNumber(double most = std::numeric_limits<double>::max());
/// A number of bytes with a unit (kB, MB, GB, KiB, MiB, GiB; B or none: bytes), which becomes the plain number.
CLI::Validator byteSize();
/// `what` it must be, such as "the name of a policy".
CLI::Validator someText(std::string what);
CLI::Validator oneOf(std::vector<std::string> names);

/// The names in a registry, for oneOf.
template <class Registry>
std::vector<std::string> namesOf(const Registry& registry) {
  std::vector<std::string> names;
  for (const auto& entry : registry) names.emplace_back(entry.name);
  return names;
}

}  // namespace kvista
