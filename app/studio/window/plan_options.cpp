// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/plan_options.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QSpinBox>
#include <QStandardItemModel>
#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/studio/window/plan_rules.h"
#include "app/studio/window/sharing_row.h"
#include "core/plan/plan_names.h"

namespace kvista {
namespace {

constexpr int kMostHeads = 1024, kMostStep = 1024, kMostRank = 1 << 20, kBesideWidth = 130;
constexpr const char* kTip = "tip";  // The property that holds what an option's tooltip says where it can be had.

/// What each metric weighs an error by.
std::vector<Choice> metricChoices() {
  const auto summary = [](Metric metric) {
    switch (metric) {
      case Metric::identity:
        return PlanOptions::tr("all alike");
      case Metric::fisher:
        return PlanOptions::tr("what the loss feels of it; predictions in nats");
      case Metric::query:
        return PlanOptions::tr("keys: what attention scores feel, by the energy of queries; values alike");
      case Metric::output:
        return PlanOptions::tr("values: what the output projection makes of it; keys alike");
      case Metric::attention:
        return PlanOptions::tr("keys by the energy of queries, values by the output projection");
      case Metric::eigen:
        return PlanOptions::tr("directions of keys after RoPE and their queries together; values alike");
    }
    return QString();
  };
  std::vector<Choice> choices;
  for (const auto& [name, metric] : kMetrics)
    choices.push_back({std::string(name), summary(metric).toStdString(), {}, {}, {}});
  return choices;
}

/// The first entry is the method's own.
QComboBox* choice(const char* name, const std::vector<Choice>& choices, QWidget* parent) {
  auto* box = new QComboBox(parent);
  box->setObjectName(QLatin1String(name));
  box->addItem(QString());
  for (const Choice& choice : choices) {
    box->addItem(QString::fromStdString(choice.name));
    box->setItemData(box->count() - 1, QString::fromStdString(choice.summary), Qt::ToolTipRole);
  }
  return box;
}

/// 0 says nothing, and leaves it to the method.
QSpinBox* number(const char* name, int most, const QString& ofZero, QWidget* parent) {
  auto* box = new QSpinBox(parent);
  box->setObjectName(QLatin1String(name));
  box->setRange(0, most);
  box->setSpecialValueText(ofZero);
  return box;
}

QDoubleSpinBox* fraction(const char* name, double most, const QString& ofZero, QWidget* parent) {
  auto* box = new QDoubleSpinBox(parent);
  box->setObjectName(QLatin1String(name));
  box->setRange(0, most);
  box->setSingleStep(0.01);
  box->setDecimals(3);
  box->setSpecialValueText(ofZero);
  return box;
}

/// Labels say to screen readers what stands first; what is beside it says it itself.
void addRow(QFormLayout& form, const QString& label, QWidget* first, QWidget* beside, const QString& besideName) {
  auto* row = new QHBoxLayout;
  row->setSpacing(8);
  row->addWidget(first, 1);
  row->addWidget(beside);
  beside->setAccessibleName(besideName);
  beside->setMinimumWidth(kBesideWidth);
  form.addRow(label, row);
  qobject_cast<QLabel*>(form.labelForField(row))->setBuddy(first);
}

/// What is chosen; absent: the method's own.
std::optional<std::string> chosen(const QComboBox* box) {
  return box->isEnabled() && box->currentIndex() > 0 ? std::optional(box->currentText().toStdString()) : std::nullopt;
}

template <class SpinBox>
auto chosen(const SpinBox* box) {
  return box->isEnabled() && box->value() > 0 ? std::optional(box->value()) : std::nullopt;
}

bool isChecked(const QCheckBox* box) { return box->isEnabled() && box->isChecked(); }

int layersOf(const CompressionPlan& plan) {
  int layers = 1;
  for (const Group& group : plan.groups)
    for (const Slot& slot : group.slots) layers = std::max(layers, slot.layer + 1);
  return layers;
}

}  // namespace

PlanOptions::PlanOptions(const Catalogue& catalogue, const CompressionPlan& plan, const MethodChoice* method,
                         QFormLayout& form)
    : QObject(form.parentWidget()),
      method_(method),
      sharing_(new SharingRow(layersOf(plan), plan.sharedFrom, form.parentWidget())) {
  addParts(catalogue, form);
  addRanks(form);
  form.addRow(tr("Caches"), sharing_);
  addBoxes(form);
  beginWith(plan, layersOf(plan));
  for (QComboBox* box : {metric_, grouping_, allocator_})
    connect(box, &QComboBox::currentIndexChanged, this, &PlanOptions::check);
  for (QSpinBox* box : {groupSize_, chain_, minimumRank_, maximumRank_})
    connect(box, &QSpinBox::valueChanged, this, &PlanOptions::check);
  for (QCheckBox* box : {unwhitened_, compensate_, tokenNumbers_})
    connect(box, &QCheckBox::toggled, this, &PlanOptions::check);
  connect(eps_, &QDoubleSpinBox::valueChanged, this, &PlanOptions::check);
  connect(sharing_, &SharingRow::changed, this, &PlanOptions::check);
  check();
}

void PlanOptions::addParts(const Catalogue& catalogue, QFormLayout& form) {
  QWidget* parent = form.parentWidget();
  metric_ = choice("metric", metricChoices(), parent);
  damping_ = fraction("damping", kMaxDamping, tr("no damping"), parent);
  damping_->setToolTip(tr("This part of each head's mean weight is added to all its directions, such as 0.03."));
  grouping_ = choice("grouping", catalogue.groupings, parent);
  groupSize_ = number("groupSize", kMostHeads, tr("usual size"), parent);
  groupSize_->setSuffix(tr(" heads"));
  measure_ = choice("measure", catalogue.measures, parent);
  allocator_ = choice("allocator", catalogue.allocators, parent);
  eps_ = fraction("eps", 0.999, tr("by the target"), parent);
  eps_->setPrefix(tr("eps "));
  eps_->setProperty(kTip, tr("Instead of the target: the heads of a layer lose at most this, squared, of their energy "
                             "in the mean, such as 0.1."));
  addRow(form, tr("Errors weigh"), metric_, damping_, tr("Damping of the weights"));
  addRow(form, tr("Groups"), grouping_, groupSize_, tr("Heads a group"));
  form.addRow(tr("Heads alike by"), measure_);
  addRow(form, tr("Who gets how much"), allocator_, eps_, tr("eps of the rank rule"));
}

void PlanOptions::addRanks(QFormLayout& form) {
  auto* row = new QHBoxLayout;
  row->setSpacing(8);
  const auto add = [&](const char* name, int most, const QString& ofZero, const QString& prefix,
                       const QString& accessible, const QString& tip) {
    QSpinBox* box = number(name, most, ofZero, form.parentWidget());
    box->setPrefix(prefix);
    box->setAccessibleName(accessible);
    box->setProperty(kTip, tip);
    row->addWidget(box, 1);
    return box;
  };
  rankStep_ = add("rankStep", kMostStep, tr("usual steps"), tr("steps of "), tr("Ranks in steps of"),
                  tr("Ranks, or directions of one width, come in multiples of this."));
  minimumRank_ = add("minimumRank", kMostRank, tr("from none"), tr("from "), tr("Smallest rank"),
                     tr("Directions that every group keeps at least."));
  maximumRank_ = add("maximumRank", kMostRank, tr("to all"), tr("to "), tr("Largest rank"),
                     tr("Directions that every group keeps at most."));
  form.addRow(tr("Ranks"), row);
}

QCheckBox* PlanOptions::box(const char* name, const QString& text, const QString& tip, QFormLayout& form) {
  auto* box = new QCheckBox(text, form.parentWidget());
  box->setObjectName(QLatin1String(name));
  box->setProperty(kTip, tip);
  form.addRow(QString(), box);
  return box;
}

void PlanOptions::addBoxes(QFormLayout& form) {
  chain_ = number("chain", kMaxChain, tr("as the method has it"), form.parentWidget());
  chain_->setProperty(kTip, tr("So many adjacent layers are coded as what the decoded layer before does not predict: "
                               "the same bytes lose less, and each layer "
                               "is read behind the one before. 1: every layer by itself."));
  form.addRow(tr("Layers a chain"), chain_);
  trellis_ = box(
      "trellis", tr("Codes of up to 4 bits through a trellis"),
      tr("The same bytes lose less, and every new token takes longer to code. No kernels read such codes yet."), form);
  tokenNumbers_ = box("tokenNumbers", tr("Numbers of tokens in the first layer"),
                      tr("The first layer's keys and values hang on nothing but the token. Its number, 4 bytes, stands "
                         "for them, and they predict layers that no "
                         "other predicts: the same bytes lose less, and reading computes the first layer anew."),
                      form);
  sinkFree_ = box("sinkFree", tr("Bases of the tokens beyond the attention sinks"),
                  tr("The first 4 tokens of a window look like no others. Methods with codes keep them exact, and "
                     "leave them out in any case."),
                  form);
  centred_ = box("centred", tr("Bases around the mean over tokens"),
                 tr("The mean is put back when the cache is read, and takes no bytes of it. Such plans are exported in "
                    "the form latent."),
                 form);
  compensate_ =
      box("compensate", tr("Compensate what the layers before lose, if that helps"),
          tr("Takes the calibration text through the model twice, and compares on text that was held out."), form);
  unwhitened_ =
      box("unwhitened", tr("Bases of the weights alone, without whitening"),
          tr("As if all inputs of the text were alike. Needs a metric that needs no text, such as identity."), form);
  uncalibrated_ =
      box("uncalibrated", tr("Without the offline calibration of values"),
          tr("Values stay as they were decomposed, and are not fitted to the outputs of the model as it is."), form);
}

void PlanOptions::beginWith(const CompressionPlan& plan, int layers) {
  damping_->setValue(plan.damping);
  for (const auto& [box, isSo] : {std::pair{trellis_, plan.trellis},
                                  {tokenNumbers_, plan.tokenNumbers},
                                  {sinkFree_, plan.sinkFree},
                                  {centred_, plan.centred},
                                  {compensate_, plan.compensated},
                                  {unwhitened_, plan.unwhitened},
                                  {uncalibrated_, plan.uncalibrated}})
    box->setChecked(isSo);
  if (method_ == nullptr || method_->choice.name != plan.method) return;
  // Plans have no chain that is longer than the model.
  if (plan.chain != std::min(method_->chain, layers)) chain_->setValue(plan.chain);
  if (!method_->sharesLayers) sharing_->setMap(plan.sharedFrom);  // Else the method has found it for the target.
  const auto choose = [](QComboBox* box, const std::string& name) {
    box->setCurrentText(QString::fromStdString(name));
  };
  if (plan.metric != method_->metric) choose(metric_, nameIn(kMetrics, plan.metric));
  if (plan.allocator != method_->allocator) choose(allocator_, plan.allocator);
  // Groups changed by hand, which are no entry, and those that `auto` came to are no choice of anybody's.
  if (method_->grouping != "auto" && plan.grouping != method_->grouping) choose(grouping_, plan.grouping);
}

void PlanOptions::setMethod(const MethodChoice* method) {
  method_ = method;
  chain_->setValue(0);
  trellis_->setChecked(method != nullptr && method->trellis);
  tokenNumbers_->setChecked(method != nullptr && method->tokenNumbers);
  check();
}

void PlanOptions::addTo(PlanWish& wish) const {
  if (method_ == nullptr) return;
  const std::string metric = chosen(metric_).value_or("");
  if (const auto found = std::ranges::find(kMetrics, metric, &Named<Metric>::name); found != kMetrics.end())
    wish.metric = found->value;
  wish.damping = chosen(damping_).value_or(0);
  wish.grouping = chosen(grouping_);
  wish.groupSize = chosen(groupSize_);
  wish.measure = chosen(measure_);
  wish.allocator = chosen(allocator_);
  wish.eps = chosen(eps_);
  if (wish.eps) wish.target = {Target::Kind::share, 1};
  wish.rankStep = chosen(rankStep_);
  wish.minimumRank = chosen(minimumRank_);
  wish.maximumRank = chosen(maximumRank_);
  wish.sharedFrom = sharing_->map();
  if (trellis_->isEnabled()) wish.trellis = trellis_->isChecked();
  if (chain_->isEnabled()) {  // And tokenNumbers_, by the same rule.
    wish.chain = chosen(chain_);
    wish.tokenNumbers = tokenNumbers_->isChecked();
  } else {  // A method that has either of its own does without.
    if (method_->chain > 1) wish.chain = 1;
    if (method_->tokenNumbers) wish.tokenNumbers = false;
  }
  wish.sinkFree = isChecked(sinkFree_);
  wish.centred = isChecked(centred_);
  wish.compensate = isChecked(compensate_);
  wish.unwhitened = isChecked(unwhitened_);
  wish.uncalibrated = isChecked(uncalibrated_);
}

QString PlanOptions::problem() const {
  const int least = minimumRank_->value(), most = maximumRank_->value();
  if (!maximumRank_->isEnabled() || most == 0 || least <= most) return {};
  return tr("No rank is at least %L1 and at most %L2.").arg(least).arg(most);
}

void PlanOptions::check() {
  if (method_ != nullptr) {
    nameOwnParts();
    allowParts();
  }
  Q_EMIT changed();
}

void PlanOptions::nameOwnParts() {
  const auto name = [](QComboBox* box, const std::string& own) {
    box->setItemText(0, tr("%1, as the method has it").arg(QString::fromStdString(own)));
  };
  name(metric_, nameIn(kMetrics, method_->metric));
  name(grouping_, method_->grouping);
  name(allocator_, method_->allocator);
  measure_->setItemText(0, tr("as the method has it"));
}

void PlanOptions::allowParts() {
  const MethodChoice& own = *method_;
  // Each rule looks at what those before it leave of what is asked for.
  const auto asked = [this] {
    PlanWish wish;
    addTo(wish);
    return wish;
  };
  const auto* items = qobject_cast<const QStandardItemModel*>(metric_->model());
  for (std::size_t i = 0; i < kMetrics.size(); ++i)
    items->item(static_cast<int>(i) + 1)->setEnabled(!own.weightsOnly || !needsText(kMetrics[i].value));
  if (!items->item(metric_->currentIndex())->isEnabled()) metric_->setCurrentIndex(0);
  for (QComboBox* box : {metric_, grouping_, allocator_}) box->setEnabled(hasBases(own));
  damping_->setEnabled(hasDamping(own, asked()));
  groupSize_->setEnabled(hasGroupSize(own, asked()));
  measure_->setEnabled(hasMeasure(own, asked()));
  using Rule = QString(const MethodChoice&, const PlanWish&);
  for (const auto& [option, whyNot] :
       std::initializer_list<std::pair<QWidget*, Rule*>>{{eps_, whyNoEps},
                                                         {rankStep_, whyNoRanks},
                                                         {minimumRank_, whyNoRanks},
                                                         {maximumRank_, whyNoRanks},
                                                         {chain_, whyNotPredicted},
                                                         {tokenNumbers_, whyNotPredicted},
                                                         {trellis_, whyNoTrellis},
                                                         {unwhitened_, whyNotUnwhitened},
                                                         {sinkFree_, whyNotSinkFree},
                                                         {centred_, whyNotCentred},
                                                         {compensate_, whyNotCompensated},
                                                         {uncalibrated_, whyNotUncalibrated}}) {
    const QString reason = whyNot(own, asked());
    option->setEnabled(reason.isEmpty());
    option->setToolTip(reason.isEmpty() ? option->property(kTip).toString() : reason);
  }
  sharing_->allow(whyNotShared(own, asked()), own.sharesLayers);
}

}  // namespace kvista
