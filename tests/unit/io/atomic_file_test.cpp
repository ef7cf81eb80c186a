// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <optional>
#include <span>

#include "core/io/file_descriptor.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;
using test::namesIn;
using test::readText;
using test::TemporaryFolder;
using test::writeText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(WriteFileAtomically, CreatesAndReplaces) {
  const TemporaryFolder folder;
  ASSERT_TRUE(writeFileAtomically(folder / "a.json", "one"));
  ASSERT_TRUE(writeFileAtomically(folder / "a.json", ""));
  EXPECT_EQ(readText(folder / "a.json"), "");
  ASSERT_TRUE(writeFileAtomically(folder / "a.json", std::string("t\0o", 3)));
  EXPECT_EQ(readText(folder / "a.json"), std::string("t\0o", 3));
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("a.json"));
}

TEST(WriteFileAtomically, KeepsTheOldOnFailureAndNamesThePlace) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "taken");
  writeText(folder / "taken/file", "x");
  const auto replaced = writeFileAtomically(folder / "taken", "text");
  ASSERT_FALSE(replaced);
  EXPECT_EQ(replaced.error().code, ErrorCode::io);
  EXPECT_THAT(replaced.error().message, HasSubstr((folder / "taken").string()));
  EXPECT_EQ(readText(folder / "taken/file"), "x");
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("taken"));
  const auto nowhere = writeFileAtomically(folder / "none/file", "text");
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, HasSubstr((folder / "none").string() + " is not a folder"));
}

TEST(WriteFileAtomically, WritesWhatALinkLeadsToAndKeepsTheLink) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "far");
  writeText(folder / "far/old", "old");
  fs::create_symlink("far/old", folder / "a");
  fs::create_symlink("a", folder / "b");
  fs::create_symlink("far/new", folder / "c");  // to a name that is not there yet
  for (const char* link : {"b", "c"}) {
    const auto written = writeFileAtomically(folder / link, link);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_TRUE(fs::is_symlink(folder / link));
  }
  EXPECT_EQ(readText(folder / "far/old"), "b");
  EXPECT_EQ(readText(folder / "far/new"), "c");
  EXPECT_EQ(namesIn(folder / "far").size(), 2U);
  fs::create_symlink("round", folder / "round");
  const auto round = writeFileAtomically(folder / "round", "x");
  ASSERT_FALSE(round);
  EXPECT_THAT(round.error().message, HasSubstr("round cannot be written: it is a link that leads back to itself."));
}

TEST(WriteFileAtomically, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  fs::create_symlink("pipe", folder / "link");
  fs::create_symlink("/dev/null", folder / "null");
  for (const auto& [name, kind] : {std::pair("pipe", "a pipe"), {"link", "a pipe"}, {"null", "a device"}}) {
    for (const auto& refused : {writeFileAtomically(folder / name, "x"), checkWritable(folder / name)}) {
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, ErrorCode::io);
      EXPECT_EQ(refused.error().message,
                fmt::format("{} is {}, but a file shall be written.", (folder / name).string(), kind));
    }
  }
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  EXPECT_EQ(namesIn(folder.path()).size(), 3U);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const TemporaryFolder folder;
  writeText(folder / "a", "old");
  {
    auto file = AtomicFile::create(folder / "a");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->append(std::as_bytes(std::span("new"))));
    const AtomicFile moved = std::move(*file);
    EXPECT_EQ(namesIn(folder.path()).size(), 2u);
  }
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("a"));
  EXPECT_EQ(readText(folder / "a"), "old");
}

TEST(AtomicDirectory, AppearsAtCommitOnly) {
  const TemporaryFolder folder;
  auto directory = AtomicDirectory::create(folder / "out/", 1000, false);
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(directory->path().parent_path(), folder.path());
  EXPECT_EQ(directory->path().filename().string().front(), '.');
  writeText(directory->path() / "a", "1");
  fs::create_directory(directory->path() / "sub");
  writeText(directory->path() / "sub/b", "2");
  EXPECT_FALSE(fs::exists(folder / "out"));
  ASSERT_TRUE(directory->commit());
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("out"));
  EXPECT_EQ(readText(folder / "out/a") + readText(folder / "out/sub/b"), "12");
}

