// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/plan_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QStandardItemModel>
#include <algorithm>
#include <vector>

#include "app/studio/window/help_window.h"
#include "app/studio/window/memory_row.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/window_size.h"
#include "core/plan/chaining.h"
#include "core/plan/grouping.h"
#include "core/plan/plan_names.h"
#include "views/target_editor.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kSummary = Qt::UserRole;
constexpr int kMostHeads = 1024, kMostStep = 1024, kMostRank = 1 << 20;

QString text(std::string_view words) { return QString::fromUtf8(words.data(), static_cast<qsizetype>(words.size())); }

/// What each metric weighs an error by.
std::vector<Choice> metricChoices() {
  const auto summary = [](Metric metric) {
    switch (metric) {
      case Metric::identity:
        return PlanDialog::tr("all alike");
      case Metric::fisher:
        return PlanDialog::tr("what the loss feels of it; predictions in nats");
      case Metric::query:
        return PlanDialog::tr("keys: what attention scores feel, by the energy of queries; values alike");
      case Metric::output:
        return PlanDialog::tr("values: what the output projection makes of it; keys alike");
      case Metric::attention:
        return PlanDialog::tr("keys by the energy of queries, values by the output projection");
      case Metric::eigen:
        return PlanDialog::tr("directions of keys after RoPE and their queries together; values alike");
    }
    return QString();
  };
  std::vector<Choice> choices;
  for (const auto& [name, metric] : kMetrics)
    choices.push_back({std::string(name), summary(metric).toStdString(), {}, {}, {}});
  return choices;
}

bool needsText(std::string_view metric) { return metric != "identity" && metric != "output"; }

/// The name that is chosen; absent: the method's own.
std::optional<std::string> chosen(const QComboBox* box) {
  return box->isEnabled() && box->currentIndex() > 0 ? std::optional(box->currentText().toStdString()) : std::nullopt;
}

bool isChecked(const QCheckBox* box) { return box->isEnabled() && box->isChecked(); }

int layersOf(const CompressionPlan& plan) {
  int layers = 0;
  for (const Group& group : plan.groups)
    for (const Slot& slot : group.slots) layers = std::max(layers, slot.layer + 1);
  return layers;
}

constexpr const char* kTip = "tip";  // The property that holds what an option's tooltip says where it can be had.

bool isBySimilarity(const std::string& grouping) {
  const auto found = findGrouping(grouping);
  return grouping == "auto" || grouping == "joint" || (found && (*found)->needsSimilarity);
}

bool hasSizes(const std::string& grouping) {
  return grouping == "joint" || grouping == "neighbours-both" || (findGrouping(grouping) && grouping != "all");
}

/// Where the manual speaks of a method: published systems have sections of their own, the others stand in the table of
/// methods. A child of the dialog, which else would not let it be read.
void showMethodHelp(QDialog& dialog, const QString& method) {
  auto* help = new HelpWindow(&dialog);
  help->setAttribute(Qt::WA_DeleteOnClose);
  help->showFirst({QStringLiteral("systems"), QStringLiteral("plan")}, method);
  help->show();
}

}  // namespace

