// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/experiment_choice.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QJsonArray>
#include <QLineEdit>
#include <QLocale>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QTreeWidget>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kName = 0, kSummary = 1, kIsPolicy = Qt::UserRole;
constexpr int kUsualInterval = 64, kListHeight = 210;

/// Of the methods that papers describe, those of the catalogue name the paper; ours name the manual.
bool isPublished(const Choice& choice) { return !choice.source.empty() && !choice.source.starts_with("help page"); }

/// Policies that choose tokens are asked for with the share that is to stay.
bool choosesTokens(const Choice& policy) { return policy.formula.find("share=") != std::string::npos; }

QString inLine(std::initializer_list<double> values) {
  QStringList words;
  for (const double value : values) words << QLocale().toString(value);
  return words.join(QLatin1Char(' '));
}

QStringList textsIn(const QJsonValue& value) {
  QStringList texts;
  for (const QJsonValue& each : value.toArray()) texts << each.toString();
  return texts;
}

QJsonArray arrayOf(const std::vector<std::string>& names) {
  QJsonArray array;
  for (const std::string& name : names) array.append(QString::fromStdString(name));
  return array;
}

QJsonArray arrayOf(const std::vector<PlanWish>& variants) {
  QJsonArray array;
  for (const PlanWish& variant : variants) array.append(QString::fromStdString(toJson(variant).dump()));
  return array;
}

std::vector<PlanWish> variantsIn(const QJsonValue& value) {
  std::vector<PlanWish> variants;
  for (const QString& text : textsIn(value)) {
    const auto variant = read<PlanWish>(nlohmann::json::parse(text.toStdString(), nullptr, false));
    if (variant) variants.push_back(*variant);
  }
  return variants;
}

}  // namespace

