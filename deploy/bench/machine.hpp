#pragma once

#include <string>

namespace vtpm::deploy {

/// Returns one line on the machine: CPU model and count, kernel, the file
/// system of `directory`, load. What cannot be found out is "unknown".
std::string describe_machine(const std::string& directory);

} // namespace vtpm::deploy
