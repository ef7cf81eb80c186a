// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/groups_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QApplication>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QListWidget>
#include <QMenu>
#include <QMimeData>
#include <QScrollArea>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>
#include <random>
#include <set>

#include "core/plan/edit.h"
#include "core/plan/plan_groups.h"
#include "views/groups_canvas.h"
#include "views/layer_choice.h"
#include "views/segmented_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Slot key(int head) { return {3, Side::key, head}; }
Slot value(int head) { return {3, Side::value, head}; }

/// Two heads a group and side, joint; group i of the layer is group 10 + i of the plan.
GroupsRecord recordOf(int heads) {
  GroupsRecord record;
  record.layer = 3;
  record.shape = {"llama", 8, heads, heads, 16, 16, 128, 256, 1000};
  record.grouping = "manual";
  record.groupings = {{"neighbours", "heads next to each other"}, {"swap", "exchanges"}};
  for (int head = 0; head < heads; head += 2) {
    GroupRecord group;
    group.index = 10 + head / 2;
    group.slots = {key(head), key(head + 1), value(head), value(head + 1)};
    group.widths.assign(64, 4);
    group.bytes = 32;
    group.loss = 0.0014;
    record.groups.push_back(group);
  }
  return record;
}

class GroupsWindow : public ::testing::Test {
 protected:
  GroupsWindow() {
    view.setRecord(recordOf(8));
    view.resize(360, 600);
    view.show();
    EXPECT_TRUE(QTest::qWaitForWindowExposed(&view));
    canvas = view.findChild<GroupsCanvas*>();
    canvas->setFocus();
    QObject::connect(&view, &GroupsView::moveRequested,
                     [this](const std::vector<Slot>& slots, int group) { moves.emplace_back(slots, group); });
    QObject::connect(&view, &GroupsView::message, [this](const QString& text) { messages << text; });
    QObject::connect(&view, &GroupsView::dragActive, [this](bool active) { drags.push_back(active); });
    QObject::connect(&view, &GroupsView::selectionChanged,
                     [this](const std::vector<Slot>& slots) { selected = slots; });
  }

  [[nodiscard]] QPoint at(const Slot& slot) const { return canvas->chipRect(slot).center(); }
  [[nodiscard]] QPoint box(int i) const {
    return canvas->layoutOfGroups().boxes[static_cast<std::size_t>(i)].bar.center();
  }
  void click(const Slot& slot, Qt::KeyboardModifiers modifiers = {}) const {
    QTest::mouseClick(canvas, Qt::LeftButton, modifiers, at(slot));
  }
  void press(const QPoint& point) const { QTest::mousePress(canvas, Qt::LeftButton, {}, point); }
  void release(const QPoint& point) const { QTest::mouseRelease(canvas, Qt::LeftButton, {}, point); }
  /// Moves with the button held, as a hand does: QTest::mouseMove holds none.
  void carry(const QPoint& from, const QPoint& to) const {
    for (int step = 1; step <= 4; ++step) {
      const QPoint point = from + (to - from) * step / 4;
      QMouseEvent event(QEvent::MouseMove, point, canvas->mapToGlobal(point), Qt::NoButton, Qt::LeftButton,
                        Qt::NoModifier);
      QApplication::sendEvent(canvas, &event);
    }
  }
  void drag(const QPoint& from, const QPoint& to) const {
    press(from);
    carry(from, to);
    release(to);
  }
  void keys(std::initializer_list<Qt::Key> sequence, Qt::KeyboardModifiers modifiers = {}) const {
    for (const Qt::Key each : sequence) QTest::keyClick(canvas, each, modifiers);
  }
  static QAction* find(const QMenu* menu, const QString& text) {
    for (QAction* action : menu->actions()) {
      if (action->text() == text) return action;
      if (action->menu())
        if (QAction* inside = find(action->menu(), text)) return inside;
    }
    return nullptr;
  }

  GroupsView view;
  GroupsCanvas* canvas = nullptr;
  std::vector<std::pair<std::vector<Slot>, int>> moves;
  QStringList messages;
  std::vector<bool> drags;
  std::vector<Slot> selected;
};

class GroupsKeyboard : public GroupsWindow {};
class GroupsMenu : public GroupsWindow {};
class DragHeads : public GroupsWindow {};

