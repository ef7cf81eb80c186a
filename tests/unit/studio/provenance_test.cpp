// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <QCoreApplication>
#include <map>

#include "app/studio/window/provenance_sections.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"

namespace kvista {
namespace {

/// Facts by "Section/Name"; of several sections of a title the first.
std::map<QString, QString> facts(const Document& document, const EngineClient& engine) {
  std::map<QString, QString> all;
  for (const ProvenanceSection& section : provenanceOf(document, engine))
    for (const auto& [name, value] : section.facts) all.emplace(section.title + QLatin1Char('/') + name, value);
  return all;
}

TEST(Provenance, SaysWhereEveryNumberComesFrom) {
  EngineClient engine;
  Document document;
  EXPECT_TRUE(provenanceOf(document, engine).empty());
  engine.start({QCoreApplication::applicationDirPath() + "/kvista-fake-engine", {}});
  ASSERT_TRUE(test::waitFor([&] { return engine.state() == EngineClient::State::ready; }));
  document.startFrom(test::madeUpModel());
  StatisticsRecord statistics = test::madeUpStatistics();
  ASSERT_TRUE(document.setStatistics(statistics));
  auto all = facts(document, engine);
  EXPECT_EQ(all.at("Model/Content hash"), "00112233445566aa");
  EXPECT_EQ(all.at("Calibration/Tokens' hash"), "bb");
  EXPECT_TRUE(all.at("Calibration/Seed").startsWith("none"));
  EXPECT_EQ(all.at("Plan/Method"), "coded");
  EXPECT_EQ(all.at("Plan/Fingerprint").toStdString(), document.planFingerprint());
  EXPECT_TRUE(all.at("Program/Engine").contains("kvista 0.1.0"));
  EXPECT_EQ(all.at("Program/libtorch"), "2.11.0");
  EXPECT_EQ(all.at("Program/Engine's host"), "made-up-host");
  EXPECT_EQ(all.at("Program/Engine's device").toStdString(), engine.hello().device);
  EXPECT_TRUE(all.at("Program/Window").contains(QString::fromLatin1(qVersion())));
  EXPECT_EQ(all.count("Measurement/Text"), 0U);

  statistics.seed = 77;
  ASSERT_TRUE(document.setStatistics(statistics));
  document.addResult({.text = "emma.txt",
                      .tokensHash = "cc",
                      .planFingerprint = document.planFingerprint(),
                      .predictions = 100,
                      .perplexityBefore = 20,
                      .perplexityAfter = 21,
                      .seconds = 1});
  all = facts(document, engine);
  EXPECT_EQ(all.at("Calibration/Seed"), "77");
  EXPECT_EQ(all.at("Measurement/Text"), "emma.txt");
  EXPECT_EQ(all.at("Measurement/Tokens' hash"), "cc");
  EXPECT_EQ(all.at("Measurement/Plan's fingerprint").toStdString(), document.planFingerprint() + " (this plan)");
}

}  // namespace
}  // namespace kvista
