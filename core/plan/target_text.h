// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/base/error.h"
#include "core/plan/plan.h"

namespace kvista {

/// A target as a person types it; numbers in the C locale:
///   "8", "8x", "8 times smaller", "1/8"    share of the cache, of times smaller
///   "12.5%", "12.5 % of the cache"         share
///   "2048 B", "2 kB", "2 KiB"              bytes a token (k: 1000, Ki: 1024)
///   "2% loss"                              allowed relative rise of perplexity
///   "40% kept"                             kept fraction of 16-bit numbers
/// Upper and lower case and spaces do not matter.
Result<Target> parseTarget(std::string_view text);

}  // namespace kvista
