// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cmath>

#include "views/gallery/gallery.h"
#include "views/lab_view.h"

namespace kvista {
namespace {

LabCell words(const QString& text) { return {text}; }

View* makeLab() {
  auto* view = new LabView;
  LabFindings found;
  found.summary.columns = {{"File", {}, false, true},
                           {"Measure", {}, false},
                           {"Items"},
                           {"Original, %"},
                           {"±"},
                           {"Plan, %"},
                           {"±"},
                           {"Difference"},
                           {"Same answer, %"}};
  found.summary.rows = {{words("questions.jsonl"), words("acc"), words("8"), words("75.0"), words("16.4"),
                         words("62.5"), words("18.3"), words("−12.5"), words("87.5")},
                        {words("questions.jsonl"), words("acc_norm"), words("8"), words("62.5"), words("18.3"),
                         words("62.5"), words("18.3"), words("0.0"), words("100.0")}};
  LabTable answers{{{"Line"},
                    {"Question", {}, false, true},
                    {"Right", {}, false, true},
                    {"Original", {}, false, true},
                    {"Plan", {}, false, true},
                    {"Margin, nats"},
                    {"of the plan"}},
                   {}};
  answers.rows = {{words("3"), words("Mr. Darcy drew his chair a little towards her, and"), words("said"),
                   words("✓ said"), words("✗ of the"), words("0.41"), words("−0.12")},
                  {words("4"), words("He could not bear to see her so"), words("unhappy"), words("✓ unhappy"),
                   words("✓ unhappy"), words("3.10"), words("2.75")}};
  found.details = {{QStringLiteral("all"), QStringLiteral("All answers"), answers}};
  view->setFindings(LabView::Page::questions, found);
  return view;
}

View* makeEmptyLab() {
  auto* view = new LabView;
  view->showPage(LabView::Page::agreement);
  view->setWork(LabView::Page::agreement, {true, QStringLiteral("write · 3 of 8 prompts"), {}});
  return view;
}

View* makeAgreementLab() {
  auto* view = new LabView;
  view->showPage(LabView::Page::agreement);
  LabFindings found;
  found.summary.columns = {{"Tokens"}, {"Same likeliest, %"}, {"KL"}, {"First differs"}, {"Never"}};
  found.summary.rows = {{words("4,096"), words("96.2"), words("0.0113"), words("29.4"), words("2 of 8")}};
  LabTable written{{{"First differs"},
                    {"Both write", {}, false, true},
                    {"then the original", {}, false, true},
                    {"then the plan", {}, false, true}},
                   {}};
  written.rows = {{words("5"), words("to the door, and"), words("there stood"), words("was gone")},
                  {words("never"), words("It was a truth that nobody in the house would own."), {}, {}}};
  found.details = {{QStringLiteral("written"), QStringLiteral("What both wrote"), written}};
  found.curve = LabCurve{64, {5, 64, 9, 17, 64, 40, 22, 14}};
  view->setFindings(LabView::Page::agreement, found);
  return view;
}

View* makeRanksLab() {
  auto* view = new LabView;
  view->showPage(LabView::Page::ranks);
  constexpr int kLayers = 8;
  LabFindings found;
  found.summary.columns = {{"Model", {}, false}, {"Statistics", {}, false, true}, {"Keys"}, {"Values"}, {"Pearson"}};
  found.summary.rows = {{words("small"), words("novels"), words("0.46"), words("0.71"), words("+0.612")},
                        {words("small"), words("code"), words("0.41"), words("0.66"), words("+0.574")}};
  LabTable heat{{{"Layer", {}, false}, {"novels keys"}, {"novels values"}, {"code keys"}, {"code values"}}, {}};
  LabPoints points{QStringLiteral("50 %"), {"novels", "code"}, {}};
  for (int layer = 0; layer < kLayers; ++layer) {
    heat.rows.push_back({words(QString::number(layer))});
    for (int column = 0; column < 4; ++column) {
      const double rank = 0.25 + 0.05 * ((layer * 5 + column * 7) % 9) + (column % 2 == 1 ? 0.2 : 0);
      LabCell cell = words(QString::number(rank, 'f', 3));
      cell.heat = rank;
      heat.rows.back().push_back(cell);
      const double loss = layer == 2 ? -0.001 : 0.0004 * std::exp(6 * rank) * (1 + layer % 3);
      points.points.push_back(
          {QStringLiteral("layer %1").arg(layer), rank, loss, column % 2 == 0, static_cast<std::size_t>(column / 2)});
    }
  }
  found.details = {{QStringLiteral("layers"), QStringLiteral("Ranks by layer"), heat}};
  found.points = points;
  view->setFindings(LabView::Page::ranks, found);
  return view;
}

View* makeVariantsLab() {
  auto* view = new LabView;
  view->showPage(LabView::Page::variants);
  LabFindings found;
  found.summary.columns = {{"Directions", {}, false, true}, {"Keys"}, {"Values"}, {"Scores"}, {"Outputs"}};
  const auto strong = [](const char* text) {
    LabCell cell = words(text);
    cell.isStrong = true;
    return cell;
  };
  found.summary.rows = {
      {words("KQ-SVD: of keys and queries multiplied"), words("0.0612"), words("0.1034"), strong("0.0087"),
       strong("0.0451")},
      {words("K-SVD: of the keys alone"), strong("0.0318"), strong("0.0921"), words("0.0243"), words("0.0579")},
      {words("Eigen Attention: of keys and queries together"), words("0.0405"), strong("0.0921"), words("0.0164"),
       words("0.0512")}};
  view->setFindings(LabView::Page::variants, found);
  view->setWork(LabView::Page::variants, {false, QStringLiteral("attention scores err least with kqsvd"), {}});
  return view;
}

}  // namespace

Exhibit labExhibit() { return {"lab", makeLab}; }
Exhibit agreementLabExhibit() { return {"agreement-lab", makeAgreementLab}; }
Exhibit ranksLabExhibit() { return {"ranks-lab", makeRanksLab}; }
Exhibit variantsLabExhibit() { return {"variants-lab", makeVariantsLab}; }
Exhibit emptyLabExhibit() { return {"empty-lab", makeEmptyLab}; }

}  // namespace kvista
