// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

namespace kvista {

/// What travels inside a `latent` checkpoint, name and content: Python files, and the sources of the GPU kernels that
/// one of them builds for who wants them (resources/model_code, core/cuda); model_code.cmake puts them into the
/// program.
const std::map<std::string, std::string>& modelCode();

}  // namespace kvista
