// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/latent_sequence.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp2.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>

namespace kvista {
namespace {

std::int64_t paddedTo8(std::int64_t rank) { return (rank + 7) / 8 * 8; }

}  // namespace

LatentSequence::LatentSequence(const CompressionPlan& plan, const PlanFactors& factors, const Decoder& decoder)
    : decoder_(decoder),
      type_(decoder.options().dtype),
      exactTokens_(plan.exactTokens),
      afterRope_(plan.keyPosition == KeyPosition::afterRope),
      layers_(static_cast<std::size_t>(decoder.shape().layers)) {
  const ModelShape& shape = decoder.shape();
  const at::TensorOptions floats = at::TensorOptions(at::kFloat).device(decoder.options().device);
  // Kernels know no trellis.
  const bool forKernels = type_ != at::kFloat && !plan.trellis && hasLatentAttention(decoder.options().device);
  for (std::size_t g = 0; g < plan.groups.size(); ++g) {
    const Group& group = plan.groups[g];
    Layer& layer = layers_[static_cast<std::size_t>(group.slots.front().layer)];
    Part part;
    for (const Slot& slot : group.slots) {
      const int width = slotWidth(slot, shape);
      const std::int64_t begin = (slot.side == Side::key ? 0 : shape.keyWidth()) + std::int64_t{slot.head} * width;
      for (int c = 0; c < width; ++c) part.columns.push_back(begin + c);
    }
    part.places = at::tensor(part.columns, at::kLong).to(floats.device());
    if (afterRope_ && group.slots.front().side == Side::key) part.rotatedHead = group.slots.front().head;
    const bool identity = factors[g].isIdentity();
    part.layout = RecordLayout::of(identity ? std::vector<std::uint8_t>(part.columns.size(), 16) : factors[g].widths);
    part.layout.numberBytes = static_cast<int>(c10::elementSize(type_));
    part.layout.trellis = plan.trellis;
    if (forKernels) {
      part.layout.runAlignment = 4;
      part.layout.alignment = 16;
    }
    if (identity) {
      part.steps = at::ones({static_cast<std::int64_t>(part.columns.size())}, floats);
    } else {
      part.down = factors[g].down.to(type_);
      part.up = factors[g].up.to(type_);
      part.readsInput = factors[g].readsInput();
      if (factors[g].shift.defined()) {
        part.shift = factors[g].shift.to(type_);
        part.mean = factors[g].offset.to(type_);
      }
      part.steps = at::where(factors[g].steps > 0, factors[g].steps, 1.0).to(at::kFloat).contiguous();
    }
    part.offset = layer.recordBytes;
    layer.recordBytes += part.layout.bytes();
    layer.isCoded = layer.isCoded || part.layout.counts[0] != part.layout.rank();
    layer.parts.push_back(std::move(part));
  }
  if (!forKernels) return;
  if (shape.headDim != shape.valueHeadDim || plan.centred) return;  // kernels add no means
  std::vector<std::shared_ptr<const Turning>> turnings;
  for (const RopeDescription& rope : decoder.description().ropes)
    turnings.push_back(afterRope_ ? nullptr : turningOf(rope));
  for (int number = 0; number < shape.layers; ++number) {
    const AttentionDescription& attention = decoder.description().layers[static_cast<std::size_t>(number)].attention;
    if (attention.scoreCap > 0 || attention.clip > 0 || attention.linearBiases || attention.latent ||
        !attention.sinks.empty() || attention.normsAfterRope)
      continue;  // kernels know none of these
    Layer& layer = layers_[static_cast<std::size_t>(number)];
    if (afterRope_)
      useDirect(layer);
    else if (attention.rope && turnings[static_cast<std::size_t>(*attention.rope)])
      useRebuilt(layer, number, turnings[static_cast<std::size_t>(*attention.rope)]);
  }
}

std::shared_ptr<const LatentSequence::Turning> LatentSequence::turningOf(const RopeDescription& rope) const {
  const bool isFixed = rope.type != RopeType::dynamic && rope.type != RopeType::longrope;
  if (!isFixed || rope.isInterleaved || rope.rotaryDim != decoder_.shape().headDim) return nullptr;
  std::vector<float> frequencies;
  for (const double frequency : inverseFrequencies(rope, 1)) frequencies.push_back(static_cast<float>(frequency));
  auto turning = std::make_shared<Turning>();
  turning->rotation = std::make_shared<LatentRotation>(std::move(frequencies), decoder_.options().device);
  const at::Tensor angles = turning->rotation->frequencies().to(at::kDouble) * exactTokens_;
  turning->exactCosine = angles.cos().to(at::kFloat);
  turning->exactSine = angles.sin().to(at::kFloat);
  turning->factor = rope.attentionFactor;
  return turning;
}

std::vector<LatentSequence::Place> LatentSequence::placesOf(const Layer& layer, Side side) const {
  const ModelShape& shape = decoder_.shape();
  std::vector<Place> places;
  for (int head = 0; head < shape.kvHeads; ++head) {
    const std::int64_t column = side == Side::key ? head * shape.headDim : shape.keyWidth() + head * shape.valueHeadDim;
    for (const Part& part : layer.parts)
      if (const auto found = std::ranges::find(part.columns, column); found != part.columns.end())
        places.push_back({&part, found - part.columns.begin()});
  }
  return places;
}

/// What rebuilds one head, [headDim, rank], directions that fill the rank up being 0.
at::Tensor LatentSequence::rowsOf(const Place& place, std::int64_t rank) const {
  const std::int64_t width = decoder_.shape().headDim;
  const at::Tensor all = place.part->up.defined()
                             ? place.part->up
                             : at::eye(place.part->layout.rank(), place.part->steps.options().dtype(type_));
  return at::constant_pad_nd(all.narrow(0, place.row, width), {0, rank - all.size(1)}, 0).contiguous();
}

void LatentSequence::useDirect(Layer& layer) const {
  const std::vector<Place> keys = placesOf(layer, Side::key), values = placesOf(layer, Side::value);
  std::vector<DirectAttention::Head> heads;
  for (std::size_t h = 0; h < keys.size(); ++h) {
    const auto latent = [&](const Place& place) {
      return DirectAttention::Latent{place.part->layout, rowsOf(place, place.part->layout.rank()), place.part->steps,
                                     place.part->offset};
    };
    heads.push_back({latent(keys[h]), latent(values[h])});
  }
  auto attention = DirectAttention::make(std::move(heads), decoder_.shape().queryHeads / decoder_.shape().kvHeads);
  if (attention && attention->refusal().empty()) layer.direct = std::move(*attention);
}

void LatentSequence::useRebuilt(Layer& layer, int number, const std::shared_ptr<const Turning>& turning) const {
  // Keys are rebuilt without their bias and norm, which stand between them and the rotation.
  if (decoder_.keyBias(number).defined() ||
      decoder_.description().layers[static_cast<std::size_t>(number)].attention.keyNorm)
    return;
  const std::vector<Place> keys = placesOf(layer, Side::key), values = placesOf(layer, Side::value);
  // As many heads at a time as share one latent of keys and one of values.
  const std::size_t heads = keys.size();
  std::size_t together = heads;
  const auto isShared = [&](std::size_t count) {
    for (std::size_t h = 0; h < heads; ++h)
      if (keys[h].part != keys[h / count * count].part || values[h].part != values[h / count * count].part)
        return false;
    return true;
  };
  while (together > 1 && (heads % together != 0 || !isShared(together))) --together;

  // Records are read as they are: numbers, or bytes where there are codes.
  const auto offsetOf = [&](const Place& place) {
    return place.part->offset / (layer.isCoded ? 1 : static_cast<std::int64_t>(c10::elementSize(type_)));
  };
  const auto rankOf = [&](const Place& place) {
    const std::int64_t rank = place.part->layout.rank();
    return layer.isCoded ? rank : paddedTo8(rank);
  };
  const auto codesOf = [&](const Place& place) {
    return layer.isCoded ? std::optional(RebuiltAttention::Codes{place.part->layout, place.part->steps}) : std::nullopt;
  };
  std::vector<RebuiltAttention::Group> groups;
  std::size_t joint = 0;
  for (std::size_t first = 0; first < heads; first += together) {
    std::vector<at::Tensor> keyUps, valueUps;
    for (std::size_t h = first; h < first + together; ++h) {
      keyUps.push_back(rowsOf(keys[h], rankOf(keys[h])));
      valueUps.push_back(rowsOf(values[h], rankOf(values[h])));
    }
    groups.push_back({at::cat(keyUps, 0).t().contiguous(), at::cat(valueUps, 0), offsetOf(keys[first]),
                      offsetOf(values[first]), codesOf(keys[first]), codesOf(values[first])});
    joint += keys[first].part == values[first].part ? 1 : 0;
  }
  if (joint == 0) {
    layer.firstKey = std::ranges::min(groups, {}, &RebuiltAttention::Group::keyOffset).keyOffset;
    layer.firstValue = std::ranges::min(groups, {}, &RebuiltAttention::Group::valueOffset).valueOffset;
    for (RebuiltAttention::Group& group : groups) {
      group.keyOffset -= layer.firstKey;
      group.valueOffset -= layer.firstValue;
    }
  } else if (joint != groups.size()) {
    return;
  }
  auto attention = RebuiltAttention::make(std::move(groups), turning->rotation,
                                          decoder_.shape().queryHeads / decoder_.shape().kvHeads);
  if (!attention || !attention->refusal().empty()) return;
  layer.rebuilt = std::move(*attention);
  layer.turning = turning;
}

bool LatentSequence::usesKernels(int layer) const {
  const Layer& own = layers_[static_cast<std::size_t>(layer)];
  return own.direct || own.rebuilt;
}

void LatentSequence::append(int layer, const KeyValues& raw, const at::Tensor& rotatedKeys) {
  Layer& own = layers_[static_cast<std::size_t>(layer)];
  const std::int64_t given = raw.keys.size(1), exact = own.exact.keys.defined() ? own.exact.keys.size(1) : 0;
  const std::int64_t kept = std::min(given, exactTokens_ - exact), count = given - kept;
  if (kept > 0) {
    const auto joinedTo = [&](const at::Tensor& before, const at::Tensor& all, std::int64_t dimension) {
      const at::Tensor some = all.narrow(dimension, 0, kept);
      return before.defined() ? at::cat({before, some}, dimension) : some.clone();
    };
    own.exact = {joinedTo(own.exact.keys, raw.keys, 1), joinedTo(own.exact.values, raw.values, 1)};
    own.exactRotated = joinedTo(own.exactRotated, rotatedKeys, 2);
  }
  if (count == 0) return;
  if (!own.records.defined() || own.tokens + count > own.records.size(1)) {
    const std::int64_t capacity = own.tokens + count + std::max<std::int64_t>(64, own.tokens / 2);
    at::Tensor larger = at::empty({1, capacity, own.recordBytes}, raw.keys.options().dtype(at::kByte));
    if (own.tokens > 0) larger.narrow(1, 0, own.tokens).copy_(own.records.narrow(1, 0, own.tokens));
    own.records = std::move(larger);
  }
  const at::Tensor outputs = at::cat({raw.keys, raw.values}, -1).narrow(1, kept, count);
  for (const Part& part : own.parts) {
    const at::Tensor source = part.readsInput         ? raw.input.narrow(1, kept, count)
                              : part.rotatedHead >= 0 ? rotatedKeys.select(1, part.rotatedHead).narrow(1, kept, count)
                                                      : outputs.index_select(2, part.places);
    at::Tensor latent = part.down.defined() ? at::matmul(source, part.down.t()) : source;
    if (part.shift.defined()) latent = latent + part.shift;
    own.records.narrow(1, own.tokens, count)
        .narrow(2, part.offset, part.layout.bytes())
        .copy_(packLatent(latent, part.steps, part.layout, type_));
  }
  own.tokens += count;
}

/// A group's latents of all records, [1, tokens, rank].
at::Tensor LatentSequence::latentOf(const Layer& layer, const Part& part) const {
  const at::Tensor records = layer.records.narrow(1, 0, layer.tokens).narrow(2, part.offset, part.layout.bytes());
  return unpackLatent(records, part.steps, part.layout, type_).to(type_);
}

SequenceStore::Tokens LatentSequence::rebuilt(int layer) const {
  const Layer& own = layers_[static_cast<std::size_t>(layer)];
  const ModelShape& shape = decoder_.shape();
  Tokens result{own.exact, own.exactRotated};
  if (own.tokens > 0) {
    at::Tensor outputs = at::empty({1, own.tokens, shape.cacheWidth()}, own.records.options().dtype(type_));
    std::vector<at::Tensor> rotated(static_cast<std::size_t>(shape.kvHeads));
    for (const Part& part : own.parts) {
      const at::Tensor latent = latentOf(own, part);
      at::Tensor rows = part.up.defined() ? at::matmul(latent, part.up.t()) : latent;
      if (part.mean.defined()) rows = rows + part.mean;
      if (part.rotatedHead >= 0)
        rotated[static_cast<std::size_t>(part.rotatedHead)] = rows;
      else
        outputs.index_copy_(2, part.places, rows);
    }
    const auto behind = [](const at::Tensor& exact, const at::Tensor& others, std::int64_t dimension) {
      return exact.defined() ? at::cat({exact, others}, dimension) : others;
    };
    if (afterRope_) {
      result.rotatedKeys = behind(own.exactRotated, at::stack(rotated, 1), 2);
      outputs.narrow(2, 0, shape.keyWidth()).zero_();
    }
    result.raw = {behind(own.exact.keys, outputs.narrow(2, 0, shape.keyWidth()), 1),
                  behind(own.exact.values, outputs.narrow(2, shape.keyWidth(), shape.valueWidth()), 1)};
  }
  if (!afterRope_) result.rotatedKeys = at::Tensor();
  return result;
}

LatentAttended LatentSequence::attendToExact(const Layer& layer, double scale, const at::Tensor& query) const {
  const ModelShape& shape = decoder_.shape();
  const std::int64_t shared = shape.queryHeads / shape.kvHeads;
  const at::Tensor own = query.to(at::kFloat).view({1, shape.kvHeads, shared, shape.headDim});
  const at::Tensor values =
      layer.exact.values.to(at::kFloat).unflatten(2, {shape.kvHeads, shape.valueHeadDim}).transpose(1, 2);
  const at::Tensor scores =
      at::matmul(own, layer.exactRotated.to(at::kFloat).transpose(2, 3)) * (scale * 1.4426950408889634);
  const at::Tensor peak = scores.amax(-1), weights = at::exp2(scores - peak.unsqueeze(-1)), total = weights.sum(-1);
  const at::Tensor output = at::matmul(weights, values) / total.unsqueeze(-1);
  return {output.flatten(1, 2).to(type_), at::stack({peak, total}, -1).view({1, shape.queryHeads, 1, 2})};
}

at::Tensor LatentSequence::attend(int layer, const at::Tensor& query) const {
  const Layer& own = layers_[static_cast<std::size_t>(layer)];
  const AttentionDescription& attention = decoder_.description().layers[static_cast<std::size_t>(layer)].attention;
  const std::int64_t exact = own.exact.keys.defined() ? own.exact.keys.size(1) : 0;
  const auto window = attention.slidingWindow;
  if (!usesKernels(layer) || own.tokens == 0 || (window && *window < exact + own.tokens)) return {};
  const at::Tensor asked = query.squeeze(2).contiguous();  // [1, queryHeads, headDim]
  Result<LatentAttended> attended = [&]() -> Result<LatentAttended> {
    if (own.direct) {
      const at::Tensor records = own.records.narrow(1, 0, own.tokens);
      return (*own.direct)(asked, records, records, attention.scale);
    }
    // The first record stands at position 0 for the kernel: the query is turned back by the tokens before it.
    at::Tensor turned = asked;
    if (exact > 0) {
      const auto halves = asked.to(at::kFloat).chunk(2, -1);
      turned = at::cat({halves[0] * own.turning->exactCosine + halves[1] * own.turning->exactSine,
                        halves[1] * own.turning->exactCosine - halves[0] * own.turning->exactSine},
                       -1)
                   .to(type_);
    }
    const at::Tensor records = own.records.narrow(1, 0, own.tokens),
                     elements = own.isCoded ? records : records.view(type_);
    const auto from = [&](std::int64_t first) {
      return first == 0 ? elements : elements.narrow(2, first, elements.size(2) - first);
    };
    const at::Tensor keys = from(own.firstKey), values = own.firstKey == own.firstValue ? keys : from(own.firstValue);
    return (*own.rebuilt)(turned, keys, values, attention.scale * own.turning->factor);
  }();
  // Shapes fit since the constructor; what is left is a device that fails, which libtorch reports as an exception too.
  TORCH_CHECK(attended.has_value(), attended ? "" : attended.error().message);
  at::Tensor output = (exact > 0 ? joined(*attended, attendToExact(own, attention.scale, asked)) : *attended).output;
  if (const at::Tensor bias = decoder_.valueBias(layer); bias.defined()) {
    const std::int64_t shared = decoder_.shape().queryHeads / decoder_.shape().kvHeads;
    output = output + bias.view({decoder_.shape().kvHeads, decoder_.shape().valueHeadDim}).repeat_interleave(shared, 0);
  }
  return output.flatten(1).unsqueeze(1);
}

std::int64_t LatentSequence::bytes() const {
  std::int64_t sum = 0;
  for (const Layer& layer : layers_) {
    std::int64_t record = 0;
    for (const Part& part : layer.parts) {
      RecordLayout layout = part.layout;
      layout.numberBytes = 2;
      record += layout.bytes();
    }
    const std::int64_t exact = layer.exact.keys.defined() ? layer.exact.keys.size(1) : 0;
    sum += layer.tokens * record + exact * 2 * decoder_.shape().cacheWidth();
  }
  return sum;
}

}  // namespace kvista
