// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the window says of itself to those who test it.
#include <QApplication>
#include <QDockWidget>
#include <QLabel>

#include "app/studio/window/export_dialog.h"
#include "app/studio/window/main_window.h"
#include "app/studio/window/panels.h"
#include "views/figure_strip.h"
#include "views/theme.h"

namespace kvista {
namespace {

/// The dock that a widget lies in; empty: none.
std::string panelOf(const QWidget* widget) {
  for (; widget; widget = widget->parentWidget())
    if (qobject_cast<const QDockWidget*>(widget)) return widget->objectName().toStdString();
  return {};
}

}  // namespace

nlohmann::json MainWindow::facts() const {
  nlohmann::json strip = nlohmann::json::array();
  for (int i = 0; i < FigureStrip::kFigures; ++i) strip.push_back(strip_->text(i).whole().toStdString());
  nlohmann::json ambiguous = nlohmann::json::array();
  for (const QString& pair : actions_.duplicateShortcuts()) ambiguous.push_back(pair.toStdString());
  constexpr const char* kStates[] = {"running", "succeeded", "failed", "cancelled"};
  nlohmann::json jobs = nlohmann::json::array();
  for (const Job& job : jobs_.jobs())
    jobs.push_back({{"name", job.name.toStdString()},
                    {"state", kStates[static_cast<int>(job.state)]},
                    {"sentence", job.error.message}});
  nlohmann::json result = {{"title", windowTitle().toStdString()},
                           {"layout", layout_.toStdString()},
                           {"open", document_.isOpen()},
                           {"calibrated", document_.statistics().has_value()},
                           {"modified", document_.isModified()},
                           {"stale", document_.isPredictionStale()},
                           {"fingerprint", document_.isOpen() ? document_.planFingerprint() : ""},
                           {"undo", document_.undoStack().index()},
                           {"steps", document_.undoStack().count()},
                           {"busy", jobs_.isBusy()},
                           {"dark", colours().dark},
                           {"compared", other_.model() ? other_.model()->path.toStdString() : ""},
                           {"keyboardIn", panelOf(QApplication::focusWidget())},
                           {"measure", workflow_.measureShown()},
                           {"dragging", document_.isInGesture()},
                           {"ambiguousShortcuts", ambiguous},
                           {"jobs", std::move(jobs)},
                           {"figures", std::move(strip)},
                           {"message", message_->text().toStdString()},
                           {"problems", panels_->problems()},
                           {"places", panels_->places()},
                           {"exportReady", exportDialog_ && exportDialog_->canExport()}};
  if (document_.isOpen()) result["bytesPerToken"] = document_.planned().achievedBytes;
  if (const auto loss = document_.planned().loss(); loss && document_.statistics())
    result["predictedPerplexity"] = *predictedPerplexity(document_.statistics()->loss, loss);
  if (!document_.results().empty()) result["perplexityAfter"] = document_.results().back().perplexityAfter;
  return result;
}

}  // namespace kvista
