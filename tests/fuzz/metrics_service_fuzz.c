/*
 * Envoy's metrics service from any bytes: what is handed over is sound, what is not is located, and a second
 * reading tells the same.
 */
#include <string.h>

#include "decode/metrics_service.h"
#include "sent_point_check.h"

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

static int scan(struct slice message, struct seen *seen)
{
    static struct sent_point_scratch scratch;
    struct metrics_service_sink sink = {.user = seen, .on_point = on_point, .on_refused = on_refused};
    struct decode_error error;
    int status = metrics_service_scan(&scratch, message, &sink, &error);

    if (status < 0) {
        FUZZ_CHECK(error.code == status && error.reason == RECORD_ERROR_NONE);
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice message = slice_of(data, size);
    struct metrics_service_identifier identifier = {.is_there = false};
    struct seen seen = {.points_count = 0};
    struct seen again = {.points_count = 0};

    if (metrics_service_identify(message, &identifier) == 0) {
        FUZZ_CHECK(sent_text_sum(identifier.node_id) + sent_text_sum(identifier.cluster) < UINT64_MAX);
    } else {
        FUZZ_CHECK(!identifier.is_there);
    }
    int status = scan(message, &seen);
    FUZZ_CHECK(scan(message, &again) == status);
    FUZZ_CHECK(memcmp(&seen, &again, sizeof seen) == 0);
    return 0;
}
