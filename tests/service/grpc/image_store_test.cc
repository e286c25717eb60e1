// Uploaded pictures and pictures by URI.
#include "service/grpc/image_store.h"
#include "service/common/sha256.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "binocle/error.h"
#include "service/grpc/uri_reader.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr ImageStoreOptions kSmall{
    .budget_bytes = 10 + 2 * 512, .pending_bytes = 12, .max_image_bytes = 8};

TEST(Sha256, IsThePublishedOne) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ImageStore, FindsWhatItKeepsByContent) {
  ImageStore store(kSmall);
  const std::string id = store.Put("abc");
  EXPECT_EQ(id, Sha256Hex("abc"));
  EXPECT_EQ(store.Put("abc"), id);
  EXPECT_EQ(*store.Find(id), "abc");
  EXPECT_EQ(store.Find(std::string(64, '0')), nullptr);
  const ImageStoreCounters counters = store.counters();
  EXPECT_EQ(counters.entries, 1);
  EXPECT_EQ(counters.bytes, 3 + 512);
  EXPECT_EQ(counters.hits, 1);
  EXPECT_EQ(counters.misses, 1);
}

TEST(ImageStore, TheLeastRecentlyUsedGoesFirstAndStaysValidForWhoHoldsIt) {
  ImageStore store(kSmall);
  const std::string a = store.Put("aaaa");
  const std::string b = store.Put("bbbb");
  const ImageStore::Bytes held = store.Find(b);
  store.Find(a);
  store.Put("cccc");
  EXPECT_EQ(store.Find(b), nullptr);
  EXPECT_NE(store.Find(a), nullptr);
  EXPECT_EQ(*held, "bbbb");
  EXPECT_EQ(store.counters().evictions, 1);
  EXPECT_EQ(store.counters().bytes, 2 * (4 + 512));
}

TEST(ImageStore, RefusesWhatItCannotKeep) {
  ImageStore store({.budget_bytes = 4, .pending_bytes = 100, .max_image_bytes = 8});
  EXPECT_THAT(ErrorOf([&] { store.Put(""); }), HasSubstr("INVALID_ARGUMENT: chunk: no bytes came"));
  EXPECT_THAT(ErrorOf([&] { store.Put("123456789"); }), HasSubstr("9 bytes, expected at most 8"));
  EXPECT_THAT(ErrorOf([&] { store.Put("12345"); }), StartsWith("RESOURCE_EXHAUSTED"));
}

TEST(ImageUpload, PutsPiecesTogether) {
  ImageStore store(kSmall);
  ImageUpload upload(store);
  upload.Expect(6);
  upload.ExpectId(Sha256Hex("abcdef"));
  upload.Append("abc");
  upload.Append("");
  upload.Append("def");
  EXPECT_EQ(store.counters().pending_bytes, 6);
  EXPECT_EQ(*store.Find(upload.Finish()), "abcdef");
}

TEST(ImageUpload, IsRefusedAsSoonAsItIsTooLarge) {
  ImageStore store(kSmall);
  ImageUpload upload(store);
  upload.Append("12345678");
  EXPECT_THAT(ErrorOf([&] { upload.Append("9"); }), HasSubstr("9 bytes, expected at most 8"));
  EXPECT_THAT(ErrorOf([&] { ImageUpload(store).Expect(9); }),
              HasSubstr("bytes is 9, expected 1 to 8"));
  EXPECT_THAT(ErrorOf([&] { ImageUpload(store).Expect(0); }),
              HasSubstr("bytes is 0, expected 1 to 8"));
}

TEST(ImageUpload, MustBeWhatItsMetadataTell) {
  ImageStore store(kSmall);
  ImageUpload longer(store);
  longer.Expect(3);
  EXPECT_THAT(ErrorOf([&] { longer.Append("1234"); }),
              HasSubstr("4 bytes, metadata.bytes tells 3"));
  ImageUpload shorter(store);
  shorter.Expect(3);
  shorter.Append("12");
  EXPECT_THAT(ErrorOf([&] { shorter.Finish(); }), HasSubstr("2 bytes, metadata.bytes tells 3"));
  ImageUpload other(store);
  other.ExpectId(Sha256Hex("a"));
  other.Append("b");
  EXPECT_THAT(ErrorOf([&] { other.Finish(); }), StartsWith("DATA_LOSS"));
  EXPECT_THAT(ErrorOf([&] { other.ExpectId("a"); }), HasSubstr("64 lower-case hexadecimal digits"));
}

