// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "app/studio/workflow.h"
#include "core/protocol/records.h"
#include "views/policy_choice.h"

namespace kvista {

/// The engine's policies as a person chooses them.
inline std::vector<PolicyChoice::Line> policyLines(const Catalogue& catalogue) {
  std::vector<PolicyChoice::Line> lines;
  for (const Choice& policy : catalogue.policies)
    lines.push_back({QString::fromStdString(policy.formula), QString::fromStdString(policy.summary)});
  return lines;
}

/// The engine reads the line while it is typed.
inline void checkWhileTyped(PolicyChoice& choice, Workflow& workflow) {
  const auto ask = [&choice, &workflow] {
    const QString line = choice.policy();
    if (line.isEmpty()) return;
    workflow.checkPolicy(line, &choice, [&choice, line](const QString& problem) {
      if (choice.policy() == line) choice.setProblem(problem);
    });
  };
  QObject::connect(&choice, &QComboBox::currentTextChanged, &workflow, ask);
  ask();
}

}  // namespace kvista
