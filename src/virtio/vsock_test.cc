#include "virtio/vsock.h"

#include <gtest/gtest.h>

#include "virtio/testing/vsock_driver.h"
#include "virtio/testing/vsock_host.h"

namespace husk::virtio {
namespace {

using testing::DeviceDriver;
using testing::FakeVsockHost;
using testing::VsockDriver;
using testing::VsockPacket;
using testing::VsockPeer;

constexpr uint32_t kGuestPort = 1000, kHostPort = 52, kGuestBuffer = 65536;

class VsockTest : public ::testing::Test {
 protected:
  VsockTest() {
    world_.listening = {kHostPort};
    auto device =
        std::make_unique<Vsock>(Vsock::kGuestCid, std::make_unique<FakeVsockHost>(world_));
    guest_ = std::make_unique<VsockDriver>(std::move(device));
  }

  static VsockHeader header(VsockOp op, uint32_t guest_port = kGuestPort,
                            uint32_t host_port = kHostPort) {
    VsockHeader made;
    made.source_port = guest_port;
    made.destination_port = host_port;
    made.op = op;
    made.buffer_size = kGuestBuffer;
    return made;
  }
  void say(VsockOp op, uint32_t flags = 0) {
    VsockHeader made = header(op, guest_port_, host_port_);
    made.flags = flags;
    made.forwarded = heard_bytes_;
    guest_->send(made);
  }
  void say_data(std::string_view data) {
    VsockHeader made = header(VsockOp::kData, guest_port_, host_port_);
    made.length = static_cast<uint32_t>(data.size());
    made.forwarded = heard_bytes_;
    guest_->send(made, data);
  }
  // The guest connects to the host's port.
  std::shared_ptr<VsockPeer> connect() {
    say(VsockOp::kRequest);
    EXPECT_EQ(hear_op(), VsockOp::kResponse);
    return world_.peers.back();
  }
  // The host connects to the guest's port.
  std::shared_ptr<VsockPeer> accept() {
    const auto peer = world_.open(kGuestPort);
    const auto request = guest_->hear();
    EXPECT_TRUE(request && request->header.op == VsockOp::kRequest);
    if (request) host_port_ = request->header.source_port;
    say(VsockOp::kResponse);
    return peer;
  }
  VsockOp hear_op() {
    const auto packet = guest_->hear();
    if (packet && packet->header.op == VsockOp::kData)
      heard_bytes_ += static_cast<uint32_t>(packet->payload.size());
    return packet ? packet->header.op : VsockOp::kInvalid;
  }
  // The payload of the next packets as long as they have one.
  std::string hear_data(size_t most = 1 << 20) {
    std::string data;
    while (data.size() < most) {
      const auto packet = guest_->hear();
      if (!packet) break;
      EXPECT_EQ(packet->header.op, VsockOp::kData);
      EXPECT_EQ(packet->header.length, packet->payload.size());
      data += packet->payload;
    }
    heard_bytes_ += static_cast<uint32_t>(data.size());
    return data;
  }
  void host_sends(VsockPeer& peer, std::string_view data) {
    peer.sends += data;
    world_.ready(peer);
  }

