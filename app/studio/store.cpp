// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/store.h"

#include <fmt/format.h>

#include <QCryptographicHash>
#include <QLoggingCategory>
#include <QStandardPaths>

#include "app/studio/background.h"
#include "core/io/atomic_file.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

constexpr int kWriteAfter = 1000;
constexpr std::size_t kLargestFile = std::size_t{16} << 20;

fs::path inStandard(QStandardPaths::StandardLocation location) {
  return fs::path(QStandardPaths::writableLocation(location).toStdString()) / "kvista";
}

/// Another window may have written in the meantime: only our own changes are put over what is there.
void write(const fs::path& file, const nlohmann::json& changes) {
  nlohmann::json values = nlohmann::json::object();
  if (auto there = readJsonFile(file, kLargestFile); there && there->is_object()) values = *std::move(there);
  for (const auto& [name, value] : changes.items()) {
    if (value.is_null())
      values.erase(name);
    else
      values[name] = value;
  }
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);
  if (const auto written = writeFileAtomically(file, values.dump(1) + "\n"); !written)
    qWarning("%s", written.error().message.c_str());
}

}  // namespace

Store::Store(const fs::path& file, QObject* parent) : QObject(parent), file_(file) {
  timer_.setSingleShot(true);
  timer_.setInterval(kWriteAfter);
  connect(&timer_, &QTimer::timeout, this, &Store::flush);
  load();
}

Store::~Store() { flush(); }

void Store::switchTo(const fs::path& file) {
  flush();
  file_ = file;
  load();
  Q_EMIT changed({});
}

void Store::load() {
  values_ = nlohmann::json::object();
  std::error_code error;
  if (!fs::exists(file_, error)) return;
  auto values = readJsonFile(file_, kLargestFile);
  if (values && !values->is_object())
    values = fail(ErrorCode::corruptFile, fmt::format("{} holds no settings.", file_.string()));
  if (values) {
    values_ = *std::move(values);
    return;
  }
  // Kept for whoever wants to mend it; the next write makes a sound one.
  const fs::path aside = file_.string() + ".damaged";
  fs::rename(file_, aside, error);
  Error problem = std::move(values).error();
  problem.hint = fmt::format("The defaults are used; the damaged file was kept as {}.", aside.string());
  report(std::move(problem));
}

void Store::reject(const std::string& name, const QString& why) {
  report({ErrorCode::corruptFile,
          tr("The setting '%1' in %2 cannot be used: %3.")
              .arg(QString::fromStdString(name), QString::fromStdString(file_.string()), why)
              .toStdString(),
          "", tr("The default is used.").toStdString()});
  remove(name);
}

void Store::report(Error problem) {
  problems_.push_back(problem);
  Q_EMIT problemFound(problem);
}

void Store::put(const std::string& name, nlohmann::json value) {
  const auto found = values_.find(name);
  if (found == values_.end() ? value.is_null() : *found == value) return;
  if (value.is_null())
    values_.erase(name);
  else
    values_[name] = std::move(value);
  unwritten_.insert(name);
  timer_.start();
  Q_EMIT changed(name);
}

void Store::flush() {
  timer_.stop();
  if (unwritten_.empty()) return;
  nlohmann::json changes = nlohmann::json::object();
  for (const std::string& name : unwritten_) {
    const auto found = values_.find(name);
    changes[name] = found == values_.end() ? nlohmann::json() : *found;
  }
  unwritten_.clear();
  diskThread().start([file = file_, changes = std::move(changes)] { write(file, changes); });
}

fs::path settingsFile() { return inStandard(QStandardPaths::GenericConfigLocation) / "settings.json"; }

fs::path sessionFile(const fs::path& project) {
  const fs::path folder = inStandard(QStandardPaths::GenericDataLocation) / "sessions";
  if (project.empty()) return folder / "untitled.json";
  const QByteArray path = QByteArray::fromStdString(fs::absolute(project).lexically_normal().string());
  return folder / (QCryptographicHash::hash(path, QCryptographicHash::Sha256).toHex().left(16).toStdString() + ".json");
}

}  // namespace kvista