ExperimentChoice::ExperimentChoice(const Catalogue& catalogue, std::int64_t window, QWidget* parent)
    : QWidget(parent),
      catalogue_(catalogue),
      list_(new QTreeWidget(this)),
      lines_(new PolicyList(this)),
      variants_(new VariantList(catalogue_, this)),
      refines_(new QCheckBox(tr("Methods with refined factors, too"), this)),
      kept_(new QLineEdit(inLine({0.5, 0.3}), this)),
      shares_(new QLineEdit(this)),
      interval_(new QSpinBox(this)),
      base_(new QComboBox(this)),
      baseShare_(new QDoubleSpinBox(this)) {
  list_->setObjectName(QStringLiteral("experimentSystems"));
  list_->setAccessibleName(tr("Methods and policies to compare"));
  list_->setColumnCount(2);
  list_->header()->hide();
  list_->header()->setSectionResizeMode(kName, QHeaderView::ResizeToContents);
  list_->setUniformRowHeights(true);
  list_->setFixedHeight(kListHeight);
  frameList(*list_);
  fill();
  lines_->setObjectName(QStringLiteral("morePolicies"));
  lines_->setAccessibleName(tr("More policies, a line each"));
  refines_->setObjectName(QStringLiteral("refines"));
  refines_->setToolTip(tr(
      "Each ticked method that has factors is measured a second time with these trained on the calibration's windows,\n"
      "300 steps as `kvista refine` does them. That takes far longer than a row without."));
  kept_->setObjectName(QStringLiteral("keptFractions"));
  kept_->setPlaceholderText(tr("none"));
  kept_->setToolTip(
      tr("How much of the cache's numbers stays, such as 0.5 0.3: for methods that store 16-bit numbers.\n"
         "Codes and policies go by bytes."));
  shares_->setObjectName(QStringLiteral("shares"));
  shares_->setPlaceholderText(tr("none; for codes and policies, such as %1").arg(inLine({0.25, 0.125})));
  shares_->setToolTip(
      tr("Shares of the 16-bit cache's bytes, everything stored counted, such as 0.25 0.125 or 1/4 1/8:\n"
         "all that is ticked is compared at the same bytes."));
  interval_->setObjectName(QStringLiteral("policyInterval"));
  interval_->setRange(0, 1'000'000);
  interval_->setValue(
      static_cast<int>(std::clamp<std::int64_t>(window > 0 ? window / 4 : kUsualInterval, 1, kUsualInterval)));
  interval_->setSpecialValueText(tr("never"));
  interval_->setSuffix(tr(" tokens"));
  interval_->setToolTip(
      tr("Policies act when half of a window was read, and again each time so many more tokens were.\n"
         "Acting once, they let all that follows stay, and the share at the end is larger."));
  base_->setObjectName(QStringLiteral("policyBase"));
  base_->setToolTip(
      tr("Whose tokens policies choose or hold: those of the model's own cache,\n"
         "or those of a plan by this method, which has a share of the bytes of its own."));
  base_->addItem(tr("the model as it is"));
  for (const MethodChoice& method : catalogue_.methods) {
    if (method.storage == Storage::plainQuantised) continue;  // No latents, and no heads left as they are.
    base_->addItem(QString::fromStdString(method.choice.name));
    base_->setItemData(base_->count() - 1, QString::fromStdString(method.choice.summary), Qt::ToolTipRole);
  }
  baseShare_->setObjectName(QStringLiteral("policyBaseShare"));
  baseShare_->setAccessibleName(tr("Share of the bytes that the plan under policies has"));
  baseShare_->setRange(1, 100);
  baseShare_->setDecimals(1);
  baseShare_->setValue(100 * ChosenExperiment{}.baseShare);
  baseShare_->setPrefix(tr("at "));
  baseShare_->setSuffix(tr(" % of the bytes"));
  baseShare_->setToolTip(tr("Of the plan alone; the policy makes it smaller, to the shares above."));
  auto* form = new QFormLayout(this);
  form->setContentsMargins(0, 0, 0, 0);
  form->setVerticalSpacing(8);
  form->addRow(list_);
  form->addRow(tr("More policies"), lines_);
  form->addRow(tr("Variants of methods"), variants_);
  form->addRow(QString(), refines_);
  form->addRow(tr("Kept fractions"), kept_);
  form->addRow(tr("Shares of the bytes"), shares_);
  form->addRow(tr("Policies act again after"), interval_);
  auto* base = new QHBoxLayout;
  base->setSpacing(8);
  base->addWidget(base_, 1);
  base->addWidget(baseShare_);
  form->addRow(tr("Policies work on"), base);
  connect(list_, &QTreeWidget::itemChanged, this, &ExperimentChoice::check);
  // The space bar ticks what is current, and only names can be ticked.
  connect(list_, &QTreeWidget::currentItemChanged, this, [this](QTreeWidgetItem* item) {
    if (item && list_->currentColumn() != kName) list_->setCurrentItem(item, kName);
  });
  for (QLineEdit* line : {kept_, shares_}) connect(line, &QLineEdit::textChanged, this, &ExperimentChoice::check);
  connect(lines_, &PolicyList::changed, this, &ExperimentChoice::check);
  connect(variants_, &VariantList::changed, this, &ExperimentChoice::check);
  connect(refines_, &QCheckBox::toggled, this, &ExperimentChoice::check);
  connect(base_, &QComboBox::currentIndexChanged, this, &ExperimentChoice::check);
  check();
}

QTreeWidgetItem* ExperimentChoice::section(const QString& title) {
  auto* item = new QTreeWidgetItem(list_, {title});
  item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsUserCheckable | Qt::ItemIsAutoTristate);
  item->setFont(kName, textFont(TextRole::title));
  item->setToolTip(kName, tr("Ticks all of them, or none."));
  item->setFirstColumnSpanned(true);
  return item;
}

