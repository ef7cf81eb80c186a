// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QApplication>
#include <QFileDialog>
#include <QLineEdit>
#include <QTimer>
#include <filesystem>
#include <functional>

namespace kvista::test {

/// Answers `file` to the dialog that `work` opens; false if it opened none.
inline bool answerFileDialog(const std::filesystem::path& file, const std::function<void()>& work) {
  bool asked = false;
  QTimer answer;
  QObject::connect(&answer, &QTimer::timeout, &answer, [&] {
    auto* dialog = qobject_cast<QFileDialog*>(QApplication::activeModalWidget());
    if (!dialog) return;
    answer.stop();
    asked = true;
    // Typed: selectFile leaves a line alone that has the keyboard.
    dialog->findChild<QLineEdit*>(QStringLiteral("fileNameEdit"))->setText(QString::fromStdString(file.string()));
    QMetaObject::invokeMethod(dialog, "accept");
  });
  answer.start(10);
  work();
  return asked;
}

}  // namespace kvista::test
