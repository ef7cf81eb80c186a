// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The window on one machine, the engine on another: a script stands for ssh and gives the engine a home of its own.
#include <QComboBox>
#include <QDialogButtonBox>
#include <QLabel>
#include <QPushButton>
#include <filesystem>
#include <fstream>

#include "app/studio/window/file_list.h"
#include "app/studio/window/path_dialog.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/choose_file.h"
#include "tests/unit/studio/real_engine.h"

namespace kvista::test {
namespace {

TEST(EngineCommandHost, IsTheMachineThatSshIsGiven) {
  const auto host = [](const char* text) { return EngineCommand::fromText(QString::fromLatin1(text))->host(); };
  EXPECT_EQ(host("ssh gpu-server kvista engine"), "gpu-server");
  EXPECT_EQ(host("ssh -p 2222 -A me@gpu-server kvista engine"), "gpu-server");
  EXPECT_EQ(host("/opt/kvista/bin/kvista engine --device cuda"), std::nullopt);
  EXPECT_EQ(EngineCommand::local().host(), std::nullopt);
}

class RemoteWindow : public RealEngine {
 protected:
  RemoteWindow() {
    std::filesystem::create_directories(there() / "models");
    std::filesystem::create_directory_symlink(
        QString(QStringLiteral(KVISTA_SOURCE_DIR "/resources/demo/model")).toStdString(), there() / "models/demo");
    writeText(there() / "short.txt",
              readText(KVISTA_SOURCE_DIR "/resources/demo/text/calibration.txt").substr(0, 6000));
    const std::string script = (remote / "ssh").string();
    writeText(script, "#!/bin/sh\nhost=$1\nshift\ntest \"$host\" = gpu-server || exit 255\nexec env HOME=" +
                          there().string() + " XDG_DATA_HOME=" + (there() / "data").string() + " \"$@\"\n");
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  }
  [[nodiscard]] std::filesystem::path there() const { return remote / "home"; }
  void startOverSsh() {
    startWithEngine({QString::fromStdString((remote / "ssh").string()), QStringLiteral("gpu-server")});
  }
  /// Types into the dialog that is open; answers what it says then.
  QString type(const QString& path) {
    QDialog* asked = dialog("pathDialog");
    if (!asked) return QStringLiteral("no dialog");
    auto* said = asked->findChild<QLabel*>(QStringLiteral("pathSentence"));
    asked->findChild<QLineEdit*>(QStringLiteral("path"))->setText(path);
    waitFor([&] { return !said->text().isEmpty(); });
    return said->text();
  }
  QPushButton* choose() { return dialog("pathDialog")->findChild<QPushButton*>(QStringLiteral("startButton")); }

