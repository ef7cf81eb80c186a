// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/checkpoint/export_checkpoint.h"
#include "core/checkpoint/export_form.h"
#include "core/checkpoint/export_report.h"
#include "core/checkpoint/open_model.h"
#include "core/checkpoint/verify_export.h"
#include "core/io/json_file.h"
#include "core/plan/cost.h"
#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class LatentExport : public ::testing::TestWithParam<std::string> {};

TEST_P(LatentExport, opensAsTheSameModelAndPlan) {
  const TemporaryFolder folder;
  const CompressionPlan plan = planNamed(GetParam());
  const PlanFactors factors = randomFactors(plan);
  for (const char* family : {"llama", "qwen2", "qwen3"}) {
    const TinyModel model = tinyModel(folder / family, {{"model_type", family}});
    const auto target = folder / (std::string(family) + "-small");
    const ExportReport report = valueOf(exportTo(target, model, plan, factors, "latent"));
    EXPECT_TRUE(report.verified);
    EXPECT_EQ(report.bytesPerToken, bytesPerToken(plan));

    const OpenedModel opened = valueOf(openModel(target));
    ASSERT_TRUE(opened.plan.has_value());
    EXPECT_EQ(*opened.plan, plan);
    const auto decoder = valueOf(Decoder::load(opened.checkpoint, {}, {}));
    const at::Tensor expected = logitsOf(*model.decoder, &plan, factors);
    EXPECT_LT(largestDifference(logitsOf(*decoder, &plan, opened.factors), expected), 1e-3) << family;
    if (GetParam() != "whole") {
      EXPECT_GT(largestDifference(logitsOf(*model.decoder), expected), 0.05) << "the plan changes nothing";
    }
    EXPECT_TRUE(valueOf(verifyExport(target, {}, {})).problems.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Plans, LatentExport,
                         ::testing::Values("joint", "separate", "coded", "codedAll", "afterRope", "mixed", "whole",
                                           "centred", "codedCentred", "trellis", "shared", "chained", "chainedAll",
                                           "numbered", "numberedAll"));

TEST_P(LatentExport, hasAsManyParametersMoreAsThePlansCostSays) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed(GetParam());
  valueOf(exportTo(folder / "small", model, plan, randomFactors(plan), "latent"));
  const auto bytesIn = [](const Checkpoint& checkpoint) {  // weights are float32; what is none is not carried over
    std::int64_t bytes = 0;
    for (const auto& [name, tensor] : checkpoint.tensors->tensors())
      if (tensor.type == DataType::f32) bytes += static_cast<std::int64_t>(checkpoint.tensors->raw(tensor).size());
    return bytes;
  };
  const CostModel cost = costOf(plan, model.decoder->shape(), deviceProfiles().front(), 1024, 1);
  EXPECT_EQ(bytesIn(valueOf(openCheckpoint(folder / "small"))) - bytesIn(model.checkpoint), 4 * cost.extraParameters);
}

TEST(Export, ofCentredPredictedAndSharedPlansIsOfTheFormLatentAlone) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("centred"), chained = planNamed("chained"), shared = planNamed("shared"),
                        numbered = planNamed("numbered");
  for (const ExportForm& form : exportForms()) {
    if (form.name == "latent") continue;
    for (const CompressionPlan& each : {plan, chained, shared, numbered}) {
      const auto refused = exportTo(folder / "small", model, each, randomFactors(each), std::string(form.name));
      ASSERT_FALSE(refused) << form.name;
      EXPECT_EQ(refused.error().code, ErrorCode::invalidArgument);
      EXPECT_THAT(refused.error().hint, HasSubstr("latent")) << form.name;
      EXPECT_FALSE(std::filesystem::exists(folder / "small"));
    }
  }
  PlanFactors without = randomFactors(planNamed("joint"));
  EXPECT_THAT(exportTo(folder / "small", model, plan, without, "latent").error().message,
              HasSubstr("The factors of group 0 are not those"));
}

