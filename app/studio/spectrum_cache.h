// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>

#include "core/plan/allocate.h"
#include "core/plan/plan.h"

namespace kvista {

/// Names what the decomposition of a group depends on: its heads, whatever their order, and how errors are measured and
/// latents stored. Not its widths, nor other groups.
std::string spectrumKey(const CompressionPlan& plan, const Group& group);

/// Spectra of groups that the plan had before, so that undo needs no engine. What was longest unused goes first once
/// they take more than `maximumBytes`.
class SpectrumCache {
 public:
  explicit SpectrumCache(std::size_t maximumBytes = std::size_t{96} << 20) : maximumBytes_(maximumBytes) {}
  /// Null when it is not there; the pointer lives until the next insert.
  const BudgetUnit* find(const std::string& key);
  void insert(const std::string& key, BudgetUnit unit);
  void clear();
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    BudgetUnit unit;
  };
  std::size_t maximumBytes_;
  std::size_t bytes_ = 0;
  std::list<Entry> entries_;  // Newest first.
  std::unordered_map<std::string, std::list<Entry>::iterator> places_;
};

}  // namespace kvista
