// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "core/engine/method.h"
#include "core/protocol/records.h"
#include "core/protocol/work_records.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/engine/client.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kModel = kDemoFolder + "/model";

json longEvaluation() {
  return {{"model", kModel}, {"text", toJson(TextSelection{{kCalibrationText}, kWindow, 0, 0, {}, false})}};
}

std::string hexOf(const std::vector<std::uint8_t>& bytes) {
  std::string hex;
  for (const std::uint8_t byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

TEST(Serve, GreetsAndLists) {
  Client client;
  const auto greeting = valueOf(read<HelloRecord>(valueOf(client.call("hello"))));
  EXPECT_EQ(greeting.program, "kvista");
  EXPECT_EQ(greeting.version, "0.0.0");
  EXPECT_EQ(greeting.protocol, kProtocolVersion);
  EXPECT_GT(greeting.memoryBytes, 1 << 20);
  const auto catalogue = valueOf(read<Catalogue>(valueOf(client.call("list"))));
  EXPECT_THAT(catalogue.methods, testing::Contains(testing::Field(&MethodChoice::storage, Storage::coded)));
  for (const auto* list : {&catalogue.measures, &catalogue.groupings, &catalogue.allocators, &catalogue.forms}) {
    EXPECT_FALSE(list->empty());
    for (const Choice& choice : *list) EXPECT_FALSE(choice.summary.empty()) << choice.name;
  }
  EXPECT_THAT(catalogue.devices, testing::Contains(testing::Field(&DeviceProfile::name, "h200")));
  // The window puts a plan of this method under a policy that needs one.
  EXPECT_THAT(catalogue.policies, testing::Contains(testing::Field(&Choice::planMethod, "cskv")));
  const auto isMethod = [&](const std::string& name) {
    return std::ranges::any_of(catalogue.methods,
                               [&](const MethodChoice& method) { return method.choice.name == name; });
  };
  for (const Choice& policy : catalogue.policies)
    EXPECT_TRUE(policy.planMethod.empty() || isMethod(policy.planMethod)) << policy.name;
}

TEST(Serve, EndsWithItsInput) {
  Client client;
  valueOf(client.call("hello"));
  client.hangUp();
  EXPECT_TRUE(client.rest().empty());
  EXPECT_TRUE(client.howItEnded());
}

TEST(Serve, AnswersWhatIsOpenWhenItEnds) {
  for (const bool bySignal : {false, true}) {
    Client client;
    const std::int64_t running = client.ask("evaluate", longEvaluation());
    client.awaitProgress(running);
    const std::int64_t waiting = client.ask("evaluate", longEvaluation());
    if (bySignal) {
      valueOf(client.call("hello"));  // the waiting one has been read
      client.askToStop();
    } else {
      client.hangUp();
    }
    std::map<std::int64_t, std::string> codes;
    for (const json& message : client.rest())
      if (message.contains("error")) codes[message["id"].get<std::int64_t>()] = message["error"]["code"];
    EXPECT_EQ(codes, (std::map<std::int64_t, std::string>{{running, "cancelled"}, {waiting, "cancelled"}}));
    EXPECT_TRUE(client.howItEnded());
  }
}

TEST(Serve, CancelsWhatWaitsAndWhatRuns) {
  Client client;
  const std::int64_t running = client.ask("evaluate", longEvaluation());
  client.awaitProgress(running);
  const std::int64_t waiting = client.ask("evaluate", longEvaluation());
  EXPECT_TRUE(valueOf(client.call("cancel", {{"id", waiting}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client.await(waiting)).code, ErrorCode::cancelled);
  EXPECT_TRUE(valueOf(client.call("cancel", {{"id", running}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client.await(running)).code, ErrorCode::cancelled);
  EXPECT_FALSE(valueOf(client.call("cancel", {{"id", running}}))["cancelled"].get<bool>());
  EXPECT_FALSE(valueOf(client.call("cancel", {{"id", 999}}))["cancelled"].get<bool>());
  // The lane goes on.
  EXPECT_THAT(errorOf(client.call("verify", {{"path", "/nothing/here"}})).message, HasSubstr("/nothing/here"));
}

TEST(Serve, NewestPreviewWins) {
  Client client;
  json preview = longEvaluation();
  preview["preview"] = "loss";
  json other = longEvaluation();
  other["preview"] = "other";
  const std::int64_t first = client.ask("evaluate", preview);
  client.awaitProgress(first);
  const std::int64_t unrelated = client.ask("evaluate", other);
  const std::int64_t second = client.ask("evaluate", preview);
  const std::int64_t third = client.ask("verify", {{"path", "/nothing/here"}, {"preview", "loss"}});
  EXPECT_EQ(errorOf(client.await(first)).code, ErrorCode::cancelled);
  EXPECT_THAT(errorOf(client.await(second)).message, HasSubstr("newer request"));
  client.awaitProgress(unrelated);  // another name is left alone
  valueOf(client.call("cancel", {{"id", unrelated}}));
  EXPECT_EQ(errorOf(client.await(third)).code, ErrorCode::io);
}

TEST(Serve, SaysWhatIsWrongWithARequestAndGoesOn) {
  Client client;
  EXPECT_THAT(errorOf(client.call("makeCoffee")).message, HasSubstr("no method \"makeCoffee\""));
  const auto refusal = [&](const json& message) {
    client.sendBytes(encodeFrame(message));
    const json answer = client.next().value();
    EXPECT_EQ(answer["error"]["code"], "invalidArgument");
    return answer;
  };
  EXPECT_TRUE(refusal({{"method", "hello"}})["id"].is_null());
  EXPECT_TRUE(refusal({{"id", "one"}, {"method", "hello"}})["id"].is_null());
  EXPECT_EQ(refusal({{"id", 7}})["id"], 7);
  EXPECT_THAT(refusal({{"id", 8}, {"method", 5}})["error"]["message"].get<std::string>(), HasSubstr("'method'"));
  EXPECT_THAT(refusal({{"id", 9}, {"method", "hello"}, {"params", {1}}})["error"]["message"].get<std::string>(),
              HasSubstr("'params'"));
  EXPECT_THAT(refusal({{"id", 10}, {"method", "cancel"}})["error"]["message"].get<std::string>(), HasSubstr("'id'"));
  EXPECT_TRUE(client.call("hello"));
}

TEST(Serve, EveryMethodNamesAParameterThatIsMissingOrWrong) {
  Client client;
  const std::set<std::string_view> withoutParameters = {"hello", "list"};
  for (const EngineMethod& method : engineMethods()) {
    if (withoutParameters.contains(method.name)) continue;
    const Error missing = errorOf(client.call(std::string(method.name)));
    EXPECT_EQ(missing.code, ErrorCode::invalidArgument) << method.name;
    EXPECT_THAT(missing.message, HasSubstr("is missing")) << method.name;
    json wrong = json::object();
    for (const char* name : {"path", "model", "text", "output", "wish", "plan", "statistics", "measure", "prompt",
                             "target", "id", "project", "method", "experiment", "texts", "folder", "policy"})
      wrong[name] = json::array({nullptr});
    const Error error = errorOf(client.call(std::string(method.name), wrong));
    EXPECT_EQ(error.code, ErrorCode::invalidArgument) << method.name;
    EXPECT_THAT(error.message, HasSubstr("a list")) << method.name;
  }
}

TEST(Serve, ReadsALineOfAPolicy) {
  Client client;
  const auto read = [&](const char* line) { return client.call("checkPolicy", {{"policy", line}}); };
  EXPECT_EQ(valueOf(read("snapkv  share=.25 interval=16")), json("snapkv share=0.25 interval=16"));
  EXPECT_EQ(errorOf(read("snapkw share=.25")).code, ErrorCode::invalidArgument);
  EXPECT_THAT(errorOf(read("snapkw share=.25")).message, HasSubstr("snapkw"));
  EXPECT_THAT(errorOf(read("snapkv share=2")).message, HasSubstr("share"));
}

TEST(Serve, RefusesAnIdThatIsAtWork) {
  Client client;
  const std::int64_t id = client.ask("evaluate", longEvaluation());
  client.awaitProgress(id);
  client.sendBytes(encodeFrame(requestMessage(id, "hello", {})));
  for (;;) {
    const json message = client.next().value();
    if (!message["id"].is_null()) continue;  // progress
    EXPECT_THAT(message["error"]["message"].get<std::string>(), HasSubstr("a request at work"));
    break;
  }
}

TEST(Serve, EndsAfterABrokenFrame) {
  const std::vector<std::vector<std::uint8_t>> broken = {
      {0xff, 0xff, 0xff, 0xff},
      {3, 0, 0, 0, 'a', 'b', 'c'},
      {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '/', '1', '.', '1', '\r', '\n'}};
  for (const auto& bytes : broken) {
    Client client;
    valueOf(client.call("hello"));
    client.sendBytes(bytes);
    client.hangUp();
    const auto messages = client.rest();
    const auto& ended = client.howItEnded();
    if (messages.empty()) {  // "GET " is a length that never comes; the input's end ends it
      EXPECT_TRUE(ended);
      continue;
    }
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_TRUE(messages[0]["id"].is_null());
    EXPECT_EQ(messages[0]["error"]["code"], "corruptFile");
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code, ErrorCode::corruptFile);
  }
}

TEST(Serve, SurvivesRequestsOfAnyContent) {
  Client client;
  std::mt19937 random(5);
  const std::vector<json> values = {nullptr,
                                    true,
                                    -1,
                                    1e300,
                                    "",
                                    "/",
                                    kModel,
                                    std::string(5000, 'x'),
                                    json::array(),
                                    json::object(),
                                    json::binary({0, 255}),
                                    {{"paths", {kEvaluationText}}},
                                    {{"method", "coded"}},
                                    {{"groups", json::array()}}};
  for (int i = 0; i < 300; ++i) {
    json params = json::object();
    for (const char* name :
         {"path", "model", "text", "wish", "plan", "statistics", "measure", "prompt", "layers", "preview", "maxTokens"})
      if (random() % 2) params[name] = values[random() % values.size()];
    const auto& methods = engineMethods();
    const auto result = client.call(std::string(methods[random() % methods.size()].name), params);
    EXPECT_TRUE(result || !result.error().message.empty());
  }
}

TEST(Serve, ReportsNoFasterThanAnEyeFollows) {
  Client client;
  const std::int64_t id = client.ask(
      "evaluate", {{"model", kModel}, {"text", toJson(TextSelection{{kEvaluationText}, 16, 40, 0, {}, false})}});
  const auto start = std::chrono::steady_clock::now();
  valueOf(client.await(id));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto progress = client.progressOf(id);
  EXPECT_LE(static_cast<double>(progress.size()), 20 * seconds + 2);
  for (const json& each : progress) EXPECT_TRUE(read<ProgressRecord>(each)) << each;
}

TEST(Protocol, DocumentsEveryMethodAndNoOther) {
  const std::string document = readText(KVISTA_SOURCE_DIR "/core/engine/protocol.md");
  std::set<std::string> documented, known;
  const std::regex heading("\n### (\\w+)\n");
  for (std::sregex_iterator each(document.begin(), document.end(), heading), end; each != end; ++each)
    documented.insert((*each)[1]);
  for (const EngineMethod& method : engineMethods()) known.emplace(method.name);
  EXPECT_EQ(documented, known);
}

/// What goes over the wire, byte by byte: whoever changes it changes what older clients and engines understand.
TEST(Protocol, KeepsItsFrames) {
  const ModelRecord model{"/models/a",
                          "0123456789abcdef",
                          {"llama", 2, 4, 2, 8, 8, 32, 100, 5000},
                          "BF16",
                          10000,
                          2048,
                          "8 of each head's numbers, base 10000",
                          true,
                          "",
                          {}};
  Catalogue catalogue;
  catalogue.methods.push_back({{"coded", "The default", "", "", "section 10"},
                               "auto",
                               "waterline",
                               Metric::fisher,
                               KeyPosition::beforeRope,
                               Storage::coded,
                               {0, 1, 2, 4, 8},
                               1,
                               false});
  catalogue.measures.push_back({"cka", "Alike", "a / b", "", ""});
  catalogue.devices.push_back({"h200", 4.5e12, 8e14, 1.5e-5});
  const std::vector<std::pair<std::string, json>> frames = {
      {"hello.request", requestMessage(1, "hello", json::object())},
      {"hello.result", resultMessage(1, toJson(HelloRecord{"kvista", "0.1.0", 1, "CPU, 2 cores", 8589934592}))},
      {"list.result", resultMessage(2, toJson(catalogue))},
      {"open.request", requestMessage(3, "open", {{"path", "/models/a"}})},
      {"open.result", resultMessage(3, toJson(model))},
      {"similarity.result",
       resultMessage(4, json::array({toJson(SimilarityRecord{1, Side::value, {2, 2, {1, .5F, .5F, 1}}})}))},
      {"error", errorMessage(5, {ErrorCode::io, "The file a does not exist.", "", "Check the path."})},
      {"error.stream",
       errorMessage(std::nullopt, {ErrorCode::corruptFile, "A message of 3 bytes is not one CBOR map.", "", ""})},
      {"progress", progressMessage(6, toJson(ProgressRecord{"calibrate", 4096, 8192, "tokens", 2.5, {}}))},
      {"cancel.request", requestMessage(7, "cancel", {{"id", 6}})},
      {"cancel.result", resultMessage(7, {{"cancelled", true}})},
      {"forecastMemory.result", resultMessage(8, json::array({toJson(MemoryForecast{"CPU, 2 cores", 1000, 2000})}))},
      {"retrieval.request",
       requestMessage(9, "retrieval",
                      {{"model", "/models/a"}, {"lengths", {64, 128}}, {"depths", {50}}, {"trials", 2}, {"seed", 7}})},
      {"retrieval.result", resultMessage(9, toJson(RetrievalRecord{{"/texts/a"},
                                                                   {64, 128},
                                                                   {50},
                                                                   2,
                                                                   7,
                                                                   {1, 2, {2, 3}},
                                                                   {1, 2, {4, 5}},
                                                                   {1, 2, {1, 0.5F}},
                                                                   {1, 2, {0, 0.5F}}}))},
      {"examinePath.request", requestMessage(11, "examinePath", {{"path", "~/models"}})},
      {"examinePath.result",
       resultMessage(11, toJson(PathRecord{"/home/a/models", PathRecord::Kind::folder, true, false, 0, 4096}))},
      {"refine.request", requestMessage(10, "refine", {{"model", "/models/a"}, {"output", "/plans/a"}, {"steps", 2}})},
      {"refine.progress",
       progressMessage(10, toJson(ProgressRecord{"refine", 1, 2, "steps", {}, {}, {{1, 0.5, 0.75}}}))},
      {"refine.result",
       resultMessage(10, toJson(RefineRecord{"/plans/a",
                                             "0123456789abcdef",
                                             {"/texts/a"},
                                             2,
                                             1,
                                             "all steps are done",
                                             0.75,
                                             0.5,
                                             7,
                                             1,
                                             2.5,
                                             {{1, 0.5, 0.75}, {2, 0.25, {}}},
                                             RefinedPerplexity{"/texts/a", "89ab", 100, 10, 12, 11}}))},
      {"cancelled", errorMessage(6, {ErrorCode::cancelled, "Cancelled.", "", ""})},
  };
  json written = json::object();
  for (const auto& [name, message] : frames) written[name] = hexOf(encodeFrame(message));
  const json golden = json::parse(readText(KVISTA_SOURCE_DIR "/tests/unit/engine/golden/frames.json"));
  EXPECT_EQ(written, golden) << written.dump(1);
}

}  // namespace
}  // namespace kvista::test
