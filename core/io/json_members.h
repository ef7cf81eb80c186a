// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace kvista {

/// What is done with each member of an object.
using VisitMember = std::function<Result<void>(const std::string& name, const nlohmann::json& value)>;

/// Parses an object as parseJson does, but hands over each member as soon as it is complete and keeps none, for objects
/// of tens of thousands of them. Where the text is no object nothing is handed over. Errors: corruptFile; those of
/// `visit`, which end the parsing.
Result<void> parseJsonMembers(std::string_view text, std::string_view what, const VisitMember& visit);

}  // namespace kvista
