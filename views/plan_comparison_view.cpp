// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/plan_comparison_view.h"

#include <QComboBox>
#include <QEvent>
#include <QFontMetricsF>
#include <QHBoxLayout>
#include <QHelpEvent>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QToolTip>
#include <QVBoxLayout>
#include <cmath>
#include <limits>

#include "views/number_text.h"
#include "views/segmented_control.h"
#include "views/theme.h"
#include "views/view_state.h"
#include "views/words.h"

namespace kvista {
namespace {

/// Wider than this, the figures stand beside the tables.
constexpr int kWide = 1000;
constexpr double kTitleHeight = 28, kSpace = 16;

/// The figures on the screen.
class Figures final : public QWidget {
 public:
  Figures(const PlanComparisonRecord& record, QWidget* parent) : QWidget(parent), record_(record) {
    setFixedSize(kPlanFiguresWidth, kPlanFiguresHeight);
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    paintPlanFigures(painter, rect(), record_);
  }

 private:
  const PlanComparisonRecord& record_;
};

QComboBox* chooser(const QString& name, QWidget* parent) {
  auto* box = new QComboBox(parent);
  box->setAccessibleName(name);
  box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  box->setMinimumContentsLength(12);
  box->setMaximumWidth(280);
  box->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  return box;
}

}  // namespace

PlanComparisonView::PlanComparisonView(QWidget* parent)
    : View(parent),
      empty_(emptyState(tr("Keep a plan with Ctrl+D, or measure one, to compare it with this one."), this)),
      content_(new QWidget(this)),
      noLoss_(emptyState(tr("Losses by layer are predicted of plans in the Fisher metric whose spectra are known: "
                            "calibrate with gradients, and keep plans that have the same groups."),
                         content_)),
      tables_(new HeatTables(content_)),
      quantities_(new SegmentedControl({{QStringLiteral("bits"), tr("bits")}, {QStringLiteral("loss"), tr("loss")}},
                                       tr("What is compared"), this)) {
  quantities_->hide();
  auto* all = new QVBoxLayout(this);
  all->setContentsMargins(16, 12, 8, 8);
  all->addWidget(empty_);
  all->addWidget(content_);
  auto* column = new QVBoxLayout(content_);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(12);
  column->addWidget(makeHeader());
  figures_ = new Figures(record_, content_);
  body_ = new QBoxLayout(QBoxLayout::TopToBottom);
  body_->setSpacing(static_cast<int>(kSpace));
  body_->addWidget(figures_, 0, Qt::AlignTop | Qt::AlignLeft);
  body_->addWidget(tables_, 1);
  body_->addWidget(noLoss_, 1);
  column->addLayout(body_, 1);
  setKeyboardPart(tables_);
  tables_->setAccessibleName(tr("Two plans by layer and head"));
  tables_->installEventFilter(this);
  connect(quantities_, &SegmentedControl::chosen, this, [this](const QString& id) {
    setQuantity(id == QStringLiteral("loss") ? Quantity::loss : Quantity::bits);
    Q_EMIT viewStateChanged();
  });
  connect(tables_, &HeatTables::layerActivated, this, &PlanComparisonView::layerActivated);
  connect(tables_, &HeatTables::pointedChanged, this, [this] {
    const auto cell = tables_->pointed();
    const QString text = cell ? describe(*cell) : QString();
    tables_->setAccessibleDescription(text);
    Q_EMIT hovered(text);
  });
  setRecord({});
}

QWidget* PlanComparisonView::makeHeader() {
  auto* header = new QWidget(content_);
  auto* row = new QHBoxLayout(header);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(8);
  a_ = chooser(tr("Plan A"), header);
  b_ = chooser(tr("Plan B"), header);
  swap_ = new QPushButton(tr("Swap"), header);
  swap_->setToolTip(tr("Makes B to A, and A to B"));
  row->addWidget(softLabel(tr("A"), header));
  row->addWidget(a_, 1);
  row->addWidget(swap_);
  row->addWidget(softLabel(tr("B"), header));
  row->addWidget(b_, 1);
  row->addStretch(1);
  const auto choose = [this] { Q_EMIT plansChosen(a_->currentData().toString(), b_->currentData().toString()); };
  connect(a_, &QComboBox::activated, this, choose);
  connect(b_, &QComboBox::activated, this, choose);
  connect(swap_, &QPushButton::clicked, this,
          [this] { Q_EMIT plansChosen(b_->currentData().toString(), a_->currentData().toString()); });
  return header;
}

void PlanComparisonView::setRecord(PlanComparisonRecord record) {
  if (record.plans != record_.plans)
    for (QComboBox* box : {a_, b_}) {
      box->clear();
      for (const PlanChoice& choice : record.plans) box->addItem(choice.name, choice.id);
    }
  record_ = std::move(record);
  const bool drawn = record_.canBeDrawn();
  empty_->setVisible(!drawn);
  content_->setVisible(drawn);
  for (const auto& [box, plan] : {std::pair(a_, &record_.a), std::pair(b_, &record_.b)}) {
    box->setCurrentIndex(box->findData(plan->plan.id));
    box->setToolTip(plan->plan.name);
  }
  figures_->setAccessibleName(tr("Figures of both plans"));
  QStringList words;
  if (drawn)
    for (const PlanFigure& figure : planFigures(record_))
      words << tr("%1: A %2, B %3, difference %4").arg(figure.name, figure.a, figure.b, figure.difference);
  figures_->setAccessibleDescription(words.join(QStringLiteral("; ")));
  figures_->update();
  showTables();
}

void PlanComparisonView::setQuantity(Quantity quantity) {
  quantity_ = quantity;
  showTables();
}

QJsonObject PlanComparisonView::viewState() const {
  return quantity_ == Quantity::loss ? QJsonObject{{QStringLiteral("shown"), QStringLiteral("loss")}} : QJsonObject();
}

bool PlanComparisonView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  const QString shown = reader.choice("shown", {QStringLiteral("bits"), QStringLiteral("loss")});
  setQuantity(shown == QStringLiteral("loss") ? Quantity::loss : Quantity::bits);
  return reader.isSound();
}

