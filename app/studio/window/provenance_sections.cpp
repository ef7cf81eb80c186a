// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/provenance_sections.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <QCoreApplication>
#include <cmath>

#include "core/plan/plan_names.h"
#include "views/number_text.h"
#include "views/target_editor.h"

namespace kvista {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("Provenance", text); }
QString text(const std::string& string) { return QString::fromStdString(string); }
/// What an older engine does not say is not made up.
QString known(const std::string& string) { return string.empty() ? tr("not known") : text(string); }

ProvenanceSection programs(const EngineClient& engine) {
  const HelloRecord& hello = engine.hello();
  return {tr("Program"),
          {{tr("Window"),
            tr("KVista %1, Qt %2").arg(QCoreApplication::applicationVersion(), QString::fromLatin1(qVersion()))},
           {tr("Engine"), tr("%1 %2").arg(text(hello.program), text(hello.version))},
           {tr("libtorch"), known(hello.torch)},
           {tr("Engine's host"), known(hello.host)},
           {tr("Engine's device"), known(hello.device)},
           {tr("Engine's command"), engine.command().text()}}};
}

ProvenanceSection ofModel(const ModelRecord& model) {
  return {tr("Model"),
          {{tr("Path"), text(model.path)},
           {tr("Content hash"), text(model.hash)},
           {tr("Family"), text(model.shape.family)},
           {tr("Shape"), tr("%1 layers, %2 query heads, %3 KV heads of %4, hidden %5")
                             .arg(model.shape.layers)
                             .arg(model.shape.queryHeads)
                             .arg(model.shape.kvHeads)
                             .arg(model.shape.headDim)
                             .arg(model.shape.hiddenSize)},
           {tr("Parameters"), countText(model.shape.parameters)},
           {tr("Stored as"), text(model.storageType)},
           {tr("Rotary embedding"), text(model.rope)},
           {tr("Cache"), tr("%1 a token").arg(bytesText(model.shape.cacheBytesPerToken()))}}};
}

ProvenanceSection calibration(const StatisticsRecord& statistics) {
  QStringList texts;
  for (std::size_t i = 0; i < statistics.texts.size(); ++i)
    texts << (i < statistics.weights.size()
                  ? tr("%1 (weight %2)").arg(text(statistics.texts[i]), QLocale().toString(statistics.weights[i]))
                  : text(statistics.texts[i]));
  return {tr("Calibration"),
          {{tr("Text"), texts.join(QStringLiteral(", "))},
           {tr("Tokens"),
            tr("%1 in %2 windows of %3")
                .arg(countText(statistics.tokens), countText(statistics.windows), countText(statistics.window))},
           {tr("Seed"), statistics.seed ? QString::number(*statistics.seed) : tr("none: windows in the text's order")},
           {tr("Tokens' hash"), text(statistics.tokensHash)},
           {tr("Statistics"), text(statistics.path)},
           {tr("Perplexity there"), decimalText(std::exp(statistics.loss.baseLoss), 3)},
           {tr("Computed on"), known(statistics.device)},
           {tr("In"), tr("%1 s").arg(decimalText(statistics.seconds, 1))}}};
}

QString factorsText(const Document& document) {
  const auto& refined = document.refined();
  if (!refined) return tr("from the statistics");
  if (document.refinedFactors().empty()) return tr("from the statistics; refined ones are of an earlier plan");
  return tr("refined, %1 steps on %2")
      .arg(countText(refined->steps), text(fmt::format("{}", fmt::join(refined->texts, ", "))));
}

ProvenanceSection ofPlan(const Document& document) {
  const CompressionPlan& plan = document.plan();
  return {tr("Plan"),
          {{tr("Method"), text(plan.method)},
           {tr("Grouping"),
            tr("%1, %2 groups").arg(text(plan.grouping), countText(static_cast<qint64>(plan.groups.size())))},
           {tr("Allocator"), text(plan.allocator)},
           {tr("Metric"), text(nameIn(kMetrics, plan.metric) +
                               (plan.damping > 0 ? fmt::format(", damped by {:.3g}", plan.damping) : ""))},
           {tr("Bases of"), plan.sinkFree || plan.exactTokens > 0 ? tr("tokens beyond the sinks") : tr("all tokens")},
           {tr("Mean"), plan.centred ? tr("taken out and put back") : tr("part of what is stored")},
           {tr("Chains"), plan.chain > 1 ? tr("of %1 layers, each behind the one before").arg(plan.chain) : tr("none")},
           {tr("First layer"),
            plan.tokenNumbers ? tr("numbers of tokens, which predict other layers") : tr("stored like the others")},
           {tr("Trellis"), plan.trellis ? tr("codes of up to 4 bits") : tr("none")},
           {tr("Compensated"), plan.compensated ? tr("yes") : tr("no")},
           {tr("Keys"), text(nameIn(kKeyPositions, plan.keyPosition))},
           {tr("Storage"), text(nameIn(kStorages, plan.storage))},
           {tr("Target"), targetText(plan.target)},
           {tr("Bytes"), tr("%1 a token").arg(bytesText(document.planned().achievedBytes))},
           {tr("Factors"), factorsText(document)},
           {tr("Fingerprint"), text(document.planFingerprint())}}};
}

ProvenanceSection measurement(const MeasuredResult& result, const Document& document) {
  ProvenanceSection section{
      tr("Measurement"),
      {{tr("Text"), text(result.text)},
       {tr("Tokens' hash"), known(result.tokensHash)},
       {tr("Predictions"), result.predictions > 0 ? countText(result.predictions) : tr("not known")},
       {tr("Perplexity"),
        tr("%1, original %2").arg(decimalText(result.perplexityAfter, 3), decimalText(result.perplexityBefore, 3))},
       {tr("Plan's fingerprint"), text(result.planFingerprint)}}};
  if (result.planFingerprint == document.planFingerprint()) section.facts.back().second += tr(" (this plan)");
  return section;
}

}  // namespace

std::vector<ProvenanceSection> provenanceOf(const Document& document, const EngineClient& engine) {
  if (!document.hasModel()) return {};
  std::vector<ProvenanceSection> sections = {ofModel(document.model())};
  if (document.statistics()) {
    sections.push_back(calibration(*document.statistics()));
    sections.push_back(ofPlan(document));
  }
  // The newest first.
  for (auto result = document.results().rbegin(); result != document.results().rend(); ++result)
    sections.push_back(measurement(*result, document));
  sections.push_back(programs(engine));
  return sections;
}

}  // namespace kvista