  FakeVsockHost::World world_;
  std::unique_ptr<VsockDriver> guest_;
  uint32_t guest_port_ = kGuestPort, host_port_ = kHostPort, heard_bytes_ = 0;
};

TEST_F(VsockTest, HasTheGuestsCidInItsConfiguration) {
  EXPECT_EQ(guest_->device().config(0, 4), Vsock::kGuestCid);
  EXPECT_EQ(guest_->device().config(4, 4), 0u);
  EXPECT_EQ(guest_->device().config(8, 4), 0u);
}

TEST_F(VsockTest, AGuestReachesAHostThatListens) {
  say(VsockOp::kRequest);
  const auto answer = guest_->hear();
  ASSERT_TRUE(answer);
  const VsockHeader& got = answer->header;
  EXPECT_EQ(got.op, VsockOp::kResponse);
  EXPECT_EQ(std::pair(got.source_cid, got.destination_cid), std::pair(uint64_t{2}, uint64_t{3}));
  EXPECT_EQ(std::pair(got.source_port, got.destination_port), std::pair(kHostPort, kGuestPort));
  EXPECT_EQ(got.buffer_size, VsockCredit::kBufferSize);
  say_data("hello");
  EXPECT_EQ(world_.peers[0]->got, "hello");
  host_sends(*world_.peers[0], "hi");
  EXPECT_EQ(hear_data(), "hi");
}

TEST_F(VsockTest, AHostReachesAGuest) {
  const auto peer = world_.open(kGuestPort);
  peer->sends = "early";
  const auto request = guest_->hear();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header.op, VsockOp::kRequest);
  EXPECT_EQ(request->header.destination_port, kGuestPort);
  EXPECT_FALSE(guest_->hear()) << "data before the guest has accepted";
  EXPECT_EQ(peer->host_port, 0u);
  host_port_ = request->header.source_port;
  say(VsockOp::kResponse);
  EXPECT_EQ(peer->host_port, host_port_);
  EXPECT_EQ(hear_data(), "early");
}

TEST_F(VsockTest, AGuestThatRefusesHangsUpOnTheHost) {
  const auto peer = world_.open(kGuestPort);
  host_port_ = guest_->hear()->header.source_port;
  say(VsockOp::kReset);
  EXPECT_TRUE(peer->closed);
  EXPECT_EQ(peer->host_port, 0u);
  EXPECT_FALSE(guest_->hear()) << "a reset is not answered";
}

TEST_F(VsockTest, NobodyIsAskedWithoutADriver) {
  guest_->device().write(DeviceDriver::kStatus, 0);
  EXPECT_TRUE(world_.open(kGuestPort)->closed);
}

TEST_F(VsockTest, APortWhereNobodyListensIsRefused) {
  guest_->send(header(VsockOp::kRequest, kGuestPort, 53));
  const auto answer = guest_->hear();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.op, VsockOp::kReset);
  EXPECT_EQ(answer->header.source_port, 53u);
  EXPECT_EQ(answer->header.destination_port, kGuestPort);
}

TEST_F(VsockTest, OtherAddressesThanTheHostsAreRefusedInTheirName) {
  VsockHeader packet = header(VsockOp::kRequest);
  packet.destination_cid = 7;
  guest_->send(packet);
  EXPECT_EQ(guest_->hear()->header.source_cid, 7u);
  packet.destination_cid = kVsockHostCid | uint64_t{1} << 32;
  guest_->send(packet);
  EXPECT_EQ(guest_->hear()->header.op, VsockOp::kReset);
  EXPECT_TRUE(world_.peers.empty());
}

TEST_F(VsockTest, PacketsInAnothersNameAreDropped) {
  VsockHeader packet = header(VsockOp::kRequest);
  packet.source_cid = Vsock::kGuestCid + 1;
  guest_->send(packet);
  EXPECT_FALSE(guest_->hear());
  EXPECT_TRUE(world_.peers.empty());
}

TEST_F(VsockTest, PacketsOfNoConnectionAreAnsweredByAReset) {
  for (const VsockOp op :
       {VsockOp::kInvalid, VsockOp::kResponse, VsockOp::kShutdown, VsockOp::kData,
        VsockOp::kCreditUpdate, VsockOp::kCreditRequest, VsockOp{999}}) {
    say(op);
    EXPECT_EQ(hear_op(), VsockOp::kReset) << static_cast<int>(op);
  }
  say(VsockOp::kReset);
  EXPECT_FALSE(guest_->hear());
}

TEST_F(VsockTest, UnknownTypesAreAnsweredByAReset) {
  VsockHeader packet = header(VsockOp::kRequest);
  packet.type = 2;  // seqpacket
  guest_->send(packet);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  const auto peer = connect();
  packet.op = VsockOp::kData;
  guest_->send(packet);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  EXPECT_TRUE(peer->closed);
}

