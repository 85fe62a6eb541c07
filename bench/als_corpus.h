/*
 * Access log entries recorded from a real Envoy, made into what a load generator sends: streams of messages
 * of N entries each, times near the present, the same entries again and again.
 *
 *   FILE.als ─► entries of requests, without Istio's peer metadata (some 700 bytes each) ─► streams: a small
 *   identifier, then messages of N entries
 *
 * One thread; everything is made before the clock starts.
 */
#ifndef WEFT_BENCH_ALS_CORPUS_H
#define WEFT_BENCH_ALS_CORPUS_H

#include "corpus.h"

/*
 * ret_batches->messages are the bodies of whole streams, all of `entries_per_stream` entries; at least
 * bytes_min altogether. A line on stderr and a negative code. Freed by corpus_batches_deinit.
 */
int als_corpus_batch(const char *path, uint32_t entries_per_message, uint32_t entries_per_stream,
    size_t bytes_min, struct corpus_batches *ret_batches);

#endif
