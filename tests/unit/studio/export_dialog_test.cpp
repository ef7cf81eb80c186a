// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/export_dialog.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <QTextDocument>

namespace kvista {
namespace {

class ExportDialogTest : public testing::Test {
 protected:
  ExportDialogTest()
      : dialog_({Choice{"latent", "its own model code"}, Choice{"dense", "the original architecture"}},
                QStringLiteral("/models/small"), nullptr) {
    dialog_.show();
    QApplication::processEvents();
    dialog_.showMemory(std::vector<MemoryForecast>{});
  }
  /// What a person reads of the dry run.
  [[nodiscard]] QString dryRun() const {
    QTextDocument document;
    document.setHtml(dialog_.findChild<QLabel*>(QStringLiteral("dryRun"))->text());
    return document.toPlainText();
  }
  [[nodiscard]] QPushButton* button() const {
    const auto buttons = dialog_.findChild<QDialogButtonBox*>()->buttons();
    for (QAbstractButton* each : buttons)
      if (each->text().remove(QLatin1Char('&')) == ExportDialog::tr("Export")) return qobject_cast<QPushButton*>(each);
    return nullptr;
  }
  [[nodiscard]] static ExportPreview preview() {
    ExportPreview preview;
    preview.form = "latent";
    preview.target = "/models/small";
    preview.tensorsChanged = 16;
    preview.tensorsCarried = 59;
    preview.bytesPerTokenBefore = 8192;
    preview.bytesPerTokenAfter = 1024;
    preview.runsIn = "transformers";
    return preview;
  }

  ExportDialog dialog_;
};

TEST_F(ExportDialogTest, APolicyIsChosenOrTypedAndLookedAt) {
  QSignalSpy looked(&dialog_, &ExportDialog::previewWanted);
  EXPECT_EQ(dialog_.policy(), QString());
  dialog_.setPolicies({{QStringLiteral("snapkv share=0.5"), QStringLiteral("What the last queries look at")}});
  EXPECT_EQ(dialog_.policy(), QString());
  EXPECT_EQ(looked.count(), 0);
  auto* policy = dialog_.findChild<QComboBox*>(QStringLiteral("exportPolicy"));
  policy->setCurrentIndex(1);
  EXPECT_EQ(dialog_.policy(), QStringLiteral("snapkv share=0.5"));
  policy->setEditText(QStringLiteral("snapkv share=0.25 "));
  EXPECT_EQ(dialog_.policy(), QStringLiteral("snapkv share=0.25"));
  EXPECT_EQ(looked.count(), 2);
}

TEST_F(ExportDialogTest, EveryProblemIsSaidInWordsAndNothingCanBeWritten) {
  ExportPreview refused = preview();
  refused.problems = {"/models/small holds files that are no export: 2 <others>.", "4.1 GB are needed, 3 GB are free."};
  dialog_.showPreview(refused);
  EXPECT_TRUE(dryRun().contains(ExportDialog::tr("Problem: ") +
                                QStringLiteral("/models/small holds files that are no export: 2 <others>.")));
  EXPECT_TRUE(dryRun().contains(ExportDialog::tr("Problem: ") + QStringLiteral("4.1 GB are needed, 3 GB are free.")));
  EXPECT_FALSE(dialog_.canExport());
  QSignalSpy accepted(&dialog_, &QDialog::accepted);
  QTest::keyClick(&dialog_, Qt::Key_Return);
  EXPECT_EQ(accepted.count(), 0);
}

TEST_F(ExportDialogTest, AGgufFileIsLookedAtBeforeItCanBeWritten) {
  dialog_.showPreview(preview());
  EXPECT_TRUE(dialog_.canExport());
  EXPECT_EQ(dialog_.container(), QStringLiteral("safetensors"));
  QSignalSpy wanted(&dialog_, &ExportDialog::previewWanted);
  dialog_.findChild<QComboBox*>(QStringLiteral("exportContainer"))->setCurrentIndex(1);
  EXPECT_EQ(dialog_.container(), QStringLiteral("gguf"));
  EXPECT_EQ(wanted.count(), 1);
  EXPECT_FALSE(dialog_.canExport());
}

TEST_F(ExportDialogTest, AProblemThatIsGoneCanBeWritten) {
  ExportPreview refused = preview();
  refused.problems = {"The folder is not empty."};
  dialog_.showPreview(refused);
  dialog_.showPreview(preview());
  EXPECT_FALSE(dryRun().contains(QStringLiteral("not empty")));
  EXPECT_TRUE(dryRun().contains(QStringLiteral("59")));
  EXPECT_TRUE(dialog_.canExport());
  QSignalSpy accepted(&dialog_, &QDialog::accepted);
  QTest::mouseClick(button(), Qt::LeftButton);
  EXPECT_EQ(accepted.count(), 1);
}

TEST_F(ExportDialogTest, TypesAndSizesOfFilesAreAskedForAndEachAsksForADryRun) {
  EXPECT_EQ(dialog_.weightDtype(), QString()) << "tensors that the plan does not change stay as they are";
  EXPECT_EQ(dialog_.shardBytes(), 5'000'000'000);
  QSignalSpy wanted(&dialog_, &ExportDialog::previewWanted);
  dialog_.findChild<QComboBox*>(QStringLiteral("weightDtype"))->setCurrentText(QStringLiteral("float16"));
  EXPECT_EQ(dialog_.weightDtype(), QStringLiteral("float16"));
  EXPECT_EQ(wanted.count(), 1);
  dialog_.findChild<QDoubleSpinBox*>(QStringLiteral("shardSize"))->setValue(0.5);
  EXPECT_EQ(dialog_.shardBytes(), 500'000'000);
  EXPECT_EQ(wanted.count(), 2);
  auto* container = dialog_.findChild<QComboBox*>(QStringLiteral("exportContainer"));
  container->setCurrentIndex(container->findData(QStringLiteral("gguf")));
  EXPECT_EQ(dialog_.shardBytes(), 0) << "a GGUF file is written whole";
}

TEST_F(ExportDialogTest, ANoteIsNoProblem) {
  ExportPreview noted = preview();
  noted.notes = {"The exact tokens are kept by the model code alone."};
  dialog_.showPreview(noted);
  EXPECT_TRUE(dryRun().contains(QStringLiteral("The exact tokens are kept by the model code alone.")));
  EXPECT_FALSE(dryRun().contains(ExportDialog::tr("Problem: ")));
  EXPECT_TRUE(dialog_.canExport());
}

TEST_F(ExportDialogTest, ADryRunThatFailsSaysWhyAndWhatToDo) {
  dialog_.showPreview(
      fail(ErrorCode::invalidArgument, "/models/small is the folder of the original.", "Name another folder."));
  EXPECT_TRUE(dryRun().contains(QStringLiteral("/models/small is the folder of the original.")));
  EXPECT_TRUE(dryRun().contains(QStringLiteral("Name another folder.")));
  EXPECT_FALSE(dialog_.canExport());
}

TEST_F(ExportDialogTest, AnotherFolderIsLookedAtAgainBeforeItCanBeWritten) {
  dialog_.showPreview(preview());
  ASSERT_TRUE(dialog_.canExport());
  QSignalSpy wanted(&dialog_, &ExportDialog::previewWanted);
  dialog_.findChild<QLineEdit*>()->setText(QStringLiteral("/models/other"));
  EXPECT_EQ(wanted.count(), 1);
  EXPECT_FALSE(dialog_.canExport());
}

}  // namespace
}  // namespace kvista
