// Goal: the house rules are tests, not conventions.
// Method: first the checker on strings that break them, then on the tree.

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "tests/house_rules.hpp"

using namespace vtpm::house;

namespace fs = std::filesystem;

namespace {

const fs::path root = VTPM_SOURCE_DIR;

const std::set<std::string> product_folders
  = {"protocol", "tpm", "xenio", "actors", "deploy"};

std::string text_of(const fs::path& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// A file of ours.
struct source {
  /// Relative to the top level.
  std::string path;
  std::string text;
};

/// Returns the files in `folder` for whose path `wanted` holds.
std::vector<source> files_in(
  const std::string& folder,
  const std::function<bool(const fs::path&)>& wanted) {
  std::vector<source> files;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder))
    if (entry.is_regular_file() && wanted(entry.path()))
      files.push_back({fs::relative(entry.path(), root).generic_string(),
                       text_of(entry.path())});
  return files;
}

bool is_cpp(const fs::path& path) {
  return path.extension() == ".cpp" || path.extension() == ".hpp";
}

std::vector<source> cpp_files(bool with_tests) {
  auto folders = product_folders;
  if (with_tests)
    folders.insert("tests");
  std::vector<source> files;
  for (const auto& folder : folders)
    for (auto& file : files_in(folder, is_cpp))
      files.push_back(std::move(file));
  return files;
}

/// Fails once per fault, with the place as a compiler would name it.
void check_none(const source& file, const faults& found) {
  for (const auto& [line, what] : found)
    FAIL_CHECK(file.path << ":" << line << ": " << what);
}

/// Returns all that the CMakeLists.txt files in `folder` build.
std::set<std::string> built_in(const std::string& folder) {
  std::set<std::string> built;
  for (const auto& file : files_in(folder, [](const auto& path) {
         return path.filename() == "CMakeLists.txt";
       })) {
    const auto parent = fs::path{file.path}.parent_path().generic_string();
    for (auto& name : sources_named_in(parent, file.text))
      built.insert(std::move(name));
  }
  return built;
}

/// A function, whose body has `statements` lines, in `column`.
std::string function_of(std::size_t statements, std::size_t column = 0) {
  const std::string indent(column, ' ');
  auto text = indent + "int f(int x,\n" + indent + "      int y) {\n";
  for (std::size_t i = 0; i < statements; ++i)
    text += indent + "  ++x;\n";
  return text + indent + "}\n";
}

} // namespace

