/* Runs an encoder over a snapshot, as its owners do. Include after cmocka. */
#ifndef WEFT_TESTS_PROMETHEUS_ENCODE_H
#define WEFT_TESTS_PROMETHEUS_ENCODE_H

#include "core/buffer.h"
#include "exporters/prometheus/prometheus_exporter.h"
#include "fake_snapshot.h"

enum { ENCODE_CAP_BYTES = 1 << 26 };

static const struct encoder_options encode_everything = {
    .classic_histograms = true, .native_histograms = true, .created = true, .exemplars = true};

/* Steps until the end, moving what was written away after each step. The last step's result: 0 or an error.
 */
static inline int encode_slices(const struct encoder_type *encoder, const struct encoder_options *options,
    struct snapshot *snapshot, size_t series_count, struct buffer *whole)
{
    struct buffer slice;
    void *state = NULL;
    int more = 1;

    buffer_init(&slice, ENCODE_CAP_BYTES);
    assert_int_equal(encoder->open(options, &slice, &state), 0);
    while (more > 0) {
        more = encoder->step(state, snapshot, series_count);
        assert_int_equal(buffer_append(whole, slice.data, slice.length), 0);
        slice.length = 0;
    }
    encoder->close(state);
    buffer_deinit(&slice);
    return more;
}

/* All at once. The caller frees `out`. */
static inline void encode_families(const struct encoder_type *encoder, const struct encoder_options *options,
    const struct fake_family *families, size_t family_count, struct buffer *out)
{
    struct fake_snapshot snapshot;

    fake_init(&snapshot, families, family_count);
    buffer_init(out, ENCODE_CAP_BYTES);
    assert_int_equal(encode_slices(encoder, options, &snapshot.base, SIZE_MAX, out), 0);
}

#endif
