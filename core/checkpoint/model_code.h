// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

namespace kvista {

/// The Python files that travel inside a `latent` checkpoint (resources/model_code), name and content; model_code.cmake
/// puts them into the program.
const std::map<std::string, std::string>& modelCode();

}  // namespace kvista
