/*
 * Headers of syslog messages on arbitrary bytes: every part lies within the message, the body at its end, and
 * nothing is written when it is refused.
 */
#include "fuzz.h"

#include <string.h>

#include "core/error.h"
#include "decode/syslog.h"

static void check_within(struct slice part, struct slice whole)
{
    if (part.length > 0) {
        FUZZ_CHECK(part.ptr >= whole.ptr && part.ptr + part.length <= whole.ptr + whole.length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice whole = slice_of(data, size);
    struct syslog_message message;

    memset(&message, 0x5a, sizeof message);
    int status = syslog_read(whole, &message);
    if (status < 0) {
        FUZZ_CHECK(status == WERR_INVALID || status == WERR_TRUNCATED);
        FUZZ_CHECK(message.facility == 0x5a && message.severity == 0x5a);
        return 0;
    }
    FUZZ_CHECK(status == 0);
    FUZZ_CHECK(message.facility <= SYSLOG_FACILITY_MAX && message.severity <= SYSLOG_SEVERITY_DEBUG);
    check_within(message.host, whole);
    check_within(message.tag, whole);
    check_within(message.process_id, whole);
    check_within(message.body, whole);
    if (message.body.length > 0) {
        uint8_t last = message.body.ptr[message.body.length - 1];
        FUZZ_CHECK(last != '\n' && last != '\r' && last != '\0' && last != ' ');
    }
    return 0;
}