TEST_SUITE("house_rules/checker") {
  TEST_CASE("what the table allows passes") {
    struct row {
      const char* path;
      const char* include;
    };
    const row rows[] = {
      {"protocol/errc.cpp", "#include \"protocol/errc.hpp\""},
      {"protocol/errc.cpp", "#include <string_view>"},
      {"protocol/log.hpp", "#include <spdlog/logger.h>"},
      {"tpm/uring_committer.cpp", "#include <liburing.h>"},
      {"tpm/libtpms_engine.cpp", "#include <libtpms/tpm_library.h>"},
      {"tpm/crypto/sha256.cpp", "#include <openssl/evp.h>"},
      {"tpm/block_file.cpp", "#include <sys/stat.h>"},
      {"tpm/block_file.cpp", "  #  include <unistd.h> // fsync"},
      {"xenio/xen/event_channels.cpp", "#include <xenevtchn.h>"},
      {"xenio/xen/event_channels.cpp", "#include <xen/io/tpmif.h>"},
      {"actors/ring.cpp", "#include <caf/send.hpp>"},
      {"actors/ring.cpp", "#include \"xenio/shared_page.hpp\""},
      {"deploy/vtpmd/main.cpp", "#include <CLI/App.hpp>"},
      {"deploy/vtpmd/main.cpp", "#include \"deploy/options.hpp\""},
      {"deploy/vtpmd/main.cpp", "#include <systemd/sd-daemon.h>"},
      {"protocol/errc.cpp", "// #include <caf/send.hpp>"},
    };
    for (const auto& row : rows) {
      CAPTURE(row.path);
      CAPTURE(row.include);
      CHECK(check_includes(row.path, row.include).empty());
    }
  }

  TEST_CASE("what the table does not allow is found") {
    struct row {
      const char* path;
      const char* include;
    };
    const row rows[] = {
      {"protocol/errc.cpp", "#include \"tpm/errc.hpp\""},
      {"protocol/errc.cpp", "#include <spdlog/logger.h>"},
      {"protocol/errc.cpp", "#include <unistd.h>"},
      {"protocol/logic.cpp", "#include <spdlog/logger.h>"},
      {"tpm/engine.cpp", "#include \"xenio/types.hpp\""},
      {"tpm/engine.cpp", "#include \"actors/messages.hpp\""},
      {"tpm/engine.cpp", "#include <caf/send.hpp>"},
      {"tpm/state_store.cpp", "#include <openssl/evp.h>"},
      {"tpm/state_store.cpp", "#include <libtpms/tpm_library.h>"},
      {"tpm/crypto/libtpms_x.cpp", "#include <libtpms/tpm_library.h>"},
      {"tpm/state_store.cpp", "#include <liburing.h>"},
      {"xenio/store.cpp", "#include \"tpm/errc.hpp\""},
      {"xenio/loopback/hub.cpp", "#include <xenstore.h>"},
      {"xenio/loopback/hub.cpp", "#include <caf/send.hpp>"},
      {"actors/stats.cpp", "#include <nlohmann/json.hpp>"},
      {"actors/stats.cpp", "#include <openssl/evp.h>"},
      {"actors/stats.cpp", "#include \"deploy/options.hpp\""},
      {"deploy/vtpmd/main.cpp", "#include \"tests/printing.hpp\""},
      {"deploy/vtpmd/main.cpp", "#include <spdlog/spdlog.h>"},
      {"deploy/vtpmd/main.cpp", "#include <boost/asio.hpp>"},
      {"deploy/vtpmd/main.cpp", "#include \"options.hpp\""},
      {"deploy/vtpmd/main.cpp", "#include <string.h>"},
      {"protocol/errc.cpp", "#include <std/x.hpp>"},
      // The right file in the wrong quotes.
      {"protocol/errc.cpp", "#include <protocol/errc.hpp>"},
      {"protocol/errc.cpp", "#include \"string_view\""},
    };
    for (const auto& row : rows) {
      CAPTURE(row.path);
      CAPTURE(row.include);
      CHECK(check_includes(row.path, row.include).size() == 1);
    }
  }

  TEST_CASE("a fault is on the line where it is") {
    const auto found = check_includes(
      "protocol/a.cpp", "#pragma once\n\n#include <array>\n#include <a.h>\n");
    REQUIRE(found.size() == 1);
    CHECK(found[0].line == 4);
    CHECK(found[0].what == "may not include a.h");
  }

  TEST_CASE("the 81st column is found, whatever the octets") {
    CHECK(check_size(std::string(80, 'x') + "\n").empty());
    CHECK(check_size("ok\n" + std::string(81, 'x') + "\n").at(0).line == 2);
    CHECK(check_size(std::string(81, 'x')).size() == 1);
    std::string line;
    for (auto i = 0; i < 80; ++i)
      line += "\u2192";
    CHECK(check_size(line).empty());
    CHECK(check_size(line + "x").size() == 1);
  }

  TEST_CASE("the 401st line is found") {
    std::string text;
    for (auto i = 0; i < 400; ++i)
      text += "\n";
    CHECK(check_size(text).empty());
    CHECK(check_size(text + "x").size() == 1);
    CHECK(check_size(text + "\n").size() == 1);
  }

  TEST_CASE("the 71st line of a function is found") {
    for (std::size_t column : {0U, 2U}) {
      CAPTURE(column);
      CHECK(check_functions(function_of(67, column)).empty());
      const auto text = "int x;\n\n" + function_of(68, column);
      const auto found = check_functions(text);
      REQUIRE(found.size() == 1);
      CHECK(found[0].line == 3);
    }
    CHECK(check_functions(function_of(67) + "\n" + function_of(67)).empty());
  }

  TEST_CASE("the lengths of other blocks are nobody's business") {
    const auto body
      = function_of(30, 2) + function_of(30, 2) + function_of(30, 2);
    for (std::string first :
         {"namespace a {", "namespace {", "class a : public b {", "struct a {",
          "enum class a {", "TEST_SUITE(\"a\") {", "const row table[] = {",
          "extern \"C\" {", "template <class T>\nclass a {"}) {
      CAPTURE(first);
      CHECK(check_functions(first + "\n" + body + "};\n").empty());
    }
    CHECK_FALSE(check_functions("void f() {\n" + body + "}\n").empty());
    CHECK_FALSE(
      check_functions("template <class T>\nvoid f() {\n" + body + "}\n")
        .empty());
    CHECK_FALSE(
      check_functions("extern \"C\" int f() {\n" + body + "}\n").empty());
    CHECK_FALSE(
      check_functions("a::a(int b)\n  : b_(b) {\n" + body + "}\n").empty());
  }

  TEST_CASE("words that put something off are found") {
    for (std::string word : {"TO"
                             "DO",
                             "FIX"
                             "ME",
                             "X"
                             "XX",
                             "NOLI"
                             "NT",
                             "NOLI"
                             "NTNEXTLINE"}) {
      CAPTURE(word);
      CHECK(check_words("ok\n// " + word + ": later\n").at(0).line == 2);
      CHECK(check_words("f(); //" + word).size() == 1);
    }
    CHECK(check_words("/tmp/name-XXXXXX todo PTODO").empty());
  }

  TEST_CASE("sources are named relative to their CMakeLists.txt") {
    const auto found
      = sources_named_in("tests/tpm",
                         "add_executable(a b_test.cpp\n  sub/c.cpp) # d.cpp\n"
                         "# add_executable(e e.cpp)\nset(f \"g.cpp\")\n");
    CHECK(found
          == std::vector<std::string>{
            "tests/tpm/b_test.cpp", "tests/tpm/sub/c.cpp", "tests/tpm/g.cpp"});
  }

  TEST_CASE("the top level holds what the design names") {
    for (auto name : {"README.md", "tests", ".ci", ".clang-format", "build",
                      "build-asan", "CMakePresets.json"})
      CHECK(is_allowed_at_top(name));
    for (auto name : {"notes.md", "src", "scripts", "a.out", "tests2",
                      "readme.md", "Makefile"})
      CHECK_FALSE(is_allowed_at_top(name));
  }
}

