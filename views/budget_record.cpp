// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/budget_record.h"

#include <QCoreApplication>
#include <QLocale>
#include <QRegularExpression>
#include <algorithm>
#include <cmath>

namespace kvista {

std::vector<BudgetRow> budgetRows(const CompressionPlan& plan, const std::vector<BudgetUnit>& units) {
  std::vector<BudgetRow> rows;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    BudgetRow row;
    row.group = static_cast<int>(i);
    row.slots = group.slots;
    row.directions = static_cast<int>(group.widths.size());
    std::array<int, 256> counts{};
    for (const std::uint8_t width : group.widths) ++counts[width];
    for (int width = 0; width < 256; ++width)
      if (counts[static_cast<std::size_t>(width)] > 0) row.bands[width] = counts[static_cast<std::size_t>(width)];
    row.rank = row.directions - counts[0];
    row.bytes = bytesPerToken(plan, group);
    if (const int layer = group.slots.front().layer; readsAnotherLayer(plan, layer)) {
      row.instead = QCoreApplication::translate("BudgetRow", "reads layer %1")
                        .arg(plan.sharedFrom[static_cast<std::size_t>(layer)]);
    } else if (storesTokenNumbers(plan, layer)) {
      row.instead = QCoreApplication::translate("BudgetRow", "numbers of tokens");
      row.bytes += kTokenNumberBytes;
    }
    row.kept = row.directions > 0 ? static_cast<double>(row.bytes) / (2.0 * row.directions) : 0;
    if (i < units.size()) row.predictedLoss = predictedLoss(units[i].spectrum, group.widths);
    row.locked = group.locked && row.instead.isEmpty();  // What stores nothing has no bits to keep.
    rows.push_back(std::move(row));
  }
  return rows;
}

BudgetRecord budgetRecordOf(const PlannedPlan& planned, const std::vector<BudgetUnit>& units,
                            const PlanningContext& context) {
  BudgetRecord record;
  record.rows =
      budgetRows(planned.plan, planned.predictedLoss && measuresLoss(planned.plan) ? units : std::vector<BudgetUnit>{});
  record.rankStep = planned.plan.rankStep;
  record.storage = planned.plan.storage;
  record.target = planned.plan.target;
  record.requestedBytes = planned.requestedBytes;
  record.achievedBytes = planned.achievedBytes;
  record.fullBytes = context.shape.cacheBytesPerToken();
  record.predictedLoss = planned.loss();
  record.note = QString::fromStdString(planned.note);
  for (const Allocator& allocator : allocators())
    record.allocators.emplace_back(
        QString::fromLatin1(allocator.name.data(), static_cast<qsizetype>(allocator.name.size())),
        QString::fromLatin1(allocator.summary.data(), static_cast<qsizetype>(allocator.summary.size())));
  record.allocator = QString::fromStdString(planned.plan.allocator);
  for (const DeviceProfile& device : deviceProfiles()) record.devices.push_back(QString::fromStdString(device.name));
  record.device = QString::fromStdString(context.device.name);
  record.context = context.context;
  return record;
}

double RankChange::asked(const BudgetRow& row) const {
  switch (kind) {
    case Kind::add:
      return row.rank + value;
    case Kind::scale:
      return row.rank * (1 + value);
    case Kind::part:
      return row.directions * value;
    case Kind::set:
      break;
  }
  return value;
}

int RankChange::of(const BudgetRow& row, int step) const {
  const auto size = static_cast<double>(row.directions);
  double wanted = asked(row);
  if (wanted >= size) return row.directions;
  if (kind == Kind::scale || kind == Kind::part) {
    const double rounded = std::round(wanted / step) * step;
    // A change that is asked for is seen, however small a tenth of a small rank is.
    wanted = kind == Kind::scale && value != 0 && rounded == row.rank ? row.rank + std::copysign(step, value) : rounded;
  }
  return static_cast<int>(std::clamp(std::round(wanted), 0.0, size));
}

Result<RankChange> rankChangeFromText(const QString& text) {
  const auto say = [](const char* sentence) { return QCoreApplication::translate("RankChange", sentence); };
  const auto no = [&](const QString& reason) {
    return fail(ErrorCode::invalidArgument, reason.toStdString(),
                say("Write 96, +8, -8, +10 % or 50 % (of the directions).").toStdString());
  };
  QString plain = text.trimmed();
  plain.replace(QChar(0x2212), QLatin1Char('-')).remove(QRegularExpression(QStringLiteral("\\s")));
  if (plain.isEmpty()) return no(say("There is no rank."));
  const bool isPercent = plain.endsWith(QLatin1Char('%'));
  if (isPercent) plain.chop(1);
  const QChar sign = plain.isEmpty() ? QChar() : plain.front();
  const bool isRelative = sign == QLatin1Char('+') || sign == QLatin1Char('-');
  bool isNumber = false;
  double number = QLocale().toDouble(plain, &isNumber);
  if (!isNumber) number = QLocale::c().toDouble(plain, &isNumber);
  if (!isNumber || !std::isfinite(number)) return no(say("'%1' is no rank.").arg(text));
  if (isPercent && isRelative) return RankChange{RankChange::Kind::scale, number / 100};
  if (isPercent) {
    if (number > 100) return no(say("%1 is more than all directions.").arg(text));
    return RankChange{RankChange::Kind::part, number / 100};
  }
  if (number != std::round(number)) return no(say("'%1' is no whole number.").arg(text));
  return RankChange{isRelative ? RankChange::Kind::add : RankChange::Kind::set, number};
}

}  // namespace kvista