void ExperimentChoice::addTo(QTreeWidgetItem* section, const Choice& choice, bool isPolicy, bool isTicked) {
  const QString summary = QString::fromStdString(choice.summary);
  auto* item = new QTreeWidgetItem(section, {QString::fromStdString(choice.name), summary});
  item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsUserCheckable | Qt::ItemNeverHasChildren);
  item->setData(kName, kIsPolicy, isPolicy);
  item->setCheckState(kName, isTicked ? Qt::Checked : Qt::Unchecked);
  item->setForeground(kSummary, list_->palette().placeholderText());
  QString tip =
      choice.source.empty() ? summary : QStringLiteral("%1\n%2").arg(summary, QString::fromStdString(choice.source));
  if (const QString method = QString::fromStdString(choice.planMethod); !method.isEmpty())
    tip +=
        tr("\nWorks on a plan: by %1, or by the method that is chosen below. It has the share that this policy leaves.")
            .arg(method);
  for (const int column : {kName, kSummary}) item->setToolTip(column, tip);
}

void ExperimentChoice::fill() {
  QTreeWidgetItem* ours = section(tr("Methods of KVista"));
  QTreeWidgetItem* published = section(tr("Published methods"));
  QTreeWidgetItem* choosing = section(tr("Policies that choose tokens"));
  QTreeWidgetItem* holding = section(tr("Policies that say how tokens are held"));
  bool hasOurs = false;
  for (const MethodChoice& method : catalogue_.methods) {
    const bool isTheirs = isPublished(method.choice), isTicked = goesByKeptFraction(method) && (isTheirs || !hasOurs);
    hasOurs = hasOurs || (isTicked && !isTheirs);
    addTo(isTheirs ? published : ours, method.choice, false, isTicked);
  }
  for (const Choice& policy : catalogue_.policies)
    addTo(choosesTokens(policy) ? choosing : holding, policy, true, false);
  for (QTreeWidgetItem* each : {ours, published, choosing, holding}) each->setHidden(each->childCount() == 0);
  list_->expandAll();
  list_->setCurrentItem(list_->topLevelItem(0));
}

std::vector<std::string> ExperimentChoice::ticked(bool policies) const {
  std::vector<std::string> names;
  for (QTreeWidgetItemIterator at(list_, QTreeWidgetItemIterator::Checked | QTreeWidgetItemIterator::NoChildren); *at;
       ++at)
    if (const QVariant isPolicy = (*at)->data(kName, kIsPolicy); isPolicy.isValid() && isPolicy.toBool() == policies)
      names.push_back((*at)->text(kName).toStdString());
  return names;
}

void ExperimentChoice::setTicked(const QStringList& methods, const QStringList& policies) {
  for (QTreeWidgetItemIterator at(list_, QTreeWidgetItemIterator::NoChildren); *at; ++at)
    if (const QVariant isPolicy = (*at)->data(kName, kIsPolicy); isPolicy.isValid())
      (*at)->setCheckState(
          kName, (isPolicy.toBool() ? policies : methods).contains((*at)->text(kName)) ? Qt::Checked : Qt::Unchecked);
}

ChosenExperiment ExperimentChoice::chosen() const {
  const auto fractions = [](const QLineEdit* line) {
    return fractionsIn(line->text()).value_or(std::vector<double>{});
  };
  ChosenExperiment chosen{ticked(false), ticked(true), fractions(kept_), fractions(shares_), interval_->value()};
  if (base_->currentIndex() > 0) chosen.base = base_->currentText().toStdString();
  chosen.baseShare = baseShare_->value() / 100;
  for (const QString& line : lines_->lines()) chosen.lines.push_back(line.toStdString());
  chosen.variants = variants_->variants();
  chosen.refines = refines_->isChecked();
  return chosen;
}

