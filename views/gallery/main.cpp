// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// kvista-gallery [VIEW] [--dark] [--size 900x600] [--screenshot F.png]: shows one view, or the list of them.
#include <QApplication>
#include <QCommandLineParser>
#include <QTextStream>
#include <QTimer>
#include <QVBoxLayout>

#include "views/gallery/gallery.h"
#include "views/panel.h"
#include "views/theme.h"
#include "views/words.h"

namespace {

const kvista::Exhibit* find(const QString& name) {
  for (const kvista::Exhibit& exhibit : kvista::exhibits())
    if (name == QLatin1String(exhibit.name.data(), static_cast<qsizetype>(exhibit.name.size()))) return &exhibit;
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  QApplication application(argc, argv);
  QCommandLineParser parser;
  parser.addHelpOption();
  parser.addPositionalArgument("view", "Which view to show");
  parser.addOptions({{"dark", "The dark look"},
                     {"size", "Width x height", "size", "900x600"},
                     {"screenshot", "Write a picture instead of showing a window", "file"}});
  parser.process(application);
  const QStringList names = parser.positionalArguments();
  const kvista::Exhibit* exhibit = names.isEmpty() ? nullptr : find(names.front());
  if (!exhibit) {
    QTextStream out(stdout);
    for (const kvista::Exhibit& each : kvista::exhibits())
      out << QByteArray(each.name.data(), static_cast<qsizetype>(each.name.size())) << '\n';
    return names.isEmpty() ? 0 : 2;
  }
  kvista::installEnglishPlurals();
  kvista::Theme::instance().install();
  kvista::Theme::instance().setMode(parser.isSet("dark") ? kvista::Theme::Mode::dark : kvista::Theme::Mode::light);
  QWidget window;
  auto* layout = new QVBoxLayout(&window);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->addWidget(new kvista::Panel(exhibit->make()));
  const QStringList size = parser.value("size").split('x');
  window.resize(size.value(0).toInt(), size.value(1).toInt());
  window.show();
  if (!parser.isSet("screenshot")) return QApplication::exec();
  QTimer::singleShot(0, &application,
                     [&] { QApplication::exit(window.grab().save(parser.value("screenshot")) ? 0 : 1); });
  return QApplication::exec();
}
