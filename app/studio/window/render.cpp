// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/render.h"

#include <fmt/format.h>

#include <QApplication>
#include <QEventLoop>
#include <QFileInfo>
#include <QTemporaryDir>
#include <optional>

#include "app/studio/window/figure_file.h"
#include "app/studio/window/main_window.h"
#include "app/studio/window/panels.h"

namespace kvista {
namespace {

Result<QSize> sizeOf(const QString& text) {
  const QStringList parts = text.split(QLatin1Char('x'));
  const QSize size(parts.value(0).toInt(), parts.value(1).toInt());
  constexpr int kLargest = 16384;
  if (parts.size() != 2 || size.width() < 64 || size.height() < 64 || size.width() > kLargest ||
      size.height() > kLargest)
    return fail(ErrorCode::invalidArgument, fmt::format("\"{}\" is no size of a picture.", text.toStdString()),
                "Give width x height in pixels, such as 1200x600.");
  return size;
}

}  // namespace

QStringList renderedViews() {
  return {QStringLiteral("heads"),   QStringLiteral("waterline"), QStringLiteral("budget"), QStringLiteral("quality"),
          QStringLiteral("spectra"), QStringLiteral("errors"),    QStringLiteral("layers")};
}

Result<void> render(const RenderRequest& request, const EngineCommand& command) {
  if (!renderedViews().contains(request.view))
    return fail(ErrorCode::invalidArgument,
                fmt::format("There is no view \"{}\" to render.", request.view.toStdString()),
                fmt::format("Choose one of: {}.", renderedViews().join(QStringLiteral(", ")).toStdString()));
  if (request.project.isEmpty() || request.output.isEmpty())
    return fail(ErrorCode::invalidArgument, "A picture needs a project and a file to write.",
                "Give --project P.kvista and -o F.png.");
  KVISTA_ASSIGN(const QSize size, sizeOf(request.size));
  if (!QFileInfo::exists(request.project))
    return fail(ErrorCode::io, fmt::format("There is no file {}.", request.project.toStdString()),
                "Give a .kvista file.");

  Store settings({});
  Document document;
  EngineClient engine;
  JobList jobs;
  Workflow workflow(document, engine, jobs);
  RecentFiles recent(settings);
  QMainWindow window;
  Panels panels(document, workflow, jobs, recent, &window);
  std::optional<Error> problem;
  QEventLoop loop;
  const auto give = [&](const Error& error) {
    problem = error;
    loop.quit();
  };
  for (const auto signal : {&Workflow::failed, &Workflow::notOpened, &Workflow::modelMissing})
    QObject::connect(&workflow, signal, &loop, [&](const QString&, const Error& error) { give(error); });
  QObject::connect(&engine, &EngineClient::stateChanged, &loop, [&](EngineClient::State state) {
    if (state == EngineClient::State::failed) give(engine.problem());
  });
  const auto look = [&] {
    if (!document.hasModel() || !document.statistics()) return;
    const int last = document.model().shape.layers - 1;
    const bool complete =
        !document.isPredictionStale() && document.similarity(workflow.measureShown(), last, Side::value) != nullptr &&
        (request.view != QStringLiteral("errors") || document.errors(fingerprint(document.plan())) != nullptr);
    if (complete) loop.quit();
    if (!document.isPredictionStale() && request.view == QStringLiteral("errors")) workflow.askErrors();
  };
  for (const auto signal :
       {&Document::spectraChanged, &Document::errorsChanged, &Document::tableChanged, &Document::statisticsChanged})
    QObject::connect(&document, signal, &loop, look);
  QObject::connect(&document, &Document::similarityChanged, &loop, look);
  engine.start(command);
  workflow.open(request.project);
  loop.exec();
  if (problem) return tl::unexpected(*problem);
  return writeFigure(request.output, size, panels.figure(request.view));
}

}  // namespace kvista
