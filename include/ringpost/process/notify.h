// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a service manager is told (sd_notify(3)): a datagram for each step, to $NOTIFY_SOCKET.
#ifndef RINGPOST_PROCESS_NOTIFY_H_
#define RINGPOST_PROCESS_NOTIFY_H_

#include <sys/types.h>

#include <chrono>
#include <string_view>

namespace ringpost {

class Notify {
 public:
  // Reads NOTIFY_SOCKET, and WATCHDOG_USEC where WATCHDOG_PID is this process or absent. The socket
  // is opened here: it may not be allowed later. Where there is none, nothing is told.
  Notify();
  ~Notify();
  Notify(const Notify&) = delete;
  Notify& operator=(const Notify&) = delete;

  // Also after a reload. With our pid, which may be another than the one that was started.
  void Ready() const;
  void Reloading() const;
  void Stopping() const;
  // Another process is the service now. To be said by the old one, which is believed; the new one
  // says it as well, with Ready(), for managers that believe all.
  void HandedOver(pid_t pid) const;
  // "I am well", if that is wanted and due. To be called at least each watchdog_interval().
  void Alive(std::chrono::steady_clock::time_point now);
  // How often it is told; zero: nobody wants to know.
  [[nodiscard]] std::chrono::microseconds watchdog_interval() const { return interval_; }

 private:
  void Send(std::string_view state) const;

  int socket_ = -1;
  std::chrono::microseconds interval_{0};
  std::chrono::steady_clock::time_point told_{};
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_NOTIFY_H_
