// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/distributed/membership.h"

#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBeatEvery = std::chrono::milliseconds(250);
constexpr auto kSilence = std::chrono::seconds(10);           ///< After which one counts as gone,
constexpr auto kSuspiciousSilence = std::chrono::seconds(4);  ///< where a connection has broken as well.
constexpr auto kGoodbye = std::chrono::seconds(2);
/// Beyond a member's patience: c10d counts it for itself, in whole seconds.
constexpr auto kAnswer = std::chrono::seconds(2);
// What one that leaves says last, followed by the rank for whose sake it leaves: so that all name the one where it
// began.
constexpr std::string_view kEnded = "ended ", kLost = "lost ";
constexpr int kNobody = -1, kMeetingPoint = -2;

bool isGoodbye(std::string_view word) { return word.starts_with(kEnded) || word.starts_with(kLost); }

/// c10d drops connections of strangers to a store that it serves, but waits without end for the answer of one that it
/// reaches: another program may listen there. After `most` the call is left behind, with its thread.
c10::intrusive_ptr<c10d::Store> storeAt(const std::string& address, const c10d::TCPStoreOptions& options,
                                        Clock::duration most) {
  auto promise = std::make_shared<std::promise<c10::intrusive_ptr<c10d::Store>>>();
  auto store = promise->get_future();
  std::thread([promise, address, options] {
    try {
      promise->set_value(c10::make_intrusive<c10d::TCPStore>(address, options));
    } catch (...) {
      promise->set_exception(std::current_exception());
    }
  }).detach();
  if (store.wait_for(most) != std::future_status::ready)
    throw std::runtime_error("What listens there does not answer as a meeting point does.");
  return store.get();
}

std::string whatOf(const std::exception& error) {
  const auto* ours = dynamic_cast<const c10::Error*>(&error);
  return ours ? ours->what_without_backtrace() : error.what();
}

}  // namespace

/// What the thread that listens has heard. Outlives the Membership where that thread hangs in a call to a dead host.
struct Membership::Heard {
  std::atomic<int> gone = kNobody;        ///< The first rank that was missed.
  std::atomic<bool> saidGoodbye = false;  ///< It has ended by itself.
  std::atomic<bool> suspicious = false;
  std::atomic<Clock::rep> lastHeard = Clock::now().time_since_epoch().count();

  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false, stopped = false;

  void run(const c10::intrusive_ptr<c10d::Store>& store, int rank, const std::vector<std::string>& keys,
           int storeHolder);
  [[nodiscard]] Clock::duration limit() const {
    return suspicious ? Clock::duration(kSuspiciousSilence) : Clock::duration(kSilence);
  }
  [[nodiscard]] bool isDeaf() const { return Clock::now() - Clock::time_point(Clock::duration(lastHeard)) > limit(); }
};

void Membership::Heard::run(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                            const std::vector<std::string>& keys, int storeHolder) {
  std::vector<std::vector<std::uint8_t>> last(keys.size());
  std::vector<Clock::time_point> changed(keys.size(), Clock::now());
  for (std::uint64_t beat = 1;; ++beat) {
    try {
      store->set(keys[static_cast<std::size_t>(rank)], std::to_string(beat));
      const auto values = store->multiGet(keys);
      const auto now = Clock::now();
      lastHeard = now.time_since_epoch().count();
      for (std::size_t i = 0; i < keys.size() && gone == kNobody; ++i) {
        if (static_cast<int>(i) == rank) continue;
        if (std::exchange(last[i], values[i]) != values[i]) changed[i] = now;
        const std::string word(values[i].begin(), values[i].end());
        if (isGoodbye(word)) {
          saidGoodbye = word.starts_with(kEnded);
          gone = std::atoi(word.c_str() + word.find(' '));
        } else if (now - changed[i] > limit()) {
          gone = static_cast<int>(i);
        }
      }
    } catch (const std::exception&) {
      if (gone == kNobody) gone = storeHolder;
      break;
    }
    std::unique_lock lock(mutex);
    if (wake.wait_for(lock, kBeatEvery, [&] { return stop; })) break;
  }
  const std::lock_guard lock(mutex);
  stopped = true;
  wake.notify_all();
}

Membership::Membership(Launch launch, c10::intrusive_ptr<c10d::Store> store)
    : launch_(std::move(launch)), store_(std::move(store)), heard_(std::make_shared<Heard>()) {}

std::string Membership::keyOf(int rank) const { return fmt::format("alive/{}", rank); }

