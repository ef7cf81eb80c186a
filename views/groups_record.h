// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/plan/plan.h"

namespace kvista {

/// One group of the layer that is shown.
struct GroupRecord {
  int index = 0;  ///< In the plan.
  std::vector<Slot> slots;
  std::vector<std::uint8_t> widths;  ///< As in Group.
  std::int64_t bytes = 0;            ///< A token.
  std::optional<double> loss;        ///< Predicted, nats a token; absent where not known.
  bool locked = false;
  bool stale = false;    ///< Numbers of an older plan: hatched.
  QString instead = {};  ///< What its layer stores in place of directions, in words; empty where it stores these.
  bool operator==(const GroupRecord&) const = default;
};

/// A way to group automatically.
struct GroupingOption {
  QString name, explanation;
  bool operator==(const GroupingOption&) const = default;
};

struct GroupsRecord {
  int layer = 0;
  ModelShape shape;
  std::vector<GroupRecord> groups;
  KeyPosition keyPosition = KeyPosition::beforeRope;
  Storage storage = Storage::coded;
  QString grouping;  ///< The plan's: "manual", "joint" or the name of one of `groupings`.
  std::vector<GroupingOption> groupings;
  int groupSize = 4;  ///< What automatic grouping was last asked for.
  bool operator==(const GroupsRecord&) const = default;
};

/// "Group 2", or "K group 2" and "V group 1" where it holds one side only; numbers as core/plan/edit.h counts them.
QString groupTitle(const GroupsRecord& record, std::size_t group);
/// "K3"; with its layer, "K3·5", where a group holds heads of other layers too.
QString chipLabel(const GroupsRecord& record, const Slot& slot);
/// "rank 190 · 304 B · ~0.0014 nats · locked".
QString groupFacts(const GroupRecord& group);

}  // namespace kvista