PlanDialog::PlanDialog(const Catalogue& catalogue, const CompressionPlan& plan, QWidget* parent)
    : QDialog(parent),
      methods_(catalogue.methods),
      form_(scrolledForm(*this)),
      method_(new QComboBox(this)),
      damping_(new QDoubleSpinBox(this)),
      eps_(new QDoubleSpinBox(this)),
      groupSize_(new QSpinBox(this)),
      chain_(new QSpinBox(this)),
      rankStep_(rankBox("rankStep", tr("Ranks in steps of"), tr("steps of "), kMostStep,
                        tr("Ranks, or directions of one width, come in multiples of this."))),
      minimumRank_(rankBox("minimumRank", tr("Smallest rank"), tr("from "), kMostRank,
                           tr("Directions that every group keeps at least."))),
      maximumRank_(rankBox("maximumRank", tr("Largest rank"), tr("to "), kMostRank,
                           tr("Directions that every group keeps at most."))),
      typed_(new QLineEdit(this)),
      why_(softLabel(tr("Groups and bits are chosen anew for every layer, as one step that can be undone."), this)),
      summary_(softLabel({}, this)),
      reason_(softLabel({}, this)),
      sharing_(softLabel({}, this)),
      changeSharing_(new QPushButton(tr("Change…"), this)),
      memory_(new MemoryRow(QStringLiteral("makePlan"), this)),
      layers_(layersOf(plan)),
      givenMap_(plan.sharedFrom),
      given_(plan.target),
      target_(plan.target) {
  setObjectName(QStringLiteral("planDialog"));
  setWindowTitle(tr("Plan anew"));
  method_->setObjectName(QStringLiteral("method"));
  for (const MethodChoice& method : methods_) {
    QString summary = text(method.choice.summary);
    if (!method.choice.source.empty()) summary += QStringLiteral(" (%1)").arg(text(method.choice.source));
    method_->addItem(text(method.choice.name), summary);
  }
  typed_->setObjectName(QStringLiteral("target"));
  typed_->setText(targetText(given_));
  reason_->setObjectName(QStringLiteral("reason"));
  for (QLabel* label : {why_, summary_, reason_}) label->setWordWrap(true);
  // What they say changes, the dialog's size does not.
  summary_->setMinimumHeight(3 * summary_->fontMetrics().lineSpacing());
  for (QLabel* label : {summary_, reason_}) label->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  form_->addRow(why_);
  auto* about = new QPushButton(tr("About it…"), this);
  about->setObjectName(QStringLiteral("methodHelp"));
  about->setToolTip(tr("What the manual says of this method."));
  about->setAutoDefault(false);
  connect(about, &QPushButton::clicked, this, [this] { showMethodHelp(*this, method_->currentText()); });
  auto* methodRow = new QHBoxLayout;
  methodRow->setSpacing(8);
  methodRow->addWidget(method_, 1);
  methodRow->addWidget(about);
  form_->addRow(tr("Method"), methodRow);
  form_->addRow(QString(), summary_);
  form_->addRow(tr("Target"), typed_);
  form_->addRow(QString(), reason_);
  metric_ = choice(QStringLiteral("metric"), tr("Errors weigh"), metricChoices());
  damping_->setObjectName(QStringLiteral("damping"));
  damping_->setRange(0, kMaxDamping);
  damping_->setSingleStep(0.01);
  damping_->setDecimals(3);
  damping_->setSpecialValueText(tr("no damping"));
  damping_->setToolTip(tr("This part of each head's mean weight is added to all its directions, such as 0.03."));
  grouping_ = choice(QStringLiteral("grouping"), tr("Groups"), catalogue.groupings);
  groupSize_->setObjectName(QStringLiteral("groupSize"));
  groupSize_->setRange(0, kMostHeads);
  groupSize_->setSpecialValueText(tr("usual size"));
  groupSize_->setSuffix(tr(" heads"));
  measure_ = choice(QStringLiteral("measure"), tr("Heads alike by"), catalogue.measures);
  allocator_ = choice(QStringLiteral("allocator"), tr("Who gets how much"), catalogue.allocators);
  eps_->setObjectName(QStringLiteral("eps"));
  eps_->setRange(0, 0.999);
  eps_->setSingleStep(0.01);
  eps_->setDecimals(3);
  eps_->setSpecialValueText(tr("by the target"));
  eps_->setPrefix(tr("eps "));
  eps_->setAccessibleName(tr("eps of the rank rule"));
  eps_->setProperty(kTip, tr("Instead of the target: the heads of a layer lose at most this, squared, of their energy "
                             "in the mean, such as 0.1."));
  for (const auto& [beside, control] :
       {std::pair<QComboBox*, QWidget*>{metric_, damping_}, {grouping_, groupSize_}, {allocator_, eps_}}) {
    auto* row = new QHBoxLayout;
    row->setSpacing(8);
    int at = 0;
    QFormLayout::ItemRole role{};
    form_->getWidgetPosition(beside, &at, &role);
    const auto place = form_->takeRow(beside);
    row->addWidget(beside, 1);
    row->addWidget(control);
    control->setMinimumWidth(130);
    form_->insertRow(at, qobject_cast<QLabel*>(place.labelItem->widget())->text(), row);
    place.labelItem->widget()->deleteLater();
  }
  rankStep_->setSpecialValueText(tr("usual steps"));
  minimumRank_->setSpecialValueText(tr("from none"));
  maximumRank_->setSpecialValueText(tr("to all"));
  auto* ranks = new QHBoxLayout;
  ranks->setSpacing(8);
  for (QSpinBox* box : {rankStep_, minimumRank_, maximumRank_}) ranks->addWidget(box, 1);
  form_->addRow(tr("Ranks"), ranks);
  sharing_->setObjectName(QStringLiteral("sharing"));
  changeSharing_->setObjectName(QStringLiteral("changeSharing"));
  changeSharing_->setAccessibleName(tr("Change which layers share a cache"));
  changeSharing_->setProperty(kTip, tr("Layers that read the cache of another store nothing themselves."));
  auto* shared = new QHBoxLayout;
  shared->setSpacing(8);
  shared->addWidget(sharing_, 1);
  shared->addWidget(changeSharing_);
  form_->addRow(tr("Caches"), shared);
  chain_->setObjectName(QStringLiteral("chain"));
  chain_->setRange(0, kMaxChain);
  chain_->setSpecialValueText(tr("as the method has it"));
  chain_->setProperty(kTip, tr("So many adjacent layers are coded as what the decoded layer before does not predict: "
                               "the same bytes lose less, and each layer "
                               "is read behind the one before. 1: every layer by itself."));
  form_->addRow(tr("Layers a chain"), chain_);
  trellis_ =
      box(QStringLiteral("trellis"), tr("Codes of up to 4 bits through a trellis"),
          tr("The same bytes lose less, and every new token takes longer to code. No kernels read such codes yet."),
          plan.trellis);
  tokenNumbers_ = box(QStringLiteral("tokenNumbers"), tr("Numbers of tokens in the first layer"),
                      tr("The first layer's keys and values hang on nothing but the token. Its number, 4 bytes, stands "
                         "for them, and they predict layers that no "
                         "other predicts: the same bytes lose less, and reading computes the first layer anew."),
                      plan.tokenNumbers);
  sinkFree_ = box(QStringLiteral("sinkFree"), tr("Bases of the tokens beyond the attention sinks"),
                  tr("The first 4 tokens of a window look like no others. Methods with codes keep them exact, and "
                     "leave them out in any case."),
                  plan.sinkFree);
  centred_ = box(QStringLiteral("centred"), tr("Bases around the mean over tokens"),
                 tr("The mean is put back when the cache is read, and takes no bytes of it. Such plans are exported in "
                    "the form latent."),
                 plan.centred);
  compensate_ = box(QStringLiteral("compensate"), tr("Compensate what the layers before lose, if that helps"),
                    tr("Takes the calibration text through the model twice, and compares on text that was held out."),
                    plan.compensated);
  unwhitened_ = box(QStringLiteral("unwhitened"), tr("Bases of the weights alone, without whitening"),
                    tr("As if all inputs of the text were alike. Needs a metric that needs no text, such as identity."),
                    plan.unwhitened);
  uncalibrated_ =
      box(QStringLiteral("uncalibrated"), tr("Without the offline calibration of values"),
          tr("Values stay as they were decomposed, and are not fitted to the outputs of the model as it is."),
          plan.uncalibrated);
  form_->addRow(tr("Memory"), memory_);
  const auto [buttons, start] = startButtons(*this, tr("Plan"));
  start_ = start;
  beginWith(plan);
  for (QComboBox* box : {method_, metric_, grouping_, allocator_})
    connect(box, &QComboBox::currentIndexChanged, this, &PlanDialog::check);
  for (QSpinBox* box : {groupSize_, chain_, minimumRank_, maximumRank_})
    connect(box, &QSpinBox::valueChanged, this, &PlanDialog::check);
  connect(method_, &QComboBox::currentIndexChanged, chain_,
          [this] { chain_->setValue(0); });  // Of another method, its own.
  connect(method_, &QComboBox::currentIndexChanged, trellis_,
          [this] { trellis_->setChecked(method() != nullptr && method()->trellis); });
  connect(method_, &QComboBox::currentIndexChanged, tokenNumbers_,
          [this] { tokenNumbers_->setChecked(method() != nullptr && method()->tokenNumbers); });
  for (QCheckBox* box : {unwhitened_, compensate_, tokenNumbers_})
    connect(box, &QCheckBox::toggled, this, &PlanDialog::check);
  connect(eps_, &QDoubleSpinBox::valueChanged, this, &PlanDialog::check);
  connect(changeSharing_, &QPushButton::clicked, this, &PlanDialog::changeSharing);
  connect(typed_, &QLineEdit::textChanged, this, &PlanDialog::check);
  // Row after row and from left to right, whatever the order in which they were made.
  std::vector<QWidget*> inOrder = {method_,      about,          typed_,      metric_,      damping_,      grouping_,
                                   groupSize_,   measure_,       allocator_,  eps_,         rankStep_,     minimumRank_,
                                   maximumRank_, changeSharing_, chain_,      trellis_,     tokenNumbers_, sinkFree_,
                                   centred_,     compensate_,    unwhitened_, uncalibrated_};
  for (int i = 0; i < buttons->layout()->count(); ++i)  // Which of them is on the left, the desktop says.
    if (QWidget* button = buttons->layout()->itemAt(i)->widget()) inOrder.push_back(button);
  for (std::size_t i = 1; i < inOrder.size(); ++i) setTabOrder(inOrder[i - 1], inOrder[i]);
  method_->setFocus();
  finishScrolledForm(*this, *form_, *buttons, 600);
  check();
}

