// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/shortcuts_dialog.h"

#include <QDialogButtonBox>
#include <QHeaderView>
#include <QKeyEvent>
#include <QKeySequenceEdit>
#include <QLabel>
#include <QMap>
#include <QPushButton>
#include <QStyledItemDelegate>
#include <QTreeWidget>
#include <QVBoxLayout>

#include "app/studio/action_registry.h"
#include "app/studio/window/window_size.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kText = 0, kKeys = 1;
constexpr int kId = Qt::UserRole, kSequence = Qt::UserRole + 1;

/// Waits for keys and takes the first that come. Escape, Enter and Tab mean what they mean in every field.
class KeysDelegate final : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  QWidget* createEditor(QWidget* parent, const QStyleOptionViewItem&, const QModelIndex& index) const override {
    if (index.column() != kKeys || !index.data(kId).isValid()) return nullptr;
    auto* editor = new QKeySequenceEdit(parent);
    editor->setObjectName(QStringLiteral("shortcutKeys"));
    editor->setAccessibleName(ShortcutsDialog::tr("Press the new keys"));
    auto* self = const_cast<KeysDelegate*>(this);
    QObject::connect(editor, &QKeySequenceEdit::keySequenceChanged, self, [self, editor](const QKeySequence& keys) {
      if (keys.isEmpty()) return;
      // It would say so once more when it closes.
      QObject::disconnect(editor, &QKeySequenceEdit::keySequenceChanged, self, nullptr);
      Q_EMIT self->commitData(editor);
      Q_EMIT self->closeEditor(editor);
    });
    return editor;
  }
  void setEditorData(QWidget*, const QModelIndex&) const override {}
  void setModelData(QWidget* editor, QAbstractItemModel* model, const QModelIndex& index) const override {
    const QKeySequence keys = static_cast<QKeySequenceEdit*>(editor)->keySequence();
    if (!keys.isEmpty()) model->setData(index, QVariant::fromValue(QKeySequence(keys[0])), kSequence);
  }
};

QString askForKeys() { return ShortcutsDialog::tr("Press the new keys. Esc leaves them as they are."); }

}  // namespace

ShortcutsDialog::ShortcutsDialog(ActionRegistry& actions, QWidget* parent)
    : QDialog(parent), actions_(actions), list_(new QTreeWidget(this)), reason_(new QLabel(this)) {
  setObjectName(QStringLiteral("shortcuts"));
  setWindowTitle(tr("Shortcuts"));
  resizeToScreen(*this, {560, 660});
  frameList(*list_);
  list_->setObjectName(QStringLiteral("shortcutList"));
  list_->setAccessibleName(tr("Actions and their shortcuts"));
  list_->setColumnCount(2);
  list_->setHeaderLabels({tr("Action"), tr("Keys")});
  list_->setIndentation(12);
  list_->setRootIsDecorated(false);
  list_->setItemsExpandable(false);
  list_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  list_->setItemDelegate(new KeysDelegate(list_));
  list_->header()->setStretchLastSection(false);
  list_->header()->setSectionResizeMode(kText, QHeaderView::Stretch);
  list_->header()->resizeSection(kKeys, 180);
  reason_->setWordWrap(true);
  reason_->setMinimumHeight(2 * reason_->fontMetrics().lineSpacing());
  reason_->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, this);
  change_ = buttons->addButton(tr("Change (F2)"), QDialogButtonBox::ActionRole);
  remove_ = buttons->addButton(tr("No keys"), QDialogButtonBox::ActionRole);
  reset_ = buttons->addButton(tr("Reset"), QDialogButtonBox::ResetRole);
  QPushButton* resetAllButton = buttons->addButton(tr("Reset all"), QDialogButtonBox::ResetRole);
  for (QAbstractButton* button : buttons->buttons()) static_cast<QPushButton*>(button)->setAutoDefault(false);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(12, 12, 12, 12);
  column->addWidget(list_, 1);
  column->addWidget(reason_);
  column->addWidget(buttons);

  list_->installEventFilter(this);
  connect(list_->itemDelegate(), &QAbstractItemDelegate::closeEditor, this, [this] {
    if (reason_->text() == askForKeys()) reason_->clear();
  });
  connect(list_, &QTreeWidget::itemDoubleClicked, this, &ShortcutsDialog::edit);
  connect(change_, &QPushButton::clicked, this, &ShortcutsDialog::edit);
  connect(remove_, &QPushButton::clicked, this, [this] { set(currentId(), {}); });
  connect(reset_, &QPushButton::clicked, this, &ShortcutsDialog::resetCurrent);
  connect(resetAllButton, &QPushButton::clicked, this, &ShortcutsDialog::resetAll);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  connect(list_, &QTreeWidget::currentItemChanged, this, [this] {
    for (QPushButton* button : {change_, remove_, reset_}) button->setEnabled(!currentId().isEmpty());
  });
  fill();
  connect(list_, &QTreeWidget::itemChanged, this, [this](QTreeWidgetItem* item) {
    const QVariant pressed = item->data(kKeys, kSequence);
    if (!pressed.isValid()) return;
    item->setData(kKeys, kSequence, {});
    set(item->data(kKeys, kId).toString(), pressed.value<QKeySequence>());
  });
}