  TemporaryFolder remote;
};

TEST_F(RemoteWindow, ModelsTextsAndTargetsAreTypedAndLookedAtThere) {
  startOverSsh();
  ASSERT_TRUE(waitFor([this] { return action("file.openFolder")->isEnabled(); }));
  // Host and latency are in sight.
  auto* status = window->findChild<QLabel*>(QStringLiteral("engineStatus"));
  EXPECT_TRUE(waitFor([&] { return status->text().contains("gpu-server") && status->text().contains(" ms"); }))
      << status->text().toStdString();

  action("file.openFolder")->trigger();
  EXPECT_TRUE(type("/nothing/here").contains("does not exist on the engine's machine"))
      << type("/nothing/here").toStdString();
  EXPECT_FALSE(choose()->isEnabled());
  EXPECT_TRUE(type("~/models/demo").contains("a folder")) << "a home there, not here";
  ASSERT_TRUE(choose()->isEnabled());
  choose()->click();
  ASSERT_TRUE(waitFor([this] { return document().hasModel(); })) << window->facts().dump(1);
  EXPECT_EQ(document().modelPath(), there() / "models/demo");

  // A text of that machine; the statistics go into a folder that the engine makes there.
  action("plan.calibrate")->trigger();
  QDialog* calibrate = dialog("calibrateDialog");
  ASSERT_TRUE(calibrate);
  calibrate->findChild<QPushButton*>(QStringLiteral("addTextFiles"))->click();
  EXPECT_TRUE(type("~/missing.txt").contains("does not exist"));
  EXPECT_TRUE(type("~/short.txt").contains("a file of 6.0 kB")) << type("~/short.txt").toStdString();
  choose()->click();
  ASSERT_EQ(calibrate->findChild<FileList*>()->paths(),
            QStringList{QString::fromStdString((there() / "short.txt").string())});
  calibrate->findChild<QSpinBox*>(QStringLiteral("window"))->setValue(64);
  calibrate->findChild<QSpinBox*>(QStringLiteral("windows"))->setValue(4);
  calibrate->findChild<QPushButton*>(QStringLiteral("startButton"))->click();
  ASSERT_TRUE(waitFor([this] { return isIdle() && document().undoStack().count() == 1; })) << window->facts().dump(1);
  EXPECT_EQ(document().statisticsPath().parent_path(), there() / "data/kvista/statistics");

  // The export's folder is typed too, and written there; what it would write and take is said before.
  action("plan.export")->trigger();
  QDialog* exported = dialog("exportDialog");
  ASSERT_TRUE(exported);
  auto* target = exported->findChild<QLineEdit*>(QStringLiteral("exportTarget"));
  EXPECT_EQ(target->text(), QString::fromStdString((there() / "models/demo-smaller").string()));
  target->setText(QStringLiteral("/nothing/here/small"));
  auto* dryRun = exported->findChild<QLabel*>(QStringLiteral("dryRun"));
  EXPECT_TRUE(waitFor([&] { return dryRun->text().contains("/nothing/here"); })) << dryRun->text().toStdString();
  EXPECT_FALSE(window->facts().at("exportReady").get<bool>());
  target->setText(QString::fromStdString((there() / "small").string()));
  EXPECT_TRUE(waitFor([this] { return window->facts().at("exportReady").get<bool>(); }))
      << dryRun->text().toStdString();
  EXPECT_TRUE(dryRun->text().contains("are free")) << dryRun->text().toStdString();
  EXPECT_TRUE(
      waitFor([&] { return exported->findChild<QLabel*>(QStringLiteral("memory"))->text().contains("free on"); }));
  exported->reject();

  // A report of the project, which has no file anywhere yet, goes to this machine.
  const std::filesystem::path report = std::filesystem::path(home.path().toStdString()) / "here.html";
  EXPECT_TRUE(answerFileDialog(report, [this] { action("file.report")->trigger(); }));
  EXPECT_TRUE(waitFor([&] {
    return window->facts().at("message").get<std::string>().find("here.html") != std::string::npos;
  })) << window->facts().dump(1);
  const std::string page = readText(report.string());
  EXPECT_NE(
      page.find("<data id=\"bytesPerToken\" value=\"" + std::to_string(document().planned().achievedBytes) + "\""),
      std::string::npos);
  EXPECT_NE(page.find(document().modelPath().string()), std::string::npos);
  EXPECT_NE(page.find("<figure>"), std::string::npos) << "with pictures: the engine has found model and statistics";
}

/// A model of the other machine stays in the list, and where another engine is chosen, it says so instead of looking
/// here.
TEST_F(RemoteWindow, WhatWasOpenThereIsInTheListAsThere) {
  startOverSsh();
  ASSERT_TRUE(waitFor([this] { return action("file.openFolder")->isEnabled(); }));
  action("file.openFolder")->trigger();
  type("~/models/demo");
  choose()->click();
  ASSERT_TRUE(waitFor([this] { return document().hasModel(); }));
  const auto offered = [this] {
    for (auto* button : window->findChildren<QPushButton*>())
      if (button->property("link").toBool() && button->text() == "demo" && button->toolTip().startsWith("gpu-server:/"))
        return button;
    return static_cast<QPushButton*>(nullptr);
  };
  ASSERT_TRUE(waitFor([&] { return offered() != nullptr; }));

  action("file.engine")->trigger();
  QDialog* engines = dialog("engineDialog");
  ASSERT_TRUE(engines);
  auto* use = engines->findChild<QDialogButtonBox*>()->button(QDialogButtonBox::Ok);
  EXPECT_TRUE(use->property("primary").toBool());
  engines->findChild<QLineEdit*>()->setText(QCoreApplication::applicationDirPath() + QStringLiteral("/kvista engine"));
  use->click();
  auto* status = window->findChild<QLabel*>(QStringLiteral("engineStatus"));
  ASSERT_TRUE(
      waitFor([&] { return !status->text().contains("gpu-server") && action("file.openFolder")->isEnabled(); }));
  ASSERT_TRUE(offered());
  offered()->click();
  ASSERT_EQ(window->facts().at("problems").size(), 1U) << window->facts().at("problems").dump(1);
  const std::string sentence = window->facts().at("problems")[0].at("sentence");
  EXPECT_NE(sentence.find("is a model on gpu-server, but the engine runs on this machine"), std::string::npos)
      << sentence;
}

}  // namespace
}  // namespace kvista::test
