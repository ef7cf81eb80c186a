// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/project.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/unit/io/temporary_folder.h"

namespace kvista {
namespace {

using test::readText;
using test::TemporaryFolder;
using test::writeText;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ProjectFile : public ::testing::Test {
 protected:
  ProjectFile() {
    project_.model = folder_ / "models/small";
    project_.modelHash = "0123456789abcdef";
    project_.statistics = folder_ / "small.kvstats";
    project_.tokensHash = "fedcba9876543210";
    project_.plan.method = "coded";
    project_.plan.grouping = "auto";
    project_.plan.allocator = "waterline";
    project_.plan.exactTokens = 4;
    project_.plan.target = {Target::Kind::share, 0.125};
    project_.plan.groups = {{{{0, Side::key, 0}, {0, Side::value, 0}}, {8, 4, 2, 0}, true}};
    project_.requestedBytes = 17;
    project_.predictedLoss = 0.1;
    project_.correctedLoss = 0.3;
    project_.baseLoss = 3.25;
    project_.results = {{"wiki.txt", "aa", "bb", 18.5, 19.25}, {"books", "cc", "dd", 37.5, 37.625}};
    project_.refined = RefinedFactors{folder_ / "plan.refined.safetensors", "bb", {"books.txt"}, 250, 0.5, 0.125};
    save();
  }
  void save() {
    if (const auto saved = saveProject(file_, project_); !saved) throw std::runtime_error(saved.error().message);
  }
  [[nodiscard]] Project load() const {
    auto loaded = loadProject(file_);
    if (!loaded) throw std::runtime_error(loaded.error().message);
    return *std::move(loaded);
  }
  /// The error of the file after a change of its JSON.
  template <class Change>
  Error damaged(Change change) {
    save();
    nlohmann::json json = nlohmann::json::parse(readText(file_));
    change(json);
    writeText(file_, json.dump());
    return errorOfFile();
  }
  [[nodiscard]] Error errorOfFile() const {
    const auto loaded = loadProject(file_);
    if (loaded) throw std::runtime_error("accepted");
    EXPECT_THAT(loaded.error().message, HasSubstr("plan.kvista"));
    return loaded.error();
  }

  TemporaryFolder folder_;
  fs::path file_ = folder_ / "plan.kvista";
  Project project_;
};

void expectEqual(const Project& a, const Project& b) {
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.modelHash, b.modelHash);
  EXPECT_EQ(a.statistics, b.statistics);
  EXPECT_EQ(a.tokensHash, b.tokensHash);
  EXPECT_EQ(a.plan, b.plan);
  EXPECT_EQ(a.requestedBytes, b.requestedBytes);
  EXPECT_EQ(a.predictedLoss, b.predictedLoss);
  EXPECT_EQ(a.correctedLoss, b.correctedLoss);
  EXPECT_EQ(a.baseLoss, b.baseLoss);
  EXPECT_EQ(a.results, b.results);
  EXPECT_EQ(a.refined, b.refined);
  EXPECT_EQ(a.unknown, b.unknown);
}

TEST_F(ProjectFile, LoadsWhatWasSaved) {
  expectEqual(load(), project_);
  EXPECT_TRUE(looksLikeProject(file_));
  project_.statistics.clear();
  project_.tokensHash.clear();
  project_.predictedLoss.reset();
  project_.correctedLoss.reset();
  project_.results.clear();
  save();
  expectEqual(load(), project_);
}

TEST_F(ProjectFile, SavingAgainGivesTheSameBytes) {
  const std::string before = readText(file_);
  project_ = load();
  save();
  EXPECT_EQ(readText(file_), before);
}

TEST_F(ProjectFile, PathsAreRelativeToTheProject) {
  const nlohmann::json json = nlohmann::json::parse(readText(file_));
  EXPECT_EQ(json["model"]["path"], "models/small");
  EXPECT_EQ(json["statistics"]["path"], "small.kvstats");
  EXPECT_THAT(readText(file_), ::testing::Not(HasSubstr(folder_.path().string())));

  // The folder moves with everything in it.
  const TemporaryFolder other;
  fs::create_directories(other / "deep");
  fs::copy_file(file_, other / "deep/plan.kvista");
  file_ = other / "deep/plan.kvista";
  EXPECT_EQ(load().model, other / "deep/models/small");
  EXPECT_EQ(load().statistics, other / "deep/small.kvstats");

  // A model beside the project's folder.
  project_.model = other / "models/large";
  save();
  EXPECT_EQ(nlohmann::json::parse(readText(file_))["model"]["path"], "../models/large");
  EXPECT_EQ(load().model, project_.model);
}

TEST_F(ProjectFile, FieldsOfOthersAreKept) {
  nlohmann::json json = nlohmann::json::parse(readText(file_));
  json["colours"] = {{"layers", {1, 2, 3}}};
  json["note"] = "mine";
  writeText(file_, json.dump());
  project_ = load();
  EXPECT_EQ(project_.unknown, (nlohmann::json{{"colours", {{"layers", {1, 2, 3}}}}, {"note", "mine"}}));
  save();
  EXPECT_EQ(nlohmann::json::parse(readText(file_)), json);
}

TEST_F(ProjectFile, SaysWhatIsWrong) {
  using Json = nlohmann::json;
  EXPECT_THAT(damaged([](Json& json) { json["version"] = 2; }).message,
              HasSubstr("has version 2; this program reads version 1"));
  EXPECT_THAT(damaged([](Json& json) { json.erase("version"); }).message, HasSubstr("has version 0"));
  EXPECT_EQ(loadProject(file_.parent_path()).error().message,
            file_.parent_path().string() + " is a folder, not a KVista project.");
  EXPECT_THAT(damaged([](Json& json) { json.erase("format"); }).message, HasSubstr("is not a KVista project"));
  EXPECT_THAT(damaged([](Json& json) { json["format"] = 7; }).message, HasSubstr("is not a KVista project"));
  EXPECT_THAT(damaged([](Json& json) { json = Json::array({1}); }).message, HasSubstr("is not a KVista project"));
  EXPECT_THAT(damaged([](Json& json) { json.erase("plan"); }).message, HasSubstr("holds no plan"));
  EXPECT_THAT(damaged([](Json& json) {
                json["plan"]["groups"][0]["widths"][0] = {7, "many"};
              }).message,
              HasSubstr("In the project"));
  const Error ofPlan = damaged([](Json& json) { json["plan"]["tokenNumbers"] = "yes"; });
  EXPECT_THAT(ofPlan.message, HasSubstr("The plan's field 'tokenNumbers' is not true or false."));
  EXPECT_EQ(ofPlan.code, ErrorCode::corruptFile);
  EXPECT_THAT(ofPlan.hint, HasSubstr("make the plan again"));
  for (const char* field :
       {"model", "statistics", "requestedBytes", "predictedLoss", "baseLoss", "results", "refined", "version"})
    EXPECT_THAT(damaged([&](Json& json) { json[field] = "wrong"; }).message, HasSubstr("is damaged")) << field;
  EXPECT_THAT(damaged([](Json& json) { json["results"][1].erase("text"); }).message, HasSubstr("is damaged"));
  EXPECT_THAT(damaged([](Json& json) { json["model"].erase("hash"); }).message, HasSubstr("is damaged"));
}

TEST_F(ProjectFile, APlanOfAnotherModelIsRefusedByTheFilesName) {
  ModelShape shape;
  shape.layers = 1;
  shape.kvHeads = shape.headDim = shape.valueHeadDim = 1;
  Project project;
  project.plan.groups = {Group{{Slot{0, Side::key, 0}, Slot{0, Side::value, 0}}, {16, 16}}};
  project.plan.target = {Target::Kind::share, 1};
  EXPECT_TRUE(checkPlanFits(project, shape, file_));
  project.plan.groups.front().widths.pop_back();
  const auto refused = checkPlanFits(project, shape, file_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corruptFile);
  EXPECT_THAT(refused.error().message, HasSubstr("In the project " + file_.string() +
                                                 ": The plan does not fit the model: Group 0 has 1 widths"));
  EXPECT_FALSE(refused.error().hint.empty());
}

TEST_F(ProjectFile, RefinedFactorsHoldForTheirPlanAlone) {
  using Json = nlohmann::json;
  EXPECT_EQ(load().factorsFor("bb"), folder_ / "plan.refined.safetensors");
  EXPECT_EQ(load().factorsFor("another"), fs::path());
  for (const char* field : {"path", "planFingerprint", "texts", "steps", "divergenceBefore", "divergenceAfter"}) {
    EXPECT_THAT(damaged([&](Json& json) { json["refined"].erase(field); }).message, HasSubstr("is damaged")) << field;
    EXPECT_THAT(damaged([&](Json& json) { json["refined"][field] = Json::object(); }).message, HasSubstr("is damaged"))
        << field;
  }
  project_.refined.reset();
  EXPECT_EQ(project_.factorsFor("bb"), fs::path());
}

TEST_F(ProjectFile, ATruncatedFileIsCorrupt) {
  const std::string bytes = readText(file_);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, bytes.size() / 2, bytes.size() - 3}) {
    writeText(file_, bytes.substr(0, size));
    EXPECT_EQ(errorOfFile().code, ErrorCode::corruptFile) << size;
  }
  fs::remove(file_);
  EXPECT_EQ(errorOfFile().code, ErrorCode::io);
}

