// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/engine_command.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QProcess>

namespace kvista {

EngineCommand EngineCommand::local() {
  return {QDir(QCoreApplication::applicationDirPath()).filePath(QStringLiteral("kvista")), {QStringLiteral("engine")}};
}

Result<EngineCommand> EngineCommand::chosen(const QString& text) {
  return text.trimmed().isEmpty() ? Result<EngineCommand>(local()) : fromText(text);
}

Result<EngineCommand> EngineCommand::fromText(const QString& text) {
  QStringList words = QProcess::splitCommand(text);
  if (words.isEmpty() || words.front().isEmpty())
    return fail(ErrorCode::invalidArgument, "The engine's command line is empty.",
                "Give one such as: ssh HOST kvista engine");
  const QString program = words.takeFirst();
  return EngineCommand{program, words};
}

std::optional<QString> EngineCommand::host() const {
  if (QFileInfo(program).fileName().startsWith(QLatin1String("kvista"))) return std::nullopt;
  // ssh's options that have a value in a word of its own.
  static const QString kWithValue = QStringLiteral("BbcDEeFIiJLlmOopQRSWw");
  for (qsizetype i = 0; i < arguments.size(); ++i) {
    const QString& word = arguments[i];
    if (!word.startsWith(QLatin1Char('-'))) return word.section(QLatin1Char('@'), -1);
    if (word.size() == 2 && kWithValue.contains(word[1])) ++i;
  }
  return program;
}

QString EngineCommand::text() const {
  QStringList words;
  for (QString word : QStringList(program) + arguments) {
    // splitCommand reads a quote tripled within quotes as the quote itself.
    if (word.isEmpty() || word.contains(QLatin1Char(' ')) || word.contains(QLatin1Char('"')))
      word = QLatin1Char('"') + word.replace(QLatin1Char('"'), QStringLiteral("\"\"\"")) + QLatin1Char('"');
    words += word;
  }
  return words.join(QLatin1Char(' '));
}

}  // namespace kvista
