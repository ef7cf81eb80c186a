// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/chosen_experiment.h"

#include <QCoreApplication>
#include <QLocale>
#include <QRegularExpression>
#include <QStringList>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/plan/predictor_kind.h"

namespace kvista {
namespace {

using nlohmann::json;

struct Words {
  Q_DECLARE_TR_FUNCTIONS(kvista::ChosenExperiment)
};

json planSystem(const std::string& method) { return {{"name", method}, {"plan", {{"method", method}}}}; }

/// What a policy foretells by is trained for the experiment: nobody who ticks it has such a file at hand.
json policyOf(const std::string& name) {
  json policy = {{"name", name}};
  if (std::ranges::find(kPredictorKinds, name, &Named<PredictorKind>::name) != kPredictorKinds.end())
    policy["options"] = {{"gate", "train"}};
  return policy;
}

/// Names of systems are unique: some systems of the field have a method and a policy of one name.
json policySystem(const Choice& policy, const ChosenExperiment& chosen) {
  json system = {{"policy", policyOf(policy.name)}};
  const QString name = QString::fromStdString(policy.name), base = QString::fromStdString(chosen.base);
  QString shown = name;
  if (!policy.planMethod.empty()) {  // Without a target the plan gets what the policy leaves of the bytes.
    system["plan"] = {{"method", chosen.base.empty() ? policy.planMethod : chosen.base}};
    if (!base.isEmpty()) shown = Words::tr("%1 over %2").arg(name, base);
  } else if (!base.isEmpty()) {
    system["plan"] = {{"method", chosen.base}, {"target", {{"kind", "share"}, {"value", chosen.baseShare}}}};
    shown = Words::tr("%1 over %2 at %3").arg(name, base, QString::number(chosen.baseShare));
  }
  const bool isMethodToo = std::ranges::find(chosen.methods, policy.name) != chosen.methods.end();
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
  json kept = json::array(), byBytes = json::array(), sweeps = json::array();
  for (const MethodChoice& method : catalogue.methods) {
    if (std::ranges::find(chosen.methods, method.choice.name) == chosen.methods.end()) continue;
    if (goesByKeptFraction(method)) kept.push_back(planSystem(method.choice.name));
    byBytes.push_back(planSystem(method.choice.name));
  }
  for (const Choice& policy : catalogue.policies)
    if (std::ranges::find(chosen.policies, policy.name) != chosen.policies.end()) byBytes.push_back(policySystem(policy, chosen));
  const auto add = [&sweeps](const QString& name, const char* unit, const std::vector<double>& values, json systems) {
    if (values.empty() || systems.empty()) return;
    sweeps.push_back({{"name", name.toStdString()}, {"unit", unit}, {"values", values}, {"systems", std::move(systems)}});
  };
  add(Words::tr("Kept fractions"), "keptFraction", chosen.keptFractions, std::move(kept));
  add(Words::tr("Equal bytes"), "share", chosen.shares, std::move(byBytes));
  if (!chosen.policies.empty() && !chosen.shares.empty() && chosen.interval > 0) sweeps.back()["interval"] = chosen.interval;
  return {{"kvista", "experiment"},
          {"version", 1},
          {"name", Words::tr("Chosen methods and policies").toStdString()},
          {"sweeps", std::move(sweeps)}};
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
  static const QRegularExpression kComma(QStringLiteral(",")), kLastComma(QStringLiteral(R"(,(?!\d))")), kGap(QStringLiteral(R"([\s;]+)"));
  QString plain = text;
  plain.replace(kSpacedSign, QStringLiteral("\\1 ")).replace(QStringLiteral("/ "), QStringLiteral("/"));
  // Where numbers have commas, one that a digit follows is theirs.
  plain.replace(QLocale().decimalPoint() == QStringLiteral(",") ? kLastComma : kComma, QStringLiteral(" "));
  std::vector<double> values;
  for (const QString& word : plain.split(kGap, Qt::SkipEmptyParts)) {
    const double value = fractionIn(word);
    if (value == 0)
      return fail(ErrorCode::invalidArgument,
                  Words::tr("“%1” is not above 0 and at most 1: write numbers such as 0.5, 30 % or 1/8.").arg(word).toStdString());
    if (std::ranges::find(values, value) != values.end())
      return fail(ErrorCode::invalidArgument, Words::tr("“%1” stands there twice.").arg(word).toStdString());
    values.push_back(value);
  }
  return values;
}

}  // namespace kvista
