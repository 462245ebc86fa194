// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/dns/resolver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unbound.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "resolver_files.h"

namespace ringpost {
namespace {

using Clock = std::chrono::steady_clock;
using Outcome = HostAddresses::Outcome;

constexpr int kTypeA = 1;
constexpr int kTypeAaaa = 28;
constexpr int kClassIn = 1;
constexpr int kNoError = 0;
constexpr int kNameError = 3;  // NXDOMAIN

constexpr int kMemoryRetryMs = 1000;

struct ContextDeleter {
  void operator()(ub_ctx* context) const { ub_ctx_delete(context); }
};
using Context = std::unique_ptr<ub_ctx, ContextDeleter>;

// What changes about a file when somebody writes or replaces it.
struct FileStamp {
  timespec modified{};
  ino_t inode = 0;
  off_t size = 0;
  friend bool operator==(const FileStamp& a, const FileStamp& b) {
    return a.modified.tv_sec == b.modified.tv_sec && a.modified.tv_nsec == b.modified.tv_nsec &&
           a.inode == b.inode && a.size == b.size;
  }
};

FileStamp StampOf(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) {
    return {};
  }
  return {.modified = status.st_mtim, .inode = status.st_ino, .size = status.st_size};
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// It takes a file's name only.
int SetHosts(ub_ctx* context, const std::string& hosts) {
  const int fd = memfd_create("hosts", MFD_CLOEXEC);
  if (fd < 0) {
    return UB_NOMEM;
  }
  std::size_t written = 0;
  ssize_t step = 1;
  while (written < hosts.size() && step > 0) {
    step = write(fd, hosts.data() + written, hosts.size() - written);
    written += step > 0 ? static_cast<std::size_t>(step) : 0;
  }
  const std::string path = absl::StrCat("/proc/self/fd/", fd);
  const int error = written == hosts.size() ? ub_ctx_hosts(context, path.c_str()) : UB_NOMEM;
  close(fd);
  return error;
}

struct Lookup;

struct Query {
  Lookup* lookup = nullptr;
  int type = 0;
  int id = 0;  // libunbound's
  bool under_way = false;
  HostAddresses answer;
};

struct Lookup {
  std::string host;
  Resolver::Done done;
  Clock::time_point due;  // begins then; once begun: ends then
  std::vector<std::string> candidates;
  std::size_t next = 0;
  std::array<Query, 2> queries;  // in the order of preference
  HostAddresses worst;           // of the candidates so far

  [[nodiscard]] bool under_way() const {
    return std::any_of(queries.begin(), queries.end(),
                       [](const Query& query) { return query.under_way; });
  }
};

// RFC 1035 4.1.1. libunbound says SERVFAIL where it made nothing of what it got.
std::string RcodeText(int rcode) {
  constexpr int kServerFailure = 2;
  constexpr int kRefused = 5;
  return rcode == kServerFailure ? "SERVFAIL"
         : rcode == kRefused     ? "REFUSED"
                                 : absl::StrCat("rcode ", rcode);
}

// A bogus answer comes with its records and without an error code: that is asked first.
HostAddresses Read(int error, const ub_result* result) {
  HostAddresses answer;
  if (error != 0 || result == nullptr) {
    answer.why = ub_strerror(error);
    return answer;
  }
  if (result->bogus != 0) {
    answer.why = absl::StrCat("the answer is forged: ",
                              result->why_bogus != nullptr ? result->why_bogus : "bogus");
    return answer;
  }
  if (result->rcode != kNoError && result->rcode != kNameError) {
    answer.why = absl::StrCat("the name server could not tell (", RcodeText(result->rcode), ")");
    return answer;
  }
  answer.outcome = Outcome::kNoAddress;
  answer.why = result->nxdomain != 0 ? "there is no such name" : "the name has no address";
  if (result->havedata == 0) {
    return answer;
  }
  for (int i = 0; result->data[i] != nullptr; ++i) {
    const auto length = static_cast<std::size_t>(result->len[i]);
    in_addr ipv4{};
    in6_addr ipv6{};
    if (result->qtype == kTypeA && length == sizeof ipv4) {
      std::memcpy(&ipv4, result->data[i], length);
      answer.addresses.emplace_back(ipv4);
    } else if (result->qtype == kTypeAaaa && length == sizeof ipv6) {
      std::memcpy(&ipv6, result->data[i], length);
      answer.addresses.emplace_back(ipv6);
    }
  }
  if (!answer.addresses.empty()) {
    answer.outcome = Outcome::kFound;
    answer.ttl = std::chrono::seconds(std::max(result->ttl, 0));
    answer.why.clear();
  }
  return answer;
}

// Of one name. An address of one family is good, whatever became of the other.
HostAddresses Join(const std::array<Query, 2>& queries) {
  HostAddresses both;
  both.outcome = Outcome::kNoAddress;
  for (const Query& query : queries) {
    const HostAddresses& answer = query.answer;
    switch (answer.outcome) {
      case Outcome::kFound:
        both.ttl = both.addresses.empty() ? answer.ttl : std::min(both.ttl, answer.ttl);
        both.addresses.insert(both.addresses.end(), answer.addresses.begin(),
                              answer.addresses.end());
        break;
      case Outcome::kFailed:
        both.outcome = Outcome::kFailed;
        both.why = answer.why;
        break;
      case Outcome::kNoAddress:
        both.why = both.outcome == Outcome::kFailed ? both.why : answer.why;
        break;
    }
  }
  if (!both.addresses.empty()) {
    both.outcome = Outcome::kFound;
    both.why.clear();
  }
  return both;
}

// No exception may pass through libunbound, which calls it.
void OnAnswer(void* data, int error, ub_result* result) {
  auto& query = *static_cast<Query*>(data);
  query.under_way = false;
  try {
    query.answer = Read(error, result);
  } catch (const std::bad_alloc&) {
    query.answer = {};  // failed, without a word
  }
  ub_resolve_free(result);
}

class UnboundResolver final : public Resolver {
 public:
  explicit UnboundResolver(ResolverOptions options) : options_(std::move(options)) {}
  ~UnboundResolver() override;