TEST_F(VsockTest, OperationsThatMakeNoSenseEndTheConnection) {
  for (const VsockOp op :
       {VsockOp::kInvalid, VsockOp::kRequest, VsockOp::kResponse, VsockOp{8}, VsockOp{0xffff}}) {
    const auto peer = connect();
    say(op);
    EXPECT_EQ(hear_op(), VsockOp::kReset) << static_cast<int>(op);
    EXPECT_TRUE(peer->closed);
  }
}

TEST_F(VsockTest, BeforeItIsAcceptedAConnectionIsGoodForNothingElse) {
  const auto peer = world_.open(kGuestPort);
  host_port_ = guest_->hear()->header.source_port;
  say_data("too early");
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  EXPECT_TRUE(peer->closed);
  EXPECT_EQ(peer->got, "");
}

TEST_F(VsockTest, LengthsThatLieEndTheConnection) {
  const auto peer = connect();
  VsockHeader packet = header(VsockOp::kData);
  packet.length = 6;
  guest_->send(packet, "short");
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  EXPECT_TRUE(peer->closed);
  EXPECT_EQ(peer->got, "");
}

TEST_F(VsockTest, WhatIsBehindThePayloadIsNotPartOfIt) {
  const auto peer = connect();
  VsockHeader packet = header(VsockOp::kData);
  packet.length = 3;
  guest_->send(packet, "onetwo");
  EXPECT_EQ(peer->got, "one");
}

TEST_F(VsockTest, DataOfNoLengthIsNone) {
  const auto peer = connect();
  say_data("");
  EXPECT_FALSE(guest_->hear());
  say_data("then some");
  EXPECT_EQ(peer->got, "then some");
}

TEST_F(VsockTest, AGuestMaySendWhatItHasCreditForAndNoMore) {
  const auto peer = connect();
  peer->room = 1000;
  const std::string piece(VsockCredit::kBufferSize / 4, 'x');
  for (int i = 0; i < 4; ++i) say_data(piece);
  EXPECT_EQ(peer->got.size(), 1000u);
  EXPECT_EQ(guest_->hear()->header.forwarded, 1000u);
  say_data(std::string(1000, 'y'));
  EXPECT_FALSE(guest_->hear()) << "it took the place of what was forwarded";
  say_data("z");
  EXPECT_EQ(hear_op(), VsockOp::kReset);
}

TEST_F(VsockTest, CreditComesBackAsTheHostReads) {
  const auto peer = connect();
  peer->room = 0;
  const std::string piece(VsockCredit::kBufferSize / 4, 'x');
  for (int i = 0; i < 4; ++i) say_data(piece);
  peer->room = 3 * piece.size() - 1;
  world_.ready(*peer);
  const auto update = guest_->hear();
  ASSERT_TRUE(update);
  EXPECT_EQ(update->header.op, VsockOp::kCreditUpdate);
  EXPECT_EQ(update->header.forwarded, 3 * piece.size() - 1);
  EXPECT_EQ(update->header.buffer_size, VsockCredit::kBufferSize);
  peer->room = 1 << 20;
  world_.ready(*peer);
  EXPECT_EQ(peer->got.size(), 4 * piece.size());
  EXPECT_FALSE(guest_->hear()) << "the guest knows that it may send enough";
}

TEST_F(VsockTest, AGuestIsToldItsCreditWhenItAsks) {
  connect();
  say_data("abc");
  EXPECT_FALSE(guest_->hear());
  say(VsockOp::kCreditRequest);
  const auto update = guest_->hear();
  ASSERT_TRUE(update);
  EXPECT_EQ(update->header.op, VsockOp::kCreditUpdate);
  EXPECT_EQ(update->header.forwarded, 3u);
}

