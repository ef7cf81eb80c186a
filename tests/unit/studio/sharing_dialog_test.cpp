// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/sharing_dialog.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QSpinBox>
#include <QTableView>
#include <filesystem>

#include "core/io/sharing_map.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/choose_file.h"

namespace kvista {
namespace {

class SharingDialogTest : public ::testing::Test {
 protected:
  QComboBox* reads(int layer) { return dialog.findChild<QComboBox*>(QStringLiteral("layer%1").arg(layer)); }
  void choose(int layer, const QString& text) {
    QComboBox* box = reads(layer);
    const int index = box->findText(text);
    ASSERT_GE(index, 0) << text.toStdString();
    box->setCurrentIndex(index);
    Q_EMIT box->activated(index);  // as by hand
  }
  void press(const char* name) { dialog.findChild<QPushButton*>(QLatin1String(name))->click(); }
  QString said() { return dialog.findChild<QLabel*>(QStringLiteral("said"))->text(); }

  std::vector<SharingQuestion> asked;
  std::vector<std::function<void(Result<SharingRecord>)>> answers;
  SharingDialog dialog{
      4,
      {},
      [this](const SharingQuestion& question, QObject*, std::function<void(Result<SharingRecord>)> done) {
        asked.push_back(question);
        answers.push_back(std::move(done));
      },
      nullptr};
};

TEST_F(SharingDialogTest, OffersEachLayerWhatTheOthersLeave) {
  EXPECT_TRUE(dialog.map().empty());
  EXPECT_FALSE(reads(0)->isEnabled());
  EXPECT_EQ(reads(3)->count(), 4);
  choose(3, QStringLiteral("the cache of layer 1"));
  EXPECT_EQ(dialog.map(), (std::vector<int>{0, 1, 2, 1}));
  EXPECT_FALSE(reads(1)->isEnabled()) << "it is read";
  EXPECT_EQ(reads(1)->toolTip(), QStringLiteral("Read by 1 layer: 3."));
  choose(2, QStringLiteral("the cache of layer 0"));
  EXPECT_EQ(reads(3)->count(), 3) << "layer 2 has no cache of its own any more";
  choose(3, QStringLiteral("its own"));
  EXPECT_TRUE(reads(1)->isEnabled());
  EXPECT_EQ(dialog.map(), (std::vector<int>{0, 1, 0, 3}));
  press("shareNothing");
  EXPECT_TRUE(dialog.map().empty());
  EXPECT_EQ(reads(2)->accessibleName(), QStringLiteral("Layer 2 reads"));
}

TEST_F(SharingDialogTest, ShowsTheCosineOfTheMapAsItStands) {
  choose(1, QStringLiteral("the cache of layer 0"));
  choose(3, QStringLiteral("the cache of layer 2"));
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[1].map, (std::vector<int>{0, 0, 2, 2}));
  answers[0](fail(ErrorCode::cancelled, "Another question came."));
  EXPECT_TRUE(said().startsWith(QStringLiteral("Working out"))) << said().toStdString();
  answers[1](SharingRecord{{0, 0, 2, 2}, 0.8125, 0});
  EXPECT_TRUE(said().contains(QStringLiteral("0.8125"))) << said().toStdString();
  EXPECT_EQ(dialog.cosine(), 0.8125);
  EXPECT_EQ(sharingInWords(dialog.map(), dialog.cosine()),
            QStringLiteral("2 of 4 layers read another's cache, cosine 0.8125"));
  choose(1, QStringLiteral("its own"));
  EXPECT_EQ(dialog.cosine(), std::nullopt) << "of another map";
}

TEST_F(SharingDialogTest, TakesWhatTheSearchFinds) {
  dialog.findChild<QSpinBox*>(QStringLiteral("sharingCount"))->setValue(2);
  dialog.show();
  QApplication::setActiveWindow(&dialog);
  auto* search = dialog.findChild<QPushButton*>(QStringLiteral("search"));
  search->setFocus();
  press("search");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_TRUE(asked[0].map.empty());
  EXPECT_EQ(asked[0].count, 2);
  EXPECT_EQ(asked[0].least, 0.5);
  answers[0](fail(ErrorCode::invalidArgument, "1 layer can read the cache of another.", "Ask for fewer."));
  EXPECT_EQ(said(), QStringLiteral("1 layer can read the cache of another. Ask for fewer."));
  EXPECT_EQ(dialog.focusWidget(), search) << "the keyboard is where it was";
  press("search");
  auto* distances = dialog.findChild<QTableView*>(QStringLiteral("distances"));
  EXPECT_TRUE(distances->isHidden()) << "nothing is known before a search";
  answers[1](SharingRecord{{0, 0, 0, 3}, 0.7, 1, {4, 4, {0, 1, 2, 4, 1, 0, 1, 1, 2, 1, 0, 1, 4, 1, 1, 0}}});
  EXPECT_FALSE(distances->isHidden());
  EXPECT_EQ(distances->model()->index(0, 3).data(Qt::AccessibleTextRole).toString(), "Layers 0 and 3: 4 apart");
  const auto grey = [&](int column) {
    return qGray(distances->model()->index(0, column).data(Qt::BackgroundRole).value<QColor>().rgb());
  };
  EXPECT_GT(grey(3), grey(2)) << "the less alike, the brighter";
  EXPECT_EQ(dialog.map(), (std::vector<int>{0, 0, 0, 3}));
  EXPECT_EQ(reads(2)->currentText(), QStringLiteral("the cache of layer 0"));
  EXPECT_EQ(dialog.cosine(), 0.7);
  EXPECT_EQ(asked.size(), 2U) << "the search has said the cosine";
}

TEST_F(SharingDialogTest, SavesAndLoadsTheFileOfTheVerb) {
  const test::TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "map.json", other = folder.path() / "other.json";
  dialog.show();
  choose(2, QStringLiteral("the cache of layer 1"));
  answers.back()(SharingRecord{dialog.map(), 0.75, 0});
  ASSERT_TRUE(test::answerFileDialog(file, [this] { press("saveMap"); }));
  EXPECT_EQ(readSharingMap(file)->sharedFrom, (std::vector<int>{0, 1, 1, 3}));
  EXPECT_EQ(readSharingMap(file)->cosine, 0.75);
  press("shareNothing");
  ASSERT_TRUE(test::answerFileDialog(file, [this] { press("loadMap"); }));
  EXPECT_EQ(dialog.map(), (std::vector<int>{0, 1, 1, 3}));
  EXPECT_EQ(asked.back().map, dialog.map());
  for (const auto& [map, words] : {std::pair{std::vector<int>{0, 0}, "The map is of 2 layers, this model has 4."},
                                   {std::vector<int>{0, 0, 1, 3}, "In the map layer 2 reads layer 1"}}) {
    ASSERT_TRUE(writeSharingMap(other, {map, std::nullopt}));
    ASSERT_TRUE(test::answerFileDialog(other, [this] { press("loadMap"); }));
    EXPECT_TRUE(said().startsWith(QLatin1String(words))) << said().toStdString();
    EXPECT_EQ(dialog.map(), (std::vector<int>{0, 1, 1, 3})) << "as it was";
  }
}

TEST(SharingDialogAlone, IsMadeByHandWithoutACalibration) {
  SharingDialog dialog(3, {0, 0, 2}, {}, nullptr);
  const auto* search = dialog.findChild<QPushButton*>(QStringLiteral("search"));
  EXPECT_FALSE(search->isEnabled());
  EXPECT_TRUE(search->toolTip().endsWith(QStringLiteral("calibrate first.")));
  EXPECT_EQ(dialog.map(), (std::vector<int>{0, 0, 2}));
  EXPECT_EQ(dialog.cosine(), std::nullopt);
}

}  // namespace
}  // namespace kvista
