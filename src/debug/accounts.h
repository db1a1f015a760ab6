/* The line at boot that says where all of L0's memory went. */
#pragma once

#include "types.h"

/* When all is taken but the page-table pool of that many pages. */
void debug_print_home(size_t pool_pages);
