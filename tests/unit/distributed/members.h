// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/distributed/process_group.h"

namespace kvista::test {

/// A socket that holds a free port for as long as it lives.
class Port {
 public:
  Port() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    number_ = ntohs(address.sin_port);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port() { close(socket_); }
  void serve() const { EXPECT_EQ(listen(socket_, 1), 0); }
  [[nodiscard]] std::uint16_t number() const { return number_; }

 private:
  int socket_;
  std::uint16_t number_ = 0;
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
  const std::uint16_t port = Port().number();
  std::vector<std::thread> members;
  for (int rank = 0; rank < size; ++rank)
    members.emplace_back([&, rank] {
      const auto group = ProcessGroup::join(launchOf(rank, size, port), at::kCPU, std::chrono::seconds(60));
      ASSERT_TRUE(group) << group.error().message << " " << group.error().detail;
      work(*group);
    });
  for (std::thread& member : members) member.join();
}

}  // namespace kvista::test
