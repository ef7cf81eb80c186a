// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <QComboBox>

#include "tests/unit/studio/real_window.h"
#include "views/heatmap_view.h"

namespace kvista::test {
namespace {

using MeasureControl = RealWindow;

TEST_F(MeasureControl, ShowsTheSameAsTheMenuAndChoosesTheSame) {
  start();
  openProject();
  ASSERT_TRUE(waitFor([this] { return action("view.measure.cosine") != nullptr; }));
  QAction *cosine = action("view.measure.cosine"), *sinkFree = action("view.measure.cka-sink-free");
  auto* box = window->findChild<QComboBox*>("similarityMeasure");
  ASSERT_TRUE(box && box->isVisible());
  EXPECT_EQ(box->currentText(), "cka-sink-free");
  EXPECT_EQ(box->toolTip(), "Made up\nFormula: a b\nUnit: none\nSource: Nobody");
  EXPECT_TRUE(sinkFree->isChecked());

  QTest::keyClick(box, Qt::Key_Down);
  EXPECT_EQ(window->facts().at("measure"), "cosine");
  EXPECT_EQ(box->currentText(), "cosine");
  EXPECT_TRUE(cosine->isChecked() && !sinkFree->isChecked());
  const HeatmapView& heads = *window->findChild<HeatmapView*>();
  EXPECT_TRUE(waitFor([&] { return heads.record().canBeDrawn(); })) << "the engine was asked for it";
  EXPECT_EQ(heads.record().measure, "cosine");

  sinkFree->trigger();
  EXPECT_EQ(box->currentText(), "cka-sink-free");
  EXPECT_TRUE(sinkFree->isChecked() && !cosine->isChecked());
}

}  // namespace
}  // namespace kvista::test
