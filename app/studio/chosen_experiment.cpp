// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/chosen_experiment.h"

#include <QCoreApplication>
#include <QLocale>
#include <QRegularExpression>
#include <QStringList>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/plan/predictor_kind.h"

namespace kvista {
namespace {

using nlohmann::json;

struct Words {
  Q_DECLARE_TR_FUNCTIONS(kvista::ChosenExperiment)
};

const MethodChoice* methodOf(const PlanWish& plan, const Catalogue& catalogue) {
  const auto named = [&](const MethodChoice& method) { return method.choice.name == plan.method; };
  const auto found = std::ranges::find_if(catalogue.methods, named);
  return found == catalogue.methods.end() ? nullptr : &*found;
}

/// The plan, and the same with trained factors if that is wanted and it has any.
std::vector<json> planSystems(const PlanWish& plan, const ChosenExperiment& chosen, const Catalogue& catalogue) {
  const std::string name = nameOf(plan, catalogue);
  const MethodChoice* method = methodOf(plan, catalogue);
  const json plain = {{"name", name}, {"plan", planOf(plan, catalogue)}};
  if (!chosen.refines || (method != nullptr && method->storage == Storage::plainQuantised))
    return std::vector<json>(1, plain);
  // Training begins from the plan's own factors, as `kvista refine` does where nothing else is said.
  json refined = plain;
  refined["name"] = Words::tr("%1, refined").arg(QString::fromStdString(name)).toStdString();
  refined["refine"] = json::object();
  return std::vector<json>{plain, refined};
}

/// The policies that a line names: "kvzip+hadamard bits=3" has two.
std::vector<std::string> namesIn(const std::string& line) {
  std::vector<std::string> names;
  const QString name = QString::fromStdString(line).simplified().section(QLatin1Char(' '), 0, 0);
  for (const QString& each : name.split(QLatin1Char('+'))) names.push_back(each.toStdString());
  return names;
}

/// The method that a policy of the line was published with, and needs; empty: it needs none.
std::string planMethodOf(const std::string& line, const Catalogue& catalogue) {
  for (const std::string& name : namesIn(line))
    if (const auto policy = std::ranges::find(catalogue.policies, name, &Choice::name);
        policy != catalogue.policies.end() && !policy->planMethod.empty())
      return policy->planMethod;
  return {};
}

/// What a policy foretells by is trained for the experiment, unless the line has it: nobody who ticks it has such a
/// file at hand.
json policyOf(const std::string& line) {
  json policy = {{"name", line}};
  const auto isPredictor = [](const std::string& name) {
    return std::ranges::find(kPredictorKinds, name, &Named<PredictorKind>::name) != kPredictorKinds.end();
  };
  static const QRegularExpression kGate(QStringLiteral(R"([\s.]gate=)"));
  if (std::ranges::any_of(namesIn(line), isPredictor) && !QString::fromStdString(line).contains(kGate))
    policy["options"] = {{"gate", "train"}};
  return policy;
}

/// Names of systems are unique: some systems of the field have a method and a policy of one name.
json policySystem(const std::string& line, const ChosenExperiment& chosen, const Catalogue& catalogue) {
  json system = {{"policy", policyOf(line)}};
  const QString name = QString::fromStdString(line), base = QString::fromStdString(chosen.base);
  QString shown = name;
  if (const std::string method = planMethodOf(line, catalogue);
      !method.empty()) {  // Without a target it gets what the policy leaves.
    system["plan"] = {{"method", chosen.base.empty() ? method : chosen.base}};
    if (!base.isEmpty()) shown = Words::tr("%1 over %2").arg(name, base);
  } else if (!base.isEmpty()) {
    system["plan"] = {{"method", chosen.base}, {"target", {{"kind", "share"}, {"value", chosen.baseShare}}}};
    shown = Words::tr("%1 over %2 at %3").arg(name, base, QString::number(chosen.baseShare));
  }
  const bool isMethodToo = std::ranges::find(chosen.methods, line) != chosen.methods.end();
  if (base.isEmpty() && isMethodToo) shown = Words::tr("%1, the policy").arg(name);
  system["name"] = shown.toStdString();
  return system;
}

/// A number of (0, 1], or 0.
double fractionIn(QString word) {
  const auto number = [](const QString& text) {
    bool isNumber = false;
    double value = text.toDouble(&isNumber);
    if (!isNumber) value = QLocale().toDouble(text, &isNumber);
    return isNumber ? value : 0;
  };
  double value = 0;
  if (const auto bar = word.indexOf(QLatin1Char('/')); bar > 0) {
    const double whole = number(word.mid(bar + 1));
    value = whole > 0 ? number(word.left(bar)) / whole : 0;
  } else if (word.endsWith(QLatin1Char('%'))) {
    word.chop(1);
    value = number(word) / 100;
  } else {
    value = number(word);
  }
  return value > 0 && value <= 1 ? value : 0;
}

}  // namespace

bool goesByKeptFraction(const MethodChoice& method) { return method.storage == Storage::lowRank16; }

json experimentOf(const ChosenExperiment& chosen, const Catalogue& catalogue) {
  json kept = json::array(), byBytes = json::array(), byRule = json::array(), sweeps = json::array();
  std::vector<PlanWish> plans;
  for (const MethodChoice& method : catalogue.methods)
    if (std::ranges::find(chosen.methods, method.choice.name) != chosen.methods.end())
      plans.emplace_back().method = method.choice.name;
  plans.insert(plans.end(), chosen.variants.begin(), chosen.variants.end());
  for (const PlanWish& plan : plans)
    for (const json& system : planSystems(plan, chosen, catalogue)) {
      const MethodChoice* method = methodOf(plan, catalogue);
      if (plan.eps) {
        byRule.push_back(system);
        continue;
      }
      if (method != nullptr && goesByKeptFraction(*method)) kept.push_back(system);
      byBytes.push_back(system);
    }
  for (const Choice& policy : catalogue.policies)
    if (std::ranges::find(chosen.policies, policy.name) != chosen.policies.end())
      byBytes.push_back(policySystem(policy.name, chosen, catalogue));
  for (const std::string& line : chosen.lines) byBytes.push_back(policySystem(line, chosen, catalogue));
  const auto add = [&sweeps](const QString& name, const char* unit, const std::vector<double>& values, json systems) {
    if (values.empty() || systems.empty()) return;
    sweeps.push_back(
        {{"name", name.toStdString()}, {"unit", unit}, {"values", values}, {"systems", std::move(systems)}});
  };
  add(Words::tr("Kept fractions"), "keptFraction", chosen.keptFractions, std::move(kept));
  add(Words::tr("Equal bytes"), "share", chosen.shares, std::move(byBytes));
  const std::size_t last = sweeps.size();
  add(Words::tr("Sizes by eps"), "share", {1}, std::move(byRule));
  const bool hasPolicies = !chosen.policies.empty() || !chosen.lines.empty();
  if (hasPolicies && !chosen.shares.empty() && chosen.interval > 0) sweeps[last - 1]["interval"] = chosen.interval;
  return {{"kvista", "experiment"},
          {"version", 1},
          {"name", Words::tr("Chosen methods and policies").toStdString()},
          {"sweeps", std::move(sweeps)}};
}

json planOf(PlanWish variant, const Catalogue& catalogue) {
  if (const MethodChoice* method = methodOf(variant, catalogue); method != nullptr) {
    if (variant.chain == method->chain) variant.chain.reset();
    if (variant.trellis == method->trellis) variant.trellis.reset();
    if (variant.tokenNumbers == method->tokenNumbers) variant.tokenNumbers.reset();
  }
  json plan = toJson(variant);
  for (const char* ofTheRun : {"target", "device", "context", "batch"}) plan.erase(ofTheRun);
  return plan;
}

std::string nameOf(const PlanWish& variant, const Catalogue& catalogue) {
  const json plan = planOf(variant, catalogue);
  std::string name = variant.method;
  for (const auto& [part, value] : plan.items()) {
    if (part == "method") continue;
    name += ", " + part;
    if (value != json(true)) name += "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return name;
}

bool needsPlan(const std::string& line, const Catalogue& catalogue) { return !planMethodOf(line, catalogue).empty(); }

std::string nameThatIsThereTwice(const json& experiment) {
  for (const json& sweep : experiment.at("sweeps")) {
    std::set<std::string> names;
    for (const json& system : sweep.at("systems"))
      if (const auto name = system.at("name").get<std::string>(); !names.insert(name).second) return name;
  }
  return {};
}

std::size_t rowsOf(const json& experiment) {
  std::size_t rows = 0;
  if (const auto sweeps = experiment.find("sweeps"); sweeps != experiment.end() && sweeps->is_array())
    for (const json& sweep : *sweeps)
      if (sweep.is_object() && sweep.contains("systems") && sweep.contains("values"))
        rows += sweep["systems"].size() * sweep["values"].size();
  return rows;
}

Result<std::vector<double>> fractionsIn(const QString& text) {
  static const QRegularExpression kSpacedSign(QStringLiteral(R"(\s*([%/])\s*)"));
  static const QRegularExpression kComma(QStringLiteral(",")), kLastComma(QStringLiteral(R"(,(?!\d))")),
      kGap(QStringLiteral(R"([\s;]+)"));
  QString plain = text;
  plain.replace(kSpacedSign, QStringLiteral("\\1 ")).replace(QStringLiteral("/ "), QStringLiteral("/"));
  // Where numbers have commas, one that a digit follows is theirs.
  plain.replace(QLocale().decimalPoint() == QStringLiteral(",") ? kLastComma : kComma, QStringLiteral(" "));
  std::vector<double> values;
  for (const QString& word : plain.split(kGap, Qt::SkipEmptyParts)) {
    const double value = fractionIn(word);
    if (value == 0)
      return fail(ErrorCode::invalidArgument,
                  Words::tr("“%1” is not above 0 and at most 1: write numbers such as 0.5, 30 % or 1/8.")
                      .arg(word)
                      .toStdString());
    if (std::ranges::find(values, value) != values.end())
      return fail(ErrorCode::invalidArgument, Words::tr("“%1” stands there twice.").arg(word).toStdString());
    values.push_back(value);
  }
  return values;
}

}  // namespace kvista
