// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/experiment/experiment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"
#include "core/compress/method.h"
#include "core/engine/experiment/trained.h"
#include "core/io/json_file.h"
#include "core/plan/allocate.h"
#include "core/plan/plan_names.h"
#include "core/policy/named_policies.h"
#include "core/policy/policy_run.h"
#include "core/protocol/fields.h"

namespace kvista {
namespace {

constexpr std::size_t kMostSystems = 1000, kMostValues = 100, kMostCells = 100'000;

tl::unexpected<Error> bad(const std::string& where, const std::string& problem) {
  return fail(ErrorCode::invalidArgument, fmt::format("{} of the experiment {}.", where, problem),
              "See the help page Experiments.");
}

Result<void> checkFields(const nlohmann::json& object, const std::set<std::string>& known, const std::string& where) {
  if (!object.is_object()) return bad(where, fmt::format("is {}, it must be an object", kindOf(object)));
  for (const auto& [name, value] : object.items())
    if (!known.contains(name))
      return bad(where, fmt::format("has a field {} that is not known; there are {}", quoteForMessage(name),
                                    fmt::join(known, ", ")));
  return {};
}

Result<std::string> nameAt(const nlohmann::json& object, const std::string& where) {
  const auto name = object.find("name");
  if (name == object.end() || !name->is_string() || name->get_ref<const std::string&>().empty())
    return bad(where, "needs a name, a text");
  return name->get<std::string>();
}

/// The fields of `json` that reading a Record leaves alone are slips of the pen here: what is read cannot be just
/// anything.
template <class Record>
Result<void> checkRead(const nlohmann::json& complete, const nlohmann::json& json, const std::string& where) {
  for (const auto& [name, value] : json.items()) {
    nlohmann::json strange = complete;
    strange[name] = {{"", ""}};
    if (read<Record>(strange))
      return bad(where, fmt::format("has a field {} that is not known", quoteForMessage(name)));
  }
  return {};
}

/// Numbers that `unit` allows.
Result<std::vector<double>> valuesFromJson(const nlohmann::json& json, Target::Kind unit, const std::string& where) {
  const double most = unit == Target::Kind::share || unit == Target::Kind::keptFraction ? 1 : kLargestInteger;
  std::vector<double> values;
  if (!json.is_array() || json.empty() || json.size() > kMostValues)
    return bad(where, fmt::format("must be a list of 1 to {} numbers", kMostValues));
  for (const nlohmann::json& value : json) {
    if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() > most)
      return bad(where, fmt::format("has {} where numbers above 0 and at most {:g} are wanted", value.dump(), most));
    values.push_back(value.get<double>());
  }
  return values;
}

/// What a registry's `find` knows by `name`, also where the method never looks at it.
template <class Find>
Result<void> checkName(const std::optional<std::string>& name, Find find, const std::string& where) {
  if (!name) return {};
  const auto found = find(*name);
  if (!found)
    return fail(found.error().code, fmt::format("{} of the experiment: {}", where, found.error().message),
                found.error().hint);
  return {};
}

/// A method's settings as `kvista engine` takes them in makePlan; only the method need be said.
Result<PlanWish> wishFromJson(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object() || !json.contains("method")) return bad(where, "needs an object with a method");
  nlohmann::json all = toJson(PlanWish{});
  all.update(json);
  Result<PlanWish> wish = read<PlanWish>(all);
  if (!wish)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} of the experiment does not say a plan: {}", where, wish.error().message),
                "See the help page Experiments.");
  KVISTA_CHECK(checkRead<PlanWish>(all, json, where));
  if (wish->keep) return bad(where, "has groups of one model (keep), but an experiment is for any");
  KVISTA_CHECK(checkName(wish->method, findMethod, where));
  KVISTA_CHECK(checkName(wish->grouping, findLayout, where));
  KVISTA_CHECK(checkName(wish->allocator, findAllocator, where));
  KVISTA_CHECK(checkName(wish->measure, findMeasure, where));
  if (json.contains("target")) KVISTA_CHECK(valuesFromJson({wish->target.value}, wish->target.kind, where + ".target"));
  return wish;
}

