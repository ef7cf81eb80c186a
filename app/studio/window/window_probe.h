// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QThreadPool>
#include <QTimer>
#include <QWidget>
#include <functional>
#include <nlohmann/json.hpp>

namespace kvista {

/// Writes down, for programs that drive the window from outside, where its named widgets are on the screen, what they
/// say, and what the window knows: a JSON file that is replaced whole whenever something changed. For tests and for
/// taking pictures; switched on by the environment variable KVISTA_PROBE, which names the file.
class WindowProbe final : public QObject {
  Q_OBJECT

 public:
  /// `facts` answers what the window knows. Null when the variable is not set.
  static WindowProbe* startIfWanted(QWidget* window, std::function<nlohmann::json()> facts);

 private:
  WindowProbe(QWidget* window, QString file, std::function<nlohmann::json()> facts);
  void write();
  QString file_;
  std::function<nlohmann::json()> facts_;
  QTimer timer_;
  QThreadPool disk_;
  std::string written_;
};

}  // namespace kvista
