// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/plan/grouping.h"
#include "core/plan/plan.h"

namespace kvista {

/// What a hand does to a plan's groups. Every function takes a sound plan and gives a sound one back, or says in one
/// sentence why not; the plan it was given stays as it is.
///
/// Widths: a changed group has a new eigenbasis, whose eigenvalues are not known here. Every head therefore takes its
/// share of its group's widths along: the directions of a group, sorted by width, are dealt out to its heads in
/// proportion to their size. So an edit spends the same bits as before, an uncompressed plan stays uncompressed, and
/// whoever has the spectra allocates anew from there. Untouched groups keep their widths, locks and places.
///
/// Order: a head stands before the first one of its side that comes after it (by layer and head), a new group before
/// the first group of its layer that begins with a later head; all others keep theirs. A plan changed so has the
/// grouping "manual".

inline constexpr int kNewGroup = -1;

/// Moves heads, of one or several groups of one layer, into group `target`, or into a new one (kNewGroup). A group that
/// is left without heads goes. Fails where nothing would change.
Result<CompressionPlan> moveSlots(CompressionPlan plan, const ModelShape& shape, std::span<const Slot> slots,
                                  int target);
/// Takes some, not all, of a group's heads out of it into a new group.
Result<CompressionPlan> splitGroup(CompressionPlan plan, const ModelShape& shape, int group, std::span<const Slot> out);
/// Puts all heads of two or more groups of one layer into the first of them.
Result<CompressionPlan> mergeGroups(CompressionPlan plan, const ModelShape& shape, std::span<const int> groups);
/// Replaces a layer's groups. `joint`: keys and values of the same heads share a group, and `values` must equal `keys`.
Result<CompressionPlan> regroupLayer(CompressionPlan plan, const ModelShape& shape, int layer, const HeadGroups& keys,
                                     const HeadGroups& values, bool joint);
/// `joint`: every value head joins its key head's group; otherwise every group is parted into its keys and its values.
Result<CompressionPlan> joinLayer(CompressionPlan plan, const ModelShape& shape, int layer, bool joint);
/// Groups the heads of other layers as those of `fromLayer`. Every layer keeps its own bits; locks are not copied.
Result<CompressionPlan> applyLayerTo(CompressionPlan plan, const ModelShape& shape, int fromLayer,
                                     std::span<const int> layers);
Result<CompressionPlan> setLock(CompressionPlan plan, int group, bool locked);

/// Why heads cannot go into a group, as moveSlots says it; heads of that group itself are allowed.
Result<void> checkMove(const Group& target, std::span<const Slot> slots, KeyPosition keyPosition, Storage storage);
/// Where in the group `slot` would stand.
std::size_t placeOf(const Slot& slot, std::span<const Slot> group);
/// The groups that one side of a layer has; a group's heads of the other side are left out.
HeadGroups headGroups(const CompressionPlan& plan, int layer, Side side);

/// "K3", "V0".
std::string nameOf(const Slot& slot);
/// "K group 2", "V group 1", or "group 3" where it holds both; numbers count the layer's groups of that kind from 1.
std::string groupName(const CompressionPlan& plan, int group);
/// What was done between two plans, for the list of what can be undone: "Move K9 to group 2", "Set rank of layer 7
/// K group 2 to 96", "Lock layer 3 group 1". Empty where they are equal.
std::string describeEdit(const CompressionPlan& before, const CompressionPlan& after);

}  // namespace kvista
