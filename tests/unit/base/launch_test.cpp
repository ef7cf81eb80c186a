// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/base/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace kvista {
namespace {

using testing::HasSubstr;

Result<Launch> launchOf(const std::map<std::string, std::string>& values) {
  return readLaunch([&](const char* name) {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(Launch, AProcessIsAloneWhereNothingSaysOtherwise) {
  const auto launch = launchOf({{"PATH", "/bin"}});
  ASSERT_TRUE(launch) << launch.error().message;
  EXPECT_EQ(launch->size, 1);
  EXPECT_TRUE(launch->isFirst());
  EXPECT_EQ(launch->localRank, std::nullopt);
}

TEST(Launch, TorchrunSaysRankSizeGpuAndWhereToMeet) {
  const auto launch = launchOf({{"RANK", "3"},
                                {"WORLD_SIZE", "4"},
                                {"LOCAL_RANK", "1"},
                                {"LOCAL_WORLD_SIZE", "2"},
                                {"MASTER_ADDR", "node7"},
                                {"MASTER_PORT", "29400"},
                                {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                {"TORCHELASTIC_RESTART_COUNT", "2"},
                                {"TORCHELASTIC_RUN_ID", "novel"}});
  ASSERT_TRUE(launch) << launch.error().message;
  EXPECT_EQ(launch->rank, 3);
  EXPECT_EQ(launch->size, 4);
  EXPECT_EQ(launch->localRank, 1);
  EXPECT_EQ(launch->localSize, 2);
  EXPECT_EQ(launch->address, "node7");
  EXPECT_EQ(launch->port, 29400);
  EXPECT_TRUE(launch->starterKeepsStore);
  EXPECT_EQ(launch->attempt, "2 of novel");
}

TEST(Launch, SlurmSaysTheSameWithinSrun) {
  const auto launch = launchOf({{"SLURM_PROCID", "1"},
                                {"SLURM_NTASKS", "2"},
                                {"SLURM_LOCALID", "0"},
                                {"SLURM_LAUNCH_NODE_IPADDR", "10.0.0.5"},
                                {"SLURM_JOB_ID", "4711"}});
  ASSERT_TRUE(launch) << launch.error().message;
  EXPECT_EQ(launch->starter, "Slurm");
  EXPECT_EQ(launch->rank, 1);
  EXPECT_EQ(launch->size, 2);
  EXPECT_EQ(launch->localRank, 0);
  EXPECT_EQ(launch->address, "10.0.0.5");
  EXPECT_GE(launch->port, 1024);
  // Two jobs on one host do not meet.
  const auto other = launchOf({{"SLURM_PROCID", "1"},
                               {"SLURM_NTASKS", "2"},
                               {"SLURM_LAUNCH_NODE_IPADDR", "10.0.0.5"},
                               {"SLURM_JOB_ID", "4712"}});
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_NE(other->port, launch->port);
}

TEST(Launch, MasterAddressGoesBeforeSlurms) {
  const auto launch = launchOf({{"SLURM_PROCID", "0"},
                                {"SLURM_NTASKS", "2"},
                                {"SLURM_LAUNCH_NODE_IPADDR", "10.0.0.5"},
                                {"MASTER_ADDR", "10.0.0.9"}});
  ASSERT_TRUE(launch) << launch.error().message;
  EXPECT_EQ(launch->address, "10.0.0.9");
}

TEST(Launch, ABatchScriptOfSlurmIsOneProcess) {
  const auto launch =
      launchOf({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_LOCALID", "0"}, {"SLURM_JOB_ID", "4711"}});
  ASSERT_TRUE(launch) << launch.error().message;
  EXPECT_EQ(launch->size, 1);
}

TEST(Launch, OpenMpiOnOneHostNeedsNoAddress) {
  const auto launch = launchOf({{"OMPI_COMM_WORLD_RANK", "2"},
                                {"OMPI_COMM_WORLD_SIZE", "3"},
                                {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                                {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"}});
  ASSERT_TRUE(launch) << launch.error().message;
  EXPECT_EQ(launch->rank, 2);
  EXPECT_EQ(launch->localRank, 2);
  EXPECT_EQ(launch->address, "127.0.0.1");
  EXPECT_EQ(launch->port, 29500);
}

TEST(Launch, MpiWithinSlurmCountsItsOwnProcesses) {
  const auto launch = launchOf({{"PMI_RANK", "5"},
                                {"PMI_SIZE", "6"},
                                {"MPI_LOCALRANKID", "1"},
                                {"SLURM_PROCID", "1"},
                                {"SLURM_NTASKS", "2"},
                                {"SLURM_LAUNCH_NODE_IPADDR", "10.0.0.5"}});
  ASSERT_TRUE(launch) << launch.error().message;
  EXPECT_EQ(launch->starter, "MPI");
  EXPECT_EQ(launch->rank, 5);
  EXPECT_EQ(launch->size, 6);
  EXPECT_EQ(launch->localRank, 1);
  EXPECT_EQ(launch->address, "10.0.0.5");
}

struct Wrong {
  std::map<std::string, std::string> values;
  const char* named;
};

TEST(Launch, WhatIsMissingOrWrongIsNamed) {
  const std::vector<Wrong> cases = {
      {{{"RANK", "0"}}, "WORLD_SIZE is missing, where RANK is set"},
      {{{"WORLD_SIZE", "2"}}, "RANK is missing, where WORLD_SIZE is set"},
      {{{"RANK", "two"}, {"WORLD_SIZE", "4"}}, "RANK is \"two\", which is no number from 0 to 3"},
      {{{"RANK", "4"}, {"WORLD_SIZE", "4"}}, "RANK is \"4\", which is no number from 0 to 3"},
      {{{"RANK", "-1"}, {"WORLD_SIZE", "4"}}, "RANK is \"-1\""},
      {{{"RANK", "0"}, {"WORLD_SIZE", "0"}}, "WORLD_SIZE is \"0\""},
      {{{"RANK", "0"}, {"WORLD_SIZE", "99999999999"}}, "WORLD_SIZE is \"99999999999\""},
      {{{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "x"}, {"MASTER_ADDR", "a"}}, "LOCAL_RANK is \"x\""},
      {{{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"LOCAL_WORLD_SIZE", "0"}, {"MASTER_ADDR", "a"}},
       "LOCAL_WORLD_SIZE is \"0\""},
      {{{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "29500"}}, "MASTER_ADDR"},
      {{{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "70000"}},
       "MASTER_PORT is \"70000\""},
      {{{"OMPI_COMM_WORLD_RANK", "0"}}, "OMPI_COMM_WORLD_SIZE is missing"},
      {{{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}},
       "MASTER_ADDR"},
      {{{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}}, "MASTER_ADDR"},
      {{{"SLURM_PROCID", "0"}, {"SLURM_STEP_ID", "0"}}, "SLURM_NTASKS is missing"},
      {{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}, {"SLURM_STEP_ID", "0"}}, "MASTER_ADDR"},
  };
  for (const Wrong& wrong : cases) {
    const auto launch = launchOf(wrong.values);
    ASSERT_FALSE(launch) << wrong.named;
    EXPECT_EQ(launch.error().code, ErrorCode::invalidArgument);
    EXPECT_THAT(launch.error().message, HasSubstr(wrong.named));
    EXPECT_FALSE(launch.error().hint.empty());
  }
}

}  // namespace
}  // namespace kvista