TEST_F(ProjectFile, OnlyProjectsLookLikeProjects) {
  writeText(folder_ / "config.json", R"({"model_type": "llama"})");
  EXPECT_FALSE(looksLikeProject(folder_ / "config.json"));
  EXPECT_FALSE(looksLikeProject(folder_.path()));
  EXPECT_FALSE(looksLikeProject(folder_ / "missing"));
}

TEST_F(ProjectFile, ASaveThatCannotFinishLeavesTheOldFile) {
  const std::string before = readText(file_);
  // A folder in the place of the target cannot be replaced by a file, whoever asks.
  fs::create_directory(folder_ / "taken.kvista");
  EXPECT_FALSE(saveProject(folder_ / "taken.kvista", project_));
  EXPECT_FALSE(saveProject(folder_ / "missing/plan.kvista", project_));
  EXPECT_EQ(test::namesIn(folder_.path()), (std::set<std::string>{"plan.kvista", "taken.kvista"}));

  if (::geteuid() == 0) GTEST_SKIP() << "the rest needs a user to whom a folder can be closed";
  fs::permissions(folder_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  project_.requestedBytes = 99;
  const auto saved = saveProject(file_, project_);
  fs::permissions(folder_.path(), fs::perms::owner_all);
  EXPECT_FALSE(saved);
  EXPECT_EQ(readText(file_), before);
}

}  // namespace
}  // namespace kvista
