// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// libtorch has Gloo built in, but not its headers. c10d's own header of the backend needs no more of Gloo than these
// declarations: it holds pointers to its types, and only libtorch looks into them.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

namespace rendezvous {
class Store {
 public:
  virtual ~Store();
  virtual void set(const std::string& key, const std::vector<char>& data) = 0;
  virtual std::vector<char> get(const std::string& key) = 0;
  virtual void wait(const std::vector<std::string>& keys) = 0;
  virtual void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) = 0;
};
}  // namespace rendezvous

namespace transport {
class Device;
class UnboundBuffer {
 public:
  virtual ~UnboundBuffer() = 0;
};
}  // namespace transport

}  // namespace gloo

#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "core/base/launch.h"
#include "core/distributed/backends.h"

namespace kvista {
namespace {

/// Of one operation: who is gone is seen otherwise, and who computes longer than the others is waited for.
constexpr auto kTimeout = std::chrono::hours(24 * 7);

}  // namespace

c10::intrusive_ptr<c10d::Backend> makeGloo(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                           const std::string& address) {
  using c10d::ProcessGroupGloo;
  auto options = ProcessGroupGloo::Options::create(kTimeout);
  if (const auto name = environmentVariable("GLOO_SOCKET_IFNAME")) {
    options->devices.push_back(ProcessGroupGloo::createDeviceForInterface(*name));
  } else if (address == "localhost" || address.starts_with("127.")) {
    options->devices.push_back(ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  } else {
    options->devices.push_back(ProcessGroupGloo::createDefaultDevice());
  }
  return c10::make_intrusive<ProcessGroupGloo>(store, rank, size, std::move(options));
}

}  // namespace kvista
