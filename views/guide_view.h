// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>
#include <array>
#include <vector>

#include "views/view.h"

class QLabel;
class QPushButton;
class QVBoxLayout;

namespace kvista {

struct GuideRecord {
  enum class Progress { done, current, later };
  struct Recent {
    QString path, name;
    QString when;  ///< "yesterday"; may be empty.
    QString host;  ///< The machine whose path it is; empty: this one.
    bool missing = false;
    /// As ssh writes it: "gpu-server:/models/llama".
    [[nodiscard]] QString place() const { return host.isEmpty() ? path : host + QLatin1Char(':') + path; }
    bool operator==(const Recent&) const = default;
  };
  /// Open, calibrate, plan, export.
  std::array<Progress, 4> steps = {Progress::current, Progress::later, Progress::later, Progress::later};
  std::vector<Recent> recent;
  bool operator==(const GuideRecord&) const = default;
};

/// What one sees first: what to open, what was open lately, and the way from a model to one with a smaller cache.
class GuideView final : public View {
  Q_OBJECT

 public:
  enum Step { open, calibrate, plan, exportModel };
  Q_ENUM(Step)

  explicit GuideView(QWidget* parent = nullptr);
  void setRecord(const GuideRecord& record);
  /// How far the present step is, "42 %", while it runs; empty: it waits for the person.
  void setUnderWay(const QString& progress);

 Q_SIGNALS:
  void openRequested();
  void demoRequested();
  void recentChosen(const QString& path);
  void locateRequested(const QString& path);
  void removeRequested(const QString& path);
  void stepRequested(kvista::GuideView::Step step);
  void dropped(const QStringList& paths);

 protected:
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dragLeaveEvent(QDragLeaveEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  QWidget* makeStep(Step step);
  QWidget* makeRecent(const GuideRecord::Recent& recent);
  void showSteps();
  GuideRecord record_;
  QString underWay_;
  struct StepWidgets {
    QLabel *number, *state;
    QPushButton* button;
  };
  std::array<StepWidgets, 4> steps_;
  QPushButton* open_;
  QWidget* dropZone_;
  QWidget* recentPart_;
  QVBoxLayout* recent_;
};

}  // namespace kvista
