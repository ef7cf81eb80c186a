// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/render.h"

#include <fmt/format.h>

#include <QDockWidget>
#include <QEventLoop>
#include <QFileInfo>
#include <QMainWindow>
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

/// What the view cannot be drawn without and the project does not have; nothing where it can be drawn.
std::optional<Error> lackOf(const RenderRequest& request, const Document& document, const std::string& measure) {
  const std::string project = request.project.toStdString(), view = request.view.toStdString();
  const auto lack = [&](const std::string& what, const char* hint) {
    return Error{ErrorCode::invalidArgument,
                 fmt::format("The view \"{}\" of {} cannot be drawn: {}.", view, project, what),
                 {},
                 hint};
  };
  if (view == "groups" || view == "budget") return {};
  if (view == "plans")
    return document.tried().empty() ? std::optional(lack("no plan is kept to compare with the project's own",
                                                         "Keep one in the window with Ctrl+D, or measure one."))
                                    : std::nullopt;
  if (!document.statistics())
    return lack("the project has no statistics",
                "Calibrate in the window (Ctrl+K), or make the project with kvista plan --stats.");
  if ((view == "waterline" || view == "spectra") && !document.waterlineTable())
    return lack("its plan stores no directions that have a spectrum", "Choose a method that keeps latent directions.");
  const bool wantsMatrices = view == "heads" || view == "layers" || view == "comparison";
  if (wantsMatrices && !document.similarity(measure, document.model().shape.layers - 1, Side::value))
    return lack("the engine did not say how alike the heads are", "Calibrate the model again.");
  if (view == "errors" && !document.errors(document.planFingerprint()))
    return lack("the engine did not say what the plan's errors are", "Save the project with a finished plan.");
  return {};
}

}  // namespace

QStringList renderedViews() {
  return {QStringLiteral("heads"),  QStringLiteral("layers"),    QStringLiteral("groups"),  QStringLiteral("waterline"),
          QStringLiteral("budget"), QStringLiteral("quality"),   QStringLiteral("spectra"), QStringLiteral("errors"),
          QStringLiteral("plans"),  QStringLiteral("comparison")};
}

Result<void> render(const RenderRequest& request, const EngineCommand& command) {
  if (request.view == QStringLiteral("try"))
    return fail(ErrorCode::invalidArgument,
                "The view \"try\" cannot be drawn without its window: a project does not hold what its models write.",
                "Open the project in kvista-studio and choose Try (Ctrl+4).");
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
  OtherModel other(engine, jobs);
  Lab lab(document, workflow.work());
  Panels panels(document, workflow, other, lab, jobs, recent, &window);
  panels.docks().value(request.view)->show();  // Views that are hidden are shown nothing.
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
  // Whatever the project holds: once everything that was asked is answered, and everything here is computed, nothing
  // more will come.
  bool opened = false;
  const auto look = [&] {
    if (!opened || !engine.isIdle() || document.isWorking()) return;
    if (request.view == QStringLiteral("errors")) workflow.askErrors();
    if (engine.isIdle()) loop.quit();
  };
  const auto lookLater = [&] { QMetaObject::invokeMethod(&loop, look, Qt::QueuedConnection); };
  QObject::connect(&workflow, &Workflow::opened, &loop, [&] {
    opened = true;
    lookLater();
  });
  QObject::connect(&engine, &EngineClient::answered, &loop, lookLater);
  for (const auto signal : {&Document::planChanged, &Document::tableChanged})
    QObject::connect(&document, signal, &loop, lookLater);
  engine.start(command);
  workflow.open(request.project);
  loop.exec();
  if (!problem) problem = lackOf(request, document, workflow.measureShown());
  if (problem) return tl::unexpected(*problem);
  return writeFigure(request.output, size, panels.figure(request.view));
}

}  // namespace kvista
