/*
 * What the agent's own process costs: CPU time and resident memory, as the kernel tells them. No state; any
 * thread.
 */
#ifndef WEFT_CORE_PROCESS_H
#define WEFT_CORE_PROCESS_H

#include <stdint.h>

#include "core/metrics.h"

/* CPU time of all threads of this process so far, user and kernel, in milliseconds. */
uint64_t process_cpu_ms(void);

/* Resident memory in bytes, from the text of /proc/PID/statm (proc(5)): the second of its numbers, in pages.
 * 0 when it is not such a text. */
uint64_t process_statm_bytes(const char *text, uint64_t page_bytes);

/* Resident memory of this process in bytes; 0 when /proc cannot be read. */
uint64_t process_resident_bytes(void);

/* Sets the gauges and counters of the process in the cells; their owner's thread. */
void process_show(struct metric_cells *cells);

#endif
