// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/desktop_look.h"

#include <QDBusPendingCallWatcher>
#include <QDBusPendingReply>
#include <QDBusVariant>

namespace kvista {
namespace {

const QString kService = QStringLiteral("org.freedesktop.portal.Desktop");
const QString kPath = QStringLiteral("/org/freedesktop/portal/desktop");
const QString kInterface = QStringLiteral("org.freedesktop.portal.Settings");
const QString kSpace = QStringLiteral("org.freedesktop.appearance");
const QString kKey = QStringLiteral("color-scheme");
constexpr uint kDark = 1, kLight = 2;

}  // namespace

DesktopLook::DesktopLook(QDBusConnection bus, QObject* parent) : QObject(parent) {
  if (!bus.isConnected()) return;
  // The whole message: Qt knows its variants as a slot's arguments only once it has sent one.
  bus.connect(kService, kPath, kInterface, QStringLiteral("SettingChanged"), this, SLOT(hear(QDBusMessage)));
  QDBusMessage question = QDBusMessage::createMethodCall(kService, kPath, kInterface, QStringLiteral("Read"));
  question << kSpace << kKey;
  auto* answer = new QDBusPendingCallWatcher(bus.asyncCall(question), this);
  connect(answer, &QDBusPendingCallWatcher::finished, this, [this, answer] {
    answer->deleteLater();
    if (const QDBusPendingReply<QDBusVariant> reply = *answer; reply.isValid()) take(reply.value().variant());
  });
}

void DesktopLook::hear(const QDBusMessage& message) {
  const QVariantList said = message.arguments();
  if (said.size() == 3 && said[0].toString() == kSpace && said[1].toString() == kKey) take(said[2]);
}

void DesktopLook::take(const QVariant& value) {
  // Wrapped once by a signal, twice by Read.
  QVariant inner = value;
  while (inner.metaType() == QMetaType::fromType<QDBusVariant>()) inner = inner.value<QDBusVariant>().variant();
  const uint scheme = inner.toUInt();
  const auto dark = scheme == kDark ? std::optional(true) : scheme == kLight ? std::optional(false) : std::nullopt;
  if (dark == dark_) return;
  dark_ = dark;
  Q_EMIT changed();
}

}  // namespace kvista