TEST(GroupFacts, SayWhatStandsInPlaceOfDirections) {
  GroupRecord group{.slots = {key(0)}, .widths = {8, 0}, .bytes = 1, .locked = true};
  EXPECT_EQ(groupFacts(group), QStringLiteral("rank 1 · 1 B · locked"));
  group.instead = QStringLiteral("numbers of tokens");
  EXPECT_EQ(groupFacts(group), QStringLiteral("numbers of tokens · 1 B"));
}

TEST_F(GroupsKeyboard, ClicksSelectOneSeveralAndRanges) {
  click(key(2));
  EXPECT_THAT(selected, ElementsAre(key(2)));
  click(value(4), Qt::ControlModifier);
  EXPECT_THAT(selected, ElementsAre(key(2), value(4)));
  click(key(2), Qt::ControlModifier);
  EXPECT_THAT(selected, ElementsAre(value(4)));
  click(key(0));
  click(value(0), Qt::ShiftModifier);
  EXPECT_THAT(selected, ElementsAre(key(0), key(1), value(0)));
  QTest::mouseClick(canvas, Qt::LeftButton, {}, canvas->layoutOfGroups().boxes[1].name.center());
  EXPECT_THAT(selected, ElementsAre(key(2), key(3), value(2), value(3))) << "a header stands for its group";
  QTest::keyClick(canvas, Qt::Key_Escape);
  EXPECT_THAT(selected, IsEmpty());
}

TEST_F(GroupsKeyboard, ARubberBandSelectsWhatItTouches) {
  const QRect first = canvas->chipRect(key(1)), last = canvas->chipRect(value(2));
  press(canvas->layoutOfGroups().boxes[0].bar.center());
  carry(canvas->layoutOfGroups().boxes[0].bar.center(), {first.right() - 2, last.center().y()});
  release({first.right() - 2, last.center().y()});
  EXPECT_THAT(selected, ElementsAre(key(3), value(2), value(3)));
  EXPECT_THAT(moves, IsEmpty());
}

TEST_F(GroupsKeyboard, HeadsAreCutAndPasted) {
  keys({Qt::Key_Right, Qt::Key_Space, Qt::Key_Right, Qt::Key_Space});
  EXPECT_THAT(selected, ElementsAre(key(1), value(0)));
  QTest::keyClick(canvas, Qt::Key_X, Qt::ControlModifier);
  keys({Qt::Key_Down});
  QTest::keyClick(canvas, Qt::Key_V, Qt::ControlModifier);
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_THAT(moves[0].first, ElementsAre(key(1), value(0)));
  EXPECT_EQ(moves[0].second, 11);
  QTest::keyClick(canvas, Qt::Key_V, Qt::ControlModifier);
  EXPECT_EQ(moves.size(), 1u) << "what was pasted is no longer cut";
}

TEST_F(GroupsKeyboard, ANewGroupIsReachedBelowTheLast) {
  keys({Qt::Key_Right, Qt::Key_Space});
  QTest::keyClick(canvas, Qt::Key_X, Qt::ControlModifier);
  keys({Qt::Key_End, Qt::Key_Down});
  QTest::keyClick(canvas, Qt::Key_V, Qt::ControlModifier);
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].second, -1);
  keys({Qt::Key_Up, Qt::Key_Space});
  EXPECT_THAT(canvas->selection(), ::testing::Contains(value(7))) << "and left upwards";
}

TEST_F(GroupsKeyboard, ShiftAndArrowsSelectARange) {
  keys({Qt::Key_Home});
  keys({Qt::Key_Right, Qt::Key_Right}, Qt::ShiftModifier);
  EXPECT_THAT(selected, ElementsAre(key(0), key(1), value(0)));
}

TEST_F(GroupsKeyboard, DeleteDoesNothing) {
  click(key(2));
  keys({Qt::Key_Delete, Qt::Key_Backspace});
  EXPECT_THAT(moves, IsEmpty());
  EXPECT_THAT(canvas->selection(), ElementsAre(key(2)));
}

TEST_F(GroupsKeyboard, HeadsOfAnotherLayerCannotBePasted) {
  click(key(2));
  QTest::keyClick(canvas, Qt::Key_X, Qt::ControlModifier);
  GroupsRecord other = recordOf(8);
  other.layer = 5;
  for (GroupRecord& group : other.groups)
    for (Slot& slot : group.slots) slot.layer = 5;
  view.setRecord(other);
  keys({Qt::Key_Home});
  QTest::keyClick(canvas, Qt::Key_V, Qt::ControlModifier);
  EXPECT_THAT(moves, IsEmpty());
  EXPECT_TRUE(messages.last().contains("K2 is a head of layer 3")) << messages.last().toStdString();
}

