// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/task_items.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TaskFile : public testing::Test {
 protected:
  ~TaskFile() override { std::filesystem::remove(path_); }

  Result<TaskItems> read(const std::string& content, std::optional<std::int64_t> most = {}) {
    std::ofstream(path_, std::ios::binary) << content;
    return readTaskItems(path_, most);
  }
  std::string complaintAbout(const std::string& content) { return errorOf(read(content)).message; }

  std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) / ("kvista-items-" + std::to_string(getpid()) + ".jsonl");
};

TEST_F(TaskFile, ReadsBothForms) {
  const TaskItems items = valueOf(
      read("{\"query\": \"Two and two make\", \"choices\": [\"four\", \"f\xc3\xbcnf\"], \"gold\": 1, \"subject\": "
           "\"sums\"}\r\n"
           "\n"
           "{\"prompt\": \"2 + 2 =\", \"target\": \"4\"}\n"
           "{\"prompt\": \"A colour:\", \"target\": [\"red\", \"blue\"], \"until\": \".\", \"max_gen_toks\": 3}"));
  ASSERT_EQ(items.choices.size(), 1U);
  EXPECT_EQ(items.choices[0].line, 1);
  EXPECT_EQ(items.choices[0].context, "Two and two make");
  EXPECT_THAT(items.choices[0].continuations, ElementsAre(" four", " f\xc3\xbcnf"));
  EXPECT_THAT(items.choices[0].bytes, ElementsAre(4, 5)) << "bytes, not characters";
  EXPECT_EQ(items.choices[0].gold, 1U);
  ASSERT_EQ(items.writings.size(), 2U);
  EXPECT_EQ(items.writings[0].line, 3) << "empty lines count";
  EXPECT_THAT(items.writings[0].until, ElementsAre("\n\n"));
  EXPECT_EQ(items.writings[0].maximumTokens, 256);
  EXPECT_THAT(items.writings[1].targets, ElementsAre("red", "blue"));
  EXPECT_THAT(items.writings[1].until, ElementsAre("."));
  EXPECT_EQ(items.writings[1].maximumTokens, 3);
}

TEST_F(TaskFile, ReadsWhatTheHarnessLogs) {
  const TaskItems items = valueOf(read(
      R"({"doc_id": 0, "doc": {"query": "another"}, "target": "1", "arguments": {"gen_args_0": {"arg_0": "Q: up?\nA:", "arg_1": " down"}, "gen_args_1": {"arg_0": "Q: up?\nA:", "arg_1": " left"}}, "resps": []})"
      "\n"
      R"({"target": "left", "arguments": [["Q: up?\nA:", " down"], ["Q: up?\nA:", " left"]]})"
      "\n"
      R"({"target": "42", "arguments": {"gen_args_0": {"arg_0": "6 * 7 =", "arg_1": {"until": ["\n"], "max_gen_toks": 8, "do_sample": false}}}})"));
  ASSERT_EQ(items.choices.size(), 2U);
  for (const ChoiceItem& item : items.choices) {
    EXPECT_EQ(item.context, "Q: up?\nA:");
    EXPECT_THAT(item.continuations, ElementsAre(" down", " left"));
    EXPECT_THAT(item.bytes, ElementsAre(4, 4));
    EXPECT_EQ(item.gold, 1U);
  }
  ASSERT_EQ(items.writings.size(), 1U);
  EXPECT_EQ(items.writings[0].context, "6 * 7 =");
  EXPECT_THAT(items.writings[0].targets, ElementsAre("42"));
  EXPECT_THAT(items.writings[0].until, ElementsAre("\n"));
  EXPECT_EQ(items.writings[0].maximumTokens, 8);
}

TEST_F(TaskFile, TakesTheFirstItems) {
  const std::string two = R"({"prompt": "a", "target": "b"})"
                          "\n\n"
                          R"({"query": "a", "choices": ["b", "c"], "gold": 0})"
                          "\n";
  const TaskItems items = valueOf(read(two + "damaged", 2));
  EXPECT_EQ(items.writings.size() + items.choices.size(), 2U) << "what is not asked for is not read";
  EXPECT_EQ(valueOf(read(two, 1)).choices.size(), 0U);
}