TEST(LatentExport, carriesOverTheSourcesBytesAndSavesTheProjections) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model", {{"tie_word_embeddings", true}}, at::kBFloat16);
  const CompressionPlan plan = planNamed("joint");
  valueOf(exportTo(folder / "small", model, plan, randomFactors(plan), "latent"));
  const Checkpoint written = valueOf(openCheckpoint(folder / "small"));
  const auto& tensors = written.tensors->tensors();
  for (const char* name : {"model.embed_tokens.weight", "model.layers.1.mlp.up_proj.weight", "model.norm.weight",
                           "model.layers.0.self_attn.q_proj.weight"}) {
    const auto before = model.checkpoint.tensors->raw(model.checkpoint.tensors->tensors().at(name));
    const auto after = written.tensors->raw(tensors.at(name));
    EXPECT_EQ(tensors.at(name).type, DataType::bf16);
    EXPECT_TRUE(std::ranges::equal(before, after)) << name;
  }
  EXPECT_FALSE(tensors.contains("model.layers.0.self_attn.k_proj.weight"));
  EXPECT_FALSE(tensors.contains("lm_head.weight"));
  EXPECT_EQ(tensors.at("model.layers.0.self_attn.groups.0.down.weight").shape, (std::vector<std::int64_t>{19, 32}));
  EXPECT_EQ(tensors.at("model.layers.0.self_attn.groups.0.up.weight").type, DataType::f32);
}

TEST(LatentExport, ofAChainSaysSoAndTakesNoPolicy) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("chained");
  const PlanFactors factors = randomFactors(plan);
  const ExportReport report = valueOf(exportTo(folder / "small", model, plan, factors, "latent"));
  EXPECT_THAT(report.notes, Contains(HasSubstr("are read behind those")));
  EXPECT_THAT(readText(folder / "small/README.md"), HasSubstr("are read behind those"));
  const nlohmann::json layers = valueOf(readJsonFile(folder / "small/config.json"))["kvista"]["layers"];
  EXPECT_TRUE(layers[0]["groups"][0]["predicted_from"].is_null());
  EXPECT_EQ(layers[1]["groups"][0]["predicted_from"], 0);

  ExportPlace place{.form = "latent", .target = folder / "other"};
  place.policy = PolicyRequest{.policy = "snapkv", .share = 0.5};
  EXPECT_THAT(exportCheckpoint({model.checkpoint, *model.decoder, plan, factors}, place, {}).error().message,
              HasSubstr("must keep the same tokens"));
}

TEST(LatentExport, ofTokenNumbersKeepsTheFirstLayersProjectionsAlone) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("numberedAll");
  valueOf(exportTo(folder / "small", model, plan, randomFactors(plan), "latent"));
  const nlohmann::json own = valueOf(readJsonFile(folder / "small/config.json"))["kvista"];
  EXPECT_TRUE(own["token_numbers"].get<bool>());
  EXPECT_TRUE(own["layers"][0]["groups"].empty());
  const Checkpoint written = valueOf(openCheckpoint(folder / "small"));
  EXPECT_TRUE(written.tensors->tensors().contains("model.layers.0.self_attn.k_proj.weight"));
  for (const auto& [name, tensor] : written.tensors->tensors())
    EXPECT_FALSE(name.starts_with("model.layers.0.self_attn.groups")) << name;
}

TEST(LatentExport, ofSharedLayersHoldsNothingOfReadersAndTakesNoPolicy) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("shared");
  const PlanFactors factors = randomFactors(plan);
  valueOf(exportTo(folder / "small", model, plan, factors, "latent"));
  const nlohmann::json layers = valueOf(readJsonFile(folder / "small/config.json"))["kvista"]["layers"];
  EXPECT_FALSE(layers[0].contains("reads"));
  EXPECT_EQ(layers[1]["reads"], 0);
  EXPECT_TRUE(layers[1]["groups"].empty());
  const Checkpoint written = valueOf(openCheckpoint(folder / "small"));
  for (const auto& [name, tensor] : written.tensors->tensors())
    if (name.starts_with("model.layers.1.self_attn."))
      EXPECT_TRUE(name.ends_with("q_proj.weight") || name.ends_with("o_proj.weight")) << name;
  ExportPlace place{.form = "latent", .target = folder / "other"};
  place.policy = PolicyRequest{.policy = "snapkv", .share = 0.5};
  EXPECT_THAT(exportCheckpoint({model.checkpoint, *model.decoder, plan, factors}, place, {}).error().message,
              HasSubstr("applies no policy"));
}

