// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A journal is lines of JSON: what the project is, {before} with the plan as it was saved, then {edit, kind, plan} for
// each edit. The last whole line counts. Beside it lie the whole project as of the last minute, and a lock that says
// whether its window still lives.
#include "app/studio/recovery.h"

#include <QFileInfo>
#include <QStandardPaths>
#include <QUuid>
#include <algorithm>
#include <optional>

#include "app/studio/background.h"
#include "app/studio/document.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "kvista-recovery";
constexpr const char* kJournal = ".journal";
constexpr const char* kProject = ".kvista";
constexpr const char* kLock = ".lock";
constexpr int kEvery = 60'000;
constexpr int kTypingPause = 500;
constexpr qint64 kLongJournal = qint64{32} << 20;

fs::path withEnding(fs::path base, const char* ending) { return base += ending; }

QByteArray line(const nlohmann::json& json) {
  return QByteArray::fromStdString(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + '\n';
}

/// The lock goes with whoever holds it.
void removeFiles(const fs::path& base) {
  std::error_code ignored;
  for (const char* ending : {kJournal, kProject}) fs::remove(withEnding(base, ending), ignored);
}

std::optional<nlohmann::json> parsed(const QByteArray& bytes) {
  auto json = parseJson(std::string_view(bytes.constData(), static_cast<std::size_t>(bytes.size())), "a journal");
  return json && json->is_object() ? std::optional(*std::move(json)) : std::nullopt;
}

std::string textAt(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

constexpr const char* kKinds[] = {"edit", "more", "undone", "redone"};

/// The list of edits as the history would have it.
void apply(const nlohmann::json& edit, QStringList& edits) {
  const QString name = QString::fromStdString(textAt(edit, "edit"));
  const std::string kind = textAt(edit, "kind");
  if (kind == kKinds[static_cast<int>(StepKind::undone)] && !edits.isEmpty())
    edits.removeLast();
  else if (kind == kKinds[static_cast<int>(StepKind::more)] && !edits.isEmpty())
    edits.last() = name;
  else
    edits += name;
}

/// The project without its newest edits: as it was saved, or as far as the journal says.
Project projectOf(const nlohmann::json& header) {
  if (const fs::path file = textAt(header, "file"); !file.empty())
    if (auto project = loadProject(file)) return *std::move(project);
  Project project;
  project.model = textAt(header, "model");
  project.modelHash = textAt(header, "modelHash");
  project.statistics = textAt(header, "statistics");
  project.tokensHash = textAt(header, "tokensHash");
  return project;
}

std::optional<RecoveredProject> readJournal(const fs::path& base) {
  const fs::path journal = withEnding(base, kJournal);
  QFile file(QString::fromStdString(journal.string()));
  if (!file.open(QIODevice::ReadOnly)) return std::nullopt;
  auto header = parsed(file.readLine());
  if (!header || textAt(*header, "format") != kFormat) return std::nullopt;
  RecoveredProject recovered;
  std::optional<CompressionPlan> plan;
  while (!file.atEnd()) {
    const QByteArray bytes = file.readLine();
    if (!bytes.endsWith('\n')) break;  // Torn: the window was killed within this edit.
    const auto edit = parsed(bytes);
    if (!edit) break;
    if (edit->contains("format")) {
      header = edit;
      continue;
    }
    if (edit->contains("before")) {
      if (auto read = planFromJson(edit->at("before"))) recovered.before = *std::move(read);
      continue;
    }
    apply(*edit, recovered.edits);
    if (edit->contains("plan"))
      if (auto read = planFromJson(edit->at("plan"))) plan = *std::move(read);
  }
  // The project as of the last minute has results and notes; where there is no edit, it is all there is.
  auto minute = loadProject(withEnding(base, kProject));
  if (!plan && !minute) return std::nullopt;
  recovered.journal = journal;
  recovered.file = textAt(*header, "file");
  recovered.project = minute ? *std::move(minute) : projectOf(*header);
  recovered.project.model = textAt(*header, "model");
  if (!recovered.before && !recovered.file.empty())
    if (auto saved = loadProject(recovered.file)) recovered.before = std::move(saved->plan);
  if (plan) recovered.project.plan = *std::move(plan);
  recovered.changed = QFileInfo(file).lastModified();
  return recovered;
}

}  // namespace

Recovery::Recovery(Document& document, const fs::path& folder, QObject* parent)
    : QObject(parent),
      document_(document),
      folder_(folder),
      base_(folder / QUuid::createUuid().toString(QUuid::WithoutBraces).toStdString()),
      lock_(QString::fromStdString(withEnding(base_, kLock).string())) {
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  // Only a dead owner makes a lock stale, never its age.
  lock_.setStaleLockTime(0);
  timer_.setInterval(kEvery);
  timer_.start();
  connect(&timer_, &QTimer::timeout, this, &Recovery::writeProject);
  connect(&document_, &Document::committed, this, &Recovery::keep);
  connect(&document_, &Document::projectChanged, this, [this] {
    if (!document_.isModified()) {
      forget();
      return rememberSaved();
    }
    // Another name, or a model that has moved, with edits in it that are not saved.
    projectIsOld_ = true;
    if (journal_.isOpen()) describe();
  });
  connect(&document_, &Document::modifiedChanged, this, [this](bool modified) {
    if (modified) return;
    forget();
    rememberSaved();
  });
  const auto changed = [this] {
    if (!document_.isModified()) return;
    projectIsOld_ = true;
    writeProject();
  };
  for (const auto signal : {&Document::resultsChanged, &Document::statisticsChanged})
    connect(&document_, signal, this, changed);
  typed_.setSingleShot(true);
  connect(&typed_, &QTimer::timeout, this, changed);
  connect(&document_, &Document::notesChanged, &typed_, [this] { typed_.start(kTypingPause); });
}

Recovery::~Recovery() { forget(); }

fs::path Recovery::standardFolder() {
  return fs::path(QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation).toStdString()) / "kvista" /
         "recovery";
}

