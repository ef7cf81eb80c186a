// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>
#include <vector>

#include "views/view.h"

namespace kvista {

/// A view on its own with made-up records, for looking at.
struct Exhibit {
  std::string_view name;  ///< "heatmap"
  View* (*make)();        ///< The caller takes it.
};

/// Every exhibit; a new one is a file beside this one and one line in gallery.cpp.
const std::vector<Exhibit>& exhibits();

}  // namespace kvista
