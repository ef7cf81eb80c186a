// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/distributed/process_group.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/unit/distributed/members.h"

namespace kvista::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ProcessGroup, AloneItHasEverythingAndChangesNothing) {
  const auto group = ProcessGroup::join(Launch{}, at::kCPU);
  ASSERT_TRUE(group);
  EXPECT_TRUE(group->isAlone() && group->isFirst());
  EXPECT_EQ(group->shareOf(7).begin, 0);
  EXPECT_EQ(group->shareOf(7).count, 7);
  const at::Tensor numbers = at::arange(3, at::kDouble);
  EXPECT_TRUE(group->sum(numbers, {}));
  EXPECT_TRUE(numbers.equal(at::arange(3, at::kDouble)));
  EXPECT_TRUE(group->gatherRows(numbers, {})->equal(numbers));
  EXPECT_THAT(*group->gatherTexts("a", {}), ElementsAre("a"));
  EXPECT_EQ(group->label(), "");
}

TEST(ProcessGroup, SharesFollowEachOtherAndCoverEverything) {
  asGroup(3, [](const ProcessGroup& group) {
    for (const std::int64_t count : {0, 1, 2, 3, 7, 100}) {
      std::int64_t next = 0;
      for (int rank = 0; rank < 3; ++rank) {
        const Share share = group.shareOf(rank, count);
        EXPECT_EQ(share.begin, next);
        EXPECT_GE(share.count, count / 3);
        EXPECT_LE(share.count, count / 3 + 1);
        next = share.end();
      }
      EXPECT_EQ(next, count);
    }
    // Blocks of 4: 10 things are 4, 4 and 2.
    for (int rank = 0; rank < 3; ++rank) {
      EXPECT_EQ(group.shareOf(rank, 10, 4).begin, 4 * rank);
      EXPECT_EQ(group.shareOf(rank, 10, 4).count, rank < 2 ? 4 : 2);
    }
    EXPECT_EQ(group.shareOf(0, 3, 4).count + group.shareOf(1, 3, 4).count, 0);
    EXPECT_EQ(group.shareOf(2, 3, 4).count, 3);
  });
}

TEST(ProcessGroup, SumsAreThoseOfAllMembers) {
  asGroup(3, [](const ProcessGroup& group) {
    const double own = group.rank() + 1;
    const at::Tensor numbers = at::full({1000, 33}, own / 3, at::kDouble);
    ASSERT_TRUE(group.sum(numbers, {}));
    EXPECT_LT((numbers - 2).abs().max().item<double>(), 1e-15);
    const at::Tensor floats = at::full({5}, own, at::kFloat);
    ASSERT_TRUE(group.sum(floats, {}));
    EXPECT_TRUE(floats.equal(at::full({5}, 6.0, at::kFloat)));
    ASSERT_TRUE(group.sum(at::zeros({0}, at::kDouble), {}));
    EXPECT_EQ(group.label(), " (rank " + std::to_string(group.rank()) + " of 3)");
  });
}

TEST(ProcessGroup, RowsAndTextsComeByRankWhateverTheirNumberAndType) {
  asGroup(3, [](const ProcessGroup& group) {
    // 0, 1 and 2 rows of 1, 2
    const at::Tensor rows = at::full({group.rank(), 2}, group.rank(), at::kBFloat16);
    const auto all = group.gatherRows(rows, {});
    ASSERT_TRUE(all) << all.error().message;
    EXPECT_TRUE(all->equal(at::tensor({1, 1, 2, 2, 2, 2}, at::kLong).to(at::kBFloat16).view({3, 2})));
    const auto texts =
        group.gatherTexts(group.rank() == 1 ? "" : std::string(static_cast<std::size_t>(group.rank() + 1), 'x'), {});
    ASSERT_TRUE(texts) << texts.error().message;
    EXPECT_THAT(*texts, ElementsAre("x", "", "xxx"));
  });
}