bool Recovery::startJournal() {
  if (journal_.isOpen()) return true;
  if (gaveUp_) return false;
  if (!lock_.isLocked() && !lock_.tryLock()) {
    giveUp(tr("it cannot be locked"));
    return false;
  }
  journal_.setFileName(QString::fromStdString(withEnding(base_, kJournal).string()));
  if (!journal_.open(QIODevice::WriteOnly | QIODevice::Unbuffered)) {
    giveUp(journal_.errorString());
    return false;
  }
  describe();
  journal_.write(line({{"before", toJson(saved_)}}));
  return true;
}

void Recovery::rememberSaved() {
  if (document_.isOpen()) saved_ = document_.plan();
}

/// What the journal is of; said again when that changes.
void Recovery::describe() {
  const fs::path file = document_.file().empty() ? fs::path() : fs::absolute(document_.file());
  journal_.write(line({{"format", kFormat},
                       {"version", 1},
                       {"file", file.string()},
                       {"model", document_.modelPath().string()},
                       {"modelHash", document_.modelHash()},
                       {"statistics", document_.statisticsPath().string()},
                       {"tokensHash", document_.tokensHash()}}));
}

void Recovery::keep(const QString& text, StepKind kind) {
  // Undone up to the saved state: nothing is left to lose, but redo has it still.
  if (!startJournal()) return;
  projectIsOld_ = true;
  const QByteArray bytes = line(
      {{"edit", text.toStdString()}, {"kind", kKinds[static_cast<int>(kind)]}, {"plan", toJson(document_.plan())}});
  if (journal_.write(bytes) != bytes.size()) return giveUp(journal_.errorString());
  if (journal_.size() > kLongJournal) compact();
}

/// Only the last plan counts; of the others the names are kept.
void Recovery::compact() {
  const QString name = journal_.fileName();
  QFile whole(name);
  if (!whole.open(QIODevice::ReadOnly)) return;
  QByteArray shorter = whole.readLine();
  QByteArray last;
  while (!whole.atEnd()) {
    if (!last.isEmpty())
      if (const auto edit = parsed(last))
        shorter += edit->contains("format") || edit->contains("before")
                       ? last
                       : line({{"edit", textAt(*edit, "edit")}, {"kind", textAt(*edit, "kind")}});
    last = whole.readLine();
  }
  QFile next(name + QStringLiteral(".new"));
  if (!next.open(QIODevice::WriteOnly | QIODevice::Unbuffered) ||
      next.write(shorter + last) != shorter.size() + last.size())
    return;
  journal_.close();
  std::error_code ignored;
  fs::rename(next.fileName().toStdString(), name.toStdString(), ignored);
  next.close();
  if (!journal_.open(QIODevice::WriteOnly | QIODevice::Append | QIODevice::Unbuffered)) giveUp(journal_.errorString());
}

void Recovery::writeProject() {
  if (!projectIsOld_ || !document_.isModified() || !startJournal()) return;
  projectIsOld_ = false;
  inBackground(
      diskThread(), this,
      [file = withEnding(base_, kProject), project = document_.project()] { return saveProject(file, project); },
      [this](const Result<void>& saved) {
        if (!saved) giveUp(QString::fromStdString(saved.error().message));
        // Saved in the meantime: the file came too late to be removed with the others.
        if (!journal_.isOpen()) forget();
      });
}

void Recovery::forget() {
  projectIsOld_ = false;
  if (!journal_.isOpen() && !lock_.isLocked()) return;
  journal_.close();
  removeFiles(base_);
  lock_.unlock();
}

void Recovery::giveUp(const QString& why) {
  if (std::exchange(gaveUp_, true)) return;
  Q_EMIT failed(
      {ErrorCode::io,
       tr("Unsaved edits cannot be kept in %1: %2.").arg(QString::fromStdString(folder_.string()), why).toStdString(),
       "", tr("Save often, or make room there.").toStdString()});
}

void Recovery::findAbandoned(QObject* context, std::function<void(std::vector<RecoveredProject>)> done) {
  inBackground(
      diskThread(), context,
      [folder = folder_, own = base_] {
        std::vector<RecoveredProject> found;
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(folder, error)) {
          if (entry.path().extension() != kJournal) continue;
          const fs::path base = fs::path(entry.path()).replace_extension();
          if (base == own) continue;
          QLockFile lock(QString::fromStdString(withEnding(base, kLock).string()));
          lock.setStaleLockTime(0);
          if (!lock.tryLock()) continue;  // Its window lives.
          if (auto recovered = readJournal(base))
            found.push_back(*std::move(recovered));
          else
            removeFiles(base);
        }
        std::ranges::sort(found, std::ranges::greater(), &RecoveredProject::changed);
        return found;
      },
      std::move(done));
}

void Recovery::recover(RecoveredProject recovered) {
  const fs::path journal = recovered.journal;
  document_.takeRecovered(std::move(recovered.project), recovered.file);
  if (recovered.before) saved_ = *std::move(recovered.before);
  keep(tr("Recovered edits"), StepKind::edit);
  discard(journal);
}

void Recovery::discard(const fs::path& journal) { removeFiles(fs::path(journal).replace_extension()); }

}  // namespace kvista
