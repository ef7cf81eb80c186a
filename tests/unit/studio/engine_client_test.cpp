// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/engine_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QFile>
#include <csignal>

#include "app/studio/watchdog.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"

namespace kvista {
namespace {

using nlohmann::json;
using test::waitFor;
using ::testing::HasSubstr;
using State = EngineClient::State;

EngineCommand fakeEngine(const QString& behaviour = {}) {
  EngineCommand command{QCoreApplication::applicationDirPath() + QStringLiteral("/kvista-fake-engine"), {}};
  if (!behaviour.isEmpty()) command.arguments += behaviour;
  return command;
}

class Engine : public ::testing::Test {
 protected:
  Engine() {
    QObject::connect(&client, &EngineClient::stateChanged, &client, [this](State state) { states.push_back(state); });
    QObject::connect(&client, &EngineClient::restarted, &client, [this] { ++restarts; });
  }
  void start(const EngineCommand& command = fakeEngine()) {
    client.start(command);
    ASSERT_TRUE(waitFor([this] { return client.state() == State::ready; })) << client.problem().message;
  }
  Error failure(const EngineCommand& command) {
    client.start(command);
    EXPECT_TRUE(waitFor([this] { return client.state() == State::failed; }));
    return client.problem();
  }
  /// Asks and waits.
  Result<json> ask(const QString& method, json params = json::object()) {
    std::optional<Result<json>> answer;
    client.request(method, std::move(params), &client, [&](Result<json> came) { answer = std::move(came); });
    EXPECT_TRUE(waitFor([&] { return answer.has_value(); })) << method.toStdString();
    return answer ? *std::move(answer) : fail(ErrorCode::internal, "no answer");
  }