TEST_F(VsockTest, AHostIsReadAsFarAsTheGuestHasRoom) {
  const auto peer = connect();
  host_sends(*peer, std::string(kGuestBuffer + 100, 'a'));
  EXPECT_EQ(hear_data(kGuestBuffer).size(), kGuestBuffer);
  EXPECT_EQ(hear_op(), VsockOp::kCreditRequest);
  EXPECT_FALSE(guest_->hear()) << "asked once";
  EXPECT_EQ(peer->sends.size(), 100u);
  say(VsockOp::kCreditUpdate);
  EXPECT_EQ(hear_data().size(), 100u);
}

TEST_F(VsockTest, AGuestThatClaimsMoreThanItGotGetsNoCreditForIt) {
  const auto peer = connect();
  host_sends(*peer, std::string(kGuestBuffer + 100, 'a'));
  EXPECT_EQ(hear_data(kGuestBuffer).size(), kGuestBuffer);
  EXPECT_EQ(hear_op(), VsockOp::kCreditRequest);
  heard_bytes_ += 1;
  say(VsockOp::kCreditUpdate);
  EXPECT_FALSE(guest_->hear());
  heard_bytes_ -= 1;
  say(VsockOp::kCreditUpdate);
  EXPECT_EQ(hear_data().size(), 100u);
  say(VsockOp::kCreditUpdate);
  heard_bytes_ -= 50;  // a packet that was overtaken
  say(VsockOp::kCreditUpdate);
  host_sends(*peer, std::string(kGuestBuffer, 'b'));
  EXPECT_EQ(hear_data(kGuestBuffer).size(), kGuestBuffer);
}

TEST_F(VsockTest, AGuestThatShrinksItsBufferIsSentNothing) {
  const auto peer = connect();
  host_sends(*peer, std::string(100, 'a'));
  EXPECT_EQ(hear_data().size(), 100u);
  VsockHeader packet = header(VsockOp::kCreditUpdate);
  packet.buffer_size = 50;
  guest_->send(packet);
  host_sends(*peer, "b");
  EXPECT_EQ(hear_op(), VsockOp::kCreditRequest);
  packet.forwarded = 100;
  guest_->send(packet);
  EXPECT_EQ(hear_data(), "b");
}

TEST_F(VsockTest, NothingIsReadFromTheHostWithoutABuffer) {
  const auto peer = connect();
  guest_->give_room(1, 10);
  host_sends(*peer, std::string(25, 'a'));
  EXPECT_EQ(guest_->hear()->payload.size(), 10u);
  EXPECT_EQ(peer->sends.size(), 15u);
  guest_->give_room(2, 10);
  EXPECT_EQ(hear_data().size(), 15u);
}

TEST_F(VsockTest, TheGuestsHalfCloseReachesTheHostBehindItsData) {
  const auto peer = connect();
  peer->room = 2;
  say_data("last");
  say(VsockOp::kShutdown, kVsockNoSend);
  EXPECT_FALSE(peer->guest_ended);
  peer->room = 100;
  world_.ready(*peer);
  EXPECT_EQ(peer->got, "last");
  EXPECT_TRUE(peer->guest_ended);
  host_sends(*peer, "answer");
  EXPECT_EQ(hear_data(), "answer");
  EXPECT_FALSE(peer->closed);
  say_data("more");
  EXPECT_EQ(hear_op(), VsockOp::kReset) << "it had said that there would be none";
}

TEST_F(VsockTest, TheHostsHalfCloseReachesTheGuestBehindItsData) {
  const auto peer = connect();
  peer->ends = true;
  host_sends(*peer, std::string(VsockDriver::kRoom + 1, 'a'));
  EXPECT_EQ(hear_op(), VsockOp::kData);
  EXPECT_EQ(hear_op(), VsockOp::kData);
  const auto shutdown = guest_->hear();
  ASSERT_TRUE(shutdown);
  EXPECT_EQ(shutdown->header.op, VsockOp::kShutdown);
  EXPECT_EQ(shutdown->header.flags, kVsockNoSend);
  say_data("goes on");
  EXPECT_EQ(peer->got, "goes on");
  peer->gone = true;
  world_.ready(*peer);
  EXPECT_EQ(guest_->hear()->header.flags, kVsockNeither);
  EXPECT_TRUE(peer->closed);
  say(VsockOp::kReset);
  EXPECT_FALSE(guest_->hear());
}

