// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "app/studio/background.h"
#include "core/plan/allocate.h"
#include "core/plan/edit.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/edit_script.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"

namespace kvista {
namespace {

using test::bytesOf;
using test::EditScript;
using test::madeUpModel;
using test::madeUpSpectra;
using test::madeUpStatistics;
using test::waitFor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DocumentTest : public ::testing::Test {
 protected:
  DocumentTest() {
    document.startFrom(madeUpModel());
    if (!document.setStatistics(madeUpStatistics())) throw std::runtime_error("statistics");
    QObject::connect(&document, &Document::planChanged, &document, [this] { ++planChanges; });
    QObject::connect(&document, &Document::committed, &document,
                     [this](const QString& text, StepKind) { commits.push_back(text.toStdString()); });
  }
  void giveSpectra() { document.addSpectra(document.plan(), madeUpSpectra(document.plan())); }
  [[nodiscard]] int steps() const { return document.undoStack().count(); }
  /// One byte less in every group than before: any change will do.
  [[nodiscard]] CompressionPlan withWidth(std::uint8_t width) const {
    CompressionPlan plan = document.plan();
    plan.groups.front().widths.assign(plan.groups.front().widths.size(), width);
    return plan;
  }
  [[nodiscard]] CompressionPlan moved() const {
    return moveSlots(document.plan(), document.model().shape, std::vector<Slot>{{1, Side::key, 0}}, 9).value();
  }
  Result<void> save(const std::filesystem::path& file) {
    std::optional<Result<void>> saved;
    document.save(file, [&](Result<void> result) { saved = std::move(result); });
    EXPECT_TRUE(waitFor([&] { return saved.has_value(); }));
    return *saved;
  }
  Result<void> open(const std::filesystem::path& file) {
    std::optional<Result<void>> opened;
    document.open(file, [&](Result<void> result) { opened = std::move(result); });
    EXPECT_TRUE(waitFor([&] { return opened.has_value(); }));
    return *opened;
  }

  Document document;
  int planChanges = 0;
  std::vector<std::string> commits;
};

TEST_F(DocumentTest, AModelBeginsUncompressed) {
  const ModelShape shape = madeUpModel().shape;
  EXPECT_TRUE(validate(document.plan(), shape).empty());
  EXPECT_EQ(document.planned().achievedBytes, shape.cacheBytesPerToken());
  EXPECT_FALSE(document.canUndo());
  EXPECT_THAT(document.staleLayers(), ElementsAre(0, 1, 2));
}

TEST_F(DocumentTest, NumbersFollowInTheSameCall) {
  giveSpectra();
  EXPECT_TRUE(document.staleLayers().empty());
  ASSERT_TRUE(document.planned().predictedLoss);
  EXPECT_DOUBLE_EQ(*document.planned().predictedLoss, 0);
  const std::int64_t bytes = document.planned().achievedBytes;
  std::optional<double> seen;
  QObject::connect(&document, &Document::planChanged, &document, [&] { seen = document.planned().predictedLoss; });
  CompressionPlan plan = withWidth(0);
  ASSERT_TRUE(document.edit(plan));
  EXPECT_EQ(document.planned().achievedBytes, bytes - 16);
  // A dropped group loses half of its eigenvalues.
  double half = 0;
  const auto spectra = madeUpSpectra(plan);
  for (const double value : spectra.front().spectrum.eigenvalues) half += value / 2;
  ASSERT_TRUE(seen);
  EXPECT_NEAR(*seen, half, 1e-12);
  EXPECT_NEAR(document.spectra().losses().front(), half, 1e-12);
  EXPECT_FALSE(document.isPredictionStale());
}

TEST_F(DocumentTest, APredictionOfTheEngineHoldsForThePlanThatItIsOf) {
  giveSpectra();
  PlannedPlan made;
  made.plan = withWidth(4);
  made.plan.metric = Metric::attention;  // Its spectra say nothing of the loss.
  made.predictedLoss = 0.5;
  made.correctedLoss = 0.4;
  ASSERT_TRUE(document.adopt(made, madeUpSpectra(made.plan), "Plan anew"));
  EXPECT_EQ(document.planned().loss(), 0.4);
  EXPECT_FALSE(document.isPredictedByDirections());
  document.keepPlan("engine's");
  const std::string kept = document.planFingerprint();
  ASSERT_TRUE(document.edit(withWidth(2)));
  giveSpectra();
  EXPECT_EQ(document.planned().loss(), std::nullopt);
  document.undo();
  EXPECT_EQ(document.planned().predictedLoss, 0.5);
  document.beginGesture("drag");
  document.updateGesture(withWidth(1));
  EXPECT_EQ(document.planned().loss(), std::nullopt);
  document.cancelGesture();
  EXPECT_EQ(document.planned().loss(), 0.4);

  const test::TemporaryFolder folder;
  ASSERT_TRUE(document.edit(withWidth(2)));
  ASSERT_TRUE(save(folder / "p.kvista"));
  ASSERT_TRUE(open(folder / "p.kvista"));
  ASSERT_TRUE(document.setModel(madeUpModel()));
  ASSERT_TRUE(document.setStatistics(madeUpStatistics()));
  EXPECT_EQ(document.planned().loss(), std::nullopt);
  ASSERT_TRUE(document.bringBack(kept));
  EXPECT_EQ(document.planned().loss(), 0.4);
}

TEST_F(DocumentTest, AnEditTouchesOnlyTheSpectraOfItsGroups) {
  giveSpectra();
  ASSERT_TRUE(document.edit(withWidth(4)));
  const auto before = document.planned().predictedLoss;
  ASSERT_TRUE(document.edit(moved()));
  EXPECT_THAT(document.staleLayers(), ElementsAre(1));
  EXPECT_TRUE(document.isPredictionStale());
  EXPECT_EQ(document.planned().predictedLoss, before);  // The last one stands until the new one is known.
  int unknown = 0;
  for (std::size_t i = 0; i < document.plan().groups.size(); ++i) unknown += document.spectra().isKnown(i) ? 0 : 1;
  EXPECT_EQ(unknown, 1);
  giveSpectra();
  EXPECT_FALSE(document.isPredictionStale());
  const PlanningContext context = document.planningContext();
  EXPECT_NEAR(*document.planned().predictedLoss,
              *assess(document.plan(), madeUpSpectra(document.plan()), context).predictedLoss, 1e-12);
}

TEST_F(DocumentTest, UndoBringsSpectraAndSelectionBack) {
  giveSpectra();
  document.setSelection({1, Side::key, {{1, Side::key, 0}}});
  ASSERT_TRUE(document.edit(moved()));
  giveSpectra();
  document.setSelection({2, Side::value, {}});
  document.undo();
  EXPECT_TRUE(document.staleLayers().empty());
  EXPECT_EQ(document.selection(), (Selection{1, Side::key, {{1, Side::key, 0}}}));
  document.redo();
  EXPECT_TRUE(document.staleLayers().empty());
}

TEST_F(DocumentTest, RefinedFactorsHoldWhileThePlanIsTheirs) {
  const test::TemporaryFolder folder;
  giveSpectra();
  Project project = document.project();
  project.refined =
      RefinedFactors{folder / "p.refined.safetensors", document.planFingerprint(), {"books.txt"}, 300, 0.5, 0.25};
  ASSERT_TRUE(saveProject(folder / "p.kvista", project));
  ASSERT_TRUE(open(folder / "p.kvista"));
  ASSERT_TRUE(document.setModel(madeUpModel()));
  EXPECT_EQ(document.refinedFactors(), project.refined->file);
  ASSERT_TRUE(document.edit(moved()));
  EXPECT_TRUE(document.refinedFactors().empty());
  ASSERT_TRUE(save(folder / "q.kvista"));  // Kept all the same: undo makes them hold again.
  EXPECT_EQ(loadProject(folder / "q.kvista")->refined, project.refined);
  document.undo();
  EXPECT_EQ(document.refinedFactors(), project.refined->file);
}

TEST_F(DocumentTest, NewRefinedFactorsMakeWhatWasMeasuredWithoutThemForgotten) {
  giveSpectra();
  const std::string plan = document.planFingerprint();
  document.addResult({"a.txt", "1", plan, 100, 10, 12, 1});
  document.addResult({"a.txt", "1", "anotherplan", 100, 10, 15, 1});
  document.addErrors(plan, {});
  const RefinedFactors factors{"/tmp/p.refined.safetensors", plan, {"books.txt"}, 300, 0.5, 0.25};
  const int steps = document.undoStack().count();
  document.setRefined(factors);
  EXPECT_EQ(document.refinedFactors(), factors.file);
  EXPECT_TRUE(document.isModified());
  EXPECT_EQ(document.undoStack().count(), steps);
  EXPECT_EQ(document.result(plan), nullptr);
  EXPECT_NE(document.result("anotherplan"), nullptr);
  EXPECT_EQ(document.errors(plan), nullptr);
  document.addResult({"a.txt", "1", plan, 100, 10, 11, 1});
  document.setRefined({});
  EXPECT_TRUE(document.refinedFactors().empty());
  EXPECT_EQ(document.result(plan), nullptr);
}

TEST_F(DocumentTest, SpectraOfAnOlderPlanAreOfUseToo) {
  giveSpectra();
  const CompressionPlan first = moved();
  ASSERT_TRUE(document.edit(first));
  // The next edit comes before the engine has answered; the answer is about groups that are still there.
  ASSERT_TRUE(document.edit(withWidth(8)));
  document.addSpectra(first, madeUpSpectra(first));
  EXPECT_TRUE(document.staleLayers().empty());
}

TEST_F(DocumentTest, SpectraOfAnotherSizeAreNotTaken) {
  auto units = madeUpSpectra(document.plan());
  units.front().spectrum.eigenvalues.pop_back();
  document.addSpectra(document.plan(), std::move(units));
  EXPECT_THAT(document.staleLayers(), ElementsAre(0));
}

TEST_F(DocumentTest, OtherStatisticsMakeAllSpectraStale) {
  giveSpectra();
  StatisticsRecord other = madeUpStatistics();
  other.tokensHash = "cc";
  ASSERT_TRUE(document.setStatistics(other));
  EXPECT_THAT(document.staleLayers(), ElementsAre(0, 1, 2));
  other.modelHash = "dd";
  const auto refused = document.setStatistics(other);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("dd"));
}

TEST_F(DocumentTest, ADragIsOneStep) {
  giveSpectra();
  document.beginGesture("Drag");
  for (const std::uint8_t width : {8, 4, 2, 1}) document.updateGesture(withWidth(width));
  EXPECT_EQ(steps(), 0);
  EXPECT_TRUE(commits.empty());
  EXPECT_EQ(document.plan().groups.front().widths.front(), 1);
  EXPECT_FALSE(document.canUndo());
  document.commitGesture();
  EXPECT_EQ(steps(), 1);
  EXPECT_THAT(commits, ElementsAre("Drag"));
  EXPECT_TRUE(document.canUndo());
  document.undo();
  EXPECT_EQ(document.plan().groups.front().widths.front(), 16);
  document.redo();
  EXPECT_EQ(document.plan().groups.front().widths.front(), 1);
}

TEST_F(DocumentTest, ADragBackLeavesNoStep) {
  const std::string before = bytesOf(document.plan());
  document.beginGesture("Drag");
  document.updateGesture(withWidth(8));
  document.updateGesture(withWidth(16));
  document.commitGesture();
  EXPECT_EQ(steps(), 0);
  document.beginGesture("Drag");
  document.updateGesture(withWidth(8));
  document.cancelGesture();
  EXPECT_EQ(steps(), 0);
  EXPECT_EQ(bytesOf(document.plan()), before);
  EXPECT_TRUE(document.undoStack().isClean());
}

TEST_F(DocumentTest, UndoDuringADragDoesNothing) {
  ASSERT_TRUE(document.edit(withWidth(8)));
  document.beginGesture("Drag");
  document.updateGesture(withWidth(4));
  document.undo();
  EXPECT_EQ(document.plan().groups.front().widths.front(), 4);
  // A history dock that was not disabled: the drag is given up, nothing breaks.
  document.history()->undo();
  EXPECT_FALSE(document.isInGesture());
  EXPECT_EQ(document.plan().groups.front().widths.front(), 16);
  document.commitGesture();
  EXPECT_EQ(document.plan().groups.front().widths.front(), 16);
}

TEST_F(DocumentTest, StepsOfOneHandMerge) {
  ASSERT_TRUE(document.edit(withWidth(8), "Rank", Budget::keep, 7));
  ASSERT_TRUE(document.edit(withWidth(4), "Rank", Budget::keep, 7));
  EXPECT_EQ(steps(), 1);
  ASSERT_TRUE(document.edit(withWidth(2), "Rank", Budget::keep, 8));
  EXPECT_EQ(steps(), 2);
  ASSERT_TRUE(document.edit(withWidth(4), "Rank", Budget::keep, 8));
  EXPECT_EQ(steps(), 1);  // There and back again.
  document.undo();
  EXPECT_EQ(document.plan().groups.front().widths.front(), 16);
}

TEST_F(DocumentTest, EditsHaveNamesAndNothingIsNoEdit) {
  ASSERT_TRUE(document.edit(document.plan()));
  EXPECT_EQ(steps(), 0);
  const CompressionPlan before = document.plan();
  ASSERT_TRUE(document.edit(moved()));
  EXPECT_EQ(document.undoStack().undoText().toStdString(), describeEdit(before, document.plan()));
  EXPECT_FALSE(document.undoStack().undoText().isEmpty());
}

TEST_F(DocumentTest, PlansThatDoNotFitAreRefused) {
  CompressionPlan plan = document.plan();
  plan.groups.pop_back();
  const auto refused = document.edit(plan);
  ASSERT_FALSE(refused);
  EXPECT_FALSE(refused.error().message.empty());
  EXPECT_EQ(steps(), 0);
}

TEST_F(DocumentTest, ATargetIsSharedOutAtOnceOrWhenSpectraCome) {
  EXPECT_EQ(document.setTarget({Target::Kind::share, 1.5}).error().code, ErrorCode::invalidArgument);
  ASSERT_TRUE(document.setTarget({Target::Kind::share, 0.25}));
  EXPECT_TRUE(document.isAllocating());
  giveSpectra();
  EXPECT_FALSE(document.isAllocating());
  EXPECT_EQ(steps(), 1);
  const auto full = madeUpModel().shape.cacheBytesPerToken();
  EXPECT_EQ(document.planned().requestedBytes, full / 4);
  EXPECT_LE(document.planned().achievedBytes, full / 4);
  EXPECT_GT(document.planned().achievedBytes, full / 5);
  const auto loss = document.planned().predictedLoss;
  ASSERT_TRUE(document.setTarget({Target::Kind::share, 0.125}));
  EXPECT_FALSE(document.isAllocating());
  EXPECT_GT(document.planned().predictedLoss, loss);
  document.undo();
  EXPECT_EQ(document.planned().predictedLoss, loss);
  document.undo();
  EXPECT_EQ(document.planned().achievedBytes, full);
}

TEST_F(DocumentTest, LockedGroupsKeepTheirWidths) {
  giveSpectra();
  ASSERT_TRUE(document.edit(setLock(document.plan(), 0, true).value()));
  ASSERT_TRUE(document.setTarget({Target::Kind::share, 0.25}));
  EXPECT_TRUE(document.plan().groups[0].isUncompressed());
  EXPECT_FALSE(document.plan().groups[1].isUncompressed());
  // Every allocator leaves it alone, and says so.
  const auto kept = bytesPerToken(document.plan(), document.plan().groups[0]);
  for (const Allocator& allocator : allocators()) {
    if (allocator.name == "fisher_uniform" || allocator.name == "head-mean") continue;  // For ranks alone.
    CompressionPlan plan = document.plan();
    plan.allocator = std::string(allocator.name);
    ASSERT_TRUE(document.edit(plan, {}, Budget::spendAnew));
    EXPECT_TRUE(document.plan().groups[0].isUncompressed()) << allocator.name;
    EXPECT_EQ(document.planned().note, "1 locked group kept " + std::to_string(kept) + " bytes a token.")
        << allocator.name;
  }
}

TEST_F(DocumentTest, RegroupedHeadsGetTheirShareAsPartOfTheStep) {
  giveSpectra();
  ASSERT_TRUE(document.setTarget({Target::Kind::share, 0.16}));
  ASSERT_TRUE(document.edit(moved(), {}, Budget::spendAnew));
  const std::string waiting = bytesOf(document.plan());
  const int before = steps();
  giveSpectra();
  EXPECT_EQ(steps(), before);
  EXPECT_NE(bytesOf(document.plan()), waiting);
  EXPECT_LE(document.planned().achievedBytes, document.planned().requestedBytes);
  const std::string after = bytesOf(document.plan());
  document.undo();
  document.redo();
  EXPECT_EQ(bytesOf(document.plan()), after);
}

TEST_F(DocumentTest, AShareThatChangesNothingLeavesNoStep) {
  giveSpectra();
  ASSERT_TRUE(document.setTarget({Target::Kind::share, 0.25}));
  ASSERT_TRUE(document.edit(document.plan(), "Share out anew", Budget::spendAnew));
  EXPECT_EQ(steps(), 1);
}

TEST_F(DocumentTest, LargeBudgetsAreSharedOutInTheBackground) {
  document.startFrom(madeUpModel(16, 8, 64));
  ASSERT_TRUE(document.setStatistics(madeUpStatistics()));
  giveSpectra();
  ASSERT_TRUE(document.setTarget({Target::Kind::share, 0.25}));
  EXPECT_TRUE(document.isAllocating());
  // Another target before the first is done: the newest counts, and both are steps.
  ASSERT_TRUE(document.setTarget({Target::Kind::share, 0.125}));
  ASSERT_TRUE(waitFor([&] { return !document.isAllocating(); }));
  const auto full = document.model().shape.cacheBytesPerToken();
  EXPECT_LE(document.planned().achievedBytes, full / 8);
  EXPECT_GT(document.planned().achievedBytes, full / 9);
  EXPECT_EQ(steps(), 2);
  // The first is shared out when one comes back to it.
  document.undo();
  ASSERT_TRUE(waitFor([&] { return !document.isAllocating(); }));
  EXPECT_LE(document.planned().achievedBytes, full / 4);
  EXPECT_GT(document.planned().achievedBytes, full / 5);
}

TEST_F(DocumentTest, TheTableOfTheWaterlineComesWithTheSpectra) {
  EXPECT_EQ(document.waterlineTable(), nullptr);
  giveSpectra();
  ASSERT_TRUE(waitFor([&] { return document.waterlineTable() != nullptr; }));
  const auto table = document.waterlineTable();
  EXPECT_EQ(table->bytesAt(table->highestLevel()), 0);
  // Widths do not change it, groups do.
  ASSERT_TRUE(document.edit(withWidth(8)));
  EXPECT_EQ(document.waterlineTable(), table);
  ASSERT_TRUE(document.edit(moved()));
  EXPECT_EQ(document.waterlineTable(), nullptr);
  giveSpectra();
  ASSERT_TRUE(waitFor([&] { return document.waterlineTable() != nullptr; }));
  // A drag by the table ends as what the allocator gives.
  const double level = document.waterlineTable()->levelForBytes(200);
  document.beginGesture("Drag");
  document.updateGesture(planAt(*document.waterlineTable(), level, document.plan(), document.planningContext()));
  document.commitGesture();
  EXPECT_LE(document.planned().achievedBytes, 200);
  EXPECT_EQ(document.planned().waterline, level);
  document.undo();
  document.redo();
  EXPECT_EQ(document.planned().waterline, level);
}

class UndoProperty : public DocumentTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Spectra, UndoProperty, ::testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Known" : "Unknown"; });

TEST_P(UndoProperty, UndoAllAndRedoAllGiveTheSameBytes) {
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    document.startFrom(madeUpModel());
    ASSERT_TRUE(document.setStatistics(madeUpStatistics()));
    const std::string first = bytesOf(document.plan());
    EditScript script(seed);
    for (int i = 0; i < 60; ++i) {
      script.step(document);
      if (GetParam()) giveSpectra();
      if (GetParam() && i % 7 == 0) static_cast<void>(document.setTarget({Target::Kind::share, 0.05 * (1 + i % 11)}));
      ASSERT_TRUE(validate(document.plan(), document.model().shape).empty());
    }
    std::vector<std::string> history = {bytesOf(document.plan())};
    while (document.canUndo()) {
      document.undo();
      history.push_back(bytesOf(document.plan()));
    }
    EXPECT_EQ(history.back(), first);
    for (auto expected = history.rbegin() + 1; expected != history.rend(); ++expected) {
      document.redo();
      ASSERT_EQ(bytesOf(document.plan()), *expected) << seed;
      EXPECT_EQ(document.staleLayers().empty(), GetParam());
    }
    while (document.canRedo()) document.redo();
  }
}

