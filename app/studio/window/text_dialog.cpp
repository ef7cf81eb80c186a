// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/text_dialog.h"

#include <QCheckBox>
#include <QDialogButtonBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QRegularExpression>
#include <QSpinBox>
#include <algorithm>
#include <cmath>

#include "app/studio/window/file_list.h"
#include "app/studio/window/memory_row.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/tab_order.h"
#include "app/studio/window/window_size.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kUsualWindow = 2048, kMostWindows = 1'000'000;

QSpinBox* number(int least, int most, int value, const QString& zero, QWidget* parent) {
  auto* box = new QSpinBox(parent);
  box->setRange(least, most);
  box->setValue(value);
  box->setGroupSeparatorShown(true);
  if (!zero.isEmpty()) box->setSpecialValueText(zero);
  box->setMinimumWidth(130);
  return box;
}

/// Numbers above 0 as the person's locale or a program writes them, between colons or blanks; absent: something is not
/// one.
std::optional<std::vector<double>> numbersIn(const QString& text) {
  static const QRegularExpression kBetween(QStringLiteral("[\\s:;]+"));
  std::vector<double> numbers;
  for (const QString& part : text.split(kBetween, Qt::SkipEmptyParts)) {
    bool isOne = false;
    double number = QLocale().toDouble(part, &isOne);
    if (!isOne) number = QLocale::c().toDouble(part, &isOne);
    if (!isOne || !std::isfinite(number) || number <= 0) return std::nullopt;
    numbers.push_back(number);
  }
  return numbers;
}

QString ratioText(const std::vector<double>& weights) {
  QStringList parts;
  for (const double weight : weights) parts << QLocale().toString(weight, 'g', 6);
  return parts.join(QStringLiteral(" : "));
}

}  // namespace

