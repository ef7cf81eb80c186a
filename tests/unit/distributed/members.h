// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "core/distributed/process_group.h"

namespace kvista::test {

/// A socket of this host, bound to a port (0: any that is free) where nobody else has it.
class Socket {
 public:
  Socket(int type, std::uint16_t port) : socket_(socket(AF_INET, type, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    address.sin_port = htons(port);
    socklen_t length = sizeof(address);
    isBound_ = bind(socket_, reinterpret_cast<sockaddr*>(&address), length) == 0;
    if (isBound_ && getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0)
      number_ = ntohs(address.sin_port);
  }
  Socket(Socket&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), number_(other.number_), isBound_(other.isBound_) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (socket_ >= 0) close(socket_);
  }
  void serve() const { EXPECT_EQ(listen(socket_, 8), 0); }
  [[nodiscard]] bool isBound() const { return isBound_; }
  [[nodiscard]] std::uint16_t number() const { return number_; }

 private:
  int socket_;
  std::uint16_t number_ = 0;
  bool isBound_ = false;
};

/// A free port of TCP that stays one until a test serves it: below those that the system gives to connections, and no
/// other test of the host takes it while this lives, since its twin of UDP is bound here.
class Port {
 public:
  [[nodiscard]] std::uint16_t number() const { return twin_.number(); }

 private:
  static Socket found() {
    constexpr unsigned kFirst = 10'000, kCount = 20'000;
    static unsigned next = static_cast<unsigned>(getpid()) * 16;
    for (unsigned tries = 0; tries < kCount; ++tries) {
      const auto number = static_cast<std::uint16_t>(kFirst + next++ % kCount);
      Socket twin(SOCK_DGRAM, number);
      if (twin.isBound() && Socket(SOCK_STREAM, number).isBound()) return twin;
    }
    ADD_FAILURE() << "No port from " << kFirst << " on is free.";
    return {SOCK_DGRAM, 0};
  }

  Socket twin_ = found();
};

inline Launch launchOf(int rank, int size, std::uint16_t port) {
  Launch launch;
  launch.rank = rank;
  launch.size = size;
  launch.starter = "torchrun";
  launch.address = "127.0.0.1";
  launch.port = port;
  return launch;
}

/// Runs `work` as each of `size` members at once.
inline void asGroup(int size, const std::function<void(const ProcessGroup&)>& work) {
  const Port port;
  std::vector<std::thread> members;
  for (int rank = 0; rank < size; ++rank)
    members.emplace_back([&, rank] {
      const auto group = ProcessGroup::join(launchOf(rank, size, port.number()), at::kCPU, std::chrono::seconds(60));
      ASSERT_TRUE(group) << group.error().message << " " << group.error().detail;
      work(*group);
    });
  for (std::thread& member : members) member.join();
}

}  // namespace kvista::test