TEST_F(DocumentTest, TheTitleFollowsTheSavedState) {
  const test::TemporaryFolder folder;
  std::vector<bool> told;
  QObject::connect(&document, &Document::modifiedChanged, &document, [&](bool modified) { told.push_back(modified); });
  ASSERT_TRUE(save(folder / "a.kvista"));
  EXPECT_FALSE(document.isModified());
  ASSERT_TRUE(document.edit(withWidth(8)));
  document.undo();
  document.redo();
  ASSERT_TRUE(save(folder / "a.kvista"));
  document.undo();
  EXPECT_TRUE(document.isModified());
  document.redo();
  EXPECT_FALSE(document.isModified());
  document.addResult({"text", "bb", fingerprint(document.plan()), 100, 20, 21, 1});
  EXPECT_TRUE(document.isModified());
  // The statistics, given before we listened, count as a change of their own.
  EXPECT_THAT(told, ElementsAre(false, true, false, true, false, true, false, true));
}

TEST_F(DocumentTest, AProjectComesBackAsItWasSaved) {
  const test::TemporaryFolder folder;
  giveSpectra();
  ASSERT_TRUE(document.setTarget({Target::Kind::share, 0.25}));
  document.keepPlan("a quarter");
  document.addResult({"text", "bb", fingerprint(document.plan()), 100, 20, 21, 1});
  document.setNotes("Zeilen\nund ✓");
  document.setCost({"h200", 4096, 8});
  document.setViewState({{"zoom", 2}});
  const std::string plan = bytesOf(document.plan());
  const auto loss = document.planned().predictedLoss;
  ASSERT_TRUE(save(folder / "a.kvista"));
  document.close();
  EXPECT_FALSE(document.isOpen());
  ASSERT_TRUE(open(folder / "a.kvista"));
  EXPECT_EQ(document.file(), folder / "a.kvista");
  EXPECT_FALSE(document.isModified());
  EXPECT_EQ(bytesOf(document.plan()), plan);
  EXPECT_EQ(document.planned().predictedLoss, loss);  // Before the engine has said anything.
  EXPECT_EQ(document.notes(), "Zeilen\nund ✓");
  EXPECT_EQ(document.cost(), (CostSettings{"h200", 4096, 8}));
  EXPECT_EQ(document.viewState().at("zoom"), 2);
  ASSERT_EQ(document.tried().size(), 1U);
  EXPECT_EQ(document.tried()[0].name, "a quarter");
  EXPECT_EQ(document.tried()[0].predictedLoss, loss);
  ASSERT_NE(document.result(fingerprint(document.plan())), nullptr);
  EXPECT_EQ(document.result(fingerprint(document.plan()))->perplexityAfter, 21);
  EXPECT_EQ(document.modelPath(), "/models/made-up");
  ASSERT_TRUE(document.setModel(madeUpModel()));
  ASSERT_TRUE(document.setStatistics(madeUpStatistics()));
  EXPECT_FALSE(document.isModified());
  giveSpectra();
  EXPECT_EQ(document.planned().predictedLoss, loss);
}

