/* Basic exit reasons, generated from exits.def. */
#pragma once

enum exit_reason {
#define X(reason, name, owner, handler, info) EXIT_##name = reason,
#include "exits.def"
#undef X
	EXIT_REASON_COUNT = 86,
};