TEST(ProcessGroup, AMembersTensorReplacesThoseOfTheOthers) {
  asGroup(2, [](const ProcessGroup& group) {
    const at::Tensor wide = at::full({2, 6}, group.rank(), at::kLong);
    const at::Tensor part = wide.narrow(1, 1, 3);  // not contiguous
    ASSERT_TRUE(group.broadcast(part, 1, {}));
    EXPECT_TRUE(wide.equal(group.rank() == 1
                               ? at::full({2, 6}, 1, at::kLong)
                               : at::tensor({0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0}, at::kLong).view({2, 6})));
  });
}

TEST(ProcessGroup, DifferentTextsAreRefusedByAll) {
  asGroup(2, [](const ProcessGroup& group) {
    EXPECT_TRUE(group.agree("The model", "same", {}));
    const auto refused = group.agree("The model", group.isFirst() ? "a" : "b", {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalidArgument);
    EXPECT_THAT(refused.error().message, HasSubstr("rank 0 has \"a\" and rank 1 has \"b\""));
  });
}

TEST(ProcessGroup, OneThatEndsEarlyIsNamedByTheOthers) {
  asGroup(3, [](const ProcessGroup& group) {
    ASSERT_TRUE(group.meet({}));
    if (group.rank() == 1) return;  // as if it had failed
    const auto result = group.sum(at::zeros({4}, at::kDouble), {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::device);
    EXPECT_THAT(result.error().message, HasSubstr("Rank 1 of 3 processes has ended"));
    EXPECT_FALSE(group.check());
    EXPECT_FALSE(group.meet({}));
  });
}

TEST(ProcessGroup, WaitingEndsWhereOneIsAskedToStop) {
  asGroup(2, [](const ProcessGroup& group) {
    std::stop_source source;
    if (group.isFirst()) {
      int calls = 0;
      const auto result = group.meet({source.get_token(), {}}, [&]() -> Result<void> {
        if (++calls == 2) source.request_stop();
        return {};
      });
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error().code, ErrorCode::cancelled);
      EXPECT_EQ(calls, 2);
    } else {
      while (group.check()) std::this_thread::yield();  // until the other has left
    }
  });
}

TEST(ProcessGroup, OneThatDoesNotComeIsNamed) {
  const Port port;
  const auto group = ProcessGroup::join(launchOf(0, 3, port.number()), at::kCPU, std::chrono::seconds(1));
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::device);
  EXPECT_THAT(group.error().message, HasSubstr("Of 3 processes, rank 1, 2 did not come within 1 s"));
}

TEST(ProcessGroup, AMeetingPointThatNobodyServesIsNamed) {
  const Port port;
  const auto group = ProcessGroup::join(launchOf(1, 2, port.number()), at::kCPU, std::chrono::seconds(1));
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::device);
  EXPECT_THAT(group.error().message, HasSubstr("Rank 1 of 2 processes cannot reach the meeting point 127.0.0.1:" +
                                               std::to_string(port.number())));
  EXPECT_THAT(group.error().hint, HasSubstr("MASTER_ADDR"));
}

TEST(ProcessGroup, ATakenPortIsNamed) {
  const Socket taken(SOCK_STREAM, 0);
  taken.serve();
  const auto group = ProcessGroup::join(launchOf(0, 2, taken.number()), at::kCPU, std::chrono::seconds(1));
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::device);
  EXPECT_THAT(group.error().message,
              HasSubstr("cannot serve the meeting point 127.0.0.1:" + std::to_string(taken.number())));
  EXPECT_THAT(group.error().hint, HasSubstr("MASTER_PORT"));
}

TEST(ProcessGroup, AStrangerThatListensInPlaceOfTheMeetingPointIsLeftAfterTheTimeSaid) {
  const Socket stranger(SOCK_STREAM, 0);  // takes connections and says nothing
  stranger.serve();
  const auto group = ProcessGroup::join(launchOf(1, 2, stranger.number()), at::kCPU, std::chrono::seconds(1));
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::device);
  EXPECT_THAT(group.error().message, HasSubstr("Rank 1 of 2 processes cannot reach the meeting point"));
  EXPECT_THAT(group.error().detail, HasSubstr("does not answer"));
}

