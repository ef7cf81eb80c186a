// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/engine/experiment/experiment.h"

namespace kvista {

/// One cell of a table.
struct ExperimentCell {
  const ExperimentRow* row = nullptr;  ///< Null: not measured yet.
  bool isBest = false;                 ///< Of its column.
};
/// A sweep on one text: a line a system, a column a value.
struct ExperimentTable {
  const ExperimentSweep* sweep = nullptr;
  std::string text;
  std::vector<std::vector<ExperimentCell>> cells;
  /// Of the model as it is on the same predictions: its loss and their number.
  std::optional<ExperimentRow::Figures> original;
};
/// The tables of an experiment, sweeps and then texts in order. `experiment` and `rows` must outlive them.
std::vector<ExperimentTable> experimentTables(const Experiment& experiment, const std::vector<ExperimentRow>& rows);

/// What the columns of a sweep are headed with: "share 1/8", "kept .3".
std::string valueInWords(Target::Kind unit, double value);
/// The share that a row came to, where it is not the one asked for within 2 %; empty otherwise.
std::string otherShare(const ExperimentRow& row);

}  // namespace kvista
