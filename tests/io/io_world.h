// SPDX-License-Identifier: GPL-3.0-or-later
//
// One face for the real ring over loopback and for the simulated one, so that the same contract
// test holds both to the same behaviour. The peers are plain: they write, read and close.
#ifndef RINGPOST_TESTS_IO_IO_WORLD_H_
#define RINGPOST_TESTS_IO_IO_WORLD_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/io/io.h"

namespace ringpost {

class IoPeer {
 public:
  virtual ~IoPeer() = default;
  virtual std::size_t Write(std::string_view octets) = 0;  // what there was room for
  virtual std::string Read() = 0;                          // what is there
  [[nodiscard]] virtual bool ended() = 0;                  // FIN or RST seen, everything read
  virtual void CloseSend() = 0;
  virtual void Close() = 0;
  virtual void Reset() = 0;
};

class IoWorld {
 public:
  static constexpr std::size_t kLargeBlocks = 32;
  static constexpr unsigned kLentBlocks = 8;
  static constexpr std::size_t kReserveBlocks = 4;

  IoWorld() : pool_(kLargeBlocks, 4) {}
  virtual ~IoWorld() = default;

  [[nodiscard]] BufferPool& pool() { return pool_; }
  [[nodiscard]] virtual Io& io() = 0;

  [[nodiscard]] virtual int Listen() = 0;
  virtual std::unique_ptr<IoPeer> ConnectTo(int listener) = 0;
  // An address where the test accepts, where nobody listens, where nobody ever answers.
  enum class Backend { kAccepts, kRefuses, kSilent };
  [[nodiscard]] virtual SocketAddress BackendAddress(Backend backend) = 0;
  virtual std::unique_ptr<IoPeer> AcceptAtBackend() = 0;
  [[nodiscard]] virtual int OpenEvent() = 0;
  // No descriptor can be had from now on / again.
  virtual void ExhaustDescriptors() = 0;
  virtual void ReturnDescriptors() = 0;

  // Turns of the loop until `done`; completions are kept by user_data. False: it never came.
  bool Until(const std::function<bool()>& done);
  // One turn that hands over requests, and whatever is complete within `timeout`.
  void Turn(TimeNs timeout);
  // An operation whose completions are dispatched by Turn().
  void Track(Operation& operation) { operations_[operation.user_data] = &operation; }
  [[nodiscard]] std::vector<Completion>& completions(const Operation& operation) {
    return completions_[operation.user_data];
  }
  // Its last result, once it is no longer in flight.
  bool UntilDone(const Operation& operation);
  [[nodiscard]] int result(const Operation& operation);
  // Received octets, whose blocks go back.
  std::string TakeOctets(const Operation& operation);

 protected:
  BufferPool pool_;
  // Drops what is left; to be called before the ring goes.
  void ReleaseBlocks();

 private:
  std::map<std::uint64_t, Operation*> operations_;
  std::map<std::uint64_t, std::vector<Completion>> completions_;
};

std::unique_ptr<IoWorld> MakeRealWorld();
std::unique_ptr<IoWorld> MakeSimWorld();

}  // namespace ringpost

#endif  // RINGPOST_TESTS_IO_IO_WORLD_H_
