/*
 * Numbers as the text formats write them, without printf on the common paths. Pure functions over the
 * caller's memory: any thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_NUMBER_H
#define WEFT_EXPORTERS_PROMETHEUS_NUMBER_H

#include <stddef.h>
#include <stdint.h>

enum { NUMBER_BYTES_MAX = 32 }; /* the longest that any function here writes; no NUL is written */

/* All digits. Each function needs NUMBER_BYTES_MAX bytes at `at` and returns how many it wrote. */
size_t number_u64(char *at, uint64_t value);

/*
 * The shortest decimal that reads back as the same double; whole numbers in full up to 10^15; "NaN", "+Inf",
 * "-Inf".
 */
size_t number_double(char *at, double value);

/* A bucket's bound as text 0.0.4 has it in `le`: shortest, exponents from 10^6 and below 10^-4: 1, 1e-05,
 * +Inf. */
size_t number_bound(char *at, double value);

/* The same in OpenMetrics' canonical form (1.0.0, "Considerations: Canonical Numbers"): 1.0, 1e-05, +Inf. */
size_t number_bound_canonical(char *at, double value);

/* Nanoseconds as seconds, exactly, without trailing zeros. */
size_t number_seconds(char *at, uint64_t time_ns);

#endif