TEST_F(GroupsKeyboard, ASelectionFromOutsideIsShownAndNotReported) {
  view.setSelection({key(4), {9, Side::key, 1}});
  EXPECT_THAT(view.selection(), ElementsAre(key(4))) << "heads of other layers are left out";
  EXPECT_THAT(selected, IsEmpty());
}

TEST_F(GroupsKeyboard, FocusIsSaidInWords) {
  keys({Qt::Key_Home, Qt::Key_Space});
  EXPECT_EQ(canvas->accessibleDescription(), "K0, Group 1, selected");
  keys({Qt::Key_Down});
  EXPECT_EQ(canvas->accessibleDescription(), "K2, Group 2, not selected");
}

TEST_F(GroupsMenu, MovesSplitsMergesAndLocks) {
  std::vector<std::pair<int, std::vector<Slot>>> splits;
  std::vector<std::vector<int>> merges;
  QSignalSpy locks(&view, &GroupsView::lockToggled);
  QObject::connect(&view, &GroupsView::splitRequested,
                   [&](int group, const std::vector<Slot>& out) { splits.emplace_back(group, out); });
  QObject::connect(&view, &GroupsView::mergeRequested,
                   [&](const std::vector<int>& groups) { merges.push_back(groups); });
  {
    const std::unique_ptr<QMenu> menu(view.makeMenu(nullptr));
    EXPECT_FALSE(find(menu.get(), "Split off selected heads")->isEnabled());
    EXPECT_EQ(find(menu.get(), "Split off selected heads")->toolTip(), "Select heads first.");
  }
  click(key(2));
  {
    const std::unique_ptr<QMenu> menu(view.makeMenu(nullptr));
    find(menu.get(), "Split off selected heads")->trigger();
    EXPECT_FALSE(find(menu.get(), "Merge selected groups")->isEnabled());
    EXPECT_FALSE(find(menu.get(), "Group 2")->isEnabled()) << "it is there already";
    find(menu.get(), "Group 4")->trigger();
    find(menu.get(), "New group")->trigger();
    find(menu.get(), "Lock")->trigger();
  }
  ASSERT_EQ(splits.size(), 1u);
  EXPECT_EQ(splits[0].first, 11);
  EXPECT_THAT(splits[0].second, ElementsAre(key(2)));
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].second, 13);
  EXPECT_EQ(moves[1].second, -1);
  ASSERT_EQ(locks.size(), 1);
  EXPECT_EQ(locks[0][0].toInt(), 11);
  EXPECT_TRUE(locks[0][1].toBool());
  click(key(6), Qt::ControlModifier);
  const std::unique_ptr<QMenu> menu(view.makeMenu(nullptr));
  find(menu.get(), "Merge selected groups")->trigger();
  EXPECT_THAT(merges, ElementsAre(ElementsAre(11, 13)));
}

TEST_F(GroupsMenu, GroupsByARuleOfASize) {
  QSignalSpy automatic(&view, &GroupsView::autoGroupRequested), joint(&view, &GroupsView::jointRequested);
  auto* mode = view.controls()->findChild<SegmentedControl*>();
  EXPECT_EQ(mode->current(), "manual");
  QTest::mouseClick(mode->segment("auto"), Qt::LeftButton);
  EXPECT_EQ(mode->current(), "manual") << "until the plan has become so";
  const std::unique_ptr<QMenu> menu(view.makeMenu(nullptr));
  find(menu.get(), "swap\texchanges")->trigger();
  find(menu.get(), "8")->trigger();
  find(menu.get(), "Part keys and values")->trigger();
  QTest::mouseClick(mode->segment("joint"), Qt::LeftButton);
  ASSERT_EQ(automatic.size(), 3);
  EXPECT_EQ(automatic[0], (QList<QVariant>{"neighbours", 4}));
  EXPECT_EQ(automatic[1], (QList<QVariant>{"swap", 4}));
  EXPECT_EQ(automatic[2], (QList<QVariant>{"swap", 8}));
  ASSERT_EQ(joint.size(), 2);
  EXPECT_FALSE(joint[0][0].toBool());
  EXPECT_TRUE(joint[1][0].toBool());
}

