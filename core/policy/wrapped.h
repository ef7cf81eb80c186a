// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/policy/policy.h"

namespace kvista {

/// The option `over` of policies that work on another one's scores.
PolicyOption wrappedOption(std::string standard);
/// The scorer that the option `over` names, with its own options as they stand by themselves. One that is not there, or that chooses
/// no tokens or needs a file, answers its error when it begins.
std::unique_ptr<TokenScorer> wrappedScorer(const PolicySettings& settings);

}  // namespace kvista