bool ShortcutsDialog::eventFilter(QObject* watched, QEvent* event) {
  if (watched == list_ && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    if (key == Qt::Key_F2) edit();
    if (key == Qt::Key_Delete || key == Qt::Key_Backspace) set(currentId(), {});
    return key == Qt::Key_F2 || key == Qt::Key_Delete || key == Qt::Key_Backspace;
  }
  return QDialog::eventFilter(watched, event);
}

void ShortcutsDialog::edit() {
  if (currentId().isEmpty()) return;
  reason_->setText(askForKeys());
  list_->editItem(list_->currentItem(), kKeys);
}

void ShortcutsDialog::fill() {
  QMap<QString, QTreeWidgetItem*> categories;
  for (const ActionRegistry::Entry& entry : actions_.entries()) {
    QTreeWidgetItem*& category = categories[entry.specification.category];
    if (!category) {
      category = new QTreeWidgetItem(list_, {entry.specification.category});
      category->setFlags(Qt::ItemIsEnabled);
      category->setFont(kText, textFont(TextRole::title));
      category->setFirstColumnSpanned(true);
    }
    auto* item = new QTreeWidgetItem(category, {plainText(*entry.action)});
    item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsEditable);
    item->setData(kKeys, kId, entry.specification.id);
  }
  list_->expandAll();
  showShortcuts();
  list_->setCurrentItem(list_->topLevelItem(0)->child(0));
}

void ShortcutsDialog::showShortcuts() {
  for (int i = 0; i < list_->topLevelItemCount(); ++i)
    for (int k = 0; k < list_->topLevelItem(i)->childCount(); ++k) {
      QTreeWidgetItem* item = list_->topLevelItem(i)->child(k);
      item->setText(kKeys,
                    actions_.action(item->data(kKeys, kId).toString())->shortcut().toString(QKeySequence::NativeText));
    }
}

QString ShortcutsDialog::currentId() const {
  const QTreeWidgetItem* item = list_->currentItem();
  return item ? item->data(kKeys, kId).toString() : QString();
}

QString ShortcutsDialog::reason() const { return reason_->text(); }

void ShortcutsDialog::set(const QString& id, const QKeySequence& keys) {
  if (id.isEmpty()) return;
  const auto done = actions_.setShortcut(id, keys);
  reason_->setText(done ? QString() : QString::fromStdString(done.error().message + ' ' + done.error().hint));
  showShortcuts();
}

void ShortcutsDialog::resetCurrent() {
  if (currentId().isEmpty()) return;
  const auto done = actions_.resetShortcut(currentId());
  reason_->setText(done ? QString() : QString::fromStdString(done.error().message + ' ' + done.error().hint));
  showShortcuts();
}

void ShortcutsDialog::resetAll() {
  actions_.resetShortcuts();
  reason_->clear();
  showShortcuts();
}

}  // namespace kvista