TEST_F(GroupsMenu, AsksForOtherLayers) {
  std::vector<int> layers;
  QObject::connect(&view, &GroupsView::applyToLayersRequested,
                   [&](const std::vector<int>& chosen) { layers = chosen; });
  const std::unique_ptr<QMenu> menu(view.makeMenu(nullptr));
  find(menu.get(), "Apply to other layers…")->trigger();
  auto* dialog = view.findChild<LayerChoice*>();
  ASSERT_NE(dialog, nullptr);
  dialog->findChild<QListWidget*>()->item(0)->setCheckState(Qt::Unchecked);
  dialog->accept();
  EXPECT_THAT(layers, ElementsAre(1, 2, 4, 5, 6, 7));
}

/// The view's reasons are the plan's: what it lets through can be done, what it refuses cannot.
TEST_F(GroupsMenu, RefusesWhatThePlanRefusesAndNothingElse) {
  std::mt19937 random(3);
  int allowed = 0, refused = 0;
  for (int round = 0; round < 400; ++round) {
    const ModelShape shape = {"llama", 2, 4, 4, 8, 8, 32, 256, 1000};
    CompressionPlan plan;
    plan.method = "coded";
    plan.keyPosition = round % 4 == 0 ? KeyPosition::afterRope : KeyPosition::beforeRope;
    const bool joint = round % 2 == 1;
    for (int layer = 0; layer < 2; ++layer)
      for (Group& group : joint ? joinKeysAndValues(shape, layer, {{0, 3}, {1}, {2}})
                                : groupsOf(shape, layer, {{0}, {1}, {2}, {3}}, {{0, 3}, {1}, {2}}))
        plan.groups.push_back(std::move(group));
    ASSERT_THAT(validate(plan, shape), IsEmpty());
    for (Group& group : plan.groups) group.locked = random() % 5 == 0;
    GroupsRecord record;
    record.layer = 1;
    record.shape = shape;
    record.keyPosition = plan.keyPosition;
    for (std::size_t i = 0; i < plan.groups.size(); ++i)
      if (plan.groups[i].slots.front().layer == 1)
        record.groups.push_back(
            {static_cast<int>(i), plan.groups[i].slots, plan.groups[i].widths, 0, {}, plan.groups[i].locked, false});
    for (std::size_t i = 0; i < record.groups.size(); ++i)
      ASSERT_EQ(groupTitle(record, i).toLower(),
                QString::fromStdString(groupName(plan, record.groups[i].index)).toLower());
    view.setRecord(record);
    std::set<Slot> chosen;
    const int layer = random() % 8 == 0 ? 0 : 1;
    for (unsigned i = 0; i <= random() % 3; ++i)
      chosen.insert({layer, random() % 2 == 0 ? Side::key : Side::value, static_cast<int>(random() % 4)});
    const std::vector<Slot> slots(chosen.begin(), chosen.end());
    const int box = static_cast<int>(random() % (record.groups.size() + 1)) - 1;
    const int group = box < 0 ? kNewGroup : record.groups[static_cast<std::size_t>(box)].index;
    moves.clear();
    canvas->move(slots, box);
    const auto after = moveSlots(plan, shape, slots, group);
    const bool nothingToDo = !after && QString::fromStdString(after.error().message).contains("already");
    EXPECT_EQ(moves.size(), after && layer == record.layer ? 1u : 0u)
        << round << ": " << (after ? "allowed" : after.error().message) << " / "
        << canvas->reasonAgainst(slots, box).toStdString();
    if (!nothingToDo) ++(after ? allowed : refused);
  }
  EXPECT_GT(allowed, 50);
  EXPECT_GT(refused, 50);
}

TEST_F(DragHeads, OneHeadGoesIntoAnotherGroup) {
  drag(at(key(2)), box(3));
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_THAT(moves[0].first, ElementsAre(key(2)));
  EXPECT_EQ(moves[0].second, 13);
  EXPECT_THAT(drags, ElementsAre(true, false));
}

TEST_F(DragHeads, ManyHeadsGoToANewGroup) {
  click(key(2));
  click(value(4), Qt::ControlModifier);
  drag(at(key(2)), canvas->layoutOfGroups().newGroup.center());
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_THAT(moves[0].first, ElementsAre(key(2), value(4)));
  EXPECT_EQ(moves[0].second, -1);
}

