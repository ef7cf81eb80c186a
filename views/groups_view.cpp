// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/groups_view.h"

#include <QActionGroup>
#include <QContextMenuEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QScrollArea>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

#include "core/plan/edit.h"
#include "views/groups_canvas.h"
#include "views/layer_choice.h"
#include "views/segmented_control.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

/// An action that says why it is not to be had.
QAction* addStep(QMenu* menu, const QString& text, const QString& reason) {
  QAction* action = menu->addAction(text);
  action->setEnabled(reason.isEmpty());
  action->setToolTip(reason.isEmpty() ? text : reason);
  return action;
}

}  // namespace

GroupsView::GroupsView(QWidget* parent)
    : View(parent),
      canvas_(new GroupsCanvas),
      empty_(emptyState(
          tr("No groups yet.\nOpen a model: the heads that share a cache are shown as boxes, to be dragged about."),
          this)),
      scroll_(new QScrollArea(this)),
      controls_(new QWidget(this)),
      mode_(new SegmentedControl({{QStringLiteral("joint"), tr("joint")},
                                  {QStringLiteral("manual"), tr("by hand")},
                                  {QStringLiteral("auto"), tr("auto")}},
                                 tr("Grouping"), controls_)),
      more_(new QToolButton(controls_)) {
  setTitle(tr("Groups"));
  scroll_->setWidget(canvas_);
  scroll_->setWidgetResizable(true);
  scroll_->setFrameShape(QFrame::NoFrame);
  scroll_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  scroll_->setFocusPolicy(Qt::NoFocus);
  scroll_->viewport()->setAutoFillBackground(false);
  canvas_->setAutoFillBackground(false);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(scroll_);
  column->addWidget(empty_);
  setKeyboardPart(canvas_);
  mode_->setCurrent({});
  showEmptyState();

  mode_->segment(QStringLiteral("joint"))->setToolTip(tr("Keys and values of the same heads share a group"));
  mode_->segment(QStringLiteral("manual"))->setToolTip(tr("Groups as they were dragged"));
  mode_->segment(QStringLiteral("auto"))
      ->setToolTip(tr("Let a rule make the groups; the menu beside it chooses which"));
  more_->setText(tr("Edit"));
  more_->setAccessibleName(tr("Edit groups"));
  more_->setProperty("quiet", true);
  more_->setPopupMode(QToolButton::InstantPopup);
  auto* row = new QHBoxLayout(controls_);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(4);
  row->addWidget(more_);
  row->addWidget(mode_);
  // The menu depends on the selection: it is made when it opens.
  auto* menu = new QMenu(more_);
  menu->setToolTipsVisible(true);
  more_->setMenu(menu);
  connect(menu, &QMenu::aboutToShow, this, [this, menu] {
    menu->clear();  // Its actions, but not the menus in it.
    qDeleteAll(menu->findChildren<QMenu*>(QString(), Qt::FindDirectChildrenOnly));
    addGroupings(menu);
    addEdits(menu);
  });

  connect(mode_, &SegmentedControl::chosen, this, &GroupsView::chooseMode);
  connect(canvas_, &GroupsCanvas::moveRequested, this, &GroupsView::moveRequested);
  connect(canvas_, &GroupsCanvas::selectionChanged, this, &GroupsView::selectionChanged);
  connect(canvas_, &GroupsCanvas::dragActive, this, &GroupsView::dragActive);
  connect(canvas_, &GroupsCanvas::message, this, &GroupsView::message);
  connect(canvas_, &GroupsCanvas::reveal, this, [this](const QRect& part) {
    scroll_->ensureVisible(part.center().x(), part.center().y(), part.width() / 2, part.height() / 2 + 8);
  });
}

const GroupsRecord& GroupsView::record() const { return canvas_->record(); }

void GroupsView::setRecord(const GroupsRecord& record) {
  canvas_->setRecord(record);
  showEmptyState();
  setTitle(record.groups.empty() ? tr("Groups") : tr("Groups of layer %1").arg(record.layer));
  const auto isKnown = [&](const QString& name) {
    return std::any_of(record.groupings.begin(), record.groupings.end(),
                       [&](const GroupingOption& option) { return option.name == name; });
  };
  if (isKnown(record.grouping)) grouping_ = record.grouping;
  if (!isKnown(grouping_)) grouping_ = record.groupings.empty() ? QString() : record.groupings.front().name;
  showMode();
}