/// Connections to a port once somebody serves it, which say `words` and stay open.
std::vector<int> strangersAt(std::uint16_t port, const std::vector<std::string>& words) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  std::vector<int> sockets;
  for (const std::string& said : words) {
    int one = socket(AF_INET, SOCK_STREAM, 0);
    while (connect(one, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) std::this_thread::yield();
    EXPECT_EQ(send(one, said.data(), said.size(), 0), static_cast<ssize_t>(said.size()));
    sockets.push_back(one);
  }
  return sockets;
}

TEST(ProcessGroup, StrangersThatComeFirstToTheMeetingPointDoNotDisturb) {
  const Port port;
  const auto member = [&](int rank) {
    const auto group = ProcessGroup::join(launchOf(rank, 2, port.number()), at::kCPU, std::chrono::seconds(60));
    ASSERT_TRUE(group) << group.error().message << " " << group.error().detail;
    const at::Tensor numbers = at::full({3}, rank + 1.0, at::kDouble);
    ASSERT_TRUE(group->sum(numbers, {}));
    EXPECT_TRUE(numbers.equal(at::full({3}, 3.0, at::kDouble)));
  };
  std::thread first(member, 0);
  const std::vector<int> strangers =
      strangersAt(port.number(), {"", "GET / HTTP/1.1\r\n\r\n", std::string(5000, '\xff')});
  std::thread second(member, 1);
  first.join();
  second.join();
  for (const int stranger : strangers) close(stranger);
}

TEST(ProcessGroup, OfTwoJobsAtOneMeetingPointNeitherTakesTheOthersMembers) {
  const Port port;
  const auto join = [&](int rank, int size, std::chrono::seconds patience) {
    return ProcessGroup::join(launchOf(rank, size, port.number()), at::kCPU, patience);
  };
  const auto sentenceOf = [](const Result<ProcessGroup>& group) {
    return group ? std::string("it has joined") : group.error().message;
  };
  std::vector<std::thread> members;
  for (int rank = 0; rank < 2; ++rank)
    members.emplace_back([&, rank] {
      const auto group = join(rank, 2, std::chrono::seconds(60));
      ASSERT_TRUE(group) << group.error().message << " " << group.error().detail;
      if (rank == 0) {
        const auto again = join(1, 2, std::chrono::seconds(60));  // as if the same were started twice
        EXPECT_THAT(sentenceOf(again), HasSubstr("Another process has come to the meeting point"));
        const auto other = join(2, 3, std::chrono::seconds(1));
        EXPECT_THAT(sentenceOf(other), HasSubstr("Of 3 processes, rank 0, 1 did not come within 1 s"));
      }
      EXPECT_TRUE(group->meet({}));
    });
  for (std::thread& member : members) member.join();
}

TEST(Turns, EachNumberIsGivenToOneMember) {
  constexpr std::size_t kThings = 50;
  std::mutex mutex;
  std::vector<std::size_t> given;
  asGroup(3, [&](const ProcessGroup& group) {
    Turns turns(group, "things"), others(group, "other things");
    for (std::size_t next = *turns.next(); next < kThings; next = *turns.next()) {
      const std::lock_guard lock(mutex);
      given.push_back(next);
    }
    EXPECT_LT(*others.next(), 3U);
    EXPECT_TRUE(group.meet({}));  // The numbers are kept where one of them is.
  });
  std::ranges::sort(given);
  std::vector<std::size_t> all(kThings);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(given, all);
}

TEST(Turns, OfOneProcessCountByThemselves) {
  Turns turns({}, "things"), others({}, "things");
  for (std::size_t expected = 0; expected < 3; ++expected) EXPECT_EQ(*turns.next(), expected);
  EXPECT_EQ(*others.next(), 0U);
}

}  // namespace
}  // namespace kvista::test
