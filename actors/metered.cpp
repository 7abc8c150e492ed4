#include "actors/metered.hpp"
