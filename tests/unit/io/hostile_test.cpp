// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/io/checkpoint.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// Files that contradict the configuration or make no usable model, but not themselves: for the model's description.
const std::set<std::string> kConsistentFiles = {"st-dtype-int",  "st-dtype-bool",     "st-transposed", "st-1d-matrix",
                                                "st-no-tensors", "st-lmhead-missing", "st-inf",        "st-all-nan"};
const std::set<std::string> kInvalidConfigs = {"cfg-empty",   "cfg-array",   "cfg-truncated", "cfg-nonutf8",
                                               "cfg-dup-key", "cfg-missing", "cfg-directory", "cfg-theta-nan",
                                               "cfg-gptq",    "cfg-fp8"};

bool isRefusedHere(const std::string& name, const std::string& category) {
  if (category == "config" || name == "cfg-directory") return kInvalidConfigs.contains(name);
  return !name.starts_with("ok-") && !kConsistentFiles.contains(name);
}

TEST(HostileCheckpoints, AreRefusedEachWithItsOwnSentence) {
  const fs::path folder = fs::path(KVISTA_SHARED_DIR) / "fixtures/hostile";
  if (!fs::exists(folder / "expected.json")) GTEST_SKIP() << folder << " is missing";
  const auto expected = readJsonFile(folder / "expected.json");
  ASSERT_TRUE(expected);
  std::map<std::string, std::string> caseOfSentence;
  int tried = 0;
  for (const auto& entry : *expected) {
    const auto name = entry["path"].get<std::string>();
    const auto category = entry["category"].get<std::string>();
    const auto expect = entry["expect"].get<std::string>();
    if (category == "tokenizer") continue;
    SCOPED_TRACE(name + ": " + entry["what"].get<std::string>());
    ++tried;
    const auto checkpoint = openCheckpoint(folder / name);
    if (expect == "refuse-or-ok") continue;  // Neither a crash nor a hang.
    EXPECT_EQ(checkpoint.has_value(), !isRefusedHere(name, category))
        << (checkpoint ? "accepted" : checkpoint.error().message);
    if (checkpoint) continue;
    const Error& error = checkpoint.error();
    EXPECT_THAT(error.code, ::testing::AnyOf(ErrorCode::corruptFile, ErrorCode::io, ErrorCode::unsupportedModel));
    EXPECT_THAT(error.message, ::testing::AllOf(HasSubstr(name), ::testing::EndsWith(".")));
    EXPECT_LT(error.message.size(), 600u);
    std::string sentence = error.message;
    for (std::size_t at; (at = sentence.find(name)) != sentence.npos;) sentence.erase(at, name.size());
    const auto [place, isNew] = caseOfSentence.emplace(sentence, name);
    EXPECT_TRUE(isNew) << "the same sentence as " << place->second << ": " << error.message;
  }
  EXPECT_GT(tried, 90);
}

TEST(HostileCheckpoints, SentencesSayWhatToDo) {
  const fs::path folder = fs::path(KVISTA_SHARED_DIR) / "fixtures/hostile";
  if (!fs::exists(folder / "expected.json")) GTEST_SKIP() << folder << " is missing";
  const auto errorOf = [&](const char* name) { return openCheckpoint(folder / name).error(); };
  EXPECT_THAT(errorOf("st-lfs-pointer").message, HasSubstr("git-lfs pointer"));
  EXPECT_THAT(errorOf("st-lfs-pointer").hint, HasSubstr("git lfs pull"));
  EXPECT_EQ(errorOf("fs-gguf").code, ErrorCode::unsupportedModel);
  EXPECT_THAT(errorOf("fs-gguf").hint, HasSubstr((folder / "fs-gguf/model.gguf").string()));
  EXPECT_THAT(errorOf("bin-evil-zip").message,
              HasSubstr("asks for \"__builtin__.exec\", which is no part of a file of tensors and is not run"));
  EXPECT_THAT(errorOf("bin-evil-legacy").message, HasSubstr("\"posix.system\""));
  EXPECT_THAT(errorOf("bin-text").message, HasSubstr("neither a zip archive nor a pickle"));
  EXPECT_THAT(errorOf("idx-missing-shard").message, HasSubstr("model-00002-of-00002.safetensors"));
  EXPECT_THAT(errorOf("idx-dotdot").message, HasSubstr("leads out of the model's folder"));
  EXPECT_THAT(errorOf("cfg-theta-nan").message, HasSubstr("line "));
}

}  // namespace
}  // namespace kvista
