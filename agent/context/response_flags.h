/*
 * Envoy's response flags as bits of one word: why a proxy, not the service, decided how a request ended. Pure
 * tables and text; any thread.
 *
 * Bit i is flag i of Envoy's CoreResponseFlag (envoy/stream_info/stream_info.h of Envoy 1.40), which only
 * ever grows at its end. The native stream uses the same bits.
 */
#ifndef WEFT_CONTEXT_RESPONSE_FLAGS_H
#define WEFT_CONTEXT_RESPONSE_FLAGS_H

#include <stdint.h>

#include "core/slice.h"

/* X(short name, meaning), in the order of the bits. */
/* clang-format off */
#define WEFT_RESPONSE_FLAGS(X)                                     \
    X(LH,    "local service failed its health check")              \
    X(UH,    "no healthy upstream host")                           \
    X(UT,    "upstream request timeout")                           \
    X(LR,    "connection reset locally")                           \
    X(UR,    "stream reset by the upstream")                       \
    X(UF,    "connection to the upstream failed")                  \
    X(UC,    "connection ended by the upstream")                   \
    X(UO,    "circuit breaker open")                               \
    X(NR,    "no route")                                           \
    X(DI,    "delay injected")                                     \
    X(FI,    "abort injected")                                     \
    X(RL,    "rate limited")                                       \
    X(UAEX,  "denied by external authorization")                   \
    X(RLSE,  "rate limit service failed")                          \
    X(DC,    "connection ended by the downstream")                 \
    X(URX,   "retry or connect attempt limit reached")             \
    X(SI,    "stream idle timeout")                                \
    X(IH,    "invalid value of a strictly checked header")         \
    X(DPE,   "downstream protocol error")                          \
    X(UMSDR, "upstream stream duration limit")                     \
    X(RFCF,  "answered from the cache filter")                     \
    X(NFCF,  "no filter configuration in time")                    \
    X(DT,    "downstream connection duration limit")               \
    X(UPE,   "upstream protocol error")                            \
    X(NC,    "no such cluster")                                    \
    X(OM,    "overload manager")                                   \
    X(DF,    "DNS resolution failed")                              \
    X(DO,    "dropped for overload")                               \
    X(DR,    "stream reset by the downstream")                     \
    X(UDO,   "all traffic dropped for overload")
/* clang-format on */

enum response_flag_index {
#define WEFT_RESPONSE_FLAG_INDEX(name, meaning) RESPONSE_FLAG_INDEX_##name,
    WEFT_RESPONSE_FLAGS(WEFT_RESPONSE_FLAG_INDEX)
#undef WEFT_RESPONSE_FLAG_INDEX
        RESPONSE_FLAG_COUNT
};

#define RESPONSE_FLAG(name) (1ull << RESPONSE_FLAG_INDEX_##name)
#define RESPONSE_FLAGS_ALL ((1ull << RESPONSE_FLAG_COUNT) - 1)

/* The client went away before it had its answer. */
#define RESPONSE_FLAGS_DOWNSTREAM_GONE (RESPONSE_FLAG(DC) | RESPONSE_FLAG(DR))

/* Said of requests that may well have succeeded. */
#define RESPONSE_FLAGS_HARMLESS (RESPONSE_FLAG(DI) | RESPONSE_FLAG(RFCF))

/*
 * Bits of a list as Envoy writes it: "UH,URX"; "-" or "" is none. Spaces around a name are skipped, and so
 * are names that are not in the table (a newer Envoy's, or an extension's own).
 */
uint64_t response_flags_parse(struct slice text);

/* The short name of bit `index`, or NULL when there is no such flag. */
const char *response_flag_name(unsigned index);

/* What it means, in a few words, or NULL. */
const char *response_flag_meaning(unsigned index);

#endif
