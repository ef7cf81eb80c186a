// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QApplication>
#include <QCommandLineParser>
#include <QIcon>
#include <QTextStream>
#include <QTimer>
#include <optional>

#include "app/studio/background.h"
#include "app/studio/engine_connection.h"
#include "app/studio/store.h"
#include "app/studio/watchdog.h"
#include "app/studio/window/main_window.h"
#include "app/studio/window/render.h"
#include "app/studio/window/window_probe.h"
#include "app/studio/window/window_size.h"
#include "views/theme.h"
#include "views/words.h"

namespace {

/// Pictures are drawn without a display; Qt chooses its platform before it looks at arguments of ours.
void doWithoutDisplayToRender(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (QByteArrayView(argv[i]).startsWith("--render") && !qEnvironmentVariableIsSet("QT_QPA_PLATFORM"))
      qputenv("QT_QPA_PLATFORM", "offscreen");
}

int fail(const kvista::Error& error) {
  QTextStream(stderr) << "kvista-studio: " << QString::fromStdString(error.message) << ' '
                      << QString::fromStdString(error.hint) << '\n';
  return 3;
}

}  // namespace

int main(int argc, char** argv) {
  doWithoutDisplayToRender(argc, argv);
  QApplication::setApplicationName(QStringLiteral("kvista-studio"));
  QApplication::setApplicationDisplayName(QStringLiteral("KVista"));
  QApplication::setApplicationVersion(QStringLiteral(KVISTA_VERSION));
  QApplication::setDesktopFileName(QStringLiteral("org.kvista.Studio"));
  QApplication application(argc, argv);
  QCommandLineParser parser;
  parser.setApplicationDescription(
      QApplication::translate("main", "KVista: make the key-value cache of a language model smaller."));
  parser.addHelpOption();
  parser.addVersionOption();
  parser.addPositionalArgument(
      QStringLiteral("file"),
      QApplication::translate("main", "A model (folder, safetensors, PyTorch, GGUF) or a project"));
  parser.addOptions(
      {{QStringLiteral("demo"), QApplication::translate("main", "Open the embedded demo model")},
       {QStringLiteral("engine"),
        QApplication::translate("main", "Command that starts the engine, such as \"ssh gpu kvista engine\""),
        QStringLiteral("command")},
       {QStringLiteral("render"),
        QApplication::translate("main", "Draw a view of a project into a file and end: %1")
            .arg(kvista::renderedViews().join(QStringLiteral(", "))),
        QStringLiteral("view")},
       {QStringLiteral("project"), QApplication::translate("main", "Project to render"), QStringLiteral("file")},
       {{QStringLiteral("o"), QStringLiteral("output")},
        QApplication::translate("main", "Picture to write: .png, .svg or .pdf"),
        QStringLiteral("file")},
       {QStringLiteral("size"), QApplication::translate("main", "Width x height of the picture"),
        QStringLiteral("size"), QStringLiteral("1200x600")}});
  parser.process(application);
  kvista::installEnglishPlurals();
  kvista::Theme::instance().install();
  QApplication::setWindowIcon(QIcon(QStringLiteral(":/kvista.svg")));

  std::optional<kvista::EngineCommand> given;
  if (parser.isSet(QStringLiteral("engine"))) {
    const auto command = kvista::EngineCommand::fromText(parser.value(QStringLiteral("engine")));
    if (!command) return fail(command.error());
    given = *command;
  }
  if (parser.isSet(QStringLiteral("render"))) {
    kvista::Store settings(kvista::settingsFile());
    const auto engine = given ? kvista::Result<kvista::EngineCommand>(*given)
                              : kvista::EngineCommand::chosen(settings.get(kvista::Key<QString>{"engine", {}}));
    for (const kvista::Error& problem : settings.problems()) fail(problem);
    if (!engine) return fail(engine.error());
    const auto done = kvista::render({parser.value(QStringLiteral("render")), parser.value(QStringLiteral("project")),
                                      parser.value(QStringLiteral("output")), parser.value(QStringLiteral("size"))},
                                     *engine);
    kvista::finishEngines();
    return done ? 0 : fail(done.error());
  }

  const auto watchdog = kvista::Watchdog::fromEnvironment();
  int code = 0;
  {
    kvista::MainWindow window(given);
    kvista::WindowProbe::startIfWanted(&window, [&window, &watchdog] {
      nlohmann::json facts = window.facts();
      if (watchdog) facts["longestBlock"] = watchdog->longestMilliseconds();
      return facts;
    });
    kvista::resizeToScreen(window, window.size());
    window.show();
    // How long the start takes is a figure of its own; from here on the window must answer.
    if (watchdog) QTimer::singleShot(0, &window, [&watchdog] { watchdog->reset(); });
    if (!parser.positionalArguments().isEmpty())
      window.open(parser.positionalArguments().front());
    else if (parser.isSet(QStringLiteral("demo")))
      window.openDemo();
    code = QApplication::exec();
  }
  // There is no window any more that would stand still.
  kvista::finishEngines();
  kvista::finishDiskWork();
  return code;
}