void PlanDialog::askForVariant() {
  isVariant_ = true;
  setWindowTitle(tr("Variant of a method"));
  for (QWidget* ofTheRun : {static_cast<QWidget*>(why_), static_cast<QWidget*>(typed_), static_cast<QWidget*>(memory_)})
    form_->setRowVisible(ofTheRun, false);
  start_->setText(tr("Add"));
  check();
}

/// The first entry is the method's own.
QComboBox* PlanDialog::choice(const QString& name, const QString& label, const std::vector<Choice>& choices) {
  auto* box = new QComboBox(this);
  box->setObjectName(name);
  box->addItem(QString());
  for (const Choice& choice : choices) {
    box->addItem(text(choice.name));
    box->setItemData(box->count() - 1, text(choice.summary), Qt::ToolTipRole);
  }
  form_->addRow(label, box);
  return box;
}

/// 0 says nothing, and leaves it to the method.
QSpinBox* PlanDialog::rankBox(const char* name, const QString& accessible, const QString& prefix, int most,
                              const QString& tip) {
  auto* box = new QSpinBox(this);
  box->setObjectName(QLatin1String(name));
  box->setAccessibleName(accessible);
  box->setRange(0, most);
  box->setPrefix(prefix);
  box->setProperty(kTip, tip);
  return box;
}

