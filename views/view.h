// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QJsonObject>
#include <QString>
#include <QWidget>

namespace kvista {

/// What a panel of the window shows: it draws the record it was given last and says what the person did, nothing else.
class View : public QWidget {
  Q_OBJECT

 public:
  using QWidget::QWidget;
  /// What stands at the right end of the panel's title bar; null: nothing. Made by the view, laid out by the panel.
  [[nodiscard]] virtual QWidget* controls() { return nullptr; }
  /// How the person has set it up: order, colours, zoom, sizes of its parts; nothing of what it shows, and nothing that
  /// is as usual.
  [[nodiscard]] virtual QJsonObject viewState() const { return {}; }
  /// Takes back what viewState gave; all else becomes as usual. False where a part could not be used.
  virtual bool setViewState(const QJsonObject&) { return true; }
  [[nodiscard]] const QString& title() const { return title_; }
  /// A quiet remark beside the title, such as units.
  [[nodiscard]] const QString& remark() const { return remark_; }

 Q_SIGNALS:
  void titleChanged();
  void viewStateChanged();

 protected:
  /// What takes the keyboard in the view's place while it can be seen; Tab would end at one that is hidden.
  void setKeyboardPart(QWidget* part);
  void setTitle(const QString& title, const QString& remark = {}) {
    if (title == title_ && remark == remark_) return;
    title_ = title;
    remark_ = remark;
    Q_EMIT titleChanged();
  }

 private:
  QString title_, remark_;
};

}  // namespace kvista
