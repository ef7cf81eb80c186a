// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// A text that stands in a row of its own.
struct NamedText {
  std::string name;
  std::vector<std::string> paths;
};

/// Of words NAME=FILE, paths of one name together; empty where no path has a name. A file that is called so is a path.
/// Errors (invalidArgument): some have a name and some have none.
Result<std::vector<NamedText>> namedTexts(const std::vector<std::string>& paths);

}  // namespace kvista