const Matrix& PlanComparisonView::shown(const ComparedPlan& plan) const {
  return quantity_ == Quantity::bits ? plan.bits : plan.loss;
}

void PlanComparisonView::showTables() {
  quantities_->setCurrent(quantity_ == Quantity::bits ? QStringLiteral("bits") : QStringLiteral("loss"));
  setTitle(tr("Plans"), quantity_ == Quantity::bits
                            ? tr("bits a number, by layer and head")
                            : tr("predicted loss, thousandths of a nat a token, by layer and side"));
  const bool drawn = record_.canBeDrawn() && !(shown(record_.a).isEmpty() && shown(record_.b).isEmpty());
  HeatTablesRecord tables;
  if (drawn)
    tables = {shown(record_.a), shown(record_.b), tr("A · %1").arg(record_.a.plan.name),
              tr("B · %1").arg(record_.b.plan.name)};
  if (quantity_ == Quantity::loss)
    for (Matrix* matrix : {&tables.a, &tables.b})
      for (float& value : matrix->values) value *= 1000;
  tables_->setRecord(std::move(tables));
  tables_->setLayer(record_.layer);
  tables_->setVisible(drawn);
  noLoss_->setVisible(!drawn);
}

double PlanComparisonView::valueOf(const ComparedPlan& plan, HeatTables::Cell cell) const {
  const Matrix& matrix = shown(plan);
  return matrix.isEmpty() ? std::numeric_limits<double>::quiet_NaN() : matrix.at(cell.layer, cell.column);
}

