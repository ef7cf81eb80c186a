// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Refining in the window, with a real engine on the demo model.
#include <QLabel>
#include <filesystem>

#include "app/studio/window/refine_dialog.h"
#include "tests/unit/studio/real_engine.h"
#include "views/refine_view.h"

namespace kvista::test {
namespace {

class RefineWindow : public RealEngine {
 protected:
  RefineView& view() { return *window->findChild<RefineView*>(); }
};

TEST_F(RefineWindow, TrainsThePlansFactorsAndEverythingIsComputedWithThem) {
  startWithEngine();
  calibrateDemo();
  // A plan that loses enough for refining to gain something.
  ASSERT_TRUE(document().setTarget({Target::Kind::share, 0.03}));
  ASSERT_TRUE(waitFor([this] { return isIdle(); }));
  makePlan("coded-joint");
  ASSERT_TRUE(waitFor([this] { return isIdle() && document().plan().method == "coded-joint"; }));
  const int steps = document().undoStack().count();
  const std::string plan = document().planFingerprint();
  EXPECT_TRUE(document().refinedFactors().empty());

  // The dialog says on what it would compute and what it would take.
  action("plan.refine")->trigger();
  QDialog* asked = dialog("refineDialog");
  ASSERT_TRUE(asked);
  EXPECT_TRUE(asked->findChild<QLabel*>("device")->text().startsWith("CPU"))
      << asked->findChild<QLabel*>("device")->text().toStdString();
  auto* memory = asked->findChild<QLabel*>("memory");
  EXPECT_TRUE(waitFor([&] { return memory->text().contains("free on CPU"); })) << memory->text().toStdString();
  asked->reject();
  ASSERT_TRUE(waitFor([this] { return window->findChild<QDialog*>("refineDialog") == nullptr; }));

  answer("plan.refine", "refineDialog", {{"window", 64}, {"windows", 40}, {"length", 6}, {"windowsPerStep", 4}});
  EXPECT_TRUE(view().record().running);
  ASSERT_TRUE(waitFor([this] { return isIdle() && document().refined(); })) << window->facts().dump(1);

  // The curve, whole, and perplexities on text that was and was not refined on.
  const RefineCurve& shown = view().record();
  EXPECT_FALSE(shown.running);
  ASSERT_EQ(shown.steps.size(), 6U);
  EXPECT_TRUE(shown.steps.front().heldOut && shown.steps.back().heldOut);
  EXPECT_LT(document().refined()->divergenceAfter, *shown.steps.front().heldOut);
  ASSERT_EQ(shown.perplexities.size(), 2U);
  for (const RefinePerplexity& each : shown.perplexities)
    EXPECT_LT(each.refined, each.planned) << each.name.toStdString();
  EXPECT_TRUE(shown.perplexities[0].text.endsWith("calibration.txt"));
  EXPECT_TRUE(shown.perplexities[1].text.endsWith("evaluation.txt"));
  EXPECT_TRUE(shown.status.contains("6 steps")) << shown.status.toStdString();

  // It is recorded as a measurement is: no step, but a change; the plan is as it was.
  EXPECT_EQ(document().planFingerprint(), plan);
  EXPECT_EQ(document().undoStack().count(), steps);
  EXPECT_TRUE(document().isModified());
  EXPECT_TRUE(std::filesystem::exists(document().refinedFactors()));
  ASSERT_EQ(document().results().size(), 1U);
  const double refined = document().results().back().perplexityAfter;
  EXPECT_EQ(refined, shown.perplexities[1].refined);

  // Measuring takes them; without them the numbers are the plan's own again.
  const std::map<const char*, int> same = {{"window", 64}, {"windows", 32}};
  answer("plan.measure", "measureDialog", same);
  ASSERT_TRUE(waitFor([this] { return isIdle() && document().results().size() == 2U; })) << window->facts().dump(1);
  EXPECT_NEAR(document().results().back().perplexityAfter, refined, 1e-4 * refined);
  action("plan.dropRefined")->trigger();
  EXPECT_TRUE(document().refinedFactors().empty());
  EXPECT_TRUE(document().results().empty()) << "they were measured with other factors";
  const double planned = view().record().perplexities[1].planned;
  answer("plan.measure", "measureDialog", same);
  ASSERT_TRUE(waitFor([this] { return isIdle() && document().results().size() == 1U; })) << window->facts().dump(1);
  EXPECT_NEAR(document().results().back().perplexityAfter, planned, 1e-4 * planned);
}

TEST_F(RefineWindow, StoppedBeforeAnythingIsBetterItChangesNothingAndSaysSo) {
  startWithEngine();
  calibrateDemo();
  answer("plan.refine", "refineDialog", {{"window", 64}, {"windows", 24}, {"length", 100000}, {"windowsPerStep", 2}});
  ASSERT_TRUE(waitFor([this] { return view().record().steps.size() > 2; })) << window->facts().dump(1);
  auto* stop = view().findChild<QPushButton*>("stopRefining");
  ASSERT_TRUE(stop->isEnabled());
  stop->click();
  ASSERT_TRUE(waitFor([this] { return isIdle(); })) << window->facts().dump(1);
  EXPECT_FALSE(document().refined());
  EXPECT_TRUE(view().record().status.contains("Cancelled before anything was better"))
      << view().record().status.toStdString();
  EXPECT_TRUE(window->facts().at("problems").empty());
}

}  // namespace
}  // namespace kvista::test
