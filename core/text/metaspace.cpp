// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/metaspace.h"

#include <fmt/format.h>

namespace kvista {

Result<Metaspace> Metaspace::read(const TokenizerFields& fields) {
  Metaspace result{};
  KVISTA_ASSIGN(result.replacement, fields.character("replacement", "\u2581"));
  KVISTA_ASSIGN(result.split, fields.flag("split", true));
  KVISTA_ASSIGN(const bool addPrefixSpace, fields.flag("add_prefix_space", true));
  KVISTA_ASSIGN(const std::string scheme, fields.text("prepend_scheme", addPrefixSpace ? "always" : "never"));
  if (scheme == "first") {
    result.scheme = Scheme::first;
  } else if (scheme == "never") {
    result.scheme = Scheme::never;
  } else if (scheme == "always") {
    result.scheme = Scheme::always;
  } else {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: prepend_scheme \"{}\" is not supported; supported: first, never, always.",
                            fields.where(), scheme.substr(0, 80)));
  }
  if (!addPrefixSpace && result.scheme != Scheme::never) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: add_prefix_space is false, but prepend_scheme is \"{}\".", fields.where(), scheme));
  }
  return result;
}

}  // namespace kvista
