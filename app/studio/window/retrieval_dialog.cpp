// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/retrieval_dialog.h"

#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QJsonArray>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QRegularExpression>
#include <QSpinBox>
#include <algorithm>

#include "app/studio/window/file_list.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/tab_order.h"
#include "app/studio/window/window_size.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kLongest = 1 << 20, kMostTrials = 1000, kMostSeed = 1'000'000'000;
constexpr std::size_t kMostCells = 1024;

/// Whole numbers apart by blanks, as the person's locale or a program writes them, rising, each once; absent: something
/// is not one.
std::optional<std::vector<int>> numbersIn(const QString& text) {
  static const QRegularExpression kBetween(QStringLiteral("[,;]?\\s+|;"));
  std::vector<int> numbers;
  for (const QString& part : text.split(kBetween, Qt::SkipEmptyParts)) {
    bool isOne = false;
    int number = QLocale().toInt(part, &isOne);
    if (!isOne) number = QLocale::c().toInt(part, &isOne);
    if (!isOne) return std::nullopt;
    numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

QString textOf(const std::vector<int>& numbers) {
  QStringList parts;
  for (const int number : numbers) parts << QString::number(number);
  return parts.join(QLatin1Char(' '));
}

}  // namespace

RetrievalDialog::RetrievalDialog(const ModelRecord& model, QWidget* parent)
    : QDialog(parent),
      positions_(model.maximumPositions),
      kind_(new QComboBox(this)),
      texts_(new FileList(this)),
      lengths_(new QLineEdit(this)),
      depths_(new QLineEdit(textOf(RetrievalWish{}.depths), this)),
      policy_(new PolicyChoice(this)),
      forecast_(softLabel({}, this)) {
  setObjectName(QStringLiteral("retrievalDialog"));
  setWindowTitle(tr("Test retrieval"));
  addKinds();
  lengths_->setObjectName(QStringLiteral("lengths"));
  lengths_->setPlaceholderText(tr("up to a usual window, and the halves"));
  lengths_->setToolTip(tr("Tokens of text, sentences and question together, apart by blanks: 128 256 512"));
  depths_->setObjectName(QStringLiteral("depths"));
  depths_->setPlaceholderText(tr("0 25 50 75 100"));
  depths_->setToolTip(tr("Percent of the text before the sentence that is asked for, apart by blanks"));
  policy_->setObjectName(QStringLiteral("retrievalPolicy"));
  forecast_->setWordWrap(true);
  auto* about = softLabel(tr("Sentences are planted in a text and asked for at its end, of the original and of the "
                             "plan, or of what a policy makes of it."),
                          this);
  about->setWordWrap(true);
  auto* form = new QFormLayout(this);
  form->setContentsMargins(20, 20, 20, 16);
  form->setVerticalSpacing(8);
  form->addRow(about);
  planted_ = makeNumber("planted", tr("Sentences"), 0, static_cast<int>(kMostPlanted), 0);
  planted_->setToolTip(tr("Sentences that are planted: keys, or variables of the chain"));
  trials_ = makeNumber("trials", tr("Trials at each length and depth"), 1, kMostTrials, RetrievalWish{}.trials);
  seed_ = makeNumber("seed", tr("Seed"), 0, kMostSeed, RetrievalWish{}.seed);
  seed_->setToolTip(tr("The same seed asks the same"));
  // Two in a row: a small screen has few lines.
  const auto inARow = [](QWidget* first, QWidget* between, QWidget* second) {
    auto* row = new QHBoxLayout;
    row->setSpacing(8);
    row->addWidget(first, 1);
    row->addWidget(between);
    row->addWidget(second);
    return row;
  };
  form->addRow(tr("Planted"), inARow(kind_, new QLabel(tr("sentences"), this), planted_));
  form->addRow(tr("Lengths"), lengths_);
  form->addRow(tr("Depths, %"), depths_);
  form->addRow(tr("Trials of each"), inARow(trials_, new QLabel(tr("seed"), this), seed_));
  form->addRow(tr("Text"), texts_);
  form->addRow(tr("Policy"), policy_);
  form->addRow(QString(), forecast_);
  const auto [buttons, start] = startButtons(*this, tr("Test"));
  start_ = start;
  form->addRow(buttons);
  tabAsSeen(*form);
  for (QLineEdit* line : {lengths_, depths_}) connect(line, &QLineEdit::textChanged, this, &RetrievalDialog::check);
  for (QSpinBox* box : {planted_, trials_}) connect(box, &QSpinBox::valueChanged, this, &RetrievalDialog::check);
  connect(kind_, &QComboBox::currentIndexChanged, this, &RetrievalDialog::check);
  connect(texts_, &FileList::changed, this, &RetrievalDialog::check);
  connect(policy_, &PolicyChoice::problemChanged, this, &RetrievalDialog::check);
  check();  // Before the size is asked for: what it says takes lines.
  resizeToScreen(*this, {560, sizeHint().height()});
}

void RetrievalDialog::addKinds() {
  const auto add = [&](RetrievalKind kind, const QString& name, const QString& what) {
    kind_->addItem(name, static_cast<int>(kind));
    kind_->setItemData(kind_->count() - 1, what, Qt::ToolTipRole);
  };
  add(RetrievalKind::needle, tr("one number"), tr("A sentence with a random number"));
  add(RetrievalKind::multiKey, tr("one of several numbers"),
      tr("Sentences with a key and a number each; the number of one key is asked for (RULER)"));
  add(RetrievalKind::variableTracking, tr("a chain of variables"),
      tr("Assignments from one variable to the next; all that have the value are asked for (RULER)"));
  kind_->setObjectName(QStringLiteral("retrievalKind"));
}

QSpinBox* RetrievalDialog::makeNumber(const char* name, const QString& accessible, int least, int most, int value) {
  auto* box = new QSpinBox(this);
  box->setObjectName(QLatin1String(name));
  box->setAccessibleName(accessible);
  box->setRange(least, most);
  box->setValue(value);
  box->setGroupSeparatorShown(true);
  box->setMinimumWidth(130);
  return box;
}

RetrievalKind RetrievalDialog::kind() const { return static_cast<RetrievalKind>(kind_->currentData().toInt()); }

QString RetrievalDialog::problem() const {
  const auto lengths = numbersIn(lengths_->text()), depths = numbersIn(depths_->text());
  const auto isOutside = [](const std::vector<int>& numbers, qint64 least, qint64 most) {
    return !numbers.empty() && (numbers.front() < least || numbers.back() > most);
  };
  const qint64 longest = positions_ > 0 ? std::min<qint64>(positions_, kLongest) : kLongest;
  if (!lengths || isOutside(*lengths, 1, longest))
    return tr("Lengths are whole numbers from 1 to %L1, apart by blanks.").arg(longest);
  if (!depths || isOutside(*depths, 0, 100)) return tr("Depths are whole numbers from 0 to 100, apart by blanks.");
  if (kind() != RetrievalKind::needle && planted_->value() == 1)
    return tr("Plant at least two sentences of this kind.");
  const std::size_t asked = wish().depths.size();  // The usual ones where none is said.
  if (lengths->size() * asked > kMostCells)
    return tr("%L1 lengths at %L2 depths are more than %L3 pairs.").arg(lengths->size()).arg(asked).arg(kMostCells);
  return policy_->problem();
}

void RetrievalDialog::check() {
  planted_->setSpecialValueText(tr("%1 (usual)").arg(usualPlanted(kind())));
  planted_->setEnabled(kind() != RetrievalKind::needle);
  const QString problem = this->problem();
  start_->setEnabled(problem.isEmpty());
  forecast_->setForegroundRole(problem.isEmpty() ? QPalette::PlaceholderText : QPalette::WindowText);
  if (!problem.isEmpty()) return forecast_->setText(problem);
  const RetrievalWish wanted = wish();
  const auto asked = static_cast<qint64>(wanted.depths.size()) * wanted.trials;
  const QString text = wanted.texts.isEmpty() ? tr("It is planted in the calibration's text.") : QString();
  forecast_->setText(
      (tr("%L1 questions at each length, of both sides.").arg(asked) + QLatin1Char(' ') + text).trimmed());
}

RetrievalWish RetrievalDialog::wish() const {
  RetrievalWish wish;
  wish.texts = texts_->paths();
  wish.kind = kind();
  wish.planted = planted_->isEnabled() ? planted_->value() : 0;
  wish.lengths = numbersIn(lengths_->text()).value_or(std::vector<int>());
  if (const auto depths = numbersIn(depths_->text()); depths && !depths->empty()) wish.depths = *depths;
  wish.trials = trials_->value();
  wish.seed = seed_->value();
  wish.policy = policy_->policy();
  return wish;
}

QJsonObject RetrievalDialog::state() const {
  QJsonObject state{{QStringLiteral("texts"), QJsonArray::fromStringList(texts_->paths())},
                    {kind_->objectName(), QString::fromStdString(nameIn(kRetrievalKinds, kind()))},
                    {policy_->objectName(), policy_->policy()}};
  for (const QLineEdit* line : {lengths_, depths_}) state[line->objectName()] = line->text();
  for (const QSpinBox* box : {planted_, trials_, seed_}) state[box->objectName()] = box->value();
  return state;
}

void RetrievalDialog::setState(const QJsonObject& state) {
  QStringList texts;
  for (const QJsonValue& text : state[QStringLiteral("texts")].toArray())
    if (text.isString()) texts << text.toString();
  if (!texts.isEmpty()) texts_->setPaths(texts);
  const std::string kind = state[kind_->objectName()].toString().toStdString();
  for (const auto& each : kRetrievalKinds)
    if (kind == each.name) kind_->setCurrentIndex(kind_->findData(static_cast<int>(each.value)));
  policy_->setEditText(state[policy_->objectName()].toString(policy_->policy()));
  for (QLineEdit* line : {lengths_, depths_}) line->setText(state[line->objectName()].toString(line->text()));
  for (QSpinBox* box : {planted_, trials_, seed_}) box->setValue(state[box->objectName()].toInt(box->value()));
  check();
}

}  // namespace kvista
