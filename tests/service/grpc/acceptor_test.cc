#include "service/grpc/acceptor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/service/grpc/server_testing.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class FileOfASocket {
 public:
  FileOfASocket() { unlink(path_.c_str()); }
  ~FileOfASocket() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }
  std::string listen() const { return "unix:" + path_; }

 private:
  std::string path_ =
      (std::filesystem::temp_directory_path() / ("binocle_acceptor_" + std::to_string(getpid())))
          .string();
};

// As a process leaves it that was killed.
void LeaveAFile(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(fd);
}

TEST(Acceptor, PortsAreFreeOnesOrTaken) {
  const Acceptor first("127.0.0.1:0");
  EXPECT_GT(first.port(), 0);
  EXPECT_THAT(ErrorOf([&] { Acceptor("127.0.0.1:" + std::to_string(first.port())); }),
              HasSubstr("which cannot be had: Address already in use"));
  const Acceptor everywhere("*:0");  // two addresses, one port
  EXPECT_GT(everywhere.port(), 0);
  const Acceptor by_name("localhost:0");
  EXPECT_GT(by_name.port(), 0);
  for (const char* text : {"127.0.0.1", ":1", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:1x"})
    EXPECT_THAT(ErrorOf([&] { Acceptor{text}; }), StartsWith("INVALID_ARGUMENT: listen is"))
        << text;
  EXPECT_THAT(ErrorOf([] { Acceptor("203.0.113.1:0"); }), StartsWith("UNAVAILABLE: listen is"));
}

TEST(Acceptor, ALiveSocketFileIsNotTaken) {
  const FileOfASocket file;
  {
    const Acceptor first(file.listen());
    EXPECT_THAT(ErrorOf([&] { Acceptor{file.listen()}; }),
                HasSubstr("another process listens there"));
    EXPECT_TRUE(std::filesystem::is_socket(file.path()));
  }
  EXPECT_FALSE(std::filesystem::exists(file.path()));
}

TEST(Acceptor, ASocketFileThatWasLeftBehindIsReplaced) {
  const FileOfASocket file;
  LeaveAFile(file.path());
  { const Acceptor acceptor(file.listen()); }
  EXPECT_FALSE(std::filesystem::exists(file.path()));
}

TEST(Acceptor, AFileThatIsNoSocketStays) {
  const FileOfASocket file;
  std::ofstream(file.path()) << "mine";
  EXPECT_THAT(ErrorOf([&] { Acceptor{file.listen()}; }), StartsWith("UNAVAILABLE: listen is"));
  EXPECT_TRUE(std::filesystem::is_regular_file(file.path()));
}

TEST(Acceptor, AFileThatIsAnothersByNowStays) {
  const FileOfASocket file;
  {
    const Acceptor acceptor(file.listen());
    unlink(file.path().c_str());
    std::ofstream(file.path()) << "mine";
  }
  EXPECT_TRUE(std::filesystem::is_regular_file(file.path()));
}

TEST(Acceptor, PathsHaveALength) {
  EXPECT_THAT(ErrorOf([] { Acceptor("unix:"); }), HasSubstr("expected a path of 1 to 107 bytes"));
  EXPECT_THAT(ErrorOf([] { Acceptor("unix:/tmp/" + std::string(200, 'a')); }),
              HasSubstr("expected a path of 1 to 107 bytes"));
}

// The process's limit of descriptors, lowered.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t most) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = most;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class IdleConnections {
 public:
  explicit IdleConnections(int port) { address_.sin_port = htons(static_cast<uint16_t>(port)); }
  ~IdleConnections() {
    for (const int fd : fds_) close(fd);
  }
  bool Add() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    fds_.push_back(fd);
    return connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0;
  }
  void Drop(int count) {
    for (; count > 0; --count, fds_.pop_back()) close(fds_.back());
  }
  size_t size() const { return fds_.size(); }

 private:
  sockaddr_in address_{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  std::vector<int> fds_;
};

class DescriptorsTest : public testing::ServerTest {};

TEST_F(DescriptorsTest, ServingGoesOnWhenThereWereNone) {
  Start();
  ASSERT_TRUE(Ask("say a").ok());
  const FewDescriptors few(256);
  {
    IdleConnections idle(server_->port());
    // Either side of a connection takes one here: what is left for the server runs out while the clients still have some.
    while (idle.Add()) continue;
    EXPECT_GT(idle.size(), 90u);
    idle.Drop(8);  // the last descriptors are there again, for connections that have waited
    EXPECT_TRUE(testing::Soon([&] { return server_->refused_connections() > 0; }));
    EXPECT_TRUE(Ask("say a").ok());  // connections that are there go on
  }
  Connect(grpc::InsecureChannelCredentials());
  EXPECT_TRUE(testing::Soon([&] { return Ask("say a").ok(); }));
}

}  // namespace
}  // namespace binocle