TEST_F(VsockTest, AGuestThatClosesIsAnsweredAtOnceAndItsLastDataIsDelivered) {
  const auto peer = connect();
  peer->room = 2;
  say_data("last");
  say(VsockOp::kShutdown, kVsockNeither);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  EXPECT_FALSE(peer->closed);
  const auto second = connect();  // the key is free again
  second->room = 100;
  say_data("new");
  EXPECT_EQ(second->got, "new");
  peer->room = 100;
  world_.ready(*peer);
  EXPECT_EQ(peer->got, "last");
  EXPECT_TRUE(peer->closed);
}

TEST_F(VsockTest, ClosingInTwoStepsIsClosing) {
  const auto peer = connect();
  say(VsockOp::kShutdown, kVsockNoReceive);
  EXPECT_TRUE(peer->guest_stopped_reading);
  EXPECT_FALSE(guest_->hear());
  host_sends(*peer, "nobody reads it");
  EXPECT_FALSE(guest_->hear());
  say(VsockOp::kShutdown, kVsockNoSend);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  EXPECT_TRUE(peer->closed);
}

TEST_F(VsockTest, AHostThatGoesWhileTheGuestDoesNotReceiveIsNoticed) {
  const auto peer = connect();
  say(VsockOp::kShutdown, kVsockNoReceive);
  peer->gone = true;
  world_.ready(*peer);
  EXPECT_EQ(guest_->hear()->header.flags, kVsockNeither);
}

TEST_F(VsockTest, AHostThatBreaksResetsTheGuest) {
  const auto peer = connect();
  peer->broken = true;
  world_.ready(*peer);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  EXPECT_TRUE(peer->closed);
  say_data("x");
  EXPECT_EQ(hear_op(), VsockOp::kReset);
}

TEST_F(VsockTest, AHostThatTakesNoMoreMayStillBeRead) {
  const auto peer = connect();
  peer->deaf = true;
  say_data("nobody hears it");
  const auto shutdown = guest_->hear();
  ASSERT_TRUE(shutdown);
  EXPECT_EQ(std::pair(shutdown->header.op, shutdown->header.flags),
            std::pair(VsockOp::kShutdown, kVsockNoReceive));
  say_data(std::string(VsockCredit::kBufferSize - 100, 'x'));  // was on its way
  EXPECT_EQ(hear_op(), VsockOp::kCreditUpdate);
  host_sends(*peer, "still here");
  EXPECT_EQ(hear_data(), "still here");
}

TEST_F(VsockTest, AHostThatLeavesBeforeTheAnswerCancelsItsRequest) {
  const auto peer = world_.open(kGuestPort);
  host_port_ = guest_->hear()->header.source_port;
  peer->gone = true;
  world_.ready(*peer);
  EXPECT_TRUE(peer->closed);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  say(VsockOp::kResponse);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
}

TEST_F(VsockTest, ThereIsALimitOnConnections) {
  guest_->give_room(8);
  for (guest_port_ = 1; guest_port_ <= VsockTable::kMost; ++guest_port_) connect();
  EXPECT_EQ(world_.peers.size(), VsockTable::kMost);
  say(VsockOp::kRequest);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  EXPECT_TRUE(world_.open(kGuestPort)->closed);
  EXPECT_FALSE(guest_->hear());
  guest_port_ = 7;
  say(VsockOp::kReset);
  connect();
}