TEST(LatentExport, ofAChainNeedsItsPredictions) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("coded");
  valueOf(exportTo(folder / "small", model, plan, randomFactors(plan), "latent"));
  nlohmann::json written = valueOf(readJsonFile(folder / "small/kvista-report.json"));
  written["plan"]["chain"] = 2;
  writeText(folder / "small/kvista-report.json", written.dump());
  nlohmann::json config = valueOf(readJsonFile(folder / "small/config.json"));
  config["kvista"]["layers"][1]["groups"][0]["predicted_from"] = 0;
  writeText(folder / "small/config.json", config.dump());
  EXPECT_THAT(openModel(folder / "small").error().message,
              HasSubstr("tensor model.layers.1.self_attn.groups.0.prediction.weight is missing"));
}

TEST(LatentExport, holdsModelCodeTokenizerAndReport) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("coded");
  const ExportReport report = valueOf(exportTo(folder / "small", model, plan, randomFactors(plan), "latent"));
  for (const char* name : {"config.json", "model.safetensors", "modeling_kvista.py", "configuration_kvista.py",
                           "cache_kvista.py", "tokenizer.json", "kvista-report.json"})
    EXPECT_THAT(report.files, Contains(name));
  // What the kernels are built from, whole: every file that core/cuda's sources of attention include is beside them.
  for (const char* name : {"build_kernels.py", "kernels_kvista.py", "kernels_binding.cpp", "direct_attention.cu",
                           "rebuilt_attention.cu", "rebuilt_packed_attention.cu", "rebuilt_warpgroup_attention.cu"})
    EXPECT_THAT(report.files, Contains(name));
  for (const std::string& name : report.files) {
    if (!name.ends_with(".cu") && !name.ends_with(".cuh") && !name.ends_with(".h")) continue;
    const std::string text = readText(folder / "small" / name);
    EXPECT_EQ(text, readText(std::string(KVISTA_SOURCE_DIR) + "/core/cuda/" + name));
    const std::string marker = "#include \"core/cuda/";
    for (std::size_t at = text.find(marker); at != std::string::npos; at = text.find(marker, at + 1)) {
      const std::size_t begin = at + marker.size();
      EXPECT_THAT(report.files, Contains(text.substr(begin, text.find('"', begin) - begin))) << name;
    }
  }
  EXPECT_EQ(namesIn(folder / "small"), std::set<std::string>(report.files.begin(), report.files.end()));
  EXPECT_EQ(readText(folder / "small" / "modeling_kvista.py"),
            readText(std::string(KVISTA_SOURCE_DIR) + "/resources/model_code/modeling_kvista.py"));
  const nlohmann::json written = valueOf(readReport(folder / "small"));
  EXPECT_EQ(valueOf(planFromJson(written["plan"])), plan);
  EXPECT_EQ(written["bytesPerToken"]["achieved"], bytesPerToken(plan));
  EXPECT_EQ(written["source"]["hash"], valueOf(contentHash(model.checkpoint)));
  EXPECT_EQ(written["verification"]["passed"], true);
}

TEST(Export, ofTheSamePlanGivesTheSameBytes) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("coded");
  for (const char* form : {"latent", "dense"}) {
    const auto first = folder / (std::string(form) + "-1");
    const auto second = folder / (std::string(form) + "-2");
    valueOf(exportTo(first, model, plan, randomFactors(plan), form));
    valueOf(exportTo(second, model, plan, randomFactors(plan), form));
    ASSERT_EQ(namesIn(first), namesIn(second));
    for (const std::string& name : namesIn(first)) EXPECT_EQ(readText(first / name), readText(second / name)) << name;
  }
}

TEST(DenseExport, isTheOriginalArchitectureWithThePlansQuality) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model", {{"model_type", "qwen2"}});
  for (const char* name : {"joint", "separate", "mixed", "whole"}) {
    const CompressionPlan plan = planNamed(name);
    const PlanFactors factors = randomFactors(plan);
    const ExportReport report = valueOf(exportTo(folder / name, model, plan, factors, "dense"));
    EXPECT_EQ(report.bytesPerToken, model.decoder->shape().cacheBytesPerToken());
    const Checkpoint written = valueOf(openCheckpoint(folder / name));
    EXPECT_EQ(written.config, model.checkpoint.config);
    const auto decoder = valueOf(Decoder::load(written, {}, {}));
    EXPECT_LT(largestDifference(logitsOf(*decoder), logitsOf(*model.decoder, &plan, factors)), 1e-3) << name;
  }
}

