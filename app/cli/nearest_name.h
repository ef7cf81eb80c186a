// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvista {

/// "Did you mean X?" with the name that `word` was most probably meant to be, or empty where none is near: at most a
/// third of its letters missing, added, wrong or swapped, or `word` the beginning of only one name.
std::string didYouMean(std::string_view word, const std::vector<std::string>& names);

}  // namespace kvista