TEST(AtomicDirectory, LeavesNothingWithoutCommit) {
  const TemporaryFolder folder;
  {
    std::optional<AtomicDirectory> kept;
    {
      auto directory = AtomicDirectory::create(folder / "out", 0, false);
      ASSERT_TRUE(directory);
      writeText(directory->path() / "a", "1");
      kept = std::move(*directory);
    }
    EXPECT_TRUE(fs::exists(kept->path() / "a"));
  }
  EXPECT_THAT(namesIn(folder.path()), IsEmpty());
}

TEST(AtomicDirectory, RefusesWhatExistsUnlessOverwriting) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "out");
  writeText(folder / "out/old", "old");
  const auto refused = AtomicDirectory::create(folder / "out", 0, false);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("exists already"));

  auto directory = AtomicDirectory::create(folder / "out", 0, true);
  ASSERT_TRUE(directory);
  writeText(directory->path() / "new", "new");
  EXPECT_EQ(readText(folder / "out/old"), "old");
  ASSERT_TRUE(directory->commit());
  EXPECT_THAT(namesIn(folder / "out"), ElementsAre("new"));
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("out"));
}

TEST(AtomicDirectory, OverwritingWorksWhereNothingWas) {
  const TemporaryFolder folder;
  auto directory = AtomicDirectory::create(folder / "out", 0, true);
  ASSERT_TRUE(directory);
  ASSERT_TRUE(directory->commit());
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("out"));
}

TEST(AtomicDirectory, DoesNotReplaceWhatAppearedMeanwhile) {
  const TemporaryFolder folder;
  {
    auto directory = AtomicDirectory::create(folder / "out", 0, false);
    ASSERT_TRUE(directory);
    fs::create_directory(folder / "out");
    const auto committed = directory->commit();
    ASSERT_FALSE(committed);
    EXPECT_THAT(committed.error().message, HasSubstr("File exists"));
  }
  EXPECT_THAT(namesIn(folder.path()), ElementsAre("out"));
}

TEST(AtomicDirectory, ReplacesTheFolderBehindALink) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  writeText(folder / "real/old", "old");
  fs::create_directory_symlink("real", folder / "link");
  auto directory = AtomicDirectory::create(folder / "link", 0, true);
  ASSERT_TRUE(directory);
  writeText(directory->path() / "new", "new");
  ASSERT_TRUE(directory->commit());
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_THAT(namesIn(folder / "real"), ElementsAre("new"));
}

TEST(AtomicDirectory, RefusesAFileAndAMissingParent) {
  const TemporaryFolder folder;
  writeText(folder / "file", "x");
  EXPECT_THAT(AtomicDirectory::create(folder / "file", 0, true).error().message, HasSubstr("is not a folder"));
  const auto orphan = AtomicDirectory::create(folder / "none/out", 0, false);
  ASSERT_FALSE(orphan);
  EXPECT_THAT(orphan.error().message, HasSubstr((folder / "none").string() + " is not a folder"));
}

TEST(AtomicDirectory, SaysHowMuchSpaceIsMissing) {
  const TemporaryFolder folder;
  const auto refused = AtomicDirectory::create(folder / "out", std::uint64_t{1} << 62, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::io);
  EXPECT_THAT(refused.error().message, ::testing::ContainsRegex("out needs 4611686018.4 GB, but .* has only .* free"));
  EXPECT_THAT(namesIn(folder.path()), IsEmpty());
}

TEST(WriteAll, SaysHowFarItCameOnADiskThatIsFull) {
  const FileDescriptor full(::open("/dev/full", O_WRONLY));
  if (!full.isOpen()) GTEST_SKIP() << "there is no /dev/full";
  const auto written = writeAll(full, std::as_bytes(std::span("some bytes")), "/models/x/model.safetensors");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::io);
  EXPECT_THAT(written.error().message,
              ::testing::MatchesRegex("/models/x/model.safetensors cannot be written: No space left on device; "
                                      "0.0 MB of it were written, [0-9.]+ MB are free."));
}

}  // namespace
}  // namespace kvista