TEST(DenseExport, saysWhatOfACodedPlanIsNotInIt) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("coded");
  const ExportReport report = valueOf(exportTo(folder / "dense", model, plan, randomFactors(plan), "dense"));
  EXPECT_THAT(report.notes, Contains(HasSubstr("codes are not part of this form")));
  EXPECT_THAT(report.notes, Contains(HasSubstr("first 4 tokens")));
}

TEST(DenseExport, refusesKeysAfterRopeBeforeWritingAnything) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("afterRope");
  const auto report = exportTo(folder / "dense", model, plan, randomFactors(plan), "dense");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::invalidArgument);
  EXPECT_THAT(report.error().message,
              HasSubstr("The plan compresses keys after RoPE (layer 0, head 0, and maybe others)"));
  EXPECT_THAT(report.error().hint, HasSubstr("latent"));
  EXPECT_EQ(namesIn(folder.path()), std::set<std::string>{"model"});
}

TEST(Export, in16BitWritesSmallerFactors) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("joint");
  const PlanFactors factors = randomFactors(plan);
  const ExportRequest request{model.checkpoint, *model.decoder, plan, factors};
  ExportPlace place;
  place.dtype = DataType::bf16;
  place.target = folder / "small";
  EXPECT_TRUE(valueOf(exportCheckpoint(request, place, {})).verified);
  const Checkpoint written = valueOf(openCheckpoint(folder / "small"));
  EXPECT_EQ(written.tensors->tensors().at("model.layers.0.self_attn.groups.0.up.weight").type, DataType::bf16);
  EXPECT_EQ(written.tensors->tensors().at("model.norm.weight").type, DataType::f32);
  place.dtype = DataType::i32;
  place.target = folder / "other";
  EXPECT_THAT(exportCheckpoint(request, place, {}).error().message, HasSubstr("cannot be written as I32"));
}

TEST(Export, writesEveryWeightInTheTypeThatWasAskedFor) {
  const TemporaryFolder folder;
  const CompressionPlan plan = planNamed("separate");
  const PlanFactors factors = randomFactors(plan);
  for (const auto from : {at::kFloat, at::kBFloat16}) {
    const std::string source = from == at::kFloat ? "f32" : "bf16";
    const TinyModel model = tinyModel(folder / source, nlohmann::json::object(), from);
    for (const ExportForm& form : exportForms()) {
      if (!form.check(plan, model.decoder->description(), model.checkpoint)) continue;  // a form of plans of its own
      for (const DataType type : {DataType::f32, DataType::bf16, DataType::f16}) {
        ExportPlace place{.form = std::string(form.name), .dtype = type, .weightType = type};
        place.target = folder / (source + place.form + std::string(nameOf(type)));
        const auto report = exportCheckpoint({model.checkpoint, *model.decoder, plan, factors}, place, {});
        ASSERT_TRUE(report) << report.error().message;
        const Checkpoint written = valueOf(openCheckpoint(place.target));
        for (const auto& [name, tensor] : written.tensors->tensors())
          EXPECT_EQ(tensor.type, name == "format" ? DataType::u8 : type)
              << name;  // the model's file has a text among its tensors
        EXPECT_EQ(written.config["torch_dtype"], type == DataType::f32    ? "float32"
                                                 : type == DataType::bf16 ? "bfloat16"
                                                                          : "float16");
      }
    }
  }
  const TinyModel model = tinyModel(folder / "model");
  ExportPlace place{.weightType = DataType::u8, .target = folder / "other"};
  EXPECT_THAT(exportCheckpoint({model.checkpoint, *model.decoder, plan, factors}, place, {}).error().message,
              HasSubstr("cannot be written as U8"));
}