void GroupsView::showEmptyState() {
  const bool empty = record().groups.empty();
  empty_->setVisible(empty);
  scroll_->setVisible(!empty);
  controls_->setEnabled(!empty);
}

void GroupsView::showMode() {
  const QString& now = record().grouping;
  if (record().groups.empty()) return mode_->setCurrent({});
  mode_->setCurrent(now == QLatin1String("manual") || now == QLatin1String("joint") ? now : QStringLiteral("auto"));
}

void GroupsView::setSelection(const std::vector<Slot>& slots) { canvas_->setSelection(slots); }
std::vector<Slot> GroupsView::selection() const { return canvas_->selection(); }
void GroupsView::paintFigure(QPainter& painter, const QRectF& area) { canvas_->paintFigure(painter, area); }
void GroupsView::cancelDrag() { canvas_->cancelDrag(); }

bool GroupsView::isJoint() const {
  return std::any_of(record().groups.begin(), record().groups.end(), [](const GroupRecord& group) {
    return std::any_of(group.slots.begin(), group.slots.end(),
                       [&](const Slot& slot) { return slot.side != group.slots.front().side; });
  });
}

void GroupsView::chooseMode(const QString& mode) {
  showMode();  // The control shows what is, and changes when it has become true.
  if (record().groups.empty()) return;
  if (mode == QLatin1String("joint")) Q_EMIT jointRequested(true);
  if (mode == QLatin1String("auto") && !grouping_.isEmpty()) Q_EMIT autoGroupRequested(grouping_, record().groupSize);
  if (mode == QLatin1String("manual")) {
    canvas_->setFocus();
    Q_EMIT message(tr("Drag heads between groups, or cut and paste them with Ctrl+X and Ctrl+V."));
  }
}

QMenu* GroupsView::makeMenu(QWidget* parent) {
  auto* menu = new QMenu(parent);
  menu->setToolTipsVisible(true);
  addEdits(menu);
  menu->addSeparator();
  addGroupings(menu->addMenu(tr("Group automatically")));
  return menu;
}

void GroupsView::addGroupings(QMenu* menu) {
  auto* rules = new QActionGroup(menu);
  for (const GroupingOption& option : record().groupings) {
    // What stands behind the tabulator is set apart at the right.
    QAction* action = menu->addAction(option.name + QLatin1Char('\t') + option.explanation);
    action->setCheckable(true);
    action->setChecked(option.name == record().grouping);
    action->setActionGroup(rules);
    connect(action, &QAction::triggered, this, [this, name = option.name] {
      grouping_ = name;
      Q_EMIT autoGroupRequested(name, record().groupSize);
    });
  }
  QMenu* sizes = menu->addMenu(tr("Heads a group: %1").arg(record().groupSize));
  auto* choices = new QActionGroup(sizes);
  for (int size = 1; size <= record().shape.kvHeads; size *= 2) {
    QAction* action = sizes->addAction(QString::number(size));
    action->setCheckable(true);
    action->setChecked(size == record().groupSize);
    action->setActionGroup(choices);
    connect(action, &QAction::triggered, this, [this, size] {
      if (!grouping_.isEmpty()) Q_EMIT autoGroupRequested(grouping_, size);
    });
  }
  menu->addSeparator();
}

