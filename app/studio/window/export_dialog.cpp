// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/export_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <cmath>

#include "app/studio/window/memory_row.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/window_size.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kUsualShard = 5, kBytesOfGigabyte = 1e9;  // as the engine and transformers have it

QString row(const QString& name, const QString& value) {
  return QStringLiteral("<tr><td style='padding:2px 18px 2px 0;color:%1'>%2</td><td>%3</td></tr>")
      .arg(colours().soft.name(), name, value);
}

/// `word`: what they are, before each; empty: nothing.
QString sentences(const std::vector<std::string>& list, const QColor& colour, const QString& word = {}) {
  QString html;
  for (const std::string& sentence : list)
    html += QStringLiteral("<p style='color:%1;margin:6px 0 0 0'><b>%2</b>%3</p>")
                .arg(colour.name(), word, QString::fromStdString(sentence).toHtmlEscaped());
  return html;
}

QString bytes(std::int64_t count) { return QLocale().formattedDataSize(count, 2, QLocale::DataSizeSIFormat); }

QString describe(const ExportPreview& preview) {
  QString html = QStringLiteral("<table cellspacing='0'>");
  html +=
      row(ExportDialog::tr("Tensors"),
          ExportDialog::tr("%L1 changed, %L2 carried over").arg(preview.tensorsChanged).arg(preview.tensorsCarried));
  html += row(ExportDialog::tr("Files"),
              ExportDialog::tr("%1, the original has %2; %3 are free")
                  .arg(bytes(preview.bytesAfter), bytes(preview.bytesBefore), bytes(preview.freeBytes)));
  html += row(ExportDialog::tr("Cache"), ExportDialog::tr("%L1 bytes a token, the original has %L2")
                                             .arg(preview.bytesPerTokenAfter)
                                             .arg(preview.bytesPerTokenBefore));
  html += row(ExportDialog::tr("Runs in"), QString::fromStdString(preview.runsIn).toHtmlEscaped());
  html += QStringLiteral("</table>");
  return html + sentences(preview.notes, colours().soft) +
         sentences(preview.problems, colours().warning, ExportDialog::tr("Problem: "));
}

}  // namespace

