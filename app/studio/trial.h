// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QString>
#include <cstdint>
#include <optional>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/engine_jobs.h"

namespace kvista {

/// What `generate` is asked for.
struct GenerationWish {
  QString prompt;
  int maxTokens = 128;
  bool chat = false;
  double temperature = 0;
  std::uint64_t seed = 0;
  /// What was said before, from the first prompt on; each side has answered in its own words.
  struct Turn {
    QString said, original, plan, policy;
  };
  std::vector<Turn> turns = {};
  QString policy = {};  ///< In a line; empty: none.
};

/// Tries the document's plan out beside the original: both write, and lose. Nothing of it
/// becomes the document's.
class Trial final : public QObject {
  Q_OBJECT

 public:
  Trial(const Document& document, EngineJobs& jobs) : document_(document), jobs_(jobs) {}

  void tokenLosses(const QString& text);
  /// Of a whole file, up to `kMostTokens` tokens of it.
  void tokenLossesOfFile(const QString& path);
  static constexpr std::int64_t kMostTokens = 16384;
  /// One at a time: what is being written is stopped.
  void generate(const GenerationWish& wish);
  void stopGenerating();
  [[nodiscard]] bool isGenerating() const { return generation_.has_value(); }

 Q_SIGNALS:
  void piece(const kvista::GeneratedPiece& piece);
  void generationEnded();
  void tokenLossesReady(const kvista::TokenLossRecord& record);

 private:
  struct Generation {
    int number = 0;
    std::int64_t job = 0;
    std::size_t original = 0, plan = 0, policy = 0;  // Bytes of each side's text that were handed on.
  };
  void askTokenLosses(const QString& name, const nlohmann::json& params);
  [[nodiscard]] bool isCurrent(int number) const { return generation_ && generation_->number == number; }
  /// Hands on what of the whole text was not yet.
  void finishSide(const GeneratedPiece& whole, std::size_t& handed);
  void endGeneration(int number);

  const Document& document_;
  EngineJobs& jobs_;
  std::optional<Generation> generation_;
  int generations_ = 0;
};

}  // namespace kvista
