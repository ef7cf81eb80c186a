// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/trial.h"

#include <QFileInfo>
#include <algorithm>
#include <utility>

#include "app/studio/read_answer.h"
#include "app/studio/request_params.h"

namespace kvista {
namespace {

using nlohmann::json;

/// What all sides have written, whole.
struct GeneratedTexts {
  GeneratedPiece original;
  std::optional<GeneratedPiece> plan, policy;
};

Result<GeneratedTexts> readTexts(const json& answer) {
  GeneratedTexts texts;
  KVISTA_ASSIGN(texts.original, read<GeneratedPiece>(field(answer, "original")));
  if (const json& plan = field(answer, "plan"); !plan.is_null()) {
    KVISTA_ASSIGN(texts.plan, read<GeneratedPiece>(plan));
  }
  if (const json& policy = field(answer, "policy"); !policy.is_null()) {
    KVISTA_ASSIGN(texts.policy, read<GeneratedPiece>(policy));
  }
  return texts;
}

}  // namespace

void Trial::tokenLosses(const QString& text) {
  json params = planParams(document_);
  params["text"] = text.toStdString();
  askTokenLosses(tr("Losses token by token"), params);
}

void Trial::tokenLossesOfFile(const QString& path) {
  json params = planParams(document_);
  params["text"] = toJson(TextSelection{{path.toStdString()}, 0, 0, 0, {}, false});
  params["maxTokens"] = kMostTokens;
  askTokenLosses(tr("Losses of %1").arg(QFileInfo(path).fileName()), params);
}

void Trial::askTokenLosses(const QString& name, const json& params) {
  jobs_.start<TokenLossRecord>(name, "tokenLosses", params, read<TokenLossRecord>, [this](TokenLossRecord record) {
    Q_EMIT tokenLossesReady(record);
    return tr("%Ln token(s)", nullptr, static_cast<int>(record.pieces.size()));
  });
}

void Trial::generate(const GenerationWish& wish) {
  stopGenerating();
  json params = planParams(document_);
  params["prompt"] = wish.prompt.toStdString();
  params["maxTokens"] = wish.maxTokens;
  params["chat"] = wish.chat;
  params["temperature"] = wish.temperature;
  params["seed"] = wish.seed;
  if (!wish.policy.isEmpty()) params["policy"] = wish.policy.toStdString();
  for (const GenerationWish::Turn& turn : wish.turns)
    for (const auto& [list, answer] : {std::pair{"turns", turn.original}, std::pair{"planTurns", turn.plan},
                                       std::pair{"policyTurns", turn.policy}}) {
      params[list].push_back({{"role", "user"}, {"content", turn.said.toStdString()}});
      params[list].push_back({{"role", "assistant"}, {"content", answer.toStdString()}});
    }
  const int number = ++generations_;
  generation_ = Generation{.number = number};
  const auto done = [this, number](const GeneratedTexts& texts) {
    if (isCurrent(number)) {
      finishSide(texts.original, generation_->original);
      if (texts.plan) finishSide(*texts.plan, generation_->plan);
      if (texts.policy) finishSide(*texts.policy, generation_->policy);
    }
    endGeneration(number);
    return QString();
  };
  const auto progress = [this, number](const ProgressRecord& record) {
    if (!record.piece || !isCurrent(number)) return;
    (record.piece->underPolicy  ? generation_->policy
     : record.piece->compressed ? generation_->plan
                                : generation_->original) += record.piece->text.size();
    Q_EMIT piece(*record.piece);
  };
  generation_->job = jobs_.start<GeneratedTexts>(tr("Generate"), "generate", params, readTexts, done,
                                                 {.progress = progress,
                                                  .again = [this, wish] { generate(wish); },
                                                  .undone = [this, number] { endGeneration(number); }});
}

void Trial::finishSide(const GeneratedPiece& whole, std::size_t& handed) {
  GeneratedPiece rest = whole;
  rest.text.erase(0, std::min(handed, rest.text.size()));
  handed = whole.text.size();
  Q_EMIT piece(rest);
}

void Trial::endGeneration(int number) {
  if (!isCurrent(number)) return;
  generation_.reset();
  Q_EMIT generationEnded();
}

void Trial::stopGenerating() {
  if (generation_) jobs_.cancel(generation_->job);
}

}  // namespace kvista
