// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDBusConnection>
#include <QDBusMessage>
#include <QObject>
#include <optional>

namespace kvista {

/// Whether the desktop wants dark windows, as its settings portal (org.freedesktop.portal.Settings) says, now and when
/// it is changed. Qt 6.4 has no word for it.
class DesktopLook final : public QObject {
  Q_OBJECT

 public:
  /// Asks over `bus` and is answered later; a desktop without a portal never answers.
  explicit DesktopLook(QDBusConnection bus, QObject* parent = nullptr);
  /// Absent: the desktop has no portal, or no preference.
  [[nodiscard]] std::optional<bool> isDark() const { return dark_; }

 Q_SIGNALS:
  void changed();

 private Q_SLOTS:
  void hear(const QDBusMessage& message);

 private:
  void take(const QVariant& value);
  std::optional<bool> dark_;
};

}  // namespace kvista
