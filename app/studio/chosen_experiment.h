// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/protocol/records.h"

namespace kvista {

/// An experiment as it is ticked, where none is written as a file.
struct ChosenExperiment {
  std::vector<std::string> methods, policies;  ///< As the catalogue names them.
  std::vector<double> keptFractions;           ///< Of the methods that store 16-bit numbers.
  std::vector<double> shares;                  ///< Of the 16-bit cache's bytes, of all methods and policies.
  std::int64_t interval = 0;                   ///< Tokens after which policies act again; 0: never.
  std::string base = {};                       ///< The method whose plans policies work on; empty: the model as it is.
  double baseShare = 0.5;  ///< Those plans' own share of the bytes; under policies that need a plan, what these leave.
  std::vector<std::string> lines = {};  ///< More policies, each in the language of --policy: "kvzip+hadamard bits=3".
  std::vector<PlanWish> variants = {};  ///< Of methods; their targets are the sizes above.
  bool refines = false;                 ///< A system more for each method that has factors: with these trained.
  bool operator==(const ChosenExperiment&) const = default;
};

/// Whether a method's plans can be asked for by a kept fraction; others, like policies, go by bytes alone.
bool goesByKeptFraction(const MethodChoice& method);

/// What a file would hold (help page Experiments): a sweep for each of the two kinds of size that something was chosen
/// for. A policy that needs a plan has one: of the base, or else of the method that it was published with.
nlohmann::json experimentOf(const ChosenExperiment& chosen, const Catalogue& catalogue);

/// What a file has of a variant: the method and the parts in which it differs from it.
nlohmann::json planOf(PlanWish variant, const Catalogue& catalogue);

/// "joint, centred, allocator=uniform".
std::string nameOf(const PlanWish& variant, const Catalogue& catalogue);

/// Whether a typed policy is of a plan, which is then its own: cskv.
bool needsPlan(const std::string& line, const Catalogue& catalogue);

/// A name that two systems of a sweep have; empty: none.
std::string nameThatIsThereTwice(const nlohmann::json& experiment);

/// Rows that what a file holds has on one text. What is not sound in it the engine says, and is no row here.
std::size_t rowsOf(const nlohmann::json& experiment);

/// Parts of a whole as a person writes them, "0.5 .3", "50 % 30 %" or "1/4, 1/8". Error (invalidArgument): one that is
/// no number above 0 and at most 1, or that stands twice.
Result<std::vector<double>> fractionsIn(const QString& text);

}  // namespace kvista
