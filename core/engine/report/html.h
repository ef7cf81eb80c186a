// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/engine/report/report.h"

namespace kvista {

/// Text as HTML shows it, in content and in attributes; bytes that are not UTF-8 become U+FFFD.
std::string escaped(std::string_view text);

/// A part of a page under a heading, both as HTML; empty where `html` is.
std::string section(std::string_view title, const std::string& html);
/// A whole page without scripts or other files, for screens and paper: a title and a line below it, both as they are to
/// be read, a body as HTML, and CSS of its own.
std::string htmlPage(std::string_view title, std::string_view subtitle, const std::string& body,
                     std::string_view style = {});

/// The colour map viridis from 0 to 1, "#rrggbb".
std::string viridis(double value);

/// The water: all layers side by side, a bar a direction (neighbours together where there are many), its height the
/// eigenvalue's logarithm, its colour its bits. Empty without spectra.
std::string waterlineSvg(const CompressionPlan& plan, const std::vector<BudgetUnit>& units);
/// One small picture a layer, viridis from 0 to 1. Empty for no record of this side.
std::string similaritySvg(const std::vector<SimilarityRecord>& records, Side side);

}  // namespace kvista