TEST_F(TaskFile, NamesLineAndFieldOfWhatIsWrong) {
  const std::string good = R"({"prompt": "a", "target": "b"})"
                           "\n";
  for (const auto& [line, problem] : std::vector<std::pair<std::string, std::string>>{
           {"[1]", "holds an array, not an object"},
           {"{\"prompt\": ", "line 2 of"},
           {"{\"a\": 1, \"a\": 2}", "line 2 of"},
           {"\xff\xfe", "line 2 of"},
           {"{}", "neither 'query' nor 'prompt'"},
           {R"({"query": 3, "choices": ["a", "b"], "gold": 0})", "has a number in 'query', not a string"},
           {R"({"choices": ["a", "b"], "gold": 0})", "has no field 'query'"},
           {R"({"query": "q", "gold": 0})", "has no field 'choices'"},
           {R"({"query": "q", "choices": "ab", "gold": 0})", "not a list"},
           {R"({"query": "q", "choices": ["a"], "gold": 0})", "has 1 answer in 'choices', not 2 to 1024"},
           {R"({"query": "q", "choices": ["a", 2], "gold": 0})", "in the list 'choices', not a string"},
           {R"({"query": "q", "choices": ["a", ""], "gold": 0})", "an empty answer in 'choices'"},
           {R"({"query": "q", "choices": ["a", "b"]})", "has no field 'gold'"},
           {R"({"query": "q", "choices": ["a", "b"], "gold": 2})", "'gold' not a whole number from 0 to 1"},
           {R"({"query": "q", "choices": ["a", "b"], "gold": -1})", "'gold' not a whole number"},
           {R"({"query": "q", "choices": ["a", "b"], "gold": 18446744073709551615})", "'gold' not a whole number"},
           {R"({"query": "q", "choices": ["a", "b"], "gold": 0.5})", "'gold' not a whole number"},
           {R"({"prompt": "p"})", "has no field 'target'"},
           {R"({"prompt": "p", "target": []})", "'target'"},
           {R"({"prompt": "p", "target": " "})", "an empty answer in 'target'"},
           {R"({"prompt": "p", "target": "t", "until": [""]})", "an empty string in 'until'"},
           {R"({"prompt": "p", "target": "t", "until": 7})", "has a number in 'until'"},
           {R"({"prompt": "p", "target": "t", "max_gen_toks": 0})",
            "'max_gen_toks' not a whole number from 1 to 65536"},
           {R"({"arguments": "x", "target": "0"})", "'arguments'"},
           {R"({"arguments": {"gen_args_1": {}}, "target": "0"})", "request 0 of 'arguments'"},
           {R"({"arguments": [["a", " b"], ["c", " d"]], "target": "0"})", "different contexts"},
           {R"({"arguments": [["a", " b"], ["a", " c"]], "target": "2"})", "names in 'target' none of its answers"},
           {R"({"arguments": [["a", " b"], ["a", " c"]], "target": "d"})", "names in 'target' none of its answers"},
           {R"({"arguments": [["a", " b"], ["a", 3]], "target": "0"})", "a continuation in 'arguments'"},
       }) {
    const std::string complaint = complaintAbout(good + line);
    EXPECT_THAT(complaint, HasSubstr(problem)) << line;
    EXPECT_THAT(complaint, HasSubstr("line 2 of " + path_.string())) << line;
  }
  EXPECT_THAT(complaintAbout(""), HasSubstr("has no item"));
  EXPECT_THAT(complaintAbout("\n \n"), HasSubstr("has no item"));
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "[";
  EXPECT_THAT(complaintAbout(good + deep), HasSubstr("line 2"));
  EXPECT_THAT(complaintAbout(good + std::string((std::size_t{16} << 20) + 1, ' ')), HasSubstr("more than 16777216"));
  EXPECT_EQ(errorOf(readTaskItems(testing::TempDir())).code, ErrorCode::io) << "a folder";
  EXPECT_EQ(errorOf(readTaskItems(path_.string() + ".none")).code, ErrorCode::io);
  const std::filesystem::path pipe = path_.string() + ".pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(errorOf(readTaskItems(pipe)).message,
            "The task file " + pipe.string() + " is not a regular file: it is a pipe.");
  std::filesystem::remove(pipe);
}

}  // namespace
}  // namespace kvista::test
