// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/base/launch.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

namespace kvista {
namespace {

constexpr int kMostProcesses = 65'536;
constexpr int kFirstPort = 1024, kPorts = 65'536;
constexpr int kUsualPort = 29'500;  ///< torchrun's own.

/// Variables with which one kind of starter says the same things.
struct Starter {
  const char* name;
  const char* rank;
  const char* size;
  std::initializer_list<const char*> localRank;
};

const Starter kTorchrun{"torchrun", "RANK", "WORLD_SIZE", {"LOCAL_RANK"}};
const Starter kOpenMpi{"MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", {"OMPI_COMM_WORLD_LOCAL_RANK"}};
const Starter kMpi{"MPI", "PMI_RANK", "PMI_SIZE", {"MPI_LOCALRANKID", "PMI_LOCAL_RANK", "SLURM_LOCALID"}};
const Starter kSlurm{"Slurm", "SLURM_PROCID", "SLURM_NTASKS", {"SLURM_LOCALID"}};

Result<int> numberOf(const char* name, const std::string& text, int least, int most) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || value < least || value > most)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The environment variable {} is \"{}\", which is no number from {} to {}.", name, text,
                            least, most),
                "Start with torchrun, srun or mpirun, or unset it to work in one process.");
  return value;
}

Result<int> wanted(const Variables& variables, const char* name, const char* because, int least, int most) {
  const auto text = variables(name);
  if (!text)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The environment variable {} is missing, where {} is set.", name, because),
                fmt::format("Start with torchrun, srun or mpirun, or unset {} to work in one process.", because));
  return numberOf(name, *text, least, most);
}

Result<void> readMeetingPoint(const Variables& variables, Launch& launch) {
  auto address = variables("MASTER_ADDR");
  if (!address) address = variables("SLURM_LAUNCH_NODE_IPADDR");
  // Open MPI says when all of its processes are on this host.
  if (!address && variables("OMPI_COMM_WORLD_LOCAL_SIZE") == std::to_string(launch.size)) address = "127.0.0.1";
  if (!address || address->empty())
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} started {} processes, but the environment variable MASTER_ADDR, which says where they "
                            "meet, is missing.",
                            launch.starter, launch.size),
                "Set MASTER_ADDR to the address of the host of rank 0, for all processes alike.");
  launch.address = *address;
  if (const auto port = variables("MASTER_PORT")) {
    KVISTA_ASSIGN(const int number, numberOf("MASTER_PORT", *port, 1, kPorts - 1));
    launch.port = static_cast<std::uint16_t>(number);
    return {};
  }
  int number = kUsualPort;
  if (const auto job = variables("SLURM_JOB_ID")) {  // jobs that share a host need ports of their own
    std::uint64_t spread = 0;
    for (const char digit : *job) spread = spread * 31 + static_cast<unsigned char>(digit);
    number = kFirstPort + static_cast<int>(spread % (32'768 - kFirstPort));  // below those that systems hand out
  }
  launch.port = static_cast<std::uint16_t>(number);
  return {};
}

Result<Launch> readStarter(const Variables& variables, const Starter& starter) {
  Launch launch;
  launch.starter = starter.name;
  const char* present = variables(starter.rank) ? starter.rank : starter.size;
  KVISTA_ASSIGN(launch.size, wanted(variables, starter.size, present, 1, kMostProcesses));
  KVISTA_ASSIGN(launch.rank, wanted(variables, starter.rank, present, 0, launch.size - 1));
  for (const char* name : starter.localRank) {
    const auto text = variables(name);
    if (!text) continue;
    KVISTA_ASSIGN(launch.localRank, numberOf(name, *text, 0, launch.size - 1));
    break;
  }
  if (const auto text = variables("LOCAL_WORLD_SIZE"); text && launch.starter == kTorchrun.name) {
    KVISTA_ASSIGN(launch.localSize, numberOf("LOCAL_WORLD_SIZE", *text, 1, launch.size));
  }
  if (launch.size > 1) KVISTA_CHECK(readMeetingPoint(variables, launch));
  launch.starterKeepsStore = variables("TORCHELASTIC_USE_AGENT_STORE") == "True";
  launch.attempt = variables("TORCHELASTIC_RESTART_COUNT").value_or("0");
  if (const auto run = variables("TORCHELASTIC_RUN_ID")) launch.attempt += fmt::format(" of {}", *run);
  return launch;
}

}  // namespace

std::optional<std::string> environmentVariable(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

Result<Launch> readLaunch(const Variables& variables) {
  const auto isSet = [&](const char* name) { return variables(name).has_value(); };
  if (isSet(kTorchrun.rank) || isSet(kTorchrun.size)) return readStarter(variables, kTorchrun);
  if (isSet(kOpenMpi.rank)) return readStarter(variables, kOpenMpi);
  // Before Slurm: where MPI's starter runs inside of Slurm, Slurm counts the starter's own processes.
  if (isSet(kMpi.rank)) return readStarter(variables, kMpi);
  const bool inStep = isSet("SLURM_STEP_ID") || isSet("SLURM_LAUNCH_NODE_IPADDR") || isSet("MASTER_ADDR");
  if (isSet(kSlurm.rank) && inStep) return readStarter(variables, kSlurm);
  return Launch{};
}

}  // namespace kvista