TextDialog::TextDialog(Purpose purpose, const ModelRecord& model, const TextSelection& before, QWidget* parent)
    : QDialog(parent),
      files_(new FileList(this)),
      forecast_(new QLabel(this)),
      memory_(new MemoryRow(purpose == Purpose::calibrate ? QStringLiteral("calibrate") : QStringLiteral("evaluate"),
                            this)) {
  const bool calibrates = purpose == Purpose::calibrate;
  setObjectName(calibrates ? QStringLiteral("calibrateDialog") : QStringLiteral("measureDialog"));
  setWindowTitle(calibrates ? tr("Calibrate") : tr("Measure perplexity"));
  const auto context = static_cast<int>(
      std::min<std::int64_t>(model.maximumPositions > 0 ? model.maximumPositions : kUsualWindow, 1 << 20));
  const int usual = std::min(context, kUsualWindow);
  window_ = number(0, std::max(context, 2), static_cast<int>(before.window),
                   tr("%1 (usual)").arg(QLocale().toString(usual)), this);
  windows_ = number(0, kMostWindows, static_cast<int>(before.windows), tr("all"), this);
  skip_ = number(0, kMostWindows, static_cast<int>(before.skipWindows), {}, this);
  window_->setObjectName(QStringLiteral("window"));
  windows_->setObjectName(QStringLiteral("windows"));
  skip_->setObjectName(QStringLiteral("skipWindows"));
  random_ = new QCheckBox(tr("draw them at random, seed"), this);
  seed_ = number(0, 1'000'000'000, before.seed ? static_cast<int>(*before.seed) : 0, {}, this);
  random_->setChecked(before.seed.has_value());
  seed_->setEnabled(random_->isChecked());
  bos_ = new QCheckBox(tr("begin each window with the BOS token"), this);
  bos_->setChecked(before.beginWithBos);
  files_->setPaths([&] {
    QStringList paths;
    for (const std::string& path : before.paths) paths << QString::fromStdString(path);
    return paths;
  }());

  auto* why = new QLabel(
      calibrates
          ? tr("The model reads this text once. A plan is only as good as its text: take text like the one the "
               "model will meet.")
          : tr("The original and the plan are measured on the same tokens. Take text that calibration did not see."),
      this);
  why->setWordWrap(true);
  why->setForegroundRole(QPalette::PlaceholderText);
  forecast_->setForegroundRole(QPalette::PlaceholderText);
  forecast_->setWordWrap(true);
  auto* drawn = new QHBoxLayout;
  drawn->setSpacing(8);
  drawn->addWidget(random_);
  drawn->addWidget(seed_);
  drawn->addStretch(1);
  auto* form = new QFormLayout(this);
  form->setContentsMargins(20, 20, 20, 16);
  form->setVerticalSpacing(8);
  form->addRow(why);
  form->addRow(tr("Text"), files_);
  if (calibrates) {
    weights_ = new QLineEdit(ratioText(before.weights), this);
    weights_->setObjectName(QStringLiteral("weights"));
    weights_->setPlaceholderText(tr("one text after another"));
    weights_->setToolTip(
        tr("Windows are taken from all texts in this ratio, mixed evenly, until one text has none left: 2 : 1 for two "
           "of them."));
    form->addRow(tr("In the ratio"), weights_);
    connect(weights_, &QLineEdit::textChanged, this, &TextDialog::check);
  }
  form->addRow(tr("Tokens a window"), window_);
  form->addRow(tr("Windows"), windows_);
  form->addRow(tr("Leave out first"), skip_);
  form->addRow(QString(), drawn);
  form->addRow(QString(), bos_);
  if (calibrates) {
    gradients_ = new QCheckBox(tr("with gradients: needed for predictions and the Fisher metric"), this);
    gradients_->setChecked(true);
    form->addRow(QString(), gradients_);
  }
  if (!calibrates) {
    policy_ = new PolicyChoice(this);
    policy_->setObjectName(QStringLiteral("measurePolicy"));
    prompt_ = number(0, 1 << 20, 0, tr("half of a window"), this);
    prompt_->setObjectName(QStringLiteral("policyPrompt"));
    prompt_->setAccessibleName(tr("Tokens that are read before the policy acts"));
    prompt_->setToolTip(
        tr("Tokens of each window that are read before the policy acts. What is measured are the predictions behind "
           "them, of the\n"
           "original and the plan without the policy too; the figures stand in the panel Try."));
    form->addRow(tr("Policy"), policy_);
    form->addRow(tr("It acts behind"), prompt_);
    connect(policy_, &QComboBox::currentTextChanged, this, &TextDialog::check);
    connect(policy_, &PolicyChoice::problemChanged, this, &TextDialog::check);
    connect(prompt_, &QSpinBox::valueChanged, this, &TextDialog::check);
  }
  form->addRow(QString(), forecast_);
  form->addRow(tr("Memory"), memory_);
  buttons_ = startButtons(*this, calibrates ? tr("Calibrate") : tr("Measure")).box;
  form->addRow(buttons_);
  tabAsSeen(*form);
  connect(random_, &QCheckBox::toggled, seed_, &QWidget::setEnabled);
  connect(files_, &FileList::changed, this, &TextDialog::check);
  for (QSpinBox* box : {window_, windows_}) connect(box, &QSpinBox::valueChanged, this, &TextDialog::check);
  connect(window_, &QSpinBox::valueChanged, this, &TextDialog::memoryWanted);
  if (gradients_) connect(gradients_, &QCheckBox::toggled, this, &TextDialog::memoryWanted);
  resizeToScreen(*this, {560, sizeHint().height()});
  check();
}

int TextDialog::windowLength() const {
  return window_->value() > 0 ? window_->value() : std::min(window_->maximum(), kUsualWindow);
}

QString TextDialog::problem() const {
  const auto texts = static_cast<std::size_t>(files_->paths().size());
  if (texts == 0) return tr("Add a text file to begin.");
  const auto ratio = weights_ && weights_->isEnabled() ? numbersIn(weights_->text()) : std::vector<double>();
  if (!ratio || (!ratio->empty() && ratio->size() != texts))
    return tr("A ratio of %n texts is as many numbers above 0, such as 2 : 1.", nullptr, static_cast<int>(texts));
  if (prompt() >= windowLength() - 1)
    return tr("A window of %L1 tokens has nothing to measure behind its first %L2: the policy must act at least 2 "
              "tokens before its end.")
        .arg(windowLength())
        .arg(prompt());
  return policy_ ? policy_->problem() : QString();
}

void TextDialog::check() {
  if (weights_) weights_->setEnabled(files_->paths().size() > 1);
  if (prompt_) prompt_->setEnabled(!policy().isEmpty());
  const QString problem = this->problem();
  for (QAbstractButton* button : buttons_->buttons())
    if (buttons_->buttonRole(button) == QDialogButtonBox::AcceptRole)
      button->setEnabled(problem.isEmpty() && memory_->fits());
  const bool isMistake = !problem.isEmpty() && !files_->paths().isEmpty();
  forecast_->setForegroundRole(isMistake ? QPalette::WindowText : QPalette::PlaceholderText);
  forecast_->setText(!problem.isEmpty() ? problem
                     : windows_->value() > 0
                         ? tr("At most %L1 tokens are read.").arg(qint64{windowLength()} * windows_->value())
                         : tr("The whole text is read, in windows of %L1 tokens.").arg(windowLength()));
}

int TextDialog::prompt() const { return prompt_ && prompt_->isEnabled() ? prompt_->value() : 0; }

void TextDialog::setPolicies(const std::vector<PolicyChoice::Line>& lines) {
  if (policy_) policy_->setPolicies(lines);
}

void TextDialog::showMemory(const Result<std::vector<MemoryForecast>>& forecast) {
  memory_->setForecast(forecast);
  check();
}

TextSelection TextDialog::selection() const {
  TextSelection selection;
  for (const QString& path : files_->paths()) selection.paths.push_back(path.toStdString());
  selection.window = window_->value();
  selection.windows = windows_->value();
  selection.skipWindows = skip_->value();
  if (random_->isChecked()) selection.seed = static_cast<std::uint64_t>(seed_->value());
  selection.beginWithBos = bos_->isChecked();
  if (weights_ && weights_->isEnabled())
    selection.weights = numbersIn(weights_->text()).value_or(std::vector<double>());
  return selection;
}

bool TextDialog::gradients() const { return !gradients_ || gradients_->isChecked(); }

}  // namespace kvista
