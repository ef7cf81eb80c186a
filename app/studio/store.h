// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QByteArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QObject>
#include <QString>
#include <QTimer>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// A setting's name and what holds without one; declared beside its use.
template <class Value>
struct Key {
  const char* name;
  Value fallback;
};

/// Named values in a JSON file. There are three places for what outlives the window: settings of the person
/// (settingsFile), the session of a project (sessionFile), and the project itself, which is a Document. A damaged file
/// or value is a problem to show, never an obstacle.
class Store final : public QObject {
  Q_OBJECT

 public:
  /// Reads the file if there is one.
  explicit Store(const std::filesystem::path& file, QObject* parent = nullptr);
  ~Store() override;
  /// Writes what is unwritten and reads another file instead.
  void switchTo(const std::filesystem::path& file);
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

  template <class Value>
  [[nodiscard]] Value get(const Key<Value>& key) {
    const auto found = values_.find(key.name);
    if (found == values_.end()) return key.fallback;
    if (auto value = decode<Value>(*found)) return *std::move(value);
    reject(key.name, tr("it is of another kind"));
    return key.fallback;
  }
  /// Written to disk a moment later, in the background.
  template <class Value>
  void set(const Key<Value>& key, const Value& value) {
    put(key.name, encode(value));
  }
  /// Forgets a value that could not be used, such as a layout that does not fit, and says so.
  void reject(const std::string& name, const QString& why);
  void remove(const std::string& name) { put(name, nullptr); }
  void flush();

  /// What could not be read so far.
  [[nodiscard]] const std::vector<Error>& problems() const { return problems_; }

 Q_SIGNALS:
  void problemFound(const kvista::Error& problem);
  void changed(const std::string& name);

 private:
  template <class Value>
  static std::optional<Value> decode(const nlohmann::json& json) {
    try {
      if constexpr (std::is_same_v<Value, QJsonObject>) {
        const QJsonDocument document = QJsonDocument::fromJson(QByteArray::fromStdString(json.dump()));
        return document.isObject() ? std::optional(document.object()) : std::nullopt;
      } else if constexpr (std::is_same_v<Value, QString>)
        return QString::fromStdString(json.get<std::string>());
      else if constexpr (std::is_same_v<Value, QByteArray>)
        return QByteArray::fromBase64(QByteArray::fromStdString(json.get<std::string>()));
      else if constexpr (std::is_same_v<Value, bool>)
        return json.is_boolean() ? std::optional(json.get<bool>()) : std::nullopt;
      else if constexpr (std::is_arithmetic_v<Value>)
        return json.is_number() ? std::optional(json.get<Value>()) : std::nullopt;
      else
        return json.get<Value>();
    } catch (const nlohmann::json::exception&) {
      return std::nullopt;
    }
  }
  template <class Value>
  static nlohmann::json encode(const Value& value) {
    if constexpr (std::is_same_v<Value, QJsonObject>)
      return nlohmann::json::parse(QJsonDocument(value).toJson().toStdString());
    else if constexpr (std::is_same_v<Value, QString>)
      return value.toStdString();
    else if constexpr (std::is_same_v<Value, QByteArray>)
      return value.toBase64().toStdString();
    else
      return value;
  }
  void load();
  void put(const std::string& name, nlohmann::json value);
  void report(Error problem);

  std::filesystem::path file_;
  nlohmann::json values_ = nlohmann::json::object();
  std::set<std::string> unwritten_;
  std::vector<Error> problems_;
  QTimer timer_;
};

/// Where a person's settings are.
std::filesystem::path settingsFile();
/// Where a project's geometry, docks, zoom and ranges are; of a project without a file when empty.
std::filesystem::path sessionFile(const std::filesystem::path& project);

}  // namespace kvista