TEST_F(VsockTest, AConnectionThatOnlyAwaitsAResetGivesUpItsPlace) {
  for (guest_port_ = 1; guest_port_ <= VsockTable::kMost; ++guest_port_) connect();
  VsockPeer& peer = *world_.peers[4];
  peer.ends = peer.gone = true;
  world_.ready(peer);
  EXPECT_EQ(hear_op(), VsockOp::kShutdown);
  connect();
  guest_port_ = 5;
  say_data("late");
  EXPECT_EQ(hear_op(), VsockOp::kReset);
}

TEST_F(VsockTest, WithTooManyRefusalsWaitingItTakesNoPackets) {
  // Without a buffer for the answers, as long as packets are taken.
  VsockHeader packet = header(VsockOp::kData);
  packet.source_cid = Vsock::kGuestCid;
  packet.destination_cid = kVsockHostCid;
  std::string bytes(VsockHeader::kSize, '\0');
  std::memcpy(bytes.data(), &packet, bytes.size());
  DeviceDriver& driver = guest_->device();
  const DeviceDriver::Buffer buffer = driver.fill(bytes);
  int answered = 0;
  while (answered < 1000 && driver.send(VsockDriver::kTransmit, {buffer})) ++answered;
  EXPECT_EQ(answered, 256);
  EXPECT_EQ(hear_op(), VsockOp::kReset);
  EXPECT_TRUE(driver.used(VsockDriver::kTransmit)) << "there is room for one more";
}

TEST_F(VsockTest, TheGuestsDriverResetsAllConnections) {
  const auto peer = connect();
  guest_->start();
  EXPECT_TRUE(peer->closed);
  say_data("old");
  EXPECT_EQ(hear_op(), VsockOp::kReset);
}

TEST_F(VsockTest, BrokenQueuesHangUp) {
  const auto peer = connect();
  guest_->device().send(VsockDriver::kTransmit, {guest_->device().fill(std::string(43, '\0'))});
  EXPECT_TRUE(guest_->device().broken());
  EXPECT_TRUE(peer->closed);
  EXPECT_TRUE(world_.open(kGuestPort)->closed);
}

TEST_F(VsockTest, ABufferWithoutRoomForAPacketBreaksTheRules) {
  const auto peer = connect();
  guest_->give_room(1, 0);
  EXPECT_TRUE(guest_->device().broken());
  EXPECT_TRUE(peer->closed);
}

TEST_F(VsockTest, APausedMachinesMemoryStaysAsItIs) {
  const auto peer = connect();
  guest_->give_room(4);
  guest_->device().transport().hold();
  host_sends(*peer, "later");
  const auto second = world_.open(7);
  EXPECT_FALSE(guest_->device().used(VsockDriver::kReceive));
  guest_->device().transport().go_on();
  EXPECT_EQ(guest_->hear()->payload, "later");
  EXPECT_EQ(hear_op(), VsockOp::kRequest);
}

// Through its state, as if it were another one.
void restore(DeviceDriver& driver) {
  contract::StateArchive saved;
  driver.transport().transfer_state(saved);
  const std::vector<std::byte> bytes = saved.take();
  contract::StateArchive restored(bytes);
  driver.transport().transfer_state(restored);
  EXPECT_TRUE(restored.finish("vsock"));
}

TEST_F(VsockTest, ARestoredDeviceEndsItsConnectionsAndSaysSo) {
  const auto peer = connect();
  DeviceDriver& driver = guest_->device();
  const DeviceDriver::Buffer event = driver.room(4);
  driver.offer(VsockDriver::kEvents, {event});
  driver.notify(VsockDriver::kEvents);
  EXPECT_FALSE(driver.used(VsockDriver::kEvents));
  contract::StateArchive saved;
  driver.transport().hold();
  driver.transport().transfer_state(saved);
  EXPECT_FALSE(peer->closed) << "to look at it ends nothing";
  const std::vector<std::byte> bytes = saved.take();
  contract::StateArchive restored(bytes);
  driver.transport().transfer_state(restored);
  EXPECT_TRUE(restored.finish("vsock"));
  EXPECT_TRUE(peer->closed);
  EXPECT_FALSE(driver.used(VsockDriver::kEvents)) << "it is still held";
  driver.transport().go_on();
  EXPECT_EQ(driver.used(VsockDriver::kEvents), 4u);
  EXPECT_EQ(driver.text(event, 4), std::string(4, '\0'));
  EXPECT_FALSE(guest_->hear()) << "the event says it all";
  driver.offer(VsockDriver::kEvents, {event});
  driver.notify(VsockDriver::kEvents);
  connect();
}