/// A policy by its line, "kvzip+hadamard bits=3", and options besides. How much stays, and when it acts again, the
/// sweep says.
Result<PolicyRequest> policyFromJson(const nlohmann::json& json, const std::string& where) {
  KVISTA_CHECK(checkFields(json, {"name", "options"}, where));
  KVISTA_ASSIGN(const std::string line, nameAt(json, where));
  Result<PolicyRequest> read = policyFromText(line);
  if (!read)
    return fail(read.error().code, fmt::format("{} of the experiment: {}", where, read.error().message),
                read.error().hint);
  PolicyRequest request = *std::move(read);
  if (request.share != PolicyRequest{}.share || request.interval > 0)
    return bad(where, "says a share or an interval, which are those of the sweep (values, interval)");
  const nlohmann::json options = json.value("options", nlohmann::json::object());
  if (!options.is_object()) return bad(where + ".options", "must be an object");
  for (const auto& [name, value] : options.items()) {
    if (!value.is_number() && !value.is_string()) return bad(where + ".options." + name, "must be a number or a text");
    KVISTA_CHECK(addOption(request, name, value.is_string() ? value.get<std::string>() : value.dump()));
  }
  PolicyRequest trained = request;  // There is no file yet.
  if (std::erase_if(trained.options, [](const auto& option) { return option.second == kTrained; }) > 0 &&
      !predictorOf(request.policy))
    return bad(where,
               fmt::format("has an option \"{}\", but the policy {} foretells by no file", kTrained, request.policy));
  if (const Result<void> checked = checkPolicy(trained); !checked)
    return fail(ErrorCode::invalidArgument, fmt::format("{} of the experiment: {}", where, checked.error().message),
                checked.error().hint);
  return request;
}

/// How a plan's factors are trained: what `kvista refine` would do unless a field says otherwise.
Result<RefineRequest> refiningFromJson(const nlohmann::json& json, const std::string& where) {
  KVISTA_CHECK(checkFields(json, {"steps", "windowsPerStep", "rate", "seed", "nested"}, where));
  RefineRequest request;
  Fields fields(json, where);
  if (fields.has("steps")) request.steps = fields.count("steps", 1, 1'000'000);
  if (fields.has("windowsPerStep")) request.windowsPerStep = fields.count("windowsPerStep", 1, 4096);
  if (fields.has("rate")) request.rate = fields.number("rate", 1e-12, 1);
  if (fields.has("seed")) request.seed = static_cast<std::uint64_t>(fields.integer("seed", 0));
  if (fields.has("nested")) request.nested = fields.boolean("nested");
  if (fields.error()) return tl::unexpected(*fields.error());
  return request;
}

Result<ExperimentSystem> systemFromJson(const nlohmann::json& json, const std::string& where) {
  KVISTA_CHECK(checkFields(json, {"name", "plan", "planShare", "policy", "refine"}, where));
  ExperimentSystem system;
  KVISTA_ASSIGN(system.name, nameAt(json, where));
  if (!json.contains("plan") && !json.contains("policy")) return bad(where, "needs a plan, a policy or both");
  if (json.contains("plan")) {
    KVISTA_ASSIGN(system.plan, wishFromJson(json["plan"], where + ".plan"));
    system.hasOwnTarget = json["plan"].contains("target");
  }
  if (json.contains("refine")) {
    if (!system.plan) return bad(where, "refines, but has no plan whose factors could be");
    KVISTA_ASSIGN(system.refine, refiningFromJson(json["refine"], where + ".refine"));
  }
  if (json.contains("policy")) {
    KVISTA_ASSIGN(system.policy, policyFromJson(json["policy"], where + ".policy"));
  }
  return system;
}

/// The plan's own share at each value.
Result<std::vector<double>> planSharesFromJson(const nlohmann::json& json, const ExperimentSystem& system,
                                               const ExperimentSweep& sweep, const std::string& where) {
  if (!system.plan || !system.policy || system.hasOwnTarget)
    return bad(where, "is for a plan without a target of its own, and a policy on top of it");
  KVISTA_ASSIGN(const std::vector<double> shares, valuesFromJson(json, Target::Kind::share, where));
  if (shares.size() != sweep.values.size())
    return bad(where, fmt::format("has {} numbers for {} values", shares.size(), sweep.values.size()));
  return shares;
}