TEST(Export, refusesTargetsThatWouldCostTheModel) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "models" / "tiny");
  const CompressionPlan plan = planNamed("joint");
  const PlanFactors factors = randomFactors(plan);
  const ExportRequest request{model.checkpoint, *model.decoder, plan, factors};
  ExportPlace place;
  place.overwrite = true;
  std::filesystem::create_directories(folder / "notes");
  writeText(folder / "notes/diary.txt", "dear");
  const auto refused = [&](const std::filesystem::path& target, const std::string& sentence) {
    place.target = target;
    const auto report = exportCheckpoint(request, place, {});
    ASSERT_FALSE(report) << target;
    EXPECT_EQ(report.error().code, ErrorCode::invalidArgument);
    EXPECT_THAT(report.error().message, HasSubstr(sentence));
  };
  refused(model.folder, "where the model itself lies");
  refused(model.folder.string() + "/", "where the model itself lies");
  refused(folder / "models", "where the model itself lies");
  refused(model.folder / "small", "inside the model's own folder");
  refused(model.folder / ".." / "tiny" / "small", "inside the model's own folder");
  refused(folder / "notes", "not an earlier export");
  EXPECT_EQ(readText(folder / "notes/diary.txt"), "dear");
  EXPECT_TRUE(valueOf(openCheckpoint(model.folder)).tensors != nullptr);

  place.target = folder / "small";
  EXPECT_TRUE(exportCheckpoint(request, place, {}));
  EXPECT_TRUE(exportCheckpoint(request, place, {})) << "an earlier export may be replaced";
  place.overwrite = false;
  EXPECT_FALSE(exportCheckpoint(request, place, {}));
}

TEST(Export, refusesFactorsAndFormsThatDoNotFit) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("joint");
  EXPECT_THAT(exportTo(folder / "x", model, plan, randomFactors(planNamed("separate")), "latent").error().message,
              HasSubstr("factors for 4 groups, the plan has 2"));
  EXPECT_THAT(exportTo(folder / "x", model, plan, PlanFactors(2), "latent").error().message,
              HasSubstr("Group 0 is compressed but has no factors"));
  const auto unknown = exportTo(folder / "x", model, plan, randomFactors(plan), "sparse");
  EXPECT_THAT(unknown.error().message, HasSubstr("no export form \"sparse\""));
  EXPECT_THAT(unknown.error().hint, HasSubstr("latent, dense, palu, gqa, serve, vOnly, mla"));

  CompressionPlan plain = planNamed("whole");
  plain.storage = Storage::plainQuantised;
  plain.groups.clear();
  for (int layer = 0; layer < 2; ++layer)
    for (const char* slot : {"K0", "K1", "V0", "V1"}) plain.groups.push_back(group(layer, {slot}, widths(8, 4)));
  CompressionPlan across = planNamed("joint");
  across.groups[0].slots[1].layer = 1;
  across.groups[1].slots[1].layer = 0;
  for (const ExportForm& form : exportForms()) {
    EXPECT_THAT(exportTo(folder / "x", model, plain, PlanFactors(8), std::string(form.name)).error().message,
                HasSubstr("plain quantisation has none"));
    EXPECT_THAT(exportTo(folder / "x", model, across, randomFactors(across), std::string(form.name)).error().message,
                HasSubstr("shares one latent between layers 0 and 1"));
  }
  EXPECT_EQ(namesIn(folder.path()), std::set<std::string>{"model"});
}

TEST(Export, thatIsCancelledLeavesNothing) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("joint");
  const PlanFactors factors = randomFactors(plan);
  const ExportRequest request{model.checkpoint, *model.decoder, plan, factors};
  ExportPlace place;
  place.target = folder / "small";
  std::stop_source stop;
  const Task task{stop.get_token(), [&](const ProgressReport& report) {
                    if (report.stage == "verify") stop.request_stop();
                  }};
  const auto report = exportCheckpoint(request, place, task);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::cancelled);
  EXPECT_EQ(namesIn(folder.path()), std::set<std::string>{"model"});
}

