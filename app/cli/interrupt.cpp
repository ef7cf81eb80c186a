// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/interrupt.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "app/cli/console.h"
#include "core/io/temporary_paths.h"

namespace kvista {
namespace {

sigset_t stopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR2);  // our own: the program ends
  return signals;
}

}  // namespace

Interrupt::Interrupt() {
  // Signals are taken by one thread that waits for them, so that what is done about them need not be signal-safe.
  const sigset_t signals = stopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows beyond its limit is an error of the write
  waiter_ = std::thread([this] { wait(); });
}

void Interrupt::wait() {
  const sigset_t signals = stopSignals();
  int signal = 0;
  sigwait(&signals, &signal);
  if (signal == SIGUSR2) return;
  source_.request_stop();
  const timespec patience{0, 400'000'000};
  do {
    signal = sigtimedwait(&signals, nullptr, &patience);
  } while (signal == SIGINT || signal == SIGTERM);
  if (signal == SIGUSR2) return;
  removeTemporaryPaths();
  constexpr char kMessage[] = "\nkvista: Cancelled.\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  _exit(kCancelled);
}

Interrupt::~Interrupt() {
  pthread_kill(waiter_.native_handle(), SIGUSR2);
  waiter_.join();
}

}  // namespace kvista