Result<ExperimentSweep> sweepFromJson(const nlohmann::json& json, const std::string& where) {
  KVISTA_CHECK(checkFields(json, {"name", "unit", "values", "systems", "prompt", "interval"}, where));
  ExperimentSweep sweep;
  KVISTA_ASSIGN(sweep.name, nameAt(json, where));
  Fields fields(json, where);
  sweep.unit = fields.choice("unit", kTargetKinds);
  const nlohmann::json* values = fields.find("values");
  const nlohmann::json* systems = fields.find("systems");
  if (fields.has("prompt")) sweep.prompt = fields.integer("prompt", 1);
  if (fields.has("interval")) sweep.interval = fields.integer("interval", 1);
  if (fields.error()) return tl::unexpected(*fields.error());
  KVISTA_ASSIGN(sweep.values, valuesFromJson(*values, sweep.unit, where + ".values"));
  for (const double value : sweep.values)
    if (std::ranges::count(sweep.values, value) > 1)
      return bad(where + ".values", fmt::format("has {:g} twice", value));
  if (!systems->is_array() || systems->empty() || systems->size() > kMostSystems)
    return bad(where + ".systems", fmt::format("must be a list of 1 to {}", kMostSystems));
  std::set<std::string> names;
  for (std::size_t i = 0; i < systems->size(); ++i) {
    const std::string place = fmt::format("{}.systems[{}]", where, i);
    KVISTA_ASSIGN(ExperimentSystem system, systemFromJson((*systems)[i], place));
    if (!names.insert(system.name).second)
      return bad(where, fmt::format("has two systems of the name {}", quoteForMessage(system.name)));
    if (system.policy && sweep.unit != Target::Kind::share)
      return bad(where, "has a policy, whose budget is a share of the bytes: its unit must be \"share\"");
    if (const auto shares = (*systems)[i].find("planShare"); shares != (*systems)[i].end()) {
      KVISTA_ASSIGN(system.planShares, planSharesFromJson(*shares, system, sweep, place + ".planShare"));
    }
    sweep.systems.push_back(std::move(system));
  }
  if (!sweep.isRead() && (sweep.prompt > 0 || sweep.interval > 0))
    return bad(where, "has a prompt or an interval, but no policy that they are for");
  return sweep;
}

}  // namespace

bool ExperimentSweep::isRead() const {
  return std::ranges::any_of(systems, [](const ExperimentSystem& system) { return system.policy.has_value(); });
}

Result<Experiment> experimentFromJson(const nlohmann::json& json) {
  KVISTA_CHECK(checkFields(json, {"kvista", "version", "name", "about", "sweeps"}, "The file"));
  if (json.value("kvista", nlohmann::json()) != "experiment" || json.value("version", nlohmann::json()) != 1)
    return bad("The file", "must begin with \"kvista\": \"experiment\" and \"version\": 1");
  Experiment experiment;
  KVISTA_ASSIGN(experiment.name, nameAt(json, "The file"));
  const auto sweeps = json.find("sweeps");
  if (sweeps == json.end() || !sweeps->is_array() || sweeps->empty() || sweeps->size() > kMostSystems)
    return bad("sweeps", fmt::format("must be a list of 1 to {}", kMostSystems));
  std::set<std::string> names;
  std::size_t cells = 0;
  for (std::size_t i = 0; i < sweeps->size(); ++i) {
    KVISTA_ASSIGN(ExperimentSweep sweep, sweepFromJson((*sweeps)[i], fmt::format("sweeps[{}]", i)));
    if (!names.insert(sweep.name).second)
      return bad("sweeps", fmt::format("has two of the name {}", quoteForMessage(sweep.name)));
    cells += sweep.systems.size() * sweep.values.size();
    if (cells > kMostCells)
      return bad("sweeps", fmt::format("asks for more than {} systems at values together", kMostCells));
    experiment.sweeps.push_back(std::move(sweep));
  }
  return experiment;
}

}  // namespace kvista
