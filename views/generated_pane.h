// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>
#include <cstdint>

class QLabel;
class QPlainTextEdit;

namespace kvista {

/// What one model has written, with its cache's size above it.
class GeneratedPane final : public QWidget {
  Q_OBJECT

 public:
  /// `id` names its parts for programs that drive the window: "original" gives "originalFacts".
  GeneratedPane(const QString& id, const QString& name, QWidget* parent);
  void setName(const QString& name, const QString& explanation = {});
  void clear();
  /// A turn of a conversation: what was said stands above what the model answers, below what was said before.
  void beginTurn(const QString& said);
  void append(const QString& text, std::int64_t tokens, std::int64_t cacheBytes);
  [[nodiscard]] QString text() const;
  /// What it has written since the last turn began, or at all.
  [[nodiscard]] QString answer() const;
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }
  [[nodiscard]] std::int64_t cacheBytes() const { return cacheBytes_; }
  /// Right end of the header, for what compares this pane with the other.
  [[nodiscard]] QLabel* remark() const { return remark_; }

 private:
  QLabel *title_, *facts_, *remark_;
  QPlainTextEdit* text_;
  int answerBegins_ = 0;  // In the text.
  std::int64_t tokens_ = 0, cacheBytes_ = 0;
};

}  // namespace kvista
