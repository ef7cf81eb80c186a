// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/window_probe.h"

#include <QAbstractItemView>
#include <QApplication>
#include <QSaveFile>
#include <algorithm>

namespace kvista {
namespace {

constexpr int kEveryMilliseconds = 100;

nlohmann::json rectangleOf(const QWidget& widget) {
  const QPoint place = widget.mapToGlobal(QPoint());
  return {place.x(), place.y(), widget.width(), widget.height()};
}

/// A row a line, its columns apart by tabs; of no more than a person reads.
QString rowsOf(const QAbstractItemModel& model) {
  constexpr int kMostRows = 128;
  QStringList rows;
  for (int row = 0; row < std::min(model.rowCount(), kMostRows); ++row) {
    QStringList columns;
    for (int column = 0; column < model.columnCount(); ++column)
      columns << model.index(row, column).data().toString().replace(QLatin1Char('\n'), QLatin1Char(' '));
    rows << columns.join(QLatin1Char('\t'));
  }
  return rows.join(QLatin1Char('\n'));
}

QString textOf(const QWidget& widget) {
  const auto* view = qobject_cast<const QAbstractItemView*>(&widget);
  return view && view->model() ? rowsOf(*view->model()) : widget.property("text").toString();
}

}  // namespace

WindowProbe* WindowProbe::startIfWanted(QWidget* window, std::function<nlohmann::json()> facts) {
  const QString file = qEnvironmentVariable("KVISTA_PROBE");
  return file.isEmpty() ? nullptr : new WindowProbe(window, file, std::move(facts));
}

WindowProbe::WindowProbe(QWidget* window, QString file, std::function<nlohmann::json()> facts)
    : QObject(window), file_(std::move(file)), facts_(std::move(facts)) {
  connect(&timer_, &QTimer::timeout, this, &WindowProbe::write);
  disk_.setMaxThreadCount(1);
  timer_.start(kEveryMilliseconds);
}

void WindowProbe::write() {
  nlohmann::json places = nlohmann::json::object(), texts = nlohmann::json::object();
  for (QWidget* top : QApplication::topLevelWidgets()) {
    if (!top->isVisible()) continue;
    for (QWidget* widget : top->findChildren<QWidget*>())
      if (widget->isVisible() && !widget->objectName().isEmpty() &&
          !widget->objectName().startsWith(QStringLiteral("qt_"))) {
        const std::string name = widget->objectName().toStdString();
        places[name] = rectangleOf(*widget);
        if (const QString text = textOf(*widget); !text.isEmpty()) texts[name] = text.toStdString();
      }
    if (!top->objectName().isEmpty()) places[top->objectName().toStdString()] = rectangleOf(*top);
  }
  std::string text =
      nlohmann::json{{"widgets", std::move(places)}, {"texts", std::move(texts)}, {"facts", facts_()}}.dump(
          1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text == written_) return;
  written_ = text;
  // The disk may be busy; the window must not be, and least of all because somebody watches it.
  disk_.start([name = file_, text = std::move(text)] {
    QSaveFile file(name);
    if (file.open(QIODevice::WriteOnly)) file.write(text.data(), static_cast<qint64>(text.size()));
    file.commit();
  });
}

}  // namespace kvista