// Linux ends whatever it has when it comes to the event, which may be after it has seen a packet
// that came later.
TEST_F(VsockTest, NoNewConnectionOvertakesTheEventOrIsTakenForAFormerOne) {
  guest_->give_room(4);
  const auto former = world_.open(kGuestPort);
  const uint32_t former_port = guest_->hear()->header.source_port;
  DeviceDriver& driver = guest_->device();
  for (int i = 0; i < 3; ++i) driver.offer(VsockDriver::kEvents, {driver.room(8)});
  driver.notify(VsockDriver::kEvents);
  driver.transport().hold();
  restore(driver);
  const auto next = world_.open(kGuestPort);
  driver.transport().go_on();
  EXPECT_EQ(driver.used(VsockDriver::kEvents), 4u);
  EXPECT_FALSE(guest_->hear()) << "the driver has not taken notice";
  restore(driver);
  const auto last = world_.open(kGuestPort);
  driver.transport().have_all_queues_looked_at();
  EXPECT_EQ(driver.used(VsockDriver::kEvents), 4u) << "nor when this copy was made";
  EXPECT_FALSE(guest_->hear());
  driver.offer(VsockDriver::kEvents, {driver.room(8)});
  driver.notify(VsockDriver::kEvents);
  const auto request = guest_->hear();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header.op, VsockOp::kRequest);
  EXPECT_NE(request->header.source_port, former_port);
}

TEST_F(VsockTest, ADriverWithoutConnectionsIsToldNothing) {
  DeviceDriver& driver = guest_->device();
  driver.offer(VsockDriver::kEvents, {driver.room(8)});
  driver.notify(VsockDriver::kEvents);
  restore(driver);
  driver.transport().have_all_queues_looked_at();
  EXPECT_FALSE(driver.used(VsockDriver::kEvents));
  connect();
}

TEST_F(VsockTest, TheEventWaitsForABufferAndComesOnce) {
  DeviceDriver& driver = guest_->device();
  connect();
  restore(driver);
  driver.transport().have_all_queues_looked_at();
  EXPECT_EQ(driver.send(VsockDriver::kEvents, {driver.room(8)}), 4u);
  EXPECT_FALSE(driver.send(VsockDriver::kEvents, {driver.room(8)}));
}

TEST_F(VsockTest, AGuestsCidIsPartOfItsState) {
  FakeVsockHost::World world;
  VsockDriver nine(std::make_unique<Vsock>(9, std::make_unique<FakeVsockHost>(world)));
  VsockDriver three(std::make_unique<Vsock>(3, std::make_unique<FakeVsockHost>(world)));
  contract::StateArchive saved;
  nine.device().transport().transfer_state(saved);
  const std::vector<std::byte> bytes = saved.take();
  contract::StateArchive restored(bytes);
  three.device().transport().transfer_state(restored);
  EXPECT_EQ(three.device().config(0, 4), 9u);
}

TEST_F(VsockTest, OneConnectionDoesNotWaitForAnothersStream) {
  const auto first = connect();
  guest_port_ = 2;
  const auto second = connect();
  first->sends = std::string(5 * VsockDriver::kRoom, 'a');
  second->sends = "b";
  world_.ready(*first);
  world_.ready(*second);
  std::string order;
  for (int i = 0; i < 3; ++i) order += guest_->hear()->payload.substr(0, 1);
  EXPECT_NE(order.find('b'), std::string::npos) << order;
}

}  // namespace
}  // namespace husk::virtio
