// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "core/base/error.h"

namespace kvista {

/// What is wrong with a command line that `app` could not parse, and what to type instead: the nearest verb or option,
/// what is missing, or what a value must be. Code invalidArgument.
Error usageError(const CLI::App& app, const CLI::ParseError& error);

}  // namespace kvista
