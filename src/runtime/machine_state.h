// A machine at one moment, but for its memory: what a snapshot holds of it and a new machine of the
// same shape goes on from.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "husk/seam.h"
#include "husk/types.h"

#include "base/try.h"
#include "contract/state_archive.h"

namespace husk::runtime {

// A device by its place on the board.
struct ChipState {
  std::string name;
  std::vector<std::byte> state;
};

struct MachineState {
  std::vector<VcpuSnapshot> vcpus;  // in the order of their ids
  // One for all vCPUs, whose clocks are the same.
  seam::ClockRef clock;
  std::vector<std::byte> interrupt_controller;
  std::vector<ChipState> chips;  // in the board's order
};

// A board has each_chip(visit), which calls visit(name, chip) for every device that has a state.

template <class Board>
std::vector<ChipState> capture_chips(Board& board) {
  std::vector<ChipState> chips;
  board.each_chip([&](std::string name, auto& chip) {
    contract::StateArchive archive;
    chip.transfer_state(archive);
    chips.push_back({std::move(name), archive.take()});
  });
  return chips;
}

// After an error the board must not be used any more.
template <class Board>
Result<void> restore_chips(Board& board, std::span<const ChipState> chips) {
  Result<void> result;
  size_t next = 0;
  board.each_chip([&](const std::string& name, auto& chip) {
    if (!result) return;
    if (next == chips.size() || chips[next].name != name) {
      result = fail(ErrorKind::kCorrupt, "snapshot", "has no state of " + name);
      return;
    }
    contract::StateArchive archive(chips[next++].state);
    chip.transfer_state(archive);
    result = archive.finish(name);
  });
  if (result && next != chips.size())
    return fail(ErrorKind::kCorrupt, "snapshot",
                "has a " + chips[next].name + ", which this machine has not");
  return result;
}

}  // namespace husk::runtime
