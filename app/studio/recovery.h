// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDateTime>
#include <QFile>
#include <QLockFile>
#include <QObject>
#include <QStringList>
#include <QTimer>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "app/studio/plan_step.h"
#include "core/io/project.h"

namespace kvista {

class Document;

/// What a window that ended badly left behind.
struct RecoveredProject {
  std::filesystem::path journal;          ///< Names it for discard().
  std::filesystem::path file;             ///< The project's; empty if it never had one.
  Project project;                        ///< With every edit.
  std::optional<CompressionPlan> before;  ///< As it was saved, or begun; nothing in journals that do not say it.
  QStringList edits;                      ///< Since the last save, oldest first, as the history had them.
  QDateTime changed;
};

/// Keeps the open document's unsaved edits on disk. Every edit is in a journal when the call that made it returns, so
/// that nothing is lost if the window is killed; every minute, and when something was measured, calibrated or noted,
/// the whole project is written and flushed to the disk, for the case that the machine goes down.
class Recovery final : public QObject {
  Q_OBJECT

 public:
  /// `folder` is made if it is not there.
  Recovery(Document& document, const std::filesystem::path& folder, QObject* parent = nullptr);
  /// Forgets what was kept: whoever ends the window has saved, or does not want it.
  ~Recovery() override;
  static std::filesystem::path standardFolder();

  /// Projects of windows that are no longer there, newest first; read in the background. Damaged ones are left out and
  /// removed, as far as they hold no edit.
  void findAbandoned(QObject* context, std::function<void(std::vector<RecoveredProject>)> done);
  /// The document takes it over as unsaved edits; the journal it came from goes.
  void recover(RecoveredProject recovered);
  void discard(const std::filesystem::path& journal);

 Q_SIGNALS:
  /// The journal cannot be written; edits go on, but are not safe. Told once.
  void failed(const kvista::Error& error);

 private:
  void keep(const QString& text, StepKind kind);
  void rememberSaved();
  void forget();
  void writeProject();
  bool startJournal();
  void describe();
  void compact();
  void giveUp(const QString& why);

  Document& document_;
  std::filesystem::path folder_;
  std::filesystem::path base_;  // Without its ending.
  QLockFile lock_;
  QFile journal_;
  CompressionPlan saved_;  // What the edits in the journal began with.
  QTimer timer_;
  QTimer typed_;  // Notes are kept when typing pauses.
  bool projectIsOld_ = false;
  bool gaveUp_ = false;
};

}  // namespace kvista
