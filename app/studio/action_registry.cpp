// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/action_registry.h"

#include <algorithm>
#include <map>
#include <string>

namespace kvista {
namespace {

using Shortcuts = std::map<std::string, std::string>;
const Key<Shortcuts> kShortcuts{"shortcuts", {}};

/// Keys that type or move something in a field are not taken from it.
bool canBeShortcut(const QKeySequence& shortcut) {
  if (shortcut.isEmpty() || shortcut[0].key() == Qt::Key_unknown) return false;
  const int key = shortcut[0].key();
  const bool isFunction = key >= Qt::Key_F1 && key <= Qt::Key_F35;
  return isFunction || (shortcut[0].keyboardModifiers() & (Qt::ControlModifier | Qt::AltModifier | Qt::MetaModifier));
}

}  // namespace

QString plainText(const QAction& action) {
  QString text = action.text();
  text.replace(QStringLiteral("&&"), QStringLiteral("\1"))
      .remove(QLatin1Char('&'))
      .replace(QLatin1Char('\1'), QLatin1Char('&'));
  return text;
}

ActionRegistry::ActionRegistry(Store& settings, QObject* parent) : QObject(parent), settings_(settings) {}

QAction* ActionRegistry::add(ActionSpecification specification, QObject* context, std::function<void()> run) {
  auto* action = new QAction(this);
  connect(action, &QAction::triggered, context, std::move(run));
  return add(std::move(specification), action);
}

QAction* ActionRegistry::add(ActionSpecification specification, QAction* action) {
  Q_ASSERT(!find(specification.id));
  action->setObjectName(specification.id);
  action->setText(specification.text);
  if (!specification.tip.isEmpty()) action->setToolTip(specification.tip);
  if (!specification.icon.isNull()) action->setIcon(specification.icon);
  action->setShortcut(specification.shortcut);
  const Shortcuts chosen = settings_.get(kShortcuts);
  if (const auto own = chosen.find(specification.id.toStdString()); own != chosen.end()) {
    const QKeySequence shortcut(QString::fromStdString(own->second), QKeySequence::PortableText);
    // What is no key, or is taken by now (a later version may want it), falls back.
    if (!holder(shortcut, nullptr) && (own->second.empty() || canBeShortcut(shortcut))) action->setShortcut(shortcut);
  }
  entries_.push_back({std::move(specification), action});
  yieldTo(entries_.back());
  if (entries_.back().specification.enabled) action->setEnabled(entries_.back().specification.enabled());
  return action;
}

/// Where a chosen shortcut is another action's own by now, the chosen one falls back.
void ActionRegistry::yieldTo(const Entry& entry) {
  const Entry* other = holder(entry.action->shortcut(), entry.action);
  if (!other || other->action->shortcut() == other->specification.shortcut) return;
  other->action->setShortcut(other->specification.shortcut);
  yieldTo(*other);
}

const ActionRegistry::Entry* ActionRegistry::holder(const QKeySequence& shortcut, const QAction* except) const {
  const auto found = std::ranges::find_if(entries_, [&](const Entry& each) {
    return !shortcut.isEmpty() && each.action != except && each.action->shortcut() == shortcut;
  });
  return found == entries_.end() ? nullptr : &*found;
}

const ActionRegistry::Entry* ActionRegistry::find(const QString& id) const {
  const auto found = std::ranges::find(entries_, id, [](const Entry& each) { return each.specification.id; });
  return found == entries_.end() ? nullptr : &*found;
}

QAction* ActionRegistry::action(const QString& id) const {
  const Entry* entry = find(id);
  return entry ? entry->action : nullptr;
}

QList<QAction*> ActionRegistry::actions() const {
  QList<QAction*> actions;
  for (const Entry& entry : entries_) actions += entry.action;
  return actions;
}

void ActionRegistry::refresh() {
  for (const Entry& entry : entries_)
    if (entry.specification.enabled) entry.action->setEnabled(entry.specification.enabled());
}

Result<void> ActionRegistry::setShortcut(const QString& id, const QKeySequence& shortcut) {
  const Entry* entry = find(id);
  if (!entry) return fail(ErrorCode::invalidArgument, tr("There is no action '%1'.").arg(id).toStdString());
  const QString keys = shortcut.toString(QKeySequence::NativeText);
  if (!shortcut.isEmpty() && !canBeShortcut(shortcut))
    return fail(ErrorCode::invalidArgument, tr("%1 alone is for typing and moving.").arg(keys).toStdString(),
                tr("Hold Ctrl or Alt with it, or take a function key.").toStdString());
  if (const Entry* other = holder(shortcut, entry->action))
    return fail(ErrorCode::invalidArgument,
                tr("%1 is the shortcut of '%2' already.").arg(keys, plainText(*other->action)).toStdString(),
                tr("Choose another, or change that one first.").toStdString());
  entry->action->setShortcut(shortcut);
  Shortcuts chosen = settings_.get(kShortcuts);
  if (shortcut == entry->specification.shortcut)
    chosen.erase(id.toStdString());
  else
    chosen[id.toStdString()] = shortcut.toString(QKeySequence::PortableText).toStdString();
  settings_.set(kShortcuts, chosen);
  return {};
}

Result<void> ActionRegistry::resetShortcut(const QString& id) {
  const Entry* entry = find(id);
  return setShortcut(id, entry ? entry->specification.shortcut : QKeySequence());
}

void ActionRegistry::resetShortcuts() {
  for (const Entry& entry : entries_) entry.action->setShortcut(entry.specification.shortcut);
  settings_.set(kShortcuts, {});
}

QStringList ActionRegistry::duplicateShortcuts() const {
  QStringList duplicates;
  for (std::size_t i = 0; i < entries_.size(); ++i)
    for (std::size_t k = i + 1; k < entries_.size(); ++k) {
      const QKeySequence shortcut = entries_[i].action->shortcut();
      if (!shortcut.isEmpty() && shortcut == entries_[k].action->shortcut())
        duplicates += QStringLiteral("%1 / %2: %3")
                          .arg(plainText(*entries_[i].action), plainText(*entries_[k].action),
                               shortcut.toString(QKeySequence::PortableText));
    }
  return duplicates;
}

}  // namespace kvista
