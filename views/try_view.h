// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>
#include <cstdint>
#include <vector>

#include "views/plain_table.h"
#include "views/policy_choice.h"
#include "views/text_measures.h"
#include "views/view.h"

class QCheckBox;
class QDoubleSpinBox;
class QLabel;
class QPlainTextEdit;
class QPushButton;
class QSpinBox;
class QSplitter;

namespace kvista {

struct GenerateSettings {
  int tokens = 128;
  double temperature = 0;  ///< 0: always the likeliest token.
  int seed = 0;
  bool chatTemplate = false;
  QString policy = {};  ///< In a line; empty: none.
  bool operator==(const GenerateSettings&) const = default;
};

class GeneratedPane;
class TokenLossText;

/// Original and plan, and one of them under a policy, side by side: generated text with both caches' sizes, the loss of
/// every token, perplexity on files.
class TryView final : public View {
  Q_OBJECT

 public:
  explicit TryView(QWidget* parent = nullptr);

  /// Name of the model's chat template; empty: the choice is not shown, but why a template that the model has is not
  /// used.
  void setChatTemplate(const QString& name, const QString& problem = {});
  /// Why nothing can be tried now ("Open a model first."); empty: it can.
  void setUnavailable(const QString& reason);
  /// While true Stop stands for Generate. A new start empties both panes, but for a turn of a conversation.
  void setGenerating(bool generating);
  /// The next start is a turn: both panes go on, with what was said above the answers. `first`: of a new conversation.
  void beginTurn(const QString& said, bool first);
  /// Empties both panes; there is no conversation to go on with.
  void endConversation();
  /// Files are those of another machine: the view asks for them by signals instead of by dialogs of its own.
  void setFilesElsewhere(bool elsewhere);
  /// Text that one side has written, and its cache afterwards.
  void appendPiece(bool compressed, const QString& text, std::int64_t tokens, std::int64_t cacheBytes);
  /// The same of the side with a policy, which has its pane while one was asked for. `compressed`: it is the plan's,
  /// not the original's.
  void appendPolicyPiece(bool compressed, const QString& text, std::int64_t tokens, std::int64_t cacheBytes);
  void setPolicies(const std::vector<PolicyChoice::Line>& lines) { policy_->setPolicies(lines); }
  void setTokenLosses(const std::vector<QString>& pieces, const std::vector<float>& before,
                      const std::vector<float>& after);
  void setEvaluations(const std::vector<EvaluationRow>& rows) { texts_->setEvaluations(rows); }
  /// The perplexities.
  [[nodiscard]] PlainTable plainTable() const { return texts_->plainTable(); }
  void setRetrieval(const RetrievalTable& original, const RetrievalTable& plan) {
    texts_->setRetrieval(original, plan);
  }
  /// Which measures on texts are in sight.
  void showTexts(TextMeasures::Page page) { texts_->showPage(page); }
  [[nodiscard]] GenerateSettings settings() const;
  [[nodiscard]] QString prompt() const;
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;

 Q_SIGNALS:
  void generateRequested(const QString& prompt, const kvista::GenerateSettings& settings);
  void stopRequested();
  void newConversationRequested();
  void measureFilesWanted();
  void lossFileWanted();
  void measureRequested(const QStringList& paths);
  void tokenLossRequested(const QString& text);
  void fileLossRequested(const QString& path);
  void retrievalRequested();

 protected:
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  QWidget* makePrompt();
  QWidget* makeTokens();
  void updateButtons();
  void showRatios();
  void showLosses();

  /// Two parts with a line between them that can be dragged.
  struct Split {
    QSplitter* splitter;
    QList<int> shares;  ///< Of the parts, in percent, until the line was dragged.
    bool isByHand = false;
  };
  QSplitter* split(const char* name, Qt::Orientation orientation, QWidget* first, QWidget* second,
                   const QList<int>& shares);

  std::vector<Split> splits_;
  QPlainTextEdit* prompt_;
  QSpinBox *tokens_, *seed_;
  QDoubleSpinBox* temperature_;
  QCheckBox* chat_;
  QPushButton *generate_, *stop_, *newConversation_, *measureTokens_, *lossesOfFile_;
  QLabel *reason_, *noChat_, *means_, *piece_, *legend_;
  GeneratedPane *original_, *plan_, *underPolicy_;
  PolicyChoice* policy_;
  QString asked_;  // The policy that is being written with.
  TokenLossText* tokenText_;
  TextMeasures* texts_;
  QString unavailable_;
  bool generating_ = false, inTurn_ = false, inConversation_ = false, elsewhere_ = false;
};

}  // namespace kvista
