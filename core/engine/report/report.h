// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/engine/workspace.h"
#include "core/io/project.h"
#include "core/plan/budget.h"
#include "core/protocol/records.h"

namespace kvista {

/// Everything that a report shows, gathered before anything is drawn.
struct Report {
  std::string name;     ///< The project's file name without its ending.
  std::string version;  ///< Of the program.
  Project project;
  std::optional<ModelShape> shape;               ///< Absent where the model is not to be found.
  std::optional<PlannedPlan> planned;            ///< The plan assessed again: bytes, prediction, cost.
  std::shared_ptr<const Statistics> statistics;  ///< Null without any.
  std::vector<BudgetUnit> units;                 ///< Spectra of the plan's groups; empty where they are not known.
  CostSettings cost;                             ///< What the project was looked at with.
  std::string measure;                           ///< As `cost`: of the similarities.
  std::vector<SimilarityRecord> similarities;    ///< Of every layer, key and value; empty as well.
  std::vector<LayerSpectrumRecord> spectra;      ///< As `similarities`.
  std::optional<PlanErrorsRecord> errors;        ///< Absent where they are not known.
  std::vector<std::string> gaps;                 ///< Sentences: what could not be shown, and why.
};

/// A project with its model and statistics. A model or statistics that are missing, or are others than the plan was
/// made for, leave gaps. `name` is what the page is titled with.
Result<Report> gatherReport(Project project, std::string name, Workspace& workspace, const Task& task);

/// One HTML page without scripts or other files, for screens and paper. Every figure is a `data` element with an id and
/// its exact value; every text of the project is escaped. The same report gives the same bytes.
std::string reportPage(const Report& report);

/// gatherReport and reportPage.
Result<std::string> reportOf(Project project, std::string name, Workspace& workspace, const Task& task);

}  // namespace kvista
