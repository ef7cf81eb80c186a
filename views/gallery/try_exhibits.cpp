// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QPlainTextEdit>
#include <QPushButton>
#include <QToolButton>
#include <cmath>
#include <limits>

#include "views/gallery/gallery.h"
#include "views/guide_view.h"
#include "views/provenance_view.h"
#include "views/segmented_control.h"
#include "views/try_view.h"

namespace kvista {
namespace {

View* makeTry() {
  auto* view = new TryView;
  view->setChatTemplate(QStringLiteral("chatml"));
  for (auto* editor : view->findChildren<QPlainTextEdit*>())
    if (!editor->isReadOnly())
      editor->setPlainText(QStringLiteral("Anne had been too little from home, too little seen."));
  const QString words = QStringLiteral(
      " With more than usual eagerness did Catherine hasten to the pump-room the next day, secure within herself of "
      "seeing Mr. Tilney there before the morning were over, and ready to meet him with a smile; but no smile was "
      "demanded.");
  view->appendPiece(false, words, 128, 2'097'152);
  view->appendPiece(true, words.left(160), 101, 206'848);
  std::vector<QString> pieces;
  std::vector<float> before, after;
  int i = 0;
  for (const QString& word : (view->prompt() + words).split(QLatin1Char(' '))) {
    pieces.push_back(i == 0 ? word : QLatin1Char(' ') + word);
    before.push_back(i == 0 ? std::numeric_limits<float>::quiet_NaN()
                            : 2.1F + 1.7F * std::sin(static_cast<float>(i) * 1.3F));
    after.push_back(before.back() + 0.25F * std::pow(std::sin(static_cast<float>(i) * 2.7F), 3.0F) + 0.02F);
    ++i;
  }
  view->setTokenLosses(pieces, before, after);
  view->setEvaluations(
      {{QStringLiteral("persuasion.txt"), {}, 8, 65'504, 37.57, 37.63},
       {QStringLiteral("northanger-abbey.txt"), {}, 8, 65'504, 39.12, 39.31},
       {QStringLiteral("persuasion.txt"), QStringLiteral("coded, 16.0 times smaller"), 16, 65'504, 37.57, 38.9},
       {QStringLiteral("persuasion.txt"),
        {},
        4,
        32'752,
        36.81,
        36.88,
        QStringLiteral("snapkv share=0.25 interval=64"),
        38.02}});
  RetrievalTable original{{256, 512, 1024, 2048}, {0, 25, 50, 75, 100}, 4, {5, 4, {}}, {5, 4, {}}};
  for (int cell = 0; cell < 20; ++cell) {
    original.loss.values.push_back(0.1F + 0.25F * static_cast<float>(cell % 4));
    original.found.values.push_back(cell % 4 == 3 ? 0.75F : 1);
  }
  RetrievalTable plan = original;
  for (std::size_t cell = 0; cell < 20; ++cell) {
    plan.loss.values[cell] *= 1.6F;
    if (cell % 4 > 1) plan.found.values[cell] -= 0.25F;
  }
  view->setRetrieval(original, plan);
  return view;
}

View* makeTryRetrieval() {
  View* view = makeTry();
  view->findChild<SegmentedControl*>()->segment(QStringLiteral("retrieval"))->click();
  return view;
}

View* makeTryPolicy() {
  auto* view = static_cast<TryView*>(makeTry());
  view->setPolicies(
      {{QStringLiteral("snapkv share=0.5"), QStringLiteral("What the last queries look at, with its neighbours")},
       {QStringLiteral("kivi"), QStringLiteral("Keys per channel in blocks of tokens, values per token")}});
  view->findChild<PolicyChoice*>()->setEditText(QStringLiteral("snapkv share=0.5 interval=16"));
  view->findChild<QPushButton*>(QStringLiteral("generate"))->click();
  view->appendPolicyPiece(
      true,
      QStringLiteral(
          " With more than usual eagerness did Catherine hasten to the rooms the next day, and smile, and be met."),
      104, 121'344);
  return view;
}

View* makeEmptyTry() {
  auto* view = new TryView;
  view->setUnavailable(QStringLiteral("Open a model first."));
  return view;
}

View* makeGuide() {
  auto* view = new GuideView;
  GuideRecord record;
  record.steps = {GuideRecord::Progress::done, GuideRecord::Progress::current, GuideRecord::Progress::later,
                  GuideRecord::Progress::later};
  record.recent = {
      {QStringLiteral("/models/austen-mha-30m"), QStringLiteral("austen-mha-30m"), QStringLiteral("today"), {}, false},
      {QStringLiteral("/models/Meta-Llama-3.1-8B"),
       QStringLiteral("Meta-Llama-3.1-8B"),
       QStringLiteral("yesterday"),
       {},
       false},
      {QStringLiteral("/mnt/server/Qwen2.5-7B/kvista.json"), QStringLiteral("Qwen2.5-7B"), {}, {}, true}};
  view->setRecord(record);
  view->setUnderWay(QStringLiteral("42 %"));
  return view;
}

View* makeFirstGuide() { return new GuideView; }

View* makeProvenance() {
  auto* view = new ProvenanceView;
  const auto text = [](const char* words) { return QString::fromUtf8(words); };
  view->setRecord({{text("Model"),
                    {{text("Path"), text("/models/austen-mha-30m")},
                     {text("Family"), text("llama")},
                     {text("Hash"), text("4f2a91c07be3d815")},
                     {text("Parameters"), text("30,146,560")}}},
                   {text("Calibration"),
                    {{text("Text"), text("/data/austen/train.txt")},
                     {text("Tokens"), text("196,608")},
                     {text("Tokens' hash"), text("91c07be3d8154f2a")},
                     {text("Seed"), text("0")},
                     {text("Attention sinks"), text("4 apart")}}},
                   {text("Plan"),
                    {{text("Fingerprint"), text("be3d8154f2a91c07")},
                     {text("Grouping"), text("by hand")},
                     {text("Allocator"), text("waterline")}}},
                   {text("Made with"), {{text("KVista"), text("1.0.0")}, {text("Device"), text("CPU, 2 cores")}}}});
  return view;
}

}  // namespace

Exhibit tryViewExhibit() { return {"try", makeTry}; }
Exhibit tryRetrievalExhibit() { return {"try-retrieval", makeTryRetrieval}; }
Exhibit tryPolicyExhibit() { return {"try-policy", makeTryPolicy}; }
Exhibit emptyTryExhibit() { return {"try-empty", makeEmptyTry}; }
Exhibit guideExhibit() { return {"guide", makeGuide}; }
Exhibit firstGuideExhibit() { return {"guide-first", makeFirstGuide}; }
Exhibit provenanceExhibit() { return {"provenance", makeProvenance}; }

}  // namespace kvista
