// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Llama 1 to 3 and everything that calls itself so.
Result<DecoderDescription> llama(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLlama(config));
  return layout.description;
}

}  // namespace kvista::families