TEST_F(DragHeads, ALineShowsWhereItWillLand) {
  press(at(key(0)));
  carry(at(key(0)), box(2));
  const QImage picture = canvas->grab().toImage();
  const QRect line = landingLine(canvas->layoutOfGroups().boxes[2], 0);
  EXPECT_EQ(picture.pixelColor(line.center()).rgb(), colours().accent.rgb());
  release(box(2));
}

TEST_F(DragHeads, EscapeAndTheOwnGroupChangeNothing) {
  press(at(key(2)));
  carry(at(key(2)), box(3));
  QTest::keyClick(canvas, Qt::Key_Escape);
  release(box(3));
  EXPECT_THAT(drags, ElementsAre(true, false));
  drag(at(key(2)), box(1));
  drag(at(key(2)), {2, 2});
  EXPECT_THAT(moves, IsEmpty());
  EXPECT_FALSE(canvas->isDragging());
}

TEST_F(DragHeads, ALockedGroupSaysWhy) {
  GroupsRecord record = recordOf(8);
  record.groups[3].locked = true;
  view.setRecord(record);
  drag(at(key(2)), box(3));
  drag(at(key(6)), box(0));
  EXPECT_THAT(moves, IsEmpty());
  EXPECT_TRUE(messages.contains("This group is locked. Unlock it first.")) << messages.join('|').toStdString();
  EXPECT_TRUE(messages.contains("Group 4 is locked. Unlock it first."));
}

TEST_F(DragHeads, KeysAfterRopeSayWhy) {
  GroupsRecord record = recordOf(8);
  record.keyPosition = KeyPosition::afterRope;
  record.groups.clear();
  for (const Slot& slot : {key(0), key(1), value(0), value(1)})
    record.groups.push_back({static_cast<int>(record.groups.size()), {slot}, {8}, 1, {}, false, false});
  view.setRecord(record);
  drag(at(key(0)), box(1));
  EXPECT_THAT(moves, IsEmpty());
  EXPECT_TRUE(messages.last().contains("after RoPE"));
  drag(at(value(0)), box(3));
  EXPECT_EQ(moves.size(), 1u) << "values may share a group";
}

TEST_F(DragHeads, ForeignDropsDoNothing) {
  QMimeData foreign;
  foreign.setText("K3");
  for (QWidget* target : {static_cast<QWidget*>(canvas), static_cast<QWidget*>(&view)}) {
    QDragEnterEvent enter({20, 20}, Qt::MoveAction, &foreign, Qt::LeftButton, {});
    enter.ignore();
    QApplication::sendEvent(target, &enter);
    QDropEvent drop({20, 20}, Qt::MoveAction, &foreign, Qt::LeftButton, {});
    drop.ignore();
    QApplication::sendEvent(target, &drop);
    EXPECT_FALSE(enter.isAccepted() || drop.isAccepted());
  }
  EXPECT_THAT(moves, IsEmpty());
  EXPECT_EQ(canvas->record(), recordOf(8));
}

TEST_F(DragHeads, ANewRecordMidwayKeepsTheDragWhereItsHeadsAreStillThere) {
  press(at(key(2)));
  carry(at(key(2)), box(3));
  GroupsRecord numbers = recordOf(8);
  numbers.groups[0].bytes = 12;
  view.setRecord(numbers);
  EXPECT_TRUE(canvas->isDragging());
  view.setRecord(GroupsRecord{});
  EXPECT_FALSE(canvas->isDragging());
  EXPECT_THAT(drags, ElementsAre(true, false));
}

TEST_F(DragHeads, SixtyFourHeadsASideWrapAndScroll) {
  view.setRecord(recordOf(64));
  QApplication::processEvents();
  const auto& boxes = canvas->layoutOfGroups().boxes;
  for (const auto& box : boxes)
    for (const QRect& chip : box.chips) EXPECT_TRUE(box.frame.contains(chip));
  EXPECT_GT(canvas->height(), view.height());
  keys({Qt::Key_End});
  EXPECT_FALSE(canvas->visibleRegion().intersected(canvas->chipRect(value(63))).isEmpty())
      << "the keyboard brings into sight what it goes to";
  view.resize(120, 300);
  QApplication::processEvents();
  for (const auto& box : canvas->layoutOfGroups().boxes)
    for (const QRect& chip : box.chips) EXPECT_TRUE(box.frame.contains(chip));
}

}  // namespace
}  // namespace kvista