ExportDialog::ExportDialog(const std::vector<Choice>& forms, const QString& suggestedTarget, QWidget* parent)
    : QDialog(parent),
      form_(new QComboBox(this)),
      container_(new QComboBox(this)),
      dtype_(new QComboBox(this)),
      weightDtype_(new QComboBox(this)),
      policy_(new PolicyChoice(this)),
      shard_(new QDoubleSpinBox(this)),
      target_(new QLineEdit(suggestedTarget, this)),
      overwrite_(new QCheckBox(tr("replace an earlier export there"), this)),
      formSummary_(new QLabel(this)),
      preview_(new QLabel(this)),
      memory_(new MemoryRow(QStringLiteral("export"), this)),
      browse_(new QPushButton(tr("Choose…"), this)) {
  setObjectName(QStringLiteral("exportDialog"));
  setWindowTitle(tr("Export"));
  for (const Choice& form : forms)
    form_->addItem(QString::fromStdString(form.name), QString::fromStdString(form.summary));
  container_->setObjectName(QStringLiteral("exportContainer"));
  container_->addItem(tr("safetensors, as transformers reads them"), QStringLiteral("safetensors"));
  container_->addItem(tr("one GGUF file, for llama.cpp"), QStringLiteral("gguf"));
  weightDtype_->addItem(tr("as they are"));
  for (const char* name : {"float32", "bfloat16", "float16"}) {
    dtype_->addItem(QLatin1String(name));
    weightDtype_->addItem(QLatin1String(name), QLatin1String(name));
  }
  weightDtype_->setObjectName(QStringLiteral("weightDtype"));
  weightDtype_->setToolTip(tr("What the tensors that the plan does not change are written as."));
  shard_->setObjectName(QStringLiteral("shardSize"));
  shard_->setRange(0.01, 1000);
  shard_->setValue(kUsualShard);
  shard_->setSuffix(tr(" GB"));
  shard_->setMinimumWidth(130);
  shard_->setToolTip(tr("A larger tensor gets a file of its own."));
  formSummary_->setForegroundRole(QPalette::PlaceholderText);
  formSummary_->setWordWrap(true);
  preview_->setWordWrap(true);
  preview_->setTextFormat(Qt::RichText);
  preview_->setMinimumHeight(116);
  preview_->setAlignment(Qt::AlignTop);
  preview_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  target_->setObjectName(QStringLiteral("exportTarget"));
  preview_->setObjectName(QStringLiteral("dryRun"));
  auto* where = new QHBoxLayout;
  where->setSpacing(8);
  where->addWidget(target_, 1);
  where->addWidget(browse_);
  auto* formLayout = scrolledForm(*this);
  formLayout->addRow(tr("Form"), form_);
  formLayout->addRow(QString(), formSummary_);
  formLayout->addRow(tr("Files"), container_);
  formLayout->addRow(tr("New tensors as"), dtype_);
  formLayout->addRow(tr("All others"), weightDtype_);
  formLayout->addRow(tr("Files of at most"), shard_);
  formLayout->addRow(tr("Policy"), policy_);
  formLayout->addRow(tr("Folder"), where);
  formLayout->addRow(QString(), overwrite_);
  formLayout->addRow(tr("Dry run"), preview_);
  formLayout->addRow(tr("Memory"), memory_);
  const auto [buttons, start] = startButtons(*this, tr("Export"));
  write_ = start;
  connect(browse_, &QPushButton::clicked, this, [this] {
    const QString folder = QFileDialog::getExistingDirectory(this, tr("Folder that the export's folder goes into"));
    if (!folder.isEmpty()) target_->setText(folder + QLatin1Char('/') + target_->text().section(QLatin1Char('/'), -1));
  });
  connect(form_, &QComboBox::currentIndexChanged, this, &ExportDialog::ask);
  for (QComboBox* box : {container_, dtype_, weightDtype_})
    connect(box, &QComboBox::currentIndexChanged, this, &ExportDialog::ask);
  policy_->setObjectName(QStringLiteral("exportPolicy"));
  connect(policy_, &QComboBox::editTextChanged, this, &ExportDialog::ask);
  connect(shard_, &QDoubleSpinBox::valueChanged, this, &ExportDialog::ask);
  connect(target_, &QLineEdit::textChanged, this, &ExportDialog::ask);
  connect(overwrite_, &QCheckBox::toggled, this, &ExportDialog::ask);
  finishScrolledForm(*this, *formLayout, *buttons, 600);
  QMetaObject::invokeMethod(this, &ExportDialog::ask, Qt::QueuedConnection);  // Once somebody listens.
}

QString ExportDialog::form() const { return form_->currentText(); }
QString ExportDialog::container() const { return container_->currentData().toString(); }
QString ExportDialog::dtype() const { return dtype_->currentText(); }
QString ExportDialog::weightDtype() const { return weightDtype_->currentData().toString(); }
qint64 ExportDialog::shardBytes() const {
  return shard_->isEnabled() ? std::llround(shard_->value() * kBytesOfGigabyte) : 0;
}
QString ExportDialog::target() const { return target_->text().trimmed(); }
QString ExportDialog::policy() const { return policy_->policy(); }
bool ExportDialog::overwrite() const { return overwrite_->isChecked(); }

bool ExportDialog::canExport() const { return write_->isEnabled(); }

void ExportDialog::ask() {
  formSummary_->setText(form_->currentData().toString());
  shard_->setEnabled(container() != QStringLiteral("gguf"));  // which is written whole
  isWritable_ = false;
  write_->setEnabled(false);
  if (target().isEmpty()) {
    preview_->setText(tr("Name a folder."));
    return;
  }
  preview_->setText(tr("Looking…"));
  Q_EMIT previewWanted();
}

void ExportDialog::showPreview(const Result<ExportPreview>& preview) {
  isWritable_ = preview && preview->problems.empty();
  preview_->setText(preview ? describe(*preview)
                            : sentences({preview.error().message, preview.error().hint}, colours().warning));
  write_->setEnabled(isWritable_ && memory_->fits());
}

void ExportDialog::showMemory(const Result<std::vector<MemoryForecast>>& forecast) {
  memory_->setForecast(forecast);
  write_->setEnabled(isWritable_ && memory_->fits());
}

void ExportDialog::setElsewhere(bool elsewhere) { browse_->setHidden(elsewhere); }

}  // namespace kvista