  absl::Status Start();
  void Find(std::string host, std::chrono::milliseconds delay, Done done) override;

 private:
  using Lookups = std::list<std::unique_ptr<Lookup>>;

  absl::Status MakeContext();
  void Main();
  [[nodiscard]] bool TakeNew();
  void Begin(Clock::time_point now);
  void Ask(Lookup& lookup);
  void Settle(Clock::time_point now);
  bool Advance(Lookup& lookup);
  void Cancel(Lookup& lookup);
  static void Finish(Lookup& lookup, HostAddresses answer) { lookup.done(std::move(answer)); }
  [[nodiscard]] int WaitMs(Clock::time_point now) const;
  void Wake() const;

  const ResolverOptions options_;
  Context context_;
  ResolvConf conf_;
  std::array<FileStamp, 2> stamps_;
  int wake_ = -1;

  std::mutex mutex_;
  Lookups new_;        // under the mutex
  bool stop_ = false;  // under the mutex
  Lookups waiting_;    // from here on the thread's own
  Lookups under_way_;
  std::thread thread_;
};

UnboundResolver::~UnboundResolver() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    Wake();
    thread_.join();
  }
  for (const std::unique_ptr<Lookup>& lookup : under_way_) {
    Cancel(*lookup);
  }
  context_.reset();
  if (wake_ >= 0) {
    close(wake_);
  }
}

absl::Status UnboundResolver::Start() {
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no descriptor for the resolver: ", std::strerror(errno)));
  }
  if (absl::Status status = MakeContext(); !status.ok()) {
    return status;
  }
  thread_ = std::thread([this] { Main(); });
  return absl::OkStatus();
}

absl::Status UnboundResolver::MakeContext() {
  const std::array stamps = {StampOf(options_.resolv_conf), StampOf(options_.hosts)};
  ResolvConf conf = ReadResolvConf(ReadAll(options_.resolv_conf));
  Context context(ub_ctx_create());
  if (context == nullptr) {
    return absl::ResourceExhaustedError("libunbound could not be set up");
  }
  // A name server on loopback is the usual one. An answer that there is no such name, or that
  // nobody could tell, may be wrong a moment later, when a container has started; and a name server
  // that was silent is asked again soon.
  constexpr std::array kSettings = {
      std::pair{"do-not-query-localhost:", "no"},
      std::pair{"cache-max-negative-ttl:", "1"},
      std::pair{"infra-host-ttl:", "5"},
      std::pair{"unblock-lan-zones:", "yes"},
  };
  int error = ub_ctx_async(context.get(), 1);
  (void)ub_ctx_debugout(context.get(), nullptr);  // what it has to say, it says in its answers
  for (const auto& [name, value] : kSettings) {
    error = error != 0 ? error : ub_ctx_set_option(context.get(), name, value);
  }
  std::vector<std::string> servers = options_.servers.empty() ? conf.servers : options_.servers;
  if (servers.empty()) {
    servers.emplace_back("127.0.0.1");  // resolv.conf(5)
  }
  for (const std::string& server : servers) {
    error = error != 0 ? error : ub_ctx_set_fwd(context.get(), server.c_str());
  }
  if (error == 0) {
    error = SetHosts(context.get(), CleanHosts(ReadAll(options_.hosts)));
  }
  // Where the DNS has such a name, it is meant: RFC 6761 6.2 and the like are for the root. It ends
  // the settings, and so comes last.
  for (const char* const zone : {"test.", "home.arpa."}) {
    error = error != 0 ? error : ub_ctx_zone_add(context.get(), zone, "transparent");
  }
  if (error != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the resolver could not be set up: ", ub_strerror(error)));
  }
  context_ = std::move(context);
  conf_ = std::move(conf);
  stamps_ = stamps;  // only now: what could not be used is read again
  return absl::OkStatus();
}

void UnboundResolver::Find(std::string host, std::chrono::milliseconds delay, Done done) {
  auto lookup = std::make_unique<Lookup>();
  lookup->host = std::move(host);
  lookup->done = std::move(done);
  lookup->due = Clock::now() + delay;
  {
    const std::lock_guard lock(mutex_);
    new_.push_back(std::move(lookup));
  }
  Wake();
}