TEST(BegunExport, writesWhatIsCarriedOverBeforeThePlanIsKnown) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  const CompressionPlan plan = planNamed("joint");
  const PlanFactors factors = randomFactors(plan);
  for (const std::string form : {"latent", "dense"}) {
    const auto begun = valueOf(BegunExport::begin(model.checkpoint, model.decoder->description(),
                                                  {.form = form, .shardBytes = 10'000, .target = folder / form}));
    EXPECT_FALSE(std::filesystem::exists(folder / form));
    const ExportReport report = valueOf(finishExport(*begun, {model.checkpoint, *model.decoder, plan, factors}, {}));
    EXPECT_TRUE(report.verified);
    EXPECT_THAT(report.files, Contains("model.safetensors.index.json"));
    const Checkpoint written = valueOf(openCheckpoint(folder / form));
    ASSERT_TRUE(exportTo(folder / (form + "-at-once"), model, plan, factors, form));
    const Checkpoint atOnce = valueOf(openCheckpoint(folder / (form + "-at-once")));
    ASSERT_EQ(written.tensors->tensors().size(), atOnce.tensors->tensors().size());
    for (const auto& [name, tensor] : atOnce.tensors->tensors())
      EXPECT_TRUE(
          std::ranges::equal(written.tensors->raw(written.tensors->tensors().at(name)), atOnce.tensors->raw(tensor)))
          << name;
  }
}

TEST(BegunExport, leavesNothingWithoutAnEnd) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  for (const std::uint64_t shardBytes : {std::uint64_t{1'000}, kShardBytes}) {
    const auto begun = BegunExport::begin(model.checkpoint, model.decoder->description(),
                                          {.shardBytes = shardBytes, .target = folder / "small"});
    ASSERT_TRUE(begun);
    EXPECT_EQ(namesIn(folder.path()).size(), 2u) << "the model, and what is written beside the target";
  }
  EXPECT_EQ(namesIn(folder.path()), std::set<std::string>{"model"});
}

class DamagedExport : public ::testing::Test {
 protected:
  DamagedExport() : model(tinyModel(folder / "model")), plan(planNamed("coded")) {
    valueOf(exportTo(small, model, plan, randomFactors(plan), "latent"));
  }
  void editJson(const char* name, const std::function<void(nlohmann::json&)>& edit) {
    nlohmann::json json = valueOf(readJsonFile(small / name));
    edit(json);
    writeText(small / name, json.dump());
  }
  std::string openingError() {
    const auto opened = openModel(small);
    return opened ? "opened" : opened.error().message;
  }
  /// How opening fails where a damaged `kvista` of config.json, or plan of the report, has taken the place of the
  /// written one.
  std::string errorWith(const char* name, const char* object, const std::function<void(nlohmann::json&)>& edit) {
    const std::string intact = readText(small / name);
    editJson(name, [&](auto& json) { edit(json[object]); });
    const auto opened = openModel(small);
    writeText(small / name, intact);
    EXPECT_TRUE(opened || opened.error().code == ErrorCode::corruptFile);
    return opened ? "opened" : opened.error().message;
  }

  const TemporaryFolder folder;
  const std::filesystem::path small = folder / "small";
  const TinyModel model;
  const CompressionPlan plan;
};

TEST_F(DamagedExport, isFoundByVerify) {
  std::string bytes = readText(small / "model.safetensors");
  bytes[bytes.size() - 5] ^= 1;
  writeText(small / "model.safetensors", bytes);
  std::filesystem::remove(small / "tokenizer.json");
  const Verification found = valueOf(verifyExport(small, {}, {}));
  EXPECT_THAT(found.problems, Contains(HasSubstr("model.safetensors is not what was written")));
  EXPECT_THAT(found.problems, Contains(HasSubstr("tokenizer.json")));
  EXPECT_EQ(found.problems.size(), 2U);
}

TEST_F(DamagedExport, namesWhatDoesNotFit) {
  editJson("config.json", [](auto& json) { json["kvista"]["format"] = 9; });
  EXPECT_THAT(openingError(), HasSubstr("kvista.format in config.json is not a number from 1 to 2"));
  editJson("config.json", [](auto& json) {
    json["kvista"]["format"] = 1;
    json["kvista"]["base_config"]["num_hidden_layers"] = 3;
  });
  EXPECT_THAT(openingError(), HasSubstr("the plan in kvista-report.json does not fit the model"));
  editJson("config.json", [](auto& json) { json["kvista"] = 3; });
  EXPECT_THAT(openingError(), HasSubstr("no kvista object"));
}

TEST_F(DamagedExport, isNotOneOfTheFormatBefore) {
  editJson("config.json", [](auto& json) { json["kvista"]["format"] = 1; });
  EXPECT_EQ(openingError(), "opened");
}

TEST_F(DamagedExport, namesTensorsOfAnotherPlan) {
  CompressionPlan other = plan;
  other.groups[1].widths[0] = 0;
  editJson("kvista-report.json", [&](auto& json) { json["plan"] = toJson(other); });
  EXPECT_THAT(openingError(), HasSubstr("config.json and kvista-report.json do not agree: kvista.layers["));
  editJson("config.json", [&](auto& json) {
    auto& runs =
        json["kvista"]["layers"][static_cast<std::size_t>(other.groups[1].slots.front().layer)]["groups"][0]["runs"];
    runs[0][1] = runs[0][1].template get<int>() - 1;
  });
  EXPECT_THAT(openingError(), HasSubstr("groups.0.up.weight has shape [32, 20]; the plan needs [32, 19]"));
}

TEST_F(DamagedExport, ConfigurationAndPlanMustAgree) {
  const auto config = [&](const auto& edit) { return errorWith("config.json", "kvista", edit); };
  const auto report = [&](const auto& edit) { return errorWith("kvista-report.json", "plan", edit); };
  const std::string disagree = "config.json and kvista-report.json do not agree: ";
  EXPECT_EQ(config([](auto&) {}), "opened");
  EXPECT_THAT(config([](auto& own) { own["token_numbers"] = "yes"; }),
              HasSubstr(disagree + "kvista.token_numbers is \"yes\" in config.json and false by the plan"));
  EXPECT_THAT(config([](auto& own) { own["exact_tokens"] = 3; }), HasSubstr(disagree + "kvista.exact_tokens is 3"));
  EXPECT_THAT(config([](auto& own) { own["layers"].erase(1); }),
              HasSubstr(disagree + "kvista.layers is a list of 1 in config.json and a list of 2"));
  EXPECT_THAT(config([](auto& own) { own["layers"][1]["groups"].clear(); }),
              HasSubstr(disagree + "kvista.layers[1].groups is a list of 0"));
  EXPECT_THAT(config([](auto& own) { own["layers"][1]["reads"] = 0; }),
              HasSubstr(disagree + "kvista.layers[1].reads is 0 in config.json and none by"));
  EXPECT_THAT(
      config([](auto& own) { own["layers"][1]["groups"][0]["predicted_from"] = 0; }),
      HasSubstr(disagree + "kvista.layers[1].groups[0].predicted_from is 0 in config.json and none by the plan"));
  EXPECT_THAT(report([](auto& damaged) { damaged["tokenNumbers"] = "yes"; }),
              ::testing::AllOf(HasSubstr("kvista-report.json: The plan's field 'tokenNumbers' is not true or false."),
                               HasSubstr("In the report")));
}

TEST_F(DamagedExport, ChainsOfOtherLengthsAreNotTaken) {
  const CompressionPlan chained = planNamed("chained");
  std::filesystem::remove_all(small);
  valueOf(exportTo(small, model, chained, randomFactors(chained), "latent"));
  EXPECT_EQ(openingError(), "opened");
  EXPECT_THAT(errorWith("kvista-report.json", "plan", [](auto& damaged) { damaged["chain"] = 1; }),
              HasSubstr("kvista.layers[1].groups[0].predicted_from is 0 in config.json and none by the plan"));
}

TEST_F(DamagedExport, needsItsReport) {
  editJson("kvista-report.json", [](auto& json) {
    json["files"] = {{"../../etc/passwd", {{"bytes", 1}, {"xxh3", "0"}}}};
  });
  EXPECT_THAT(verifyExport(small, {}, {}).error().message, HasSubstr("is not a file name"));
  editJson("kvista-report.json", [](auto& json) { json.erase("plan"); });
  EXPECT_THAT(openingError(), HasSubstr("plan is missing"));
  std::filesystem::remove(small / "kvista-report.json");
  EXPECT_THAT(openingError(), HasSubstr("kvista-report.json"));
}

}  // namespace
}  // namespace kvista::test
