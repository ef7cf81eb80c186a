// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>

#include "views/experiment_view.h"
#include "views/gallery/gallery.h"

namespace kvista {
namespace {

/// As much as there is in the help page Results at equal bytes, one system failing.
View* makeExperiment() {
  struct Line {
    const char* system;
    std::array<double, 3> perplexities, shares = {.25, .125, .0625};
  };
  static constexpr Line kLines[] = {{"coded-joint (ours)", {36.36, 36.40, 36.76}},
                                    {"coded-head (ours)", {36.77, 46.27, 286.40}},
                                    {"KIVI, 32 recent tokens exact", {36.73, 0, 0}, {.213, 0, 0}},
                                    {"ZipCache", {36.51, 0, 0}},
                                    {"Hadamard", {36.52, 0, 0}},
                                    {"DecoQuant", {37.15, 0, 0}, {.224, 0, 0}},
                                    {"SnapKV, FP8", {36.72, 37.45, 38.68}},
                                    {"SnapKV, Hadamard", {36.48, 36.89, 37.74}},
                                    {"KVzip, Hadamard", {36.41, 36.53, 36.82}},
                                    {"ChunkKV, Hadamard", {36.47, 36.89, 37.79}},
                                    {"CurDKV, Hadamard", {36.39, 36.93, 37.62}},
                                    {"StreamingLLM, Hadamard", {36.50, 37.02, 38.00}},
                                    {"Palu, J-LRD at .5, SnapKV", {36.81, 37.51, 38.73}},
                                    {"ReCalKV at .5, SnapKV", {37.20, 37.88, 39.14}},
                                    {"ReCalKV at .5, KVzip", {37.01, 37.38, 38.10}},
                                    {"KQ-SVD at .5, SnapKV", {58.64, 55.52, 54.11}},
                                    {"Palu, J-LRD", {37.97, 44.14, 60.97}, {.25, .125, .0664}},
                                    {"ReCalKV", {38.96, 43.67, 56.86}, {.273, .195, .16}}};
  constexpr double kOriginal = 36.36 - 0.004;
  auto* view = new ExperimentView;
  ExperimentTable table{
      QStringLiteral("Equal bytes · novels"),
      kOriginal,
      {QStringLiteral("1/4 of the bytes"), QStringLiteral("1/8 of the bytes"), QStringLiteral("1/16 of the bytes")},
      {},
      {}};
  constexpr std::array<double, 3> kAsked = {.25, .125, .0625};
  for (const Line& line : kLines) {
    table.systems << QString::fromUtf8(line.system);
    std::vector<std::optional<ExperimentCell>>& cells = table.cells.emplace_back();
    for (std::size_t i = 0; i < kAsked.size(); ++i) {
      if (line.perplexities[i] == 0)
        cells.push_back(ExperimentCell{0, 0, 0, QStringLiteral("Less than 2 bits a number cannot be stored.")});
      else
        cells.push_back(ExperimentCell{line.perplexities[i],
                                       line.shares[i],
                                       line.perplexities[i] / kOriginal - 1,
                                       {},
                                       {},
                                       table.cells.size() == 1,
                                       line.shares[i] > 1.02 * kAsked[i]});
    }
  }
  view->setRecord({{table}, QStringLiteral("54 of 60, ReCalKV at 0.0625: decompose"), true, false, {}});
  return view;
}

}  // namespace

Exhibit experimentExhibit() { return {"experiment", makeExperiment}; }

}  // namespace kvista
