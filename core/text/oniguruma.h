// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace kvista {

/// Rewrites a pattern in Oniguruma's Ruby syntax, which tokenizer.json files are written in, for PCRE2 compiled with
/// UTF, UCP, MULTILINE, NO_AUTO_CAPTURE when `hasNamedGroups`, and newline LF. Character classes become explicit
/// Unicode properties, since the two libraries read \w, \d, \s, \h, \v and [:name:] differently. Not supported, and
/// refused by name: \g calls, absent groups, conditions, callouts, raw bytes of 0x80 and above.
struct TranslatedPattern {
  std::string text;
  bool hasNamedGroups = false;
};
Result<TranslatedPattern> translateOniguruma(std::string_view pattern);

}  // namespace kvista
