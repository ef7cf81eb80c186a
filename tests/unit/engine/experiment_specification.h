// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

namespace kvista::test {

/// An experiment's file that tests run, and damage: two systems at two sizes, and one of which the first is impossible.
inline nlohmann::json specification() {
  return {
      {"kvista", "experiment"},
      {"version", 1},
      {"name", "Two ways"},
      {"sweeps",
       {{{"name", "Bytes"},
         {"unit", "share"},
         {"values", {0.5, 0.25}},
         {"systems",
          {{{"name", "every head, alone"}, {"plan", {{"method", "coded-head"}}}},
           {{"name", "joint"}, {"plan", {{"method", "joint"}, {"rankStep", 4}}}}}}},
        {{"name", "Small"},
         {"unit", "share"},
         {"values", {0.0001}},
         {"systems",
          {{{"name", "impossible"}, {"plan", {{"method", "plain"}}}},
           {{"name", "fixed"}, {"plan", {{"method", "joint"}, {"target", {{"kind", "share"}, {"value", 0.5}}}}}}}}}}}};
}

}  // namespace kvista::test
