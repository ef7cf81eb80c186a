// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/nearest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace kvista {
namespace {

constexpr std::size_t kLongestWord = 64;

/// Letters missing, added, wrong or swapped with their neighbour between two words (restricted Damerau distance).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) table[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) table[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t wrong = a[i - 1] == b[j - 1] ? 0 : 1;
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + wrong});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
    }
  return table[a.size()][b.size()];
}

std::string_view withoutDashes(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  return name;
}

}  // namespace

std::string didYouMean(std::string_view word, const std::vector<std::string>& names) {
  const std::string_view bare = withoutDashes(word).substr(0, kLongestWord);
  if (bare.empty()) return {};
  // One letter of two may not be wrong: any word would be near.
  std::size_t best = bare.size() < 3 ? 1 : std::max<std::size_t>(1, bare.size() / 3) + 1;
  const std::string* nearest = nullptr;
  for (const std::string& name : names) {
    const std::size_t far = distance(bare, withoutDashes(name));
    if (far < best) {
      best = far;
      nearest = &name;
    }
  }
  if (!nearest) {
    const auto begins = [&](const std::string& name) { return withoutDashes(name).starts_with(bare); };
    if (std::ranges::count_if(names, begins) == 1) nearest = &*std::ranges::find_if(names, begins);
  }
  return nearest ? fmt::format("Did you mean {}?", *nearest) : std::string();
}

}  // namespace kvista