TEST_F(DocumentTest, AMovedModelIsKnownByItsHash) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(save(folder / "a.kvista"));
  ASSERT_TRUE(open(folder / "a.kvista"));
  ModelRecord other = madeUpModel();
  other.path = "/elsewhere/another";
  other.hash = "ffff";
  const auto refused = document.moveModel(other);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              ::testing::AllOf(HasSubstr("/elsewhere/another"), HasSubstr("ffff"), HasSubstr(madeUpModel().hash)));
  EXPECT_FALSE(document.hasModel());
  other.hash = madeUpModel().hash;
  ASSERT_TRUE(document.moveModel(other));
  EXPECT_EQ(document.modelPath(), "/elsewhere/another");
  EXPECT_TRUE(document.isModified());
}

TEST_F(DocumentTest, AModelThatThePlanDoesNotFitIsRefused) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(save(folder / "a.kvista"));
  ASSERT_TRUE(open(folder / "a.kvista"));
  ModelRecord other = madeUpModel(2);
  const auto refused = document.setModel(other);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("does not fit its model"));
}

TEST_F(DocumentTest, ADamagedProjectLeavesTheOpenOneAlone) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(save(folder / "a.kvista"));
  ASSERT_TRUE(document.edit(withWidth(8)));
  const std::string text = test::readText(folder / "a.kvista");
  test::writeText(folder / "b.kvista", text.substr(0, text.size() / 2));
  const auto opened = open(folder / "b.kvista");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruptFile);
  EXPECT_THAT(opened.error().message, HasSubstr("b.kvista"));
  EXPECT_EQ(document.file(), folder / "a.kvista");
  EXPECT_TRUE(document.canUndo());
}

