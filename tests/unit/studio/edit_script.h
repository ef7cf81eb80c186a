// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

#include "app/studio/document.h"

namespace kvista::test {

/// What a person does to a plan, by chance, the same for the same seed: moves and merges heads, drags, sets locks and
/// ranks, undoes and redoes. Does not depend on whether spectra are known.
class EditScript {
 public:
  explicit EditScript(std::uint32_t seed) : random_(seed) {}
  /// One edit; always changes the plan.
  void step(Document& document);

 private:
  int any(std::size_t count) { return static_cast<int>(random_() % count); }
  std::mt19937 random_;
};

}  // namespace kvista::test
