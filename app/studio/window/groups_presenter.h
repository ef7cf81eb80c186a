// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "app/studio/workflow.h"
#include "core/plan/grouping.h"

namespace kvista {

class GroupsView;

/// Shows the groups of the selected layer and makes edits of what is done to them.
class GroupsPresenter final : public QObject {
  Q_OBJECT

 public:
  GroupsPresenter(Document& document, Workflow& workflow, GroupsView& view);
  /// The heads of one side of the selected layer as a group of their own.
  void makeGroup(const std::vector<int>& heads);

 Q_SIGNALS:
  void message(const QString& text);

 private:
  void show();
  void apply(Result<CompressionPlan> edited);
  void regroup(const QString& grouping, int groupSize);
  void regroupAll(const std::string& grouping);
  [[nodiscard]] Result<HeadGroups> groupHeads(const std::string& grouping, int groupSize, Side side) const;
  Document& document_;
  Workflow& workflow_;
  GroupsView& view_;
  int groupSize_ = 4;
};

}  // namespace kvista
