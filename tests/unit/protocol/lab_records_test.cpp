// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/protocol/lab_records.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/protocol/frame.h"

namespace kvista {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// As the other side gets it: through the bytes of a frame.
template <class Record>
Record through(const Record& record) {
  FrameReader reader;
  reader.append(encodeFrame(resultMessage(1, toJson(record))));
  auto message = reader.next();
  EXPECT_TRUE(message && *message);
  auto result = read<Record>((**message)["result"]);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return result ? *result : Record();
}

TaskFileRecord file() {
  return {"q.jsonl",
          1,
          {{"acc", 4, 3, 2, 0.25, 0.2887, 3}},
          {{1, "Who?", "me", "me", "you", true, false, 0.5, -0.25}, {2, "What?", "it", "", "it", false, true}}};
}

TEST(LabRecords, ComeThroughAsTheyWere) {
  const TasksRecord tasks{"ab", {file()}};
  EXPECT_EQ(through(tasks), tasks);
  const AgreementRecord agreement{"ab",
                                  {"a.txt"},
                                  64,
                                  126,
                                  0.75,
                                  0.1,
                                  0.05,
                                  0.9,
                                  1.5,
                                  {{1, 3, 1.5, "a b", "c", "d", "\xe2\x80\x94"}},
                                  12,
                                  8,
                                  0.5,
                                  4,
                                  3.5,
                                  1,
                                  {{"Once", 3, "up on a", "time", ""}}};
  EXPECT_EQ(through(agreement), agreement);
  TasksRecord under = tasks;
  under.policy = "snapkv share=0.25";
  under.overPlan = true;
  EXPECT_EQ(through(under), under);
  const PredictorRecord predictor{"/a.gate", PredictorKind::fastKvzip, 8, 1, 256, -0.5};
  EXPECT_EQ(through(predictor), predictor);
  PredictorRecord finds = predictor;
  finds.recall = {0.75, 0.5, 0.625, 0.875};
  EXPECT_EQ(through(finds), finds);
  const TextRanksRecord onlyRanks{
      "/a.kvstats", 4096, 96, {2, 2, {0.5F, 0.625F, 0.25F, 0.75F}}, {2, 1, {0.5F, 0.25F}}, {2, 1, {0.625F, 0.75F}}, {}};
  TextRanksRecord cut = onlyRanks;
  cut.losses = {2, 2, {0.125F, -0.0625F, 0, 1}};
  const RanksRecord ranks{0.5, {onlyRanks, cut}};
  EXPECT_EQ(through(ranks), ranks);
  const KeyVariantsRecord variants{"ab", {{"kqsvd", 0.25, 0.5, 0.0625, 0.125}, {"ksvd", 0.125, 0.25, 0.5, 0.75}}};
  EXPECT_EQ(through(variants), variants);
  PolicyEvaluationRecord policy{"a.txt", "ab", "snapkv share=0.25", true, 32, 62, 18.5, 20.25, {}, 1024.5, 4096, 8192,
                                12.5,    0.25};
  EXPECT_EQ(through(policy), policy);
  policy.plan = 19.75;
  EXPECT_EQ(through(policy), policy);
}

TEST(LabRecords, NameWhatIsWrong) {
  json value = toJson(TasksRecord{"ab", {file()}});
  value["files"][0]["measures"][0]["rightAfter"] = 5;
  const auto more = read<TasksRecord>(value);
  ASSERT_FALSE(more);
  EXPECT_THAT(more.error().message, HasSubstr("rightAfter"));
  TextRanksRecord ranks{
      "/a.kvstats", 4096, 96, {2, 2, {0.5F, 0.625F, 0.25F, 0.75F}}, {2, 1, {0.5F, 0.25F}}, {2, 1, {0.625F, 0.75F}}, {}};
  ranks.valueHeads = {1, 2, {0.5F, 0.5F}};
  EXPECT_THAT(read<TextRanksRecord>(toJson(ranks)).error().message, HasSubstr("valueHeads")) << "a layer is missing";
  ranks.valueHeads = ranks.keyHeads;
  ranks.losses = {2, 1, {0, 0}};
  EXPECT_THAT(read<TextRanksRecord>(toJson(ranks)).error().message, HasSubstr("losses")) << "a side is missing";
  json other = toJson(PredictorRecord{});
  other["kind"] = "oracle";
  EXPECT_THAT(read<PredictorRecord>(other).error().message, HasSubstr("fast-kvzip"));
  other = toJson(PredictorRecord{});
  other["correlation"] = 2;
  EXPECT_THAT(read<PredictorRecord>(other).error().message, HasSubstr("correlation"));
  other = toJson(PredictorRecord{});
  other["recall"] = {{"predicted", 1.5}, {"accumulated", 0.5}, {"recent", 0.5}, {"best", 0.5}};
  EXPECT_THAT(read<PredictorRecord>(other).error().message, HasSubstr("predicted"));
  other = toJson(KeyVariantsRecord{"ab", {{"kqsvd", 0.25, 0.5, 0.0625, 0.125}}});
  other["variants"][0]["logits"] = -1;
  EXPECT_THAT(read<KeyVariantsRecord>(other).error().message, HasSubstr("logits"));
  other = toJson(PolicyEvaluationRecord{});
  EXPECT_THAT(read<PolicyEvaluationRecord>(other).error().message, HasSubstr("prompt"));
}

}  // namespace
}  // namespace kvista
