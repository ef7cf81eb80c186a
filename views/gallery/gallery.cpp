// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/gallery/gallery.h"

// One line an exhibit: X(name) is the function `Exhibit nameExhibit()` of its file in this folder.
#define KVISTA_EXHIBITS(X) \
  X(budget)                \
  X(budgetLarge)           \
  X(budgetEmpty)           \
  X(error)                 \
  X(figureStrip)           \
  X(qualityCost)           \
  X(refine)                \
  X(refineRunning)         \
  X(noRefine)              \
  X(spectra)               \
  X(spectraEmpty)          \
  X(waterline)             \
  X(waterlineLarge)        \
  X(waterlineRanks)        \
  X(waterlineEmpty)        \
  X(groups)                \
  X(manyGroups)            \
  X(heatmap)               \
  X(heatmapCluster)        \
  X(heatmapLarge)          \
  X(heatmapGqa)            \
  X(heatmapUnknown)        \
  X(heatmapEmpty)          \
  X(navigator)             \
  X(navigatorLarge)        \
  X(jobs)                  \
  X(noJobs)                \
  X(problems)              \
  X(noProblems)            \
  X(history)               \
  X(tryView)               \
  X(tryRetrieval)          \
  X(tryPolicy)             \
  X(emptyTry)              \
  X(guide)                 \
  X(firstGuide)            \
  X(provenance)            \
  X(experiment)            \
  X(lab)                   \
  X(agreementLab)          \
  X(ranksLab)              \
  X(variantsLab)           \
  X(emptyLab)              \
  X(comparison)            \
  X(planComparison)        \
  X(planComparisonLoss)    \
  X(planComparisonEmpty)   \
  X(groupsDrag)            \
  X(groupsForbidden)       \
  X(noGroups)

namespace kvista {

#define KVISTA_DECLARE(name) Exhibit name##Exhibit();
KVISTA_EXHIBITS(KVISTA_DECLARE)

const std::vector<Exhibit>& exhibits() {
#define KVISTA_CALL(name) name##Exhibit(),
  static const std::vector<Exhibit> all = {KVISTA_EXHIBITS(KVISTA_CALL)};
  return all;
}

}  // namespace kvista