QString PlanComparisonView::columnName(int layer, int column) const {
  const int half = tables_->columns() / 2;
  const bool isKey = column < half;
  if (quantity_ == Quantity::loss) return isKey ? tr("keys") : tr("values");
  return slotName({layer, isKey ? Side::key : Side::value, isKey ? column : column - half});
}

QString PlanComparisonView::describe(HeatTables::Cell cell) const {
  const bool isBits = quantity_ == Quantity::bits;
  const double a = valueOf(record_.a, cell), b = valueOf(record_.b, cell);
  const auto number = [&](double value) {
    if (std::isnan(value)) return tr("not known");
    return isBits ? tr("%1 bits").arg(decimalText(value, 2)) : tr("~ %1 nats").arg(significantText(value, 3));
  };
  const double change = b - a;
  const QString sign = change > 0 ? QStringLiteral("+") : QString();
  return QStringList{
      tr("Layer %L1").arg(cell.layer), columnName(cell.layer, cell.column), tr("A %1, B %2").arg(number(a), number(b)),
      std::isnan(change)
          ? tr("difference not known")
          : tr("difference %1").arg(sign + (isBits ? decimalText(change, 2) : significantText(change, 3)))}
      .join(QStringLiteral(" · "));
}

PlainTable PlanComparisonView::plainTable() const {
  const bool isBits = quantity_ == Quantity::bits;
  PlainTable table{{tr("Layer"), isBits ? tr("Head") : tr("Side"), tr("A: %1").arg(record_.a.plan.name),
                    tr("B: %1").arg(record_.b.plan.name), tr("Difference")},
                   {}};
  for (int layer = 0; layer < tables_->layers(); ++layer)
    for (int column = 0; column < tables_->columns(); ++column) {
      const double a = valueOf(record_.a, {layer, column}), b = valueOf(record_.b, {layer, column});
      table.rows.push_back(
          {QString::number(layer), columnName(layer, column), plainNumber(a), plainNumber(b), plainNumber(b - a)});
    }
  return table;
}

QWidget* PlanComparisonView::controls() {
  quantities_->show();
  return quantities_;
}

QSize PlanComparisonView::minimumSizeHint() const {
  return {560, body_->direction() == QBoxLayout::LeftToRight ? 240 : 420};
}

void PlanComparisonView::resizeEvent(QResizeEvent*) {
  const auto direction = width() >= kWide ? QBoxLayout::LeftToRight : QBoxLayout::TopToBottom;
  if (direction == body_->direction()) return;
  body_->setDirection(direction);
  updateGeometry();
}

bool PlanComparisonView::eventFilter(QObject* watched, QEvent* event) {
  if (watched == tables_ && event->type() == QEvent::ToolTip) {
    const auto cell = tables_->pointed();
    QToolTip::showText(static_cast<QHelpEvent*>(event)->globalPos(), cell ? describe(*cell) : QString(), tables_);
    return true;
  }
  return View::eventFilter(watched, event);
}

void PlanComparisonView::paintFigure(QPainter& painter, const QRectF& area) const {
  const Theme::Wearing light(Theme::light());
  if (!record_.canBeDrawn()) return;
  painter.save();
  painter.setFont(textFont(TextRole::title));
  painter.setPen(colours().text);
  const QString words = tr("A: %1 · B: %2 · %3").arg(record_.a.plan.name, record_.b.plan.name, remark());
  painter.drawText(QRectF(area.left(), area.top(), area.width(), kTitleHeight), Qt::AlignLeft | Qt::AlignTop,
                   QFontMetricsF(painter.font()).elidedText(words, Qt::ElideRight, area.width()));
  const QRectF below = area.adjusted(0, kTitleHeight, 0, 0);
  paintPlanFigures(painter, below, record_);
  const bool wide = area.width() >= kWide;
  tables_->paintFigure(
      painter, below.adjusted(wide ? kPlanFiguresWidth + kSpace : 0, wide ? 0 : kPlanFiguresHeight + kSpace, 0, 0));
  painter.restore();
}

}  // namespace kvista
