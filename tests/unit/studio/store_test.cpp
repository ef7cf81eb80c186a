// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QKeySequence>

#include "app/studio/action_registry.h"
#include "app/studio/background.h"
#include "app/studio/recent_files.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/wait.h"

namespace kvista {
namespace {

using test::TemporaryFolder;
using test::waitFor;
using ::testing::HasSubstr;

const Key<int> kZoom{"zoom", 3};
const Key<bool> kShown{"shown", true};
const Key<QString> kName{"name", QStringLiteral("none")};
const Key<QByteArray> kLayout{"layout", {}};
const Key<std::vector<std::string>> kList{"list", {"a"}};

class StoreTest : public ::testing::Test {
 protected:
  ~StoreTest() override { finishDiskWork(); }
  TemporaryFolder folder;
  std::filesystem::path file = folder / "deep/settings.json";
};

TEST_F(StoreTest, ValuesComeBack) {
  const QByteArray layout("\0\xff\x01", 3);
  {
    Store store(file);
    EXPECT_EQ(store.get(kZoom), 3);
    EXPECT_EQ(store.get(kList), std::vector<std::string>{"a"});
    store.set(kZoom, 5);
    store.set(kShown, false);
    store.set(kName, QStringLiteral("größer"));
    store.set(kLayout, layout);
    store.set(kList, {"b", "c"});
    EXPECT_EQ(store.get(kZoom), 5);
  }
  finishDiskWork();
  Store store(file);
  EXPECT_EQ(store.get(kZoom), 5);
  EXPECT_FALSE(store.get(kShown));
  EXPECT_EQ(store.get(kName), QStringLiteral("größer"));
  EXPECT_EQ(store.get(kLayout), layout);
  EXPECT_EQ(store.get(kList), (std::vector<std::string>{"b", "c"}));
  store.remove("zoom");
  EXPECT_EQ(store.get(kZoom), 3);
  EXPECT_TRUE(store.problems().empty());
}

TEST_F(StoreTest, TwoWindowsKeepEachOthersValues) {
  Store first(file), second(file);
  first.set(kZoom, 7);
  second.set(kShown, false);
  first.flush();
  second.flush();
  finishDiskWork();
  Store third(file);
  EXPECT_EQ(third.get(kZoom), 7);
  EXPECT_FALSE(third.get(kShown));
}

TEST_F(StoreTest, ADamagedFileFallsBackAndIsKept) {
  std::filesystem::create_directories(file.parent_path());
  for (const char* content : {"{\"zoom\": 5", "[1, 2]", "\xff\xff", ""}) {
    test::writeText(file, content);
    Store store(file);
    EXPECT_EQ(store.get(kZoom), 3) << content;
    ASSERT_EQ(store.problems().size(), 1U) << content;
    EXPECT_THAT(store.problems().front().message, HasSubstr("settings.json"));
    EXPECT_EQ(test::readText(file.string() + ".damaged"), content);
    store.set(kZoom, 9);
    store.flush();
    finishDiskWork();
    EXPECT_EQ(Store(file).get(kZoom), 9);
  }
}

TEST_F(StoreTest, AValueOfAnotherKindFallsBack) {
  std::filesystem::create_directories(file.parent_path());
  test::writeText(file, R"({"zoom": "large", "shown": 1, "name": [], "list": 7})");
  Store store(file);
  int told = 0;
  QObject::connect(&store, &Store::problemFound, &store, [&] { ++told; });
  EXPECT_EQ(store.get(kZoom), 3);
  EXPECT_TRUE(store.get(kShown));
  EXPECT_EQ(store.get(kName), QStringLiteral("none"));
  EXPECT_EQ(store.get(kList), std::vector<std::string>{"a"});
  EXPECT_EQ(told, 4);
  EXPECT_THAT(store.problems().front().message, HasSubstr("'zoom'"));
  EXPECT_EQ(store.get(kZoom), 3);
  EXPECT_EQ(told, 4);  // Once.
}

TEST_F(StoreTest, ALayoutThatDoesNotFitIsForgotten) {
  Store store(file);
  store.set(kLayout, QByteArray("not a layout"));
  store.reject("layout", QStringLiteral("it is of another window"));
  EXPECT_TRUE(store.get(kLayout).isEmpty());
  ASSERT_EQ(store.problems().size(), 1U);
  EXPECT_THAT(store.problems().front().message, HasSubstr("it is of another window"));
}

TEST_F(StoreTest, EveryProjectHasItsSession) {
  EXPECT_EQ(sessionFile("/a/b.kvista"), sessionFile("/a/c/../b.kvista"));
  EXPECT_NE(sessionFile("/a/b.kvista"), sessionFile("/a/c.kvista"));
  EXPECT_EQ(sessionFile({}).filename(), "untitled.json");
  Store store(folder / "one.json");
  store.set(kZoom, 8);
  store.switchTo(folder / "two.json");
  EXPECT_EQ(store.get(kZoom), 3);
  finishDiskWork();
  store.switchTo(folder / "one.json");
  EXPECT_EQ(store.get(kZoom), 8);
}

TEST_F(StoreTest, RecentFilesOfAnOlderVersionAreTakenOverAndOddOnesLeftOut) {
  std::filesystem::create_directories(file.parent_path());
  test::writeText(
      file,
      R"({"recentFiles": ["/models/a", 7, {"path": "/models/b", "opened": "2026-11-26T09:30:00"}, {"path": 1}]})");
  Store settings(file);
  const RecentFiles recent(settings);
  ASSERT_EQ(recent.files().size(), 2U);
  EXPECT_EQ(recent.files()[0].path, "/models/a");
  EXPECT_FALSE(recent.files()[0].opened.isValid());
  EXPECT_EQ(recent.files()[1].opened, QDateTime(QDate(2026, 11, 26), QTime(9, 30)));
  ASSERT_EQ(settings.problems().size(), 1U);
  EXPECT_NE(settings.problems()[0].message.find("recentFiles"), std::string::npos);
}

TEST_F(StoreTest, RecentFilesKnowWhichAreMissing) {
  Store settings(file);
  const auto path = [&](const char* name) { return QString::fromStdString((folder / name).string()); };
  test::writeText(folder / "a.kvista", "");
  test::writeText(folder / "b.kvista", "");
  {
    RecentFiles recent(settings);
    for (const char* name : {"a.kvista", "b.kvista", "gone.kvista", "a.kvista"}) recent.add(path(name));
  }
  RecentFiles recent(settings);
  ASSERT_TRUE(waitFor([&] { return recent.files()[1].missing; }));
  using Known = std::vector<std::pair<QString, bool>>;
  const auto known = [&] {
    Known all;
    for (const RecentFile& each : recent.files()) all.emplace_back(each.path, each.missing);
    return all;
  };
  EXPECT_EQ(known(), (Known{{path("a.kvista"), false}, {path("gone.kvista"), true}, {path("b.kvista"), false}}));
  for (const RecentFile& each : recent.files()) EXPECT_EQ(each.opened.date(), QDate::currentDate());
  recent.locate(path("gone.kvista"), path("b.kvista"));
  EXPECT_EQ(known(), (Known{{path("a.kvista"), false}, {path("b.kvista"), false}}));
  recent.remove(path("a.kvista"));
  EXPECT_EQ(known(), (Known{{path("b.kvista"), false}}));
  for (int i = 0; i < 20; ++i) recent.add(path(std::to_string(i).c_str()));
  EXPECT_EQ(recent.files().size(), 12U);
}

TEST_F(StoreTest, RecentFilesOfAnotherMachineAreNotMissingHere) {
  Store settings(file);
  {
    RecentFiles recent(settings);
    recent.add("/nothing/here/llama", "gpu-server");
    recent.add("/nothing/here/qwen");
  }
  RecentFiles recent(settings);
  ASSERT_TRUE(waitFor([&] { return recent.files()[0].missing; }));
  EXPECT_EQ(recent.files()[1].host, "gpu-server");
  EXPECT_FALSE(recent.files()[1].missing);
}

class Actions : public StoreTest {
 protected:
  void fill(ActionRegistry& registry) {
    registry.add({"edit.undo", "&Undo", "Edit", QKeySequence("Ctrl+Z"), [this] { return possible; }}, &context,
                 [this] { ++runs; });
    registry.add({"view.zoom", "Zoom && fit", "View", QKeySequence("Ctrl+0")}, &context, [] {});
    registry.add({"help.about", "About", "Help"}, &context, [] {});
  }
  bool possible = false;
  int runs = 0;
  QObject context;
};

TEST_F(Actions, AreFoundRunAndDisabled) {
  Store settings(file);
  ActionRegistry registry(settings);
  fill(registry);
  QAction* undo = registry.action("edit.undo");
  ASSERT_NE(undo, nullptr);
  EXPECT_EQ(registry.action("edit.none"), nullptr);
  EXPECT_FALSE(undo->isEnabled());
  undo->trigger();
  EXPECT_EQ(runs, 0);
  possible = true;
  registry.refresh();
  undo->trigger();
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(registry.actions().size(), 3);
  EXPECT_TRUE(registry.duplicateShortcuts().isEmpty());
  EXPECT_EQ(plainText(*registry.action("view.zoom")), "Zoom & fit");
}

TEST_F(Actions, ShortcutsOfOnesOwnAreKeptAndNeverTwice) {
  {
    Store settings(file);
    ActionRegistry registry(settings);
    fill(registry);
    const auto refused = registry.setShortcut("help.about", QKeySequence("Ctrl+Z"));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("'Undo'"));
    ASSERT_TRUE(registry.setShortcut("edit.undo", QKeySequence("Ctrl+U")));
    ASSERT_TRUE(registry.setShortcut("help.about", QKeySequence("Ctrl+Z")));
    ASSERT_TRUE(registry.setShortcut("view.zoom", QKeySequence()));
  }
  finishDiskWork();
  Store settings(file);
  ActionRegistry registry(settings);
  fill(registry);
  EXPECT_EQ(registry.action("edit.undo")->shortcut(), QKeySequence("Ctrl+U"));
  EXPECT_EQ(registry.action("help.about")->shortcut(), QKeySequence("Ctrl+Z"));
  EXPECT_TRUE(registry.action("view.zoom")->shortcut().isEmpty());
  EXPECT_TRUE(registry.duplicateShortcuts().isEmpty());
  EXPECT_TRUE(registry.resetShortcut("view.zoom"));
  EXPECT_EQ(registry.action("view.zoom")->shortcut(), QKeySequence("Ctrl+0"));
}

TEST_F(Actions, DamagedShortcutsFallBack) {
  std::filesystem::create_directories(file.parent_path());
  test::writeText(file,
                  R"({"shortcuts": {"edit.undo": "no key at all", "help.about": "Ctrl+0", "gone.action": "Ctrl+K"}})");
  Store settings(file);
  ActionRegistry registry(settings);
  fill(registry);
  EXPECT_EQ(registry.action("edit.undo")->shortcut(), QKeySequence("Ctrl+Z"));
  EXPECT_TRUE(registry.duplicateShortcuts().isEmpty());
  registry.add({"twice", "Twice", "Edit", QKeySequence("Ctrl+Z")}, &context, [] {});
  EXPECT_EQ(registry.duplicateShortcuts(), QStringList{"Undo / Twice: Ctrl+Z"});
}

TEST_F(Actions, AShortcutThatALaterActionOwnsByNowFallsBackAndKeysForTypingAreRefused) {
  std::filesystem::create_directories(file.parent_path());
  test::writeText(file, R"({"shortcuts": {"edit.undo": "Ctrl+0", "help.about": "A"}})");
  Store settings(file);
  ActionRegistry registry(settings);
  fill(registry);
  EXPECT_EQ(registry.action("edit.undo")->shortcut(), QKeySequence("Ctrl+Z"));
  EXPECT_EQ(registry.action("view.zoom")->shortcut(), QKeySequence("Ctrl+0"));
  EXPECT_TRUE(registry.action("help.about")->shortcut().isEmpty());
  for (const char* keys : {"A", "Shift+B", "Left", "Space"}) {
    const auto refused = registry.setShortcut("help.about", QKeySequence(keys));
    ASSERT_FALSE(refused) << keys;
    EXPECT_THAT(refused.error().message, HasSubstr(keys));
  }
  for (const char* keys : {"F9", "Alt+A", "Ctrl+Shift+B"})
    EXPECT_TRUE(registry.setShortcut("help.about", QKeySequence(keys))) << keys;
}

TEST_F(Actions, AResetThatWouldBeTwiceIsRefusedAndResetAllIsNot) {
  Store settings(file);
  ActionRegistry registry(settings);
  fill(registry);
  ASSERT_TRUE(registry.setShortcut("edit.undo", QKeySequence("Ctrl+U")));
  ASSERT_TRUE(registry.setShortcut("help.about", QKeySequence("Ctrl+Z")));
  const auto refused = registry.resetShortcut("edit.undo");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("'About'"));
  registry.resetShortcuts();
  EXPECT_EQ(registry.action("edit.undo")->shortcut(), QKeySequence("Ctrl+Z"));
  EXPECT_TRUE(registry.action("help.about")->shortcut().isEmpty());
}

}  // namespace
}  // namespace kvista