Result<std::unique_ptr<Membership>> Membership::join(const Launch& launch, std::chrono::seconds patience) {
  FLAGS_caffe2_log_level = 3;  // c10d writes on standard error what its exceptions say as well
  const bool isServer = launch.isFirst() && !launch.starterKeepsStore;
  try {
    c10d::TCPStoreOptions options;
    options.port = launch.port;
    options.isServer = isServer;
    options.waitWorkers = false;
    options.timeout = patience;
    auto shared = storeAt(launch.address, options, patience + kAnswer);
    // Jobs that come to one port by mistake do not hear each other where their names or numbers of processes differ.
    auto store = c10::make_intrusive<c10d::PrefixStore>(fmt::format("kvista/{}/{}", launch.size, launch.attempt),
                                                        std::move(shared));
    std::unique_ptr<Membership> self(new Membership(launch, std::move(store)));
    KVISTA_CHECK(self->awaitAll(patience));
    return self;
  } catch (const std::exception& error) {
    const std::string place = fmt::format("{}:{}", launch.address, launch.port);
    if (isServer)
      return fail(ErrorCode::device,
                  fmt::format("Rank 0 cannot serve the meeting point {} of the {} processes.", place, launch.size),
                  "Set MASTER_PORT to a free port and MASTER_ADDR to this host's address, for all processes alike.",
                  whatOf(error));
    return fail(
        ErrorCode::device,
        fmt::format("Rank {} of {} processes cannot reach the meeting point {} within {} s.", launch.rank, launch.size,
                    place, patience.count()),
        "See whether rank 0 runs, and whether MASTER_ADDR and MASTER_PORT are its host's, for all processes alike.",
        whatOf(error));
  }
}

Result<void> Membership::awaitAll(std::chrono::seconds patience) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < launch_.size; ++rank) keys.push_back(keyOf(rank));
  if (store_->add(fmt::format("seat/{}", launch_.rank), 1) > 1)
    return fail(ErrorCode::device,
                fmt::format("Another process has come to the meeting point {}:{} as rank {} of {}.", launch_.address,
                            launch_.port, launch_.rank, launch_.size),
                "Where two jobs are under way, set MASTER_PORT to another free port for all processes of one of them.");
  store_->set(keys[static_cast<std::size_t>(launch_.rank)], "0");
  const auto end = Clock::now() + patience;
  std::vector<int> missing;
  do {
    missing.clear();
    for (int rank = 0; rank < launch_.size; ++rank)
      if (!store_->check({keys[static_cast<std::size_t>(rank)]})) missing.push_back(rank);
    if (!missing.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  } while (!missing.empty() && Clock::now() < end);
  if (!missing.empty())
    return fail(ErrorCode::device,
                fmt::format("Of {} processes, rank {} did not come within {} s.", launch_.size,
                            fmt::join(missing, ", "), patience.count()),
                "See what it said, and start all of them again.");
  heard_->lastHeard = Clock::now().time_since_epoch().count();
  const int storeHolder = launch_.starterKeepsStore ? kMeetingPoint : 0;
  std::thread([heard = heard_, store = store_->clone(), rank = launch_.rank, keys, storeHolder] {
    heard->run(store, rank, keys, storeHolder);
  }).detach();
  return {};
}

Result<void> Membership::check() const {
  int gone = heard_->gone;
  if (gone == kNobody && heard_->isDeaf()) gone = launch_.starterKeepsStore ? kMeetingPoint : 0;
  if (gone == kNobody) return {};
  const std::string hint = fmt::format("Start all {} processes again.", launch_.size);
  if (gone == kMeetingPoint)
    return fail(ErrorCode::device,
                fmt::format("The meeting point {}:{} of the {} processes, which {} serves, is gone.", launch_.address,
                            launch_.port, launch_.size, launch_.starter),
                hint);
  if (heard_->saidGoodbye)
    return fail(ErrorCode::device,
                fmt::format("Rank {} of {} processes has ended before the work was done.", gone, launch_.size),
                "See what it said; then start all of them again.");
  return fail(
      ErrorCode::device,
      fmt::format("Rank {} of {} processes is gone: it was killed, or its host cannot be reached.", gone, launch_.size),
      hint);
}

Result<void> Membership::explain(const std::string& detail) const {
  heard_->suspicious = true;
  for (const auto end = Clock::now() + kSilence; Clock::now() < end;
       std::this_thread::sleep_for(std::chrono::milliseconds(20)))
    if (auto known = check(); !known) {
      known.error().detail = detail;
      return known;
    }
  return fail(ErrorCode::device,
              fmt::format("The connection between the {} processes broke, though all of them live.", launch_.size),
              "See whether the network between their hosts is sound, and start all of them again.", detail);
}

void Membership::leave() {
  {
    std::unique_lock lock(heard_->mutex);
    heard_->stop = true;
    heard_->wake.notify_all();
    if (!heard_->wake.wait_for(lock, kGoodbye, [&] { return heard_->stopped; }))
      return;  // it hangs: nobody could be told
  }
  try {
    const int gone = heard_->gone;
    const bool ofItself = gone == kNobody || gone == launch_.rank;
    store_->set(keyOf(launch_.rank), ofItself ? fmt::format("{}{}", kEnded, launch_.rank)
                                              : fmt::format("{}{}", heard_->saidGoodbye ? kEnded : kLost, gone));
    for (const auto end = Clock::now() + kGoodbye; Clock::now() < end;
         std::this_thread::sleep_for(std::chrono::milliseconds(5))) {
      bool all = true;
      for (int rank = 0; rank < launch_.size && all; ++rank)
        all = rank == gone || isGoodbye(store_->get_to_str(keyOf(rank)));
      if (all) return;
    }
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the meeting point has closed, so all have left
  }
}

Membership::~Membership() = default;

}  // namespace kvista
