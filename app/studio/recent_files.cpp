// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/recent_files.h"

#include <QFileInfo>
#include <QThreadPool>
#include <algorithm>

#include "app/studio/background.h"

namespace kvista {
namespace {

constexpr std::size_t kMost = 12;
const Key<std::vector<std::string>> kRecentFiles{"recentFiles", {}};

}  // namespace

RecentFiles::RecentFiles(Store& settings, QObject* parent) : QObject(parent), settings_(settings) {
  for (const std::string& path : settings_.get(kRecentFiles))
    if (files_.size() < kMost) files_.push_back({QString::fromStdString(path)});
  refresh();
}

void RecentFiles::add(const QString& path) {
  const QString absolute = QFileInfo(path).absoluteFilePath();
  std::erase_if(files_, [&](const RecentFile& each) { return each.path == absolute; });
  files_.insert(files_.begin(), {absolute});
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
  *found = {absolute};
  const auto twin = std::find_if(files_.begin(), files_.end(), [&](const RecentFile& each) { return &each != &*found && each.path == absolute; });
  if (twin != files_.end()) files_.erase(twin);
  store();
}

void RecentFiles::refresh() {
  std::vector<QString> paths;
  for (const RecentFile& each : files_) paths.push_back(each.path);
  inBackground(*QThreadPool::globalInstance(), this,
               [paths] {
                 std::vector<QString> missing;
                 std::ranges::copy_if(paths, std::back_inserter(missing), [](const QString& path) { return !QFileInfo::exists(path); });
                 return missing;
               },
               [this](const std::vector<QString>& missing) {
                 const auto before = files_;
                 for (RecentFile& each : files_) each.missing = std::ranges::find(missing, each.path) != missing.end();
                 if (files_ != before) Q_EMIT changed();
               });
}

void RecentFiles::store() {
  std::vector<std::string> paths;
  for (const RecentFile& each : files_) paths.push_back(each.path.toStdString());
  settings_.set(kRecentFiles, paths);
  Q_EMIT changed();
}

}  // namespace kvista