  EngineClient client;
  std::vector<State> states;
  int restarts = 0;
};

TEST_F(Engine, Answers) {
  start();
  EXPECT_EQ(states, (std::vector{State::starting, State::ready}));
  EXPECT_EQ(client.hello().version, "0.1.0");
  EXPECT_EQ(ask("echo", {{"text", "ä"}}), (json{{"text", "ä"}}));
  const auto error = ask("fail");
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error(), (Error{ErrorCode::numerical, "It does not converge.", "", "Try again."}));
  EXPECT_EQ(ask("odd").error().code, ErrorCode::internal);
  EXPECT_TRUE(waitFor([this] { return client.latencyMilliseconds().has_value(); }));
}

TEST_F(Engine, RequestsWaitForAnEngineThatStarts) {
  std::vector<int> order;
  client.start(fakeEngine());
  for (int i = 0; i < 5; ++i)
    client.request("echo", i, &client,
                   [&](const Result<json>& answer) { order.push_back(answer ? answer->get<int>() : -1); });
  EXPECT_TRUE(waitFor([&] { return order.size() == 5; }));
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
}

TEST_F(Engine, ProgressComesBeforeTheAnswer) {
  start();
  std::vector<int> heard;
  client.request(
      "steps", {{"steps", 3}}, &client, [&](const Result<json>&) { heard.push_back(100); },
      [&](const json& progress) { heard.push_back(progress.at("done").get<int>()); });
  EXPECT_TRUE(waitFor([&] { return !heard.empty() && heard.back() == 100; }));
  EXPECT_EQ(heard, (std::vector{1, 2, 3, 100}));
}

TEST_F(Engine, ReadsRecordsAndSaysWhereTheyAreWrong) {
  start();
  std::optional<Result<HelloRecord>> record;
  const auto keep = [&](Result<HelloRecord> came) { record = std::move(came); };
  client.ask<HelloRecord>("hello", json::object(), read<HelloRecord>, &client, keep);
  ASSERT_TRUE(waitFor([&] { return record.has_value(); }));
  EXPECT_EQ((*record)->program, "kvista");
  record.reset();
  client.ask<HelloRecord>("echo", {{"program", 7}}, read<HelloRecord>, &client, keep);
  ASSERT_TRUE(waitFor([&] { return record.has_value(); }));
  EXPECT_THAT(record->error().message, HasSubstr("program"));
}

TEST_F(Engine, OnlyTheNewestPreviewCounts) {
  start();
  std::vector<std::string> heard;
  const auto ask = [&](const QString& method, const std::string& what) {
    client.preview<std::string>(
        "lane", method, what, +[](const json& answer) { return Result<std::string>(answer.get<std::string>()); },
        &client, [&](Result<std::string> answer) { heard.push_back(answer ? *answer : answer.error().message); });
  };
  ask("hold", "first");
  ask("echo", "second");
  ask("echo", "third");
  ASSERT_TRUE(waitFor([&] { return !heard.empty(); }));
  static_cast<void>(this->ask("echo"));  // Whatever else was to come has come.
  EXPECT_EQ(heard, std::vector<std::string>{"third"});
}

TEST_F(Engine, CancelledRequestsAnswerOnce) {
  start();
  int answers = 0;
  Error error;
  const auto id = client.request("hold", json::object(), &client, [&](const Result<json>& answer) {
    ++answers;
    error = answer.error();
  });
  client.cancel(id);
  client.cancel(id);
  ASSERT_TRUE(waitFor([&] { return answers > 0; }));
  EXPECT_EQ(error.code, ErrorCode::cancelled);
  static_cast<void>(ask("echo"));
  EXPECT_EQ(answers, 1);
  EXPECT_FALSE(client.isOutstanding(id));
}

TEST_F(Engine, NobodyIsAnsweredWhoIsGone) {
  start();
  bool heard = false;
  auto* context = new QObject;
  client.request("echo", json::object(), context, [&](const Result<json>&) { heard = true; });
  delete context;
  static_cast<void>(ask("echo"));
  EXPECT_FALSE(heard);
}

TEST_F(Engine, EveryKindOfWrongEngineHasItsSentence) {
  EXPECT_THAT(failure({"/nowhere/kvista", {"engine"}}).message, HasSubstr("'/nowhere/kvista' cannot be started"));
  EXPECT_THAT(failure(fakeEngine("old")).message,
              HasSubstr("too old for this studio: kvista 0.0.1 speaks protocol 0, the studio 1"));
  EXPECT_THAT(failure(fakeEngine("new")).message, HasSubstr("too new for this studio"));
  EXPECT_THAT(failure(fakeEngine("other")).message, HasSubstr("says that it is 'parrot', not kvista"));
  EXPECT_THAT(failure(fakeEngine("banner")).message, HasSubstr("is not the protocol of KVista's engine"));
  EXPECT_THAT(client.problem().detail, HasSubstr("Welcome to the cluster"));
  EXPECT_THAT(failure(fakeEngine("refuse")).message, HasSubstr("ended with code 2"));
  EXPECT_THAT(client.problem().detail, HasSubstr("there is no verb 'engine'"));
  client.setPatience(50);
  EXPECT_THAT(failure(fakeEngine("silent")).message, HasSubstr("did not say hello"));
  EXPECT_EQ(restarts, 0);
  // What is asked of it is refused with the same sentence, and a right one can be started afterwards.
  EXPECT_THAT(ask("echo").error().message, HasSubstr("did not say hello"));
  client.setPatience(60'000);
  start();
}

TEST_F(Engine, ComesBackFromDeathWithinAFrame) {
  start();
  int lost = 0;
  for (int i = 0; i < 3; ++i)
    client.request("hold", json::object(), &client, [&](const Result<json>& answer) { lost += answer ? 100 : 1; });
  const auto error = ask("die");
  ASSERT_FALSE(error);
  EXPECT_THAT(error.error().message, HasSubstr("was killed by signal 9"));
  EXPECT_THAT(error.error().hint, HasSubstr("your edits are safe"));
  EXPECT_EQ(ask("echo", 1), json(1));  // Asked while it was away.
  EXPECT_EQ(lost, 3);
  EXPECT_EQ(restarts, 1);
  EXPECT_EQ(states, (std::vector{State::starting, State::ready, State::lost, State::starting, State::ready}));
}

TEST_F(Engine, APreviewIsAskedOnceMore) {
  client.setPauses({0, 0, 0, 0});
  start();
  const test::TemporaryFolder folder;
  std::vector<std::string> heard;
  const auto preview = [&](const QString& method) {
    client.preview<std::string>(
        "lane", method, {{"mark", (folder / "mark").string()}},
        +[](const json& answer) { return Result<std::string>(answer.get<std::string>()); }, &client,
        [&](Result<std::string> answer) { heard.push_back(answer ? *answer : answer.error().message); });
  };
  preview("dieOnce");
  ASSERT_TRUE(waitFor([&] { return heard.size() == 1; }));
  EXPECT_EQ(heard[0], "lives");
  EXPECT_EQ(restarts, 1);
  // One that kills the engine every time is no longer asked.
  preview("die");
  ASSERT_TRUE(waitFor([&] { return heard.size() == 2; }));
  EXPECT_THAT(heard[1], HasSubstr("killed by signal 9"));
  EXPECT_EQ(ask("echo", 4), json(4));
  EXPECT_EQ(restarts, 3);
}

TEST_F(Engine, NonsenseAmidAnswersIsADeath) {
  start();
  EXPECT_THAT(ask("babble").error().message, HasSubstr("is not the protocol"));
  EXPECT_EQ(ask("echo", 2), json(2));
  EXPECT_EQ(restarts, 1);
}

TEST_F(Engine, GivesUpOnOneThatKeepsDying) {
  client.setPauses({0, 0});
  start();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(ask("exit", {{"code", 7}}));
  EXPECT_TRUE(waitFor([this] { return client.state() == State::failed; }));
  EXPECT_THAT(client.problem().message, HasSubstr("ended with code 7. It has now ended 3 times in a row"));
  EXPECT_EQ(restarts, 2);
}

TEST_F(Engine, WhatIsAskedInAnswerToARestartGoesFirst) {
  start();
  std::vector<std::string> order;
  QObject::connect(&client, &EngineClient::restarted, &client, [&] {
    client.request("echo", "reopen", &client, [&](const Result<json>&) { order.emplace_back("reopen"); });
  });
  QObject::connect(&client, &EngineClient::stateChanged, &client, [&](State state) {
    if (state == State::lost)
      client.request("echo", "more", &client, [&](const Result<json>&) { order.emplace_back("more"); });
  });
  EXPECT_FALSE(ask("die"));
  ASSERT_TRUE(waitFor([&] { return order.size() == 2; }));
  EXPECT_EQ(order, (std::vector<std::string>{"reopen", "more"}));
}

TEST_F(Engine, StoppingAnswersEverything) {
  start();
  Error error;
  client.request("hold", json::object(), &client, [&](const Result<json>& answer) { error = answer.error(); });
  client.stop();
  EXPECT_EQ(error.code, ErrorCode::cancelled);
  EXPECT_EQ(client.state(), State::stopped);
  EXPECT_EQ(ask("echo").error().code, ErrorCode::cancelled);
}

/// Whether a process is there; `hello().device` of the engine that makes up what it says is its number.
bool lives(const std::string& process) { return ::kill(static_cast<pid_t>(std::stol(process)), 0) == 0; }

TEST_F(Engine, OneThatDoesNotEndIsNotWaitedFor) {
  auto leaving = std::make_unique<EngineClient>();
  leaving->setFarewell(3'600'000);
  leaving->start(fakeEngine("stubborn"));
  ASSERT_TRUE(waitFor([&] { return leaving->state() == State::ready; }));
  const std::string first = leaving->hello().device;
  // Neither where another one is started in its place, ...
  leaving->start(fakeEngine("stubborn"));
  ASSERT_TRUE(waitFor([&] { return leaving->state() == State::ready; }));
  const std::string second = leaving->hello().device;
  EXPECT_NE(first, second);
  // ... nor where the window goes.
  leaving.reset();
  start();
  for (const std::string& process : {first, second}) {
    EXPECT_TRUE(lives(process));
    ::kill(static_cast<pid_t>(std::stol(process)), SIGKILL);
    EXPECT_TRUE(waitFor([&] { return !lives(process); }));
  }
}

TEST(EngineEnd, TheProgramLeavesNoEngineBehind) {
  std::vector<std::string> engines;
  for (const char* behaviour : {"stubborn", ""}) {
    EngineClient client;
    client.setFarewell(10);
    client.start(fakeEngine(QLatin1String(behaviour)));
    ASSERT_TRUE(waitFor([&] { return client.state() == State::ready; }));
    engines.push_back(client.hello().device);
    // At work: what it is asked it will never answer.
    client.request("hold", json::object(), &client, [](const Result<json>&) {});
    if (engines.size() == 1) continue;
    client.stop();
  }
  {
    EngineClient starting;  // Not even begun.
    starting.start(fakeEngine("stubborn"));
  }
  finishEngines();
  for (const std::string& engine : engines) EXPECT_FALSE(lives(engine)) << engine;
  EXPECT_FALSE(engineThread().isRunning());
}

TEST_F(Engine, RunsThroughAWrapper) {
  const test::TemporaryFolder folder;
  // What `ssh HOST kvista engine` is to us: another program that starts it somewhere.
  test::writeText(folder / "remote shell", "#!/bin/sh\nshift\nexec \"$@\"\n");
  std::filesystem::permissions(folder / "remote shell", std::filesystem::perms::owner_all);
  const auto command =
      EngineCommand::fromText(QStringLiteral("\"%1/remote shell\" gpu \"%2\"")
                                  .arg(QString::fromStdString(folder.path().string()), fakeEngine().program));
  ASSERT_TRUE(command);
  EXPECT_EQ(EngineCommand::fromText(command->text()), *command);
  start(*command);
  EXPECT_EQ(ask("echo", 3), json(3));
  EXPECT_FALSE(EngineCommand::fromText(QStringLiteral("  ")));
}

TEST_F(Engine, LargeAnswersDoNotBlockTheWindow) {
  start();
  // Spectra of 32 layers of a 7B model without groups: 262,144 directions.
  CompressionPlan plan;
  plan.method = "coded";
  plan.grouping = "manual";
  plan.allocator = "waterline";
  plan.groups = singleSlots(test::madeUpModel(32, 32, 128).shape);
  json params = {{"plan", toJson(plan)}};
  std::optional<Result<std::vector<BudgetUnit>>> units;
  waitFor([] { return true; });
  const Watchdog watchdog;
  client.ask<std::vector<BudgetUnit>>("decompose", std::move(params), unitsFromJson, &client,
                                      [&](Result<std::vector<BudgetUnit>> came) { units = std::move(came); });
  ASSERT_TRUE(waitFor([&] { return units.has_value(); }));
  ASSERT_TRUE(*units) << units->error().message;
  EXPECT_EQ((*units)->size(), plan.groups.size());
  EXPECT_LT(watchdog.longestMilliseconds(), test::allowedBlock());
}

}  // namespace
}  // namespace kvista
