// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/recent_files.h"

#include <QFileInfo>
#include <QThreadPool>
#include <algorithm>
#include <optional>

#include "app/studio/background.h"

namespace kvista {
namespace {

constexpr std::size_t kMost = 12;
const Key<nlohmann::json> kRecentFiles{"recentFiles", nlohmann::json::array()};

/// A path, or a path and when it was opened.
std::optional<RecentFile> fileFrom(const nlohmann::json& entry) {
  const auto textOf = [](const nlohmann::json& value) {
    return value.is_string() ? QString::fromStdString(value.get<std::string>()) : QString();
  };
  if (entry.is_string()) return RecentFile{textOf(entry)};
  if (!entry.is_object() || textOf(entry.value("path", nlohmann::json())).isEmpty()) return std::nullopt;
  return RecentFile{.path = textOf(entry.at("path")),
                    .opened = QDateTime::fromString(textOf(entry.value("opened", nlohmann::json())), Qt::ISODate),
                    .host = textOf(entry.value("host", nlohmann::json()))};
}

}  // namespace

RecentFiles::RecentFiles(Store& settings, QObject* parent) : QObject(parent), settings_(settings) {
  const nlohmann::json kept = settings_.get(kRecentFiles);
  bool isSound = kept.is_array();
  for (const nlohmann::json& entry : isSound ? kept : nlohmann::json::array()) {
    const auto file = fileFrom(entry);
    isSound = isSound && file;
    if (file && files_.size() < kMost) files_.push_back(*file);
  }
  if (!isSound) settings_.reject(kRecentFiles.name, tr("some entries are no paths"));
  refresh();
}

void RecentFiles::add(const QString& path, const QString& host) {
  const QString absolute = host.isEmpty() ? QFileInfo(path).absoluteFilePath() : path;
  std::erase_if(files_, [&](const RecentFile& each) { return each.path == absolute; });
  files_.insert(files_.begin(), {.path = absolute, .opened = QDateTime::currentDateTime(), .host = host});
  if (files_.size() > kMost) files_.resize(kMost);
  store();
}

void RecentFiles::remove(const QString& path) {
  if (std::erase_if(files_, [&](const RecentFile& each) { return each.path == path; }) > 0) store();
}

void RecentFiles::locate(const QString& missing, const QString& path) {
  const auto found = std::ranges::find(files_, missing, &RecentFile::path);
  if (found == files_.end()) return;
  const QString absolute = QFileInfo(path).absoluteFilePath();
  *found = {.path = absolute, .opened = found->opened};
  const auto twin = std::find_if(files_.begin(), files_.end(),
                                 [&](const RecentFile& each) { return &each != &*found && each.path == absolute; });
  if (twin != files_.end()) files_.erase(twin);
  store();
}

void RecentFiles::refresh() {
  std::vector<QString> paths;
  for (const RecentFile& each : files_)
    if (each.host.isEmpty()) paths.push_back(each.path);
  inBackground(
      *QThreadPool::globalInstance(), this,
      [paths] {
        std::vector<QString> missing;
        std::ranges::copy_if(paths, std::back_inserter(missing),
                             [](const QString& path) { return !QFileInfo::exists(path); });
        return missing;
      },
      [this](const std::vector<QString>& missing) {
        const auto before = files_;
        for (RecentFile& each : files_) each.missing = std::ranges::find(missing, each.path) != missing.end();
        if (files_ != before) Q_EMIT changed();
      });
}

void RecentFiles::store() {
  nlohmann::json kept = nlohmann::json::array();
  for (const RecentFile& each : files_) {
    nlohmann::json entry = {{"path", each.path.toStdString()}};
    if (each.opened.isValid()) entry["opened"] = each.opened.toString(Qt::ISODate).toStdString();
    if (!each.host.isEmpty()) entry["host"] = each.host.toStdString();
    kept.push_back(std::move(entry));
  }
  settings_.set(kRecentFiles, kept);
  Q_EMIT changed();
}

}  // namespace kvista
