// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "core/io/checkpoint.h"

namespace kvista {

/// config.json under which transformers (4.44 and later) runs the checkpoint's architecture. A folder's own
/// configuration is passed on; a GGUF's gets its RoPE in the 4.x keys, which all versions read, and frequency factors
/// become a `longrope` whose two lists are those factors, which is the same arithmetic.
nlohmann::json stockConfig(const Checkpoint& checkpoint);

}  // namespace kvista