TEST_F(DocumentTest, AFailedSaveKeepsTheDocumentModified) {
  ASSERT_TRUE(document.edit(withWidth(8)));
  EXPECT_FALSE(save("/nowhere/a.kvista"));
  EXPECT_TRUE(document.isModified());
  EXPECT_TRUE(document.file().empty());
}

TEST_F(DocumentTest, AnEditDuringASaveIsNotTakenForSaved) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(document.edit(withWidth(8)));
  bool saved = false;
  document.save(folder / "a.kvista", [&](const Result<void>& result) { saved = result.has_value(); });
  ASSERT_TRUE(document.edit(withWidth(4)));
  ASSERT_TRUE(waitFor([&] { return saved; }));
  EXPECT_TRUE(document.isModified());
  EXPECT_EQ(loadProject(folder / "a.kvista")->plan.groups.front().widths.front(), 8);
}

TEST_F(DocumentTest, PlansKeptAndSimilaritiesAreFound) {
  document.keepPlan("one");
  document.keepPlan("the same by another name");
  ASSERT_EQ(document.tried().size(), 1U);
  ASSERT_TRUE(document.edit(withWidth(8)));
  document.keepPlan("two");
  EXPECT_EQ(document.tried().size(), 2U);
  document.dropPlan(0);
  EXPECT_EQ(document.tried()[0].name, "two");
  EXPECT_EQ(document.triedFingerprints(), std::vector<std::string>{fingerprint(document.plan())});
  EXPECT_EQ(document.planFingerprint(), fingerprint(document.plan()));
  document.undo();
  EXPECT_EQ(document.planFingerprint(), fingerprint(document.plan()));
  EXPECT_EQ(document.similarity("cka", 1, Side::key), nullptr);
  document.addSimilarity("cka", {1, Side::key, {1, 1, {0.5F}}});
  EXPECT_EQ(document.similarity("cka", 1, Side::key)->at(0, 0), 0.5F);
  EXPECT_EQ(document.similarity("cka", 1, Side::value), nullptr);
}

