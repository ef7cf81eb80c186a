// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/base/error.h"
#include "core/text/tokenizer_fields.h"

namespace kvista {

/// Settings of Metaspace, which is a pre-tokenizer (spaces become `replacement`) and a decoder (the way back).
struct Metaspace {
  enum class Scheme { first, never, always };

  std::string replacement;  ///< One character.
  Scheme scheme;            ///< Which pieces get `replacement` put in front unless they start with it.
  bool split;               ///< Cut in front of each `replacement`.

  static Result<Metaspace> read(const TokenizerFields& fields);
};

}  // namespace kvista
