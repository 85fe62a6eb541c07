/*
 * OTLP metrics from any bytes: what is handed over is sound, what is not is located, and a second reading
 * tells the same. The first byte's lowest bit: no redaction.
 */
#include <string.h>

#include "decode/otlp_metrics.h"
#include "sent_point_check.h"

enum { FUZZ_NO_REDACTION = 1 };

struct seen {
    uint32_t points_count;
    uint32_t refused_count;
    uint64_t checksum;
};

static void on_point(void *user, const struct sent_point *point, uint32_t record)
{
    struct seen *seen = user;

    FUZZ_CHECK(record == seen->points_count + seen->refused_count);
    seen->checksum = seen->checksum * 31 + sent_point_check(point);
    seen->points_count++;
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *seen = user;
    char text[DECODE_ERROR_TEXT_BYTES];

    FUZZ_CHECK(where->reason != RECORD_ERROR_NONE && where->code < 0);
    FUZZ_CHECK(where->record == seen->points_count + seen->refused_count);
    FUZZ_CHECK(decode_error_format(where, text, sizeof text) > 0);
    seen->refused_count++;
}

static int scan(const struct attribute_table *table, struct slice message, struct seen *seen)
{
    static struct sent_point_scratch scratch;
    struct otlp_metrics_sink sink = {.user = seen, .on_point = on_point, .on_refused = on_refused};
    struct otlp_metrics_result result;
    struct decode_error error;
    int status = otlp_metrics_scan(table, &scratch, message, &sink, &result, &error);
    char text[DECODE_ERROR_TEXT_BYTES];

    FUZZ_CHECK(result.points_count == seen->points_count);
    FUZZ_CHECK(result.refused_count + result.no_value_count == seen->refused_count);
    if (status < 0) {
        FUZZ_CHECK(error.code == status && error.reason == RECORD_ERROR_NONE);
        FUZZ_CHECK(decode_error_format(&error, text, sizeof text) > 0);
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct attribute_table table;
    struct redaction redaction;
    struct seen seen = {.points_count = 0};
    struct seen again = {.points_count = 0};

    if (size == 0) {
        return 0;
    }
    redaction_init_default(&redaction);
    if ((data[0] & FUZZ_NO_REDACTION) != 0) {
        redaction_init(&redaction);
    }
    attribute_table_init(&table, &redaction, 4);
    int status = scan(&table, slice_of(data + 1, size - 1), &seen);
    FUZZ_CHECK(scan(&table, slice_of(data + 1, size - 1), &again) == status);
    FUZZ_CHECK(memcmp(&seen, &again, sizeof seen) == 0);
    return 0;
}
