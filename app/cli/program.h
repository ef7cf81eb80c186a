// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "app/cli/verb.h"

namespace kvista {

/// Parses the command line, runs the verb it names and answers the exit code.
int runProgram(int argc, char** argv, const std::function<void(CLI::App&, Invocation&)>& addVerbs);

}  // namespace kvista
