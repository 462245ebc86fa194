// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two configurations are compared as --check_config prints them, so that a setting is never left
// out here, and has the name that the file has for it.
#include <toml++/toml.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ringpost/config/reload.h"

namespace ringpost {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// As in the file, but on one line.
std::string ValueText(const toml::node& node) {
  if (const toml::array* const list = node.as_array()) {
    return absl::StrCat("[",
                        absl::StrJoin(*list, ", ",
                                      [](std::string* out, const toml::node& element) {
                                        out->append(ValueText(element));
                                      }),
                        "]");
  }
  if (const toml::table* const table = node.as_table()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : *table) {
      pairs.push_back(absl::StrCat(View(key.str()), " = ", ValueText(value)));
    }
    return absl::StrCat("{ ", absl::StrJoin(pairs, ", "), " }");
  }
  if (const std::optional<std::string> text = node.value_exact<std::string>()) {
    return absl::StrCat("\"", *text, "\"");
  }
  if (const std::optional<bool> choice = node.value_exact<bool>())
    return *choice ? "true" : "false";
  return absl::StrCat(node.value_or<std::int64_t>(0));
}

std::string TextOf(const toml::node* node) {
  return node != nullptr ? ValueText(*node) : std::string("not set");
}

std::set<std::string_view> KeysOf(const toml::table& before, const toml::table& after) {
  std::set<std::string_view> keys;
  for (const toml::table* const table : {&before, &after}) {
    for (const auto& [key, value] : *table) {
      if (!value.is_array_of_tables()) keys.insert(key.str());
    }
  }
  return keys;
}

void CompareSettings(const toml::table& before, const toml::table& after, std::string_view where,
                     std::vector<std::string>* changes) {
  for (const std::string_view key : KeysOf(before, after)) {
    const std::string was = TextOf(before.get(key));
    const std::string is = TextOf(after.get(key));
    if (is != was)
      changes->push_back(absl::StrCat(View(where), View(key), " is ", is, ", was ", was));
  }
}

using Tables = std::map<std::string, const toml::table*>;

Tables TablesOf(const toml::table& root, std::string_view kind) {
  Tables tables;
  if (const toml::array* const list = root.get_as<toml::array>(kind)) {
    for (const toml::node& node : *list) {
      const toml::table* const table = node.as_table();
      tables.emplace(ValueText(*table->get("name")), table);
    }
  }
  return tables;
}

void CompareTables(const toml::table& before, const toml::table& after, std::string_view kind,
                   std::vector<std::string>* changes) {
  const Tables old = TablesOf(before, kind);
  const Tables now = TablesOf(after, kind);
  for (const auto& [name, table] : now) {
    const std::string where = absl::StrCat(View(kind), " ", name);
    if (const auto found = old.find(name); found != old.end()) {
      CompareSettings(*found->second, *table, where + ": ", changes);
    } else {
      changes->push_back(where + " is new");
    }
  }
  for (const auto& [name, table] : old) {
    if (!now.contains(name)) changes->push_back(absl::StrCat(View(kind), " ", name, " is removed"));
  }
}

}  // namespace

std::vector<std::string> ConfigChanges(const Config& before, const Config& after) {
  const std::string was = DescribeConfig(before);
  const std::string is = DescribeConfig(after);
  std::vector<std::string> changes;
  if (was == is) return changes;
  try {
    const toml::table old = toml::parse(was);
    const toml::table now = toml::parse(is);
    CompareSettings(old, now, "", &changes);
    for (const std::string_view kind : {"upstream", "ingress", "egress", "partner"}) {
      CompareTables(old, now, kind, &changes);
    }
  } catch (const toml::parse_error&) {
    // A flag may give a path that is not UTF-8, which no file can.
    changes = {"settings that cannot be compared, because one of them is not UTF-8"};
  }
  return changes;
}

}  // namespace ringpost
