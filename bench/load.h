/*
 * What the load generators share: a connection to the agent's socket, and what a process has cost so far.
 * One thread.
 */
#ifndef WEFT_BENCH_LOAD_H
#define WEFT_BENCH_LOAD_H

#include <stdint.h>
#include <sys/types.h>

enum { LOAD_WARM_UP_NS = 300000000, LOAD_STALL_NS = 2000000000, LOAD_POLL_MS = 0, LOAD_PACED_POLL_MS = 1 };

/* A process' use of the processor since its start, in seconds. */
struct process_cost {
    double user_s;
    double kernel_s;
};

/* 0 or WERR_IO: no such process. */
int process_cost_of(pid_t pid, struct process_cost *ret_cost);

/* "VmRSS" or "VmHWM", in MiB; 0 when not to be had. */
double process_memory_mib(pid_t pid, const char *key);

/* A non-blocking stream socket, or WERR_IO with a line on stderr. */
int load_connect(const char *path);

/*
 * The cost between two moments in which `spans` were done:
 *   NAME_cpu, NAME_kernel   seconds of processor per million spans, the kernel's share of it
 *   NAME_rate, NAME_memory, NAME_memory_max
 */
struct load_interval {
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t spans;
    struct process_cost before;
    struct process_cost after;
};
void load_print(const char *name, pid_t pid, const struct load_interval *interval);

/* The options both generators take; missing ones are reported and give WERR_INVALID. */
struct load_options {
    const char *socket_path;
    const char *corpus_path;
    const char *name;
    pid_t pid;
    double seconds;
    uint32_t spans_per_message;
    uint32_t connections;
    uint32_t streams;
    double rate; /* spans a second at most; 0: as fast as it goes */
    uint32_t
        burst; /* messages that are sent at once when one is due, on one connection while it takes them */
    uint32_t label_sets; /* native: a fixed load of so many, instead of the corpus */
};
int load_options_parse(int argc, char **argv, struct load_options *ret_options);

#endif