TEST_SUITE("house_rules") {
  TEST_CASE("includes point down the dependency order only") {
    const auto files = cpp_files(false);
    CHECK(files.size() > 50);
    for (const auto& file : files)
      check_none(file, check_includes(file.path, file.text));
  }

  TEST_CASE("files, lines and functions are short") {
    for (const auto& file : cpp_files(true)) {
      check_none(file, check_size(file.text));
      check_none(file, check_functions(file.text));
    }
  }

  TEST_CASE("nothing is put off and no warning is silenced") {
    auto folders = product_folders;
    folders.insert({"tests", "docs", ".ci"});
    // The seeds of the fuzzers are no text.
    const auto is_text = [](const fs::path& path) {
      return path.generic_string().find("/corpus/") == std::string::npos;
    };
    for (const auto& folder : folders)
      for (const auto& file : files_in(folder, is_text))
        check_none(file, check_words(file.text));
    for (const auto& entry : fs::directory_iterator(root))
      if (entry.is_regular_file() && entry.path().filename() != "LICENSE")
        check_none({entry.path().filename().string(), {}},
                   check_words(text_of(entry.path())));
  }

  TEST_CASE("every test is built") {
    const auto built = built_in("tests");
    for (const auto& file : files_in("tests", [](const auto& path) {
           return path.filename().string().ends_with("_test.cpp")
             || path.filename() == "house_rules.cpp";
         })) {
      CAPTURE(file.path);
      CHECK(built.count(file.path) == 1);
    }
  }

  TEST_CASE("every source of the product is built by its own folder") {
    for (const auto& folder : product_folders) {
      const auto built = built_in(folder);
      for (const auto& file : files_in(folder, [](const auto& path) {
             return path.extension() == ".cpp";
           })) {
        CAPTURE(file.path);
        CHECK(built.count(file.path) == 1);
      }
    }
  }

  TEST_CASE("the top level holds nothing else") {
    for (const auto& entry : fs::directory_iterator(root)) {
      CAPTURE(entry.path().filename().string());
      CHECK(is_allowed_at_top(entry.path().filename().string()));
    }
  }
}