QCheckBox* PlanDialog::box(const QString& name, const QString& text, const QString& tip, bool checked) {
  auto* box = new QCheckBox(text, this);
  box->setObjectName(name);
  box->setProperty(kTip, tip);
  box->setChecked(checked);
  form_->addRow(QString(), box);
  return box;
}

void PlanDialog::beginWith(const CompressionPlan& plan) {
  method_->setCurrentText(text(plan.method));
  damping_->setValue(plan.damping);
  const MethodChoice* own = method();
  if (own == nullptr || own->choice.name != plan.method) return;
  chain_->setValue(plan.chain);
  trellis_->setChecked(plan.trellis);
  tokenNumbers_->setChecked(plan.tokenNumbers);
  if (!own->sharesLayers) sharedFrom_ = plan.sharedFrom;  // Else the method has found it for the target.
  if (plan.metric != own->metric) metric_->setCurrentText(text(nameIn(kMetrics, plan.metric)));
  if (plan.allocator != own->allocator) allocator_->setCurrentText(text(plan.allocator));
  // Groups changed by hand, and those that `auto` came to, are no choice of anybody's.
  if (own->grouping != "auto" && plan.grouping != own->grouping && grouping_->findText(text(plan.grouping)) > 0)
    grouping_->setCurrentText(text(plan.grouping));
}

const MethodChoice* PlanDialog::method() const {
  const int index = method_->currentIndex();
  return index < 0 ? nullptr : &methods_[static_cast<std::size_t>(index)];
}

std::string PlanDialog::grouping() const { return chosen(grouping_).value_or(method()->grouping); }

Metric PlanDialog::metric() const {
  const std::optional<std::string> name = chosen(metric_);
  const auto found = std::ranges::find(kMetrics, name.value_or(""), &Named<Metric>::name);
  return found == kMetrics.end() ? method()->metric : found->value;
}

