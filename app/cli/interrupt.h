// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <thread>

namespace kvista {

/// Ctrl-C and SIGTERM ask the work to stop. Work that has not stopped 400 ms later (it sits in one long library call)
/// is left where it is: half-written files are removed and the process ends with 130.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  void wait();
  std::stop_source source_;
  std::thread waiter_;
};

}  // namespace kvista
