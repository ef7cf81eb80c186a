// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>

#include "app/cli/verb.h"
#include "core/base/launch.h"

namespace kvista {

/// Parses the command line, runs the verb it names and answers the exit code. Of several processes that `launch` knows
/// of, the first answers; the others say no more than what went wrong, unless --verbose.
int runProgram(int argc, char** argv, const std::function<void(CLI::App&, Invocation&)>& addVerbs,
               const Launch& launch = {});

/// Prints an error for people on standard error and, where `json`, for programs on standard output; answers its exit
/// code.
int reportError(const Error& error, bool json, const Launch& launch = {});

/// Whether `--json` stands anywhere on a command line, one that cannot be parsed included.
bool wantsJson(std::span<char*> arguments);

}  // namespace kvista