PlanWish PlanDialog::wish() const {
  PlanWish wish;
  wish.method = method_->currentText().toStdString();
  wish.target = target_;
  if (method() == nullptr) return wish;
  if (chosen(metric_)) wish.metric = metric();
  wish.damping = damping_->isEnabled() ? damping_->value() : 0;
  wish.grouping = chosen(grouping_);
  if (groupSize_->isEnabled() && groupSize_->value() > 0) wish.groupSize = groupSize_->value();
  wish.measure = chosen(measure_);
  wish.allocator = chosen(allocator_);
  wish.sinkFree = isChecked(sinkFree_);
  wish.centred = isChecked(centred_);
  wish.compensate = isChecked(compensate_);
  wish.unwhitened = isChecked(unwhitened_);
  wish.uncalibrated = isChecked(uncalibrated_);
  if (changeSharing_->isEnabled()) wish.sharedFrom = sharedFrom_;
  if (chain_->isEnabled() && chain_->value() > 0) wish.chain = chain_->value();
  if (trellis_->isEnabled()) wish.trellis = trellis_->isChecked();
  if (tokenNumbers_->isEnabled()) wish.tokenNumbers = tokenNumbers_->isChecked();
  const auto said = [](const QSpinBox* box) {
    return box->isEnabled() && box->value() > 0 ? std::optional(box->value()) : std::nullopt;
  };
  wish.rankStep = said(rankStep_);
  wish.minimumRank = said(minimumRank_);
  wish.maximumRank = said(maximumRank_);
  if (hasEps()) {
    wish.eps = eps_->value();
    wish.target = {Target::Kind::share, 1};
  }
  return wish;
}

bool PlanDialog::chains() const { return chain_->isEnabled() && chain_->value() > 1; }

QString PlanDialog::rankProblem() const {
  const int least = minimumRank_->value(), most = maximumRank_->value();
  if (!maximumRank_->isEnabled() || most == 0 || least <= most) return {};
  return tr("No rank is at least %L1 and at most %L2.").arg(least).arg(most);
}

bool PlanDialog::hasEps() const { return eps_->isEnabled() && eps_->value() > 0; }

void PlanDialog::allow(QWidget* option, const QString& reason) {
  option->setEnabled(reason.isEmpty());
  option->setToolTip(reason.isEmpty() ? option->property(kTip).toString() : reason);
}

void PlanDialog::changeSharing() {
  // Of a method that finds its map for the target, the one that the plan has is where changes begin.
  auto* dialog = new SharingDialog(layers_, sharedFrom_.empty() && method()->sharesLayers ? givenMap_ : sharedFrom_,
                                   askSharing_, this);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this, [this, dialog] {
    sharedFrom_ = dialog->map();
    cosine_ = dialog->cosine();
    check();
  });
  dialog->open();
}

void PlanDialog::showSharing() {
  const bool bySearch = sharedFrom_.empty() && method()->sharesLayers;
  const bool isOff = !changeSharing_->isEnabled() || sharedFrom_.empty();
  sharing_->setText(bySearch
                        ? tr("as many layers read another's as the target needs")
                        : sharingInWords(isOff ? std::vector<int>() : sharedFrom_, isOff ? std::nullopt : cosine_));
}