void GroupsView::addEdits(QMenu* menu) {
  const std::vector<Slot> selected = canvas_->selection();
  const std::vector<int> touched = canvas_->selectedGroups();
  const auto groupAt = [this](int box) -> const GroupRecord& { return record().groups[static_cast<std::size_t>(box)]; };
  const QString none = selected.empty() ? tr("Select heads first.") : QString();

  QAction* cut = addStep(menu, tr("Cut heads"), none);
  cut->setShortcut(QKeySequence::Cut);
  connect(cut, &QAction::triggered, canvas_, &GroupsCanvas::cut);
  QAction* paste = menu->addAction(tr("Paste into this group"));
  paste->setShortcut(QKeySequence::Paste);
  connect(paste, &QAction::triggered, canvas_, &GroupsCanvas::paste);
  // The shortcuts are shown here and handled by the canvas.
  for (QAction* action : {cut, paste}) action->setShortcutContext(Qt::WidgetShortcut);

  QMenu* to = menu->addMenu(tr("Move to group"));
  to->setToolTipsVisible(true);
  to->setEnabled(!selected.empty());
  for (int box = 0; box < static_cast<int>(record().groups.size()); ++box) {
    const bool here = touched == std::vector<int>{box};
    QAction* action =
        addStep(to, groupTitle(record(), static_cast<std::size_t>(box)),
                here ? tr("These heads are already in that group.") : canvas_->reasonAgainst(selected, box));
    connect(action, &QAction::triggered, this, [this, selected, box] { canvas_->move(selected, box); });
  }
  to->addSeparator();
  QAction* fresh = addStep(to, tr("New group"), canvas_->reasonAgainst(selected, kNewGroup));
  connect(fresh, &QAction::triggered, this, [this, selected] { canvas_->move(selected, kNewGroup); });

  QString reason = none;
  if (reason.isEmpty() && touched.size() != 1)
    reason = tr("Select heads of one group only.");
  else if (reason.isEmpty() && selected.size() == groupAt(touched.front()).slots.size())
    reason = tr("Some heads must stay in the group.");
  else if (reason.isEmpty() && groupAt(touched.front()).locked)
    reason = tr("This group is locked. Unlock it first.");
  QAction* split = addStep(menu, tr("Split off selected heads"), reason);
  if (reason.isEmpty())
    connect(split, &QAction::triggered, this,
            [this, selected, index = groupAt(touched.front()).index] { Q_EMIT splitRequested(index, selected); });

  reason = none;
  if (reason.isEmpty() && touched.size() < 2) reason = tr("Select heads of two or more groups.");
  for (const int box : touched)
    if (reason.isEmpty() && box != touched.front())
      reason = canvas_->reasonAgainst(groupAt(box).slots, touched.front());
  QAction* merge = addStep(menu, tr("Merge selected groups"), reason);
  std::vector<int> indices;
  for (const int box : touched) indices.push_back(groupAt(box).index);
  connect(merge, &QAction::triggered, this, [this, indices] { Q_EMIT mergeRequested(indices); });

  menu->addSeparator();
  const bool locked =
      !touched.empty() && std::all_of(touched.begin(), touched.end(), [&](int box) { return groupAt(box).locked; });
  QAction* lock = addStep(menu, locked ? tr("Unlock") : tr("Lock"), none);
  connect(lock, &QAction::triggered, this, [this, indices, locked] {
    for (const int index : indices) Q_EMIT lockToggled(index, !locked);
  });
  const bool joint = isJoint();
  QAction* apart = addStep(menu, joint ? tr("Part keys and values") : tr("Join keys and values"),
                           record().groups.empty() ? tr("There are no groups.") : QString());
  connect(apart, &QAction::triggered, this, [this, joint] { Q_EMIT jointRequested(!joint); });
  QAction* apply = addStep(menu, tr("Apply to other layers…"),
                           record().shape.layers < 2 ? tr("The model has no other layer.") : QString());
  connect(apply, &QAction::triggered, this, &GroupsView::askForLayers);
}

void GroupsView::contextMenuEvent(QContextMenuEvent* event) {
  if (record().groups.empty() || canvas_->isDragging()) return;
  QPoint at = event->globalPos();
  if (event->reason() == QContextMenuEvent::Keyboard) {
    const int group = canvas_->focusedGroup();
    const auto& layout = canvas_->layoutOfGroups();
    at = canvas_->mapToGlobal(
        (group == kNewGroup ? layout.newGroup : layout.boxes[static_cast<std::size_t>(group)].frame).center());
  }
  QMenu* menu = makeMenu(this);
  menu->setAttribute(Qt::WA_DeleteOnClose);
  menu->popup(at);
}

void GroupsView::askForLayers() {
  auto* dialog = new LayerChoice(tr("Apply groups of layer %1").arg(record().layer), record().shape.layers,
                                 record().layer, window());
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this, [this, dialog] { Q_EMIT applyToLayersRequested(dialog->chosen()); });
  dialog->open();
}

}  // namespace kvista