TEST(PlanHistory, SharesWhatDidNotChange) {
  CompressionPlan plan;
  plan.groups = singleSlots(madeUpModel().shape);
  const PlanSnapshot first(plan, {});
  EXPECT_EQ(first.plan(), plan);
  plan = moveSlots(plan, madeUpModel().shape, std::vector<Slot>{{1, Side::key, 0}}, 9).value();
  const PlanSnapshot second(plan, first);
  EXPECT_EQ(second.plan(), plan);
  EXPECT_FALSE(first == second);
  EXPECT_TRUE(second == PlanSnapshot(plan, {}));
  // Runs that are long, that end within a group and that cover several.
  plan.groups = singleSlots(madeUpModel(4, 4, 64).shape);
  for (std::size_t i = 0; i < plan.groups.size(); ++i)
    for (std::size_t k = 0; k < 64; ++k)
      plan.groups[i].widths[k] = i % 5 == 0 && k > 17 ? 0 : i < 20 ? 8 : static_cast<std::uint8_t>(k % 3);
  EXPECT_EQ(PlanSnapshot(plan, second).plan(), plan);
  EXPECT_EQ(PlanSnapshot().plan(), CompressionPlan());
}

TEST(SpectrumCacheTest, TheLongestUnusedGoesFirst) {
  BudgetUnit unit;
  unit.spectrum.eigenvalues.assign(1000, 1.0);
  SpectrumCache cache(30'000);
  for (const char* key : {"a", "b", "c"}) cache.insert(key, unit);
  ASSERT_NE(cache.find("a"), nullptr);
  cache.insert("d", unit);
  EXPECT_NE(cache.find("a"), nullptr);
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_LE(cache.bytes(), 30'000U);
}

}  // namespace
}  // namespace kvista
