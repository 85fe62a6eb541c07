/*
 * The JSON reader on arbitrary bytes. Reading everything value by value and skipping it must come to the same
 * end; what was skipped reads alone as it did within the whole; texts only ever shrink when they are
 * unescaped, and are UTF-8 afterwards when they were before.
 *
 * The first byte chooses the depth; the rest is the text.
 */
#include "fuzz.h"

#include "core/error.h"
#include "decode/json.h"
#include "decode/utf8.h"

enum { FUZZ_DEPTH_MAX = 100, FUZZ_TEXT_BYTES_MAX = 65536 };

struct seen {
    uint64_t values_count;
    uint8_t plain[FUZZ_TEXT_BYTES_MAX];
};

static void look_at(struct seen *seen, const struct json_value *value)
{
    uint64_t number;
    int64_t with_sign;
    double fraction;

    seen->values_count++;
    if (value->type == JSON_STRING && value->text.length <= FUZZ_TEXT_BYTES_MAX) {
        size_t length = json_unescape(value->text, seen->plain);
        FUZZ_CHECK(length <= value->text.length);
        FUZZ_CHECK(value->escaped || length == value->text.length);
        FUZZ_CHECK(utf8_is_valid(value->text) == utf8_is_valid(slice_of(seen->plain, length)));
    }
    if (json_uint64(value->text, &number) == 0 && number <= INT64_MAX) {
        FUZZ_CHECK(json_int64(value->text, &with_sign) == 0 && with_sign == (int64_t)number);
    }
    if (value->type == JSON_NUMBER && json_double(value->text, &fraction) == 0) {
        FUZZ_CHECK(fraction - fraction == 0); /* finite */
    }
}

/* As json_skip, but everything is looked at. */
static int walk(struct seen *seen, struct json_reader *reader, const struct json_value *value)
{
    struct json_value key;
    struct json_value child;
    int status;

    look_at(seen, value);
    if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
        return 0;
    }
    do {
        if (value->type == JSON_ARRAY) {
            status = json_element(reader, &child);
        } else {
            status = json_member(reader, &key, &child);
            if (status > 0) {
                look_at(seen, &key);
            }
        }
        if (status > 0) {
            int walked = walk(seen, reader, &child);
            status = walked < 0 ? walked : status;
        }
    } while (status > 0);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen seen;
    struct json_value walked;
    struct json_value skipped;

    if (size == 0) {
        return 0;
    }
    uint32_t depth_max = data[0] % FUZZ_DEPTH_MAX;
    struct slice text = slice_of(data + 1, size - 1);
    struct json_reader first = json_reader_of(text, depth_max);
    struct json_reader second = first;
    int status = json_read(&first, &walked);
    FUZZ_CHECK(status != 0 && json_read(&second, &skipped) == status);
    if (status < 0) {
        return 0;
    }
    seen.values_count = 0;
    status = walk(&seen, &first, &walked);
    FUZZ_CHECK(json_skip(&second, &skipped) == status);
    if (status < 0) {
        FUZZ_CHECK(status == WERR_INVALID || status == WERR_TRUNCATED || status == WERR_DEPTH);
        return 0;
    }
    FUZZ_CHECK(first.at == second.at && first.depth_left == depth_max && second.depth_left == depth_max);
    FUZZ_CHECK(json_end(&first) == json_end(&second));
    if (skipped.type == JSON_ARRAY || skipped.type == JSON_OBJECT) {
        uint64_t values_count = seen.values_count;
        struct json_reader alone = json_reader_of(skipped.text, depth_max);
        seen.values_count = 0;
        FUZZ_CHECK(json_read(&alone, &walked) == 1 && walk(&seen, &alone, &walked) == 0);
        FUZZ_CHECK(json_end(&alone) == 0 && seen.values_count == values_count);
    }
    return 0;
}
