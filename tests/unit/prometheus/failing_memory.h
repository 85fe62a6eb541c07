/* calloc and realloc that fail on demand, in every test of this folder. */
#ifndef WEFT_TESTS_PROMETHEUS_FAILING_MEMORY_H
#define WEFT_TESTS_PROMETHEUS_FAILING_MEMORY_H

extern int failing_memory_left; /* allocations until all fail; negative: never */

#endif
