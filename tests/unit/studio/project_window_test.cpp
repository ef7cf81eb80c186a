// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The whole window with projects: what was set up in its panels belongs to each of them.
#include <gtest/gtest.h>

#include <QDockWidget>
#include <QPushButton>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>

#include "app/studio/background.h"
#include "app/studio/window/main_window.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"
#include "views/heatmap_view.h"
#include "views/navigator_strip.h"
#include "views/navigator_view.h"
#include "views/waterline_view.h"

namespace kvista {
namespace {

class ProjectWindow : public ::testing::Test {
 protected:
  ProjectWindow() {
    for (const auto* name : {"a", "b"}) {
      Document document;
      document.startFrom(test::madeUpModel());
      if (!document.setStatistics(test::madeUpStatistics())) throw std::runtime_error("statistics");
      if (!saveProject(file(name), document.project())) throw std::runtime_error("project");
    }
  }
  ~ProjectWindow() override {
    window.reset();
    finishDiskWork();
    for (const auto* name : {"a", "b"}) std::filesystem::remove(sessionFile(file(name)));
  }
  [[nodiscard]] std::filesystem::path file(const std::string& name) const { return folder / (name + ".kvista"); }
  void start() {
    window = std::make_unique<MainWindow>(
        EngineCommand{QCoreApplication::applicationDirPath() + QStringLiteral("/kvista-fake-engine"), {}});
    window->show();
  }
  void end() {
    window->close();
    window.reset();
    finishDiskWork();
  }
  void open(const std::string& name) {
    window->open(QString::fromStdString(file(name).string()));
    ASSERT_TRUE(test::waitFor([&] {
      const Document& document = window->document();
      return document.file() == file(name) && document.hasModel() && document.statistics() &&
             document.similarity("cka-sink-free", 0, Side::key) && heatmap().record().canBeDrawn();
    }));
  }
  template <class ViewType>
  [[nodiscard]] ViewType& view() const {
    return *window->findChild<ViewType*>();
  }
  [[nodiscard]] HeatmapView& heatmap() const { return view<HeatmapView>(); }