QString ExperimentChoice::problem() const {
  for (const QLineEdit* line : {kept_, shares_})
    if (const auto fractions = fractionsIn(line->text()); !fractions)
      return QString::fromStdString(fractions.error().message);
  if (const QString ofLines = lines_->problem(); !ofLines.isEmpty()) return ofLines;
  const ChosenExperiment all = chosen();
  if (all.methods.empty() && all.policies.empty() && all.lines.empty() && all.variants.empty())
    return tr("Tick at least one method or policy.");
  if (const std::string twice = nameThatIsThereTwice(experiment()); !twice.empty())
    return tr("“%1” is asked for twice.").arg(QString::fromStdString(twice));
  if (!all.shares.empty()) return {};
  const bool hasOwnSizes =
      std::ranges::all_of(all.variants, [](const PlanWish& variant) { return variant.eps.has_value(); });
  if (all.methods.empty() && all.policies.empty() && all.lines.empty() && hasOwnSizes) return {};
  std::vector<std::string> byBytes = all.policies;
  byBytes.insert(byBytes.end(), all.lines.begin(), all.lines.end());
  for (const MethodChoice& method : catalogue_.methods)
    if (!goesByKeptFraction(method) && std::ranges::find(all.methods, method.choice.name) != all.methods.end())
      byBytes.push_back(method.choice.name);
  for (const PlanWish& variant : all.variants)
    for (const MethodChoice& method : catalogue_.methods)
      if (method.choice.name == variant.method && !goesByKeptFraction(method) && !variant.eps)
        byBytes.push_back(nameOf(variant, catalogue_));
  if (!byBytes.empty())
    return tr("%1 goes by bytes: type shares of them, such as %2.")
        .arg(QString::fromStdString(byBytes.front()), inLine({0.25, 0.125}));
  return all.keptFractions.empty()
             ? tr("Type kept fractions, such as %1, or shares of the bytes.").arg(inLine({0.5, 0.3}))
             : QString();
}

nlohmann::json ExperimentChoice::experiment() const { return experimentOf(chosen(), catalogue_); }

void ExperimentChoice::check() {
  std::vector<std::string> policies = ticked(true);
  for (const QString& line : lines_->lines()) policies.push_back(line.toStdString());
  interval_->setEnabled(!policies.empty());
  base_->setEnabled(!policies.empty());
  const bool takesShare =
      !std::ranges::all_of(policies, [this](const std::string& policy) { return needsPlan(policy, catalogue_); });
  baseShare_->setEnabled(takesShare && base_->currentIndex() > 0);
  Q_EMIT changed();
}

QJsonObject ExperimentChoice::state() const {
  return {{QStringLiteral("methods"), arrayOf(ticked(false))},
          {QStringLiteral("policies"), arrayOf(ticked(true))},
          {lines_->objectName(), QJsonArray::fromStringList(lines_->lines())},
          {QStringLiteral("variants"), arrayOf(variants_->variants())},
          {refines_->objectName(), refines_->isChecked()},
          {kept_->objectName(), kept_->text()},
          {shares_->objectName(), shares_->text()},
          {interval_->objectName(), interval_->value()},
          {base_->objectName(), base_->currentIndex() > 0 ? base_->currentText() : QString()},
          {baseShare_->objectName(), baseShare_->value()}};
}

void ExperimentChoice::setState(const QJsonObject& state) {
  {
    const QSignalBlocker quiet(this);
    const QJsonValue methods = state[QStringLiteral("methods")], policies = state[QStringLiteral("policies")];
    if (methods.isArray() && policies.isArray()) setTicked(textsIn(methods), textsIn(policies));
    const QJsonValue lines = state[lines_->objectName()];
    if (lines.isArray()) lines_->setPlainText(textsIn(lines).join(QLatin1Char('\n')));
    const QJsonValue variants = state[QStringLiteral("variants")];
    if (variants.isArray()) variants_->setVariants(variantsIn(variants));
    refines_->setChecked(state[refines_->objectName()].toBool(refines_->isChecked()));
    for (QLineEdit* line : {kept_, shares_}) line->setText(state[line->objectName()].toString(line->text()));
    interval_->setValue(state[interval_->objectName()].toInt(interval_->value()));
    if (const int base = base_->findText(state[base_->objectName()].toString()); base > 0) base_->setCurrentIndex(base);
    baseShare_->setValue(state[baseShare_->objectName()].toDouble(baseShare_->value()));
  }
  check();
}

}  // namespace kvista