/// What stands against each option, the method first.
void PlanDialog::checkOptions(const MethodChoice& own) {
  const QString name = text(own.choice.name);
  const auto ofMethod = [&](const std::string& reason) {
    return reason.empty() ? QString() : tr("The method %1 %2.").arg(name, QString::fromStdString(reason));
  };
  const auto first = [](std::initializer_list<QString> reasons) {
    for (const QString& reason : reasons)
      if (!reason.isEmpty()) return reason;
    return QString();
  };
  const auto unless = [](bool isGood, const QString& reason) { return isGood ? QString() : reason; };
  const QString notPredicted = first({ofMethod(std::string(whyNotChained(own.storage, grouping()))),
                                      unless(!groupSize_->isEnabled() || groupSize_->value() == 0,
                                             tr("Layers that predict others need all their heads in one latent."))});
  allow(chain_, notPredicted);
  allow(tokenNumbers_, notPredicted);
  const QString ofPrediction =
      unless(!chains() && !isChecked(tokenNumbers_),
             tr("Layers that predict others are neither centred nor compensated, and each has its own cache."));
  allow(unwhitened_, first({ofMethod(own.notUnwhitened),
                            unless(!needsText(nameIn(kMetrics, metric())),
                                   tr("The metric %1 needs text.").arg(text(nameIn(kMetrics, metric()))))}));
  const QString ofWeights = unless(!isChecked(unwhitened_), tr("Bases of the weights alone look at no tokens."));
  allow(sinkFree_,
        first({unless(!own.weightsOnly,
                      tr("The method %1 looks at weights alone; there are no tokens to leave out.").arg(name)),
               unless(own.storage != Storage::plainQuantised,
                      tr("The method %1 has no bases that tokens could be left out of.").arg(name)),
               unless(own.storage != Storage::coded,
                      tr("The method %1 keeps the first tokens exact, and leaves them out in any case.").arg(name)),
               ofWeights}));
  allow(centred_, first({ofMethod(own.notCentred), ofWeights, ofPrediction}));
  allow(compensate_, first({ofMethod(own.notCompensated), ofWeights, ofPrediction}));
  allow(uncalibrated_, ofMethod(own.notUncalibrated));
  allow(trellis_, unless(own.storage == Storage::coded, tr("The method %1 stores no codes.").arg(name)));
  allow(changeSharing_,
        first({unless(layers_ > 1, tr("One layer has no other to read.")), ofMethod(own.notShared), ofPrediction,
               unless(!isChecked(compensate_), tr("Compensated layers each need their own cache."))}));
  for (QSpinBox* box : {rankStep_, minimumRank_, maximumRank_})
    allow(box, unless(own.storage != Storage::plainQuantised, tr("The method %1 has no ranks.").arg(name)));
  const std::string allocator = chosen(allocator_).value_or(own.allocator);
  allow(eps_, unless(allocator == "head-mean", tr("%1 knows no eps; head-mean does.").arg(text(allocator))));
  typed_->setEnabled(!hasEps());
  typed_->setToolTip(hasEps() ? tr("eps decides how small the cache becomes.") : QString());
}

void PlanDialog::check() {
  const MethodChoice* own = method();
  summary_->setText(method_->currentData(kSummary).toString());
  if (own != nullptr) {
    const bool hasBases = own->storage != Storage::plainQuantised;
    const auto ofMethod = [](QComboBox* box, std::string_view name) {
      box->setItemText(0, tr("%1, as the method has it").arg(text(name)));
    };
    ofMethod(metric_, nameIn(kMetrics, own->metric));
    ofMethod(grouping_, own->grouping);
    ofMethod(allocator_, own->allocator);
    measure_->setItemText(0, tr("as the method has it"));
    auto* items = qobject_cast<QStandardItemModel*>(metric_->model());
    for (int i = 1; i < metric_->count(); ++i)
      items->item(i)->setEnabled(!own->weightsOnly || !needsText(metric_->itemText(i).toStdString()));
    if (!items->item(metric_->currentIndex())->isEnabled()) metric_->setCurrentIndex(0);
    for (QComboBox* box : {metric_, grouping_, allocator_}) box->setEnabled(hasBases);
    damping_->setEnabled(hasBases && metric() != Metric::identity);
    groupSize_->setEnabled(hasBases && hasSizes(grouping()));
    measure_->setEnabled(hasBases && !own->weightsOnly && isBySimilarity(grouping()) &&
                         (grouping() != "joint" || groupSize_->value() > 0));
    checkOptions(*own);
    showSharing();
  }
  // What was given says more than its text does.
  const Result<Target> typed =
      typed_->text() == targetText(given_) ? Result<Target>(given_) : targetFromText(typed_->text());
  if (typed) target_ = *typed;
  const QString ofRanks = rankProblem();
  reason_->setText(!ofRanks.isEmpty() ? ofRanks
                   : isVariant_       ? tr("Compared at the sizes of the experiment.")
                   : typed            ? tr("8 is eight times smaller; or 12.5 %, 2048 B, 2 % loss.")
                                      : QString::fromStdString(typed.error().message + " " + typed.error().hint));
  reason_->setForegroundRole(typed && ofRanks.isEmpty() ? QPalette::PlaceholderText : QPalette::WindowText);
  start_->setEnabled(typed && ofRanks.isEmpty() && memory_->fits() && own != nullptr);
}

void PlanDialog::showMemory(const Result<std::vector<MemoryForecast>>& forecast) {
  memory_->setForecast(forecast);
  check();
}

}  // namespace kvista