  test::TemporaryFolder folder;
  std::unique_ptr<MainWindow> window;
};

TEST_F(ProjectWindow, EachProjectsPanelsComeBackAsTheyWereSetUp) {
  start();
  open("a");
  QTest::mouseClick(heatmap().findChild<RangeBar*>(), Qt::RightButton);  // The focus goes into the panel.
  Q_EMIT heatmap().rangeBar()->coloursChosen(ColourMap::cividis, true);
  Q_EMIT heatmap().rangeBar()->rangeEdited({0.25, 0.5});
  QTest::keyClick(heatmap().canvas(), Qt::Key_Plus);
  QTest::keyClick(heatmap().canvas(), Qt::Key_Home);
  QTest::keyClick(heatmap().canvas(), Qt::Key_Right, Qt::AltModifier);
  view<WaterlineView>().setArrangement(WaterlineView::Arrangement::sorted);
  Q_EMIT view<WaterlineView>().viewStateChanged();
  const QJsonObject ofA = heatmap().viewState();
  const std::vector<int> order = heatmap().canvas()->arrangement().headAt;
  ASSERT_EQ(heatmap().order(), HeatmapOrder::custom);
  EXPECT_EQ(view<NavigatorView>().strip()->scale().map(), ColourMap::cividis) << "all layers in the same colours";

  open("b");
  EXPECT_TRUE(heatmap().viewState().isEmpty()) << "nothing was set up in this one";
  EXPECT_EQ(view<WaterlineView>().arrangement(), WaterlineView::Arrangement::layer);
  EXPECT_EQ(view<NavigatorView>().strip()->scale().map(), ColourMap::viridis);
  end();

  start();
  open("a");
  EXPECT_EQ(heatmap().viewState(), ofA);
  EXPECT_EQ(heatmap().canvas()->arrangement().headAt, order);
  EXPECT_EQ(heatmap().range(), (Range{0.25, 0.5}));
  EXPECT_EQ(view<WaterlineView>().arrangement(), WaterlineView::Arrangement::sorted);
  EXPECT_TRUE(window->facts().at("problems").empty());
}

TEST_F(ProjectWindow, APanelClosedInOneProjectIsThereInTheOther) {
  start();
  open("a");
  auto* history = window->findChild<QDockWidget*>(QStringLiteral("history"));
  history->close();
  open("b");
  EXPECT_FALSE(window->findChild<QDockWidget*>(QStringLiteral("history"))->isHidden());
  open("a");
  EXPECT_TRUE(window->findChild<QDockWidget*>(QStringLiteral("history"))->isHidden());
}

TEST_F(ProjectWindow, ACorruptSessionFallsBackAndSaysSo) {
  start();
  open("a");
  end();
  for (const auto& [text, told] : std::vector<std::pair<const char*, const char*>>{
           {R"({"view.heads": {"order": "by name", "colours": "cividis"}, "layout": "edit"})", "view.heads"},
           {R"({"view.heads": 7})", "view.heads"},
           {R"({"arrangement.edit": "bm8gbGF5b3V0", "layout": "edit"})", "arrangement.edit"},
           {R"({"layout": [1, 2]})", "layout"},
           {R"({"layout")", ""}}) {
    std::filesystem::create_directories(sessionFile(file("a")).parent_path());
    test::writeText(sessionFile(file("a")), text);
    start();
    open("a");
    EXPECT_EQ(heatmap().order(), HeatmapOrder::group) << text;
    EXPECT_EQ(window->facts().at("layout"), "edit") << text;
    EXPECT_TRUE(window->findChild<QDockWidget*>(QStringLiteral("heads"))->isVisible()) << text;
    const auto problems = window->facts().at("problems");
    ASSERT_EQ(problems.size(), 1U) << text << problems.dump();
    EXPECT_NE(problems[0].at("sentence").get<std::string>().find(told), std::string::npos) << problems.dump();
    end();
  }
}

TEST_F(ProjectWindow, OneRangeForAllLayersIsSharedAndComesBack) {
  start();
  open("a");
  NavigatorStrip& layers = *view<NavigatorView>().strip();
  Q_EMIT heatmap().rangeBar()->sharedChosen(true);
  EXPECT_EQ(heatmap().range(), layers.scale().range());
  EXPECT_EQ(heatmap().range(), view<NavigatorView>().fittedRange());
  Q_EMIT heatmap().rangeBar()->rangeEdited({0.1, 0.4});
  EXPECT_EQ(layers.scale().range(), (Range{0.1, 0.4}));
  end();
  start();
  open("a");
  EXPECT_TRUE(heatmap().isRangeShared());
  EXPECT_EQ(heatmap().range(), (Range{0.1, 0.4}));
  EXPECT_EQ(view<NavigatorView>().strip()->scale().range(), (Range{0.1, 0.4}));
  Q_EMIT heatmap().rangeBar()->sharedChosen(false);
  EXPECT_EQ(view<NavigatorView>().strip()->scale().range(), view<NavigatorView>().fittedRange());
  EXPECT_EQ(heatmap().range(), (Range{0.1, 0.4}));
}

TEST_F(ProjectWindow, ABlockOfHeadsBecomesAGroupOrShowsItsSpectra) {
  start();
  open("a");
  heatmap().setOrder(HeatmapOrder::index);
  HeatmapCanvas* canvas = heatmap().canvas();
  const auto middle = [&](int row, int column) { return canvas->cellRect({row, column}).center().toPoint(); };
  // What is under the pointer is said in the status line.
  QTest::mouseMove(canvas, middle(1, 2));
  const std::string said = window->facts().at("message");
  EXPECT_TRUE(said.starts_with("Layer 0 · K1 and K2 · ")) << said;
  QTest::mousePress(canvas, Qt::LeftButton, {}, middle(0, 1));
  QTest::mouseMove(canvas, middle(0, 2));
  QTest::mouseRelease(canvas, Qt::LeftButton, {}, middle(0, 2));
  ASSERT_EQ(heatmap().selection(), (std::vector<int>{0, 1, 2}));
  auto* spectra = window->findChild<QDockWidget*>(QStringLiteral("spectra"));
  ASSERT_FALSE(spectra->isVisible());
  heatmap().facts()->spectraLink()->click();
  EXPECT_TRUE(spectra->isVisible());
  heatmap().facts()->groupLink()->click();
  const std::vector<Slot> together = {{0, Side::key, 0}, {0, Side::key, 1}, {0, Side::key, 2}};
  EXPECT_TRUE(std::ranges::any_of(window->document().plan().groups,
                                  [&](const Group& group) { return group.slots == together; }));
  EXPECT_EQ(window->document().undoStack().count(), 1);
}

}  // namespace
}  // namespace kvista