TEST(ImageUpload, AllUploadsTogetherHaveALimitAndGiveBack) {
  ImageStore store(kSmall);
  {
    ImageUpload first(store), second(store);
    first.Append("12345678");
    second.Append("1234");
    EXPECT_THAT(ErrorOf([&] { second.Append("5"); }), StartsWith("RESOURCE_EXHAUSTED"));
  }
  EXPECT_EQ(store.counters().pending_bytes, 0);
}

TEST(ImageStore, ThreadsAgree) {
  ImageStore store({.budget_bytes = 4096, .pending_bytes = 1000, .max_image_bytes = 8});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      for (int i = 0; i < 500; ++i) {
        ImageUpload upload(store);
        upload.Append("pic" + std::to_string((i + t) % 30));
        const std::string id = upload.Finish();
        const ImageStore::Bytes bytes = store.Find(id);
        EXPECT_TRUE(bytes == nullptr || Sha256Hex(*bytes) == id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(store.counters().bytes, 4096);
  EXPECT_EQ(store.counters().pending_bytes, 0);
}

class UriReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(root_ / "in");
    std::filesystem::create_directories(root_ / "inner");
    Write(root_ / "in" / "a b.png", "picture");
    Write(root_ / "out.png", "secret");
    Write(root_ / "inner" / "c.png", "secret");
    std::filesystem::create_symlink("../out.png", root_ / "in" / "link.png");
    std::filesystem::create_symlink("a b.png", root_ / "in" / "near.png");
    mkfifo((root_ / "in" / "fifo").c_str(), 0600);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  static void Write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text;
  }
  std::string Uri(const std::string& name) const { return "file://" + (root_ / name).string(); }
  std::string Error(const std::string& uri) const {
    return ErrorOf([&] { UriReader({(root_ / "in").string()}).Read(uri, 7); });
  }

  std::filesystem::path root_ = std::filesystem::canonical(std::filesystem::temp_directory_path()) /
                                ("binocle_uri_test_" + std::to_string(getpid()));
};

TEST_F(UriReaderTest, ReadsFilesBelowItsDirectories) {
  const UriReader reader({(root_ / "in").string()});
  EXPECT_EQ(reader.Read(Uri("in/a%20b.png"), 7), "picture");
  EXPECT_EQ(reader.Read("file:" + (root_ / "in/a%20b.png").string(), 7), "picture");
  EXPECT_EQ(reader.Read("file://localhost" + (root_ / "in/near.png").string(), 7), "picture");
  EXPECT_EQ(reader.Read(Uri("in/../in/near.png"), 7), "picture");
}

TEST_F(UriReaderTest, RefusesEverythingElse) {
  for (const char* outside :
       {"out.png", "in/../out.png", "in/link.png", "in/%2e%2e/out.png", "inner/c.png", "gone.png"})
    EXPECT_THAT(Error(Uri(outside)), StartsWith("PERMISSION_DENIED")) << outside;
  EXPECT_THAT(Error("file:///etc/passwd"), StartsWith("PERMISSION_DENIED"));
  EXPECT_THAT(ErrorOf([&] { UriReader({}).Read(Uri("in/near.png"), 7); }),
              StartsWith("PERMISSION_DENIED"));
  EXPECT_THAT(Error(Uri("in/gone.png")), StartsWith("NOT_FOUND"));
  EXPECT_THAT(Error("http://localhost/a.png"), StartsWith("UNIMPLEMENTED"));
  EXPECT_THAT(Error("https://localhost/a.png"), StartsWith("UNIMPLEMENTED"));
  for (const char* bad : {"a.png", "file:a.png", "file://host/a.png", "file:////a.png", "ftp://a/b",
                          "file:///a%2", "file:///a%00b"})
    EXPECT_THAT(Error(bad), StartsWith("INVALID_ARGUMENT")) << bad;
  EXPECT_THAT(Error(Uri("in/fifo")), HasSubstr("no regular file"));
  EXPECT_THAT(Error(Uri("in")), HasSubstr("no regular file"));
  EXPECT_THAT(ErrorOf([&] { UriReader({(root_ / "in").string()}).Read(Uri("in/near.png"), 6); }),
              HasSubstr("has 7 bytes, expected at most 6"));
  EXPECT_THAT(ErrorOf([&] { UriReader({(root_ / "out.png").string()}); }),
              HasSubstr("expected a directory"));
}

}  // namespace
}  // namespace binocle
