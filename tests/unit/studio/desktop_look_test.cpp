// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// A desktop whose settings portal says what it looks like, on a bus of our own.
#include "app/studio/desktop_look.h"

#include <gtest/gtest.h>

#include <QDBusVariant>
#include <QProcess>
#include <QSignalSpy>
#include <QStandardPaths>

#include "tests/unit/studio/wait.h"
#include "views/theme.h"

namespace kvista {
namespace {

class Portal final : public QObject {
  Q_OBJECT
  Q_CLASSINFO("D-Bus Interface", "org.freedesktop.portal.Settings")

 public:
  uint scheme = 0;
  int asked = 0;

 public Q_SLOTS:
  QDBusVariant Read(const QString& space, const QString& key) {
    if (space == QStringLiteral("org.freedesktop.appearance") && key == QStringLiteral("color-scheme")) ++asked;
    return QDBusVariant(QVariant::fromValue(QDBusVariant(scheme)));
  }

 Q_SIGNALS:
  void SettingChanged(const QString& space, const QString& key, const QDBusVariant& value);
};

class DesktopLookTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (QStandardPaths::findExecutable(QStringLiteral("dbus-daemon")).isEmpty())
      GTEST_SKIP() << "There is no dbus-daemon here.";
    daemon.start(QStringLiteral("dbus-daemon"),
                 {QStringLiteral("--session"), QStringLiteral("--nofork"), QStringLiteral("--print-address")});
    ASSERT_TRUE(daemon.waitForReadyRead());
    const QString address = QString::fromUtf8(daemon.readLine()).trimmed();
    bus = QDBusConnection::connectToBus(address, QStringLiteral("desktop"));
    ours = QDBusConnection::connectToBus(address, QStringLiteral("window"));
    ASSERT_TRUE(bus.isConnected() && ours.isConnected());
    ASSERT_TRUE(bus.registerObject(QStringLiteral("/org/freedesktop/portal/desktop"), &portal,
                                   QDBusConnection::ExportAllSlots | QDBusConnection::ExportAllSignals));
  }
  void TearDown() override {
    QDBusConnection::disconnectFromBus(QStringLiteral("desktop"));
    QDBusConnection::disconnectFromBus(QStringLiteral("window"));
    daemon.kill();
    daemon.waitForFinished();
  }
  void startPortal() { ASSERT_TRUE(bus.registerService(QStringLiteral("org.freedesktop.portal.Desktop"))); }
  void change(uint scheme, const QString& key = QStringLiteral("color-scheme")) {
    Q_EMIT portal.SettingChanged(QStringLiteral("org.freedesktop.appearance"), key, QDBusVariant(scheme));
  }

  QProcess daemon;
  Portal portal;
  QDBusConnection bus{QString()}, ours{QString()};
};

TEST_F(DesktopLookTest, IsAskedAtTheStartAndHeardAfterwards) {
  portal.scheme = 1;
  startPortal();
  DesktopLook look(ours);
  QSignalSpy changed(&look, &DesktopLook::changed);
  EXPECT_EQ(look.isDark(), std::nullopt);
  ASSERT_TRUE(test::waitFor([&] { return changed.size() == 1; }));
  EXPECT_EQ(look.isDark(), true);
  EXPECT_EQ(portal.asked, 1);
  change(2);
  ASSERT_TRUE(test::waitFor([&] { return changed.size() == 2; }));
  EXPECT_EQ(look.isDark(), false);
  change(1, QStringLiteral("accent-color"));  // Something else.
  change(0);                                  // No preference.
  ASSERT_TRUE(test::waitFor([&] { return changed.size() == 3; }));
  EXPECT_EQ(look.isDark(), std::nullopt);
}

TEST_F(DesktopLookTest, APortalThatComesLaterIsHeardToo) {
  DesktopLook look(ours);
  QSignalSpy changed(&look, &DesktopLook::changed);
  startPortal();
  ASSERT_TRUE(test::waitFor([&] {
    change(1);
    return !changed.isEmpty();
  }));
  EXPECT_EQ(look.isDark(), true);
}

TEST(ThemeOfTheDesktop, FollowsItInModeSystemAlone) {
  Theme& theme = Theme::instance();
  theme.install();
  theme.setMode(Theme::Mode::system);
  theme.setDesktopDark(false);
  QSignalSpy changed(&theme, &Theme::changed);
  theme.setDesktopDark(true);
  EXPECT_TRUE(colours().dark);
  EXPECT_EQ(QApplication::palette().color(QPalette::Window), Theme::dark().window);
  EXPECT_EQ(changed.size(), 1);
  theme.lookAtDesktop();
  EXPECT_EQ(changed.size(), 1) << "its palette is not asked where it says itself";
  EXPECT_EQ(QApplication::palette().color(QPalette::Window), Theme::dark().window);
  theme.setMode(Theme::Mode::light);
  theme.setDesktopDark(false);
  theme.setDesktopDark(true);
  EXPECT_FALSE(colours().dark);
  theme.setMode(Theme::Mode::system);
  EXPECT_TRUE(colours().dark);
  theme.setDesktopDark(std::nullopt);  // The palette of the platform of the tests is light.
  EXPECT_FALSE(colours().dark);
}

}  // namespace
}  // namespace kvista

#include "desktop_look_test.moc"