void UnboundResolver::Wake() const {
  const std::uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);  // fails only where it is awake already
}

void UnboundResolver::Main() {
  // Signals are the main thread's; libunbound's thread inherits that.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  while (TakeNew()) {
    const Clock::time_point now = Clock::now();
    int wait_ms = 0;
    try {
      Begin(now);
      Settle(now);
      wait_ms = WaitMs(now);
    } catch (const std::bad_alloc&) {
      wait_ms = kMemoryRetryMs;  // what was not done is still there to be done
    }
    std::array<pollfd, 2> polled = {
        pollfd{.fd = wake_, .events = POLLIN, .revents = 0},
        pollfd{.fd = ub_fd(context_.get()), .events = POLLIN, .revents = 0}};
    (void)poll(polled.data(), polled.size(), wait_ms);
    std::uint64_t count = 0;
    (void)!read(wake_, &count, sizeof count);
    (void)ub_process(context_.get());
  }
}

// False: it is to end.
bool UnboundResolver::TakeNew() {
  const std::lock_guard lock(mutex_);
  waiting_.splice(waiting_.end(), new_);
  return !stop_;
}

// Those that are due, as far as there is room.
void UnboundResolver::Begin(Clock::time_point now) {
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto lookup = next++;
    if ((*lookup)->due > now || under_way_.size() >= options_.at_once) {
      continue;
    }
    const std::array stamps = {StampOf(options_.resolv_conf), StampOf(options_.hosts)};
    if (under_way_.empty() && stamps != stamps_) {
      (void)MakeContext();  // where that fails, the one that we have goes on
    }
    (*lookup)->due = now + options_.time_limit;
    (*lookup)->candidates = CandidatesOf((*lookup)->host, conf_);
    (*lookup)->worst.outcome = Outcome::kNoAddress;
    under_way_.splice(under_way_.end(), waiting_, lookup);
    Ask(*under_way_.back());
  }
}

// The next candidate, for both families.
void UnboundResolver::Ask(Lookup& lookup) {
  const std::string& name = lookup.candidates[lookup.next++];
  for (std::size_t i = 0; i < lookup.queries.size(); ++i) {
    Query& query = lookup.queries[i];
    query = {.lookup = &lookup,
             .type = i == 0 ? kTypeAaaa : kTypeA,
             .id = 0,
             .under_way = true,
             .answer = {}};
    const int error = ub_resolve_async(context_.get(), name.c_str(), query.type, kClassIn, &query,
                                       &OnAnswer, &query.id);
    if (error != 0) {
      query.under_way = false;
      query.answer = Read(error, nullptr);
    }
  }
}

// Ends what has been answered, or has taken too long.
void UnboundResolver::Settle(Clock::time_point now) {
  for (auto next = under_way_.begin(); next != under_way_.end();) {
    const auto at = next++;
    Lookup& lookup = **at;
    if (lookup.due <= now && lookup.under_way()) {
      Cancel(lookup);
      HostAddresses late;
      late.why = absl::StrCat("no answer within ", options_.time_limit.count() / 1000, " s");
      Finish(lookup, std::move(late));
    } else if (lookup.under_way() || !Advance(lookup)) {
      continue;
    }
    under_way_.erase(at);
  }
}

// A candidate has been answered. False: the next one was asked for.
bool UnboundResolver::Advance(Lookup& lookup) {
  while (!lookup.under_way()) {
    HostAddresses answer = Join(lookup.queries);
    if (answer.outcome == Outcome::kFound) {
      Finish(lookup, std::move(answer));
      return true;
    }
    // A candidate that nobody could tell of weighs more than one that does not exist.
    if (answer.outcome == Outcome::kFailed || lookup.worst.outcome == Outcome::kNoAddress) {
      lookup.worst = std::move(answer);
    }
    if (lookup.next == lookup.candidates.size()) {
      Finish(lookup, std::move(lookup.worst));
      return true;
    }
    Ask(lookup);
  }
  return false;
}

void UnboundResolver::Cancel(Lookup& lookup) {
  for (Query& query : lookup.queries) {
    if (std::exchange(query.under_way, false)) {
      (void)ub_cancel(context_.get(), query.id);  // no callback follows
    }
  }
}

int UnboundResolver::WaitMs(Clock::time_point now) const {
  std::optional<Clock::time_point> first;
  for (const Lookups* const lookups : {&waiting_, &under_way_}) {
    if (lookups == &waiting_ && under_way_.size() >= options_.at_once) {
      continue;
    }
    for (const std::unique_ptr<Lookup>& lookup : *lookups) {
      first = first ? std::min(*first, lookup->due) : lookup->due;
    }
  }
  if (!first) {
    return -1;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*first - now);
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Resolver>> Resolver::Start(ResolverOptions options) {
  auto resolver = std::make_unique<UnboundResolver>(std::move(options));
  if (absl::Status status = resolver->Start(); !status.ok()) {
    return status;
  }
  return resolver;
}

}  // namespace ringpost
