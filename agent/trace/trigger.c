/* What makes a trace worth keeping; see trigger.h. */
#include "trace/trigger.h"

#include <string.h>

#include "context/response_flags.h"

/* Flags that say how a request ended, without those that are a trigger of their own. */
#define FLAGS_THAT_KEEP (RESPONSE_FLAGS_ALL & ~(RESPONSE_FLAGS_HARMLESS | RESPONSE_FLAG(URX)))

enum { NS_PER_MS = 1000000, TRACE_ID_BYTES_COUNT = 16, KEY_VALUE_BYTES = 2, LENGTH_BYTE_MAX = 127 };

#define KEPT_KEY "weft.kept"

static const char *const names[TRIGGER_COUNT] = {
#define TRIGGER_NAME(id, name, why) name,
    WEFT_TRACE_TRIGGERS(TRIGGER_NAME)
#undef TRIGGER_NAME
};

/* As long as all names with commas between. */
struct all_names {
#define TRIGGER_NAME_FIELD(id, name, why) char id[sizeof(name)];
    WEFT_TRACE_TRIGGERS(TRIGGER_NAME_FIELD)
#undef TRIGGER_NAME_FIELD
};

_Static_assert(sizeof(struct all_names) <= LENGTH_BYTE_MAX - KEY_VALUE_BYTES, "lengths take one byte");
_Static_assert(
    sizeof(struct all_names) + sizeof(KEPT_KEY) + (size_t)3 * KEY_VALUE_BYTES <= TRIGGER_ATTRIBUTE_BYTES_MAX,
    "the attribute has room for all names");

const char *trigger_name(enum trace_trigger trigger)
{
    return (unsigned)trigger < TRIGGER_COUNT ? names[trigger] : NULL;
}

void triggers_init(struct triggers *triggers, const struct trigger_settings *settings,
    struct metric_cells *cells, uint64_t now_monotonic_ns)
{
    *triggers = (struct triggers){.settings = *settings, .cells = cells};
    for (size_t i = 0; i < TRIGGER_COUNT; i++) {
        rate_share_init(&triggers->shares[i], settings->rate_per_s, now_monotonic_ns);
    }
}

void triggers_reconfigure(
    struct triggers *triggers, const struct trigger_settings *settings, uint64_t now_monotonic_ns)
{
    bool has_other_rate = triggers->settings.rate_per_s != settings->rate_per_s;

    triggers->settings = *settings;
    for (size_t i = 0; has_other_rate && i < TRIGGER_COUNT; i++) {
        rate_share_init(&triggers->shares[i], settings->rate_per_s, now_monotonic_ns);
    }
}

static bool has_failed(const struct request *request)
{
    return request->outcome == OUTCOME_SERVER_ERROR || request->outcome == OUTCOME_NO_RESPONSE;
}

static bool is_slow_for_series(const struct trigger_settings *settings, const struct trigger_facts *facts)
{
    uint64_t duration_ns = facts->request->duration_ns;

    return facts->note.p90_ns > 0 && settings->slow_factor > 0 &&
           duration_ns > settings->slow_for_series_min_ns &&
           (unsigned __int128)settings->slow_factor * facts->note.p90_ns < duration_ns;
}

static bool is_slow(const struct trigger_settings *settings, const struct trigger_facts *facts)
{
    uint64_t slow_ns =
        facts->note.slow_ms > 0 ? (uint64_t)facts->note.slow_ms * NS_PER_MS : settings->slow_ns;

    return slow_ns > 0 && facts->request->duration_ns > slow_ns;
}

static uint32_t fired_of_request(const struct trigger_settings *settings, const struct trigger_facts *facts)
{
    const struct request *request = facts->request;
    uint32_t reasons = 0;

    reasons |= has_failed(request) ? TRIGGER_BIT(ERROR) : 0;
    reasons |=
        request->grpc_status > 0 && request->outcome == OUTCOME_SERVER_ERROR ? TRIGGER_BIT(GRPC_ERROR) : 0;
    reasons |= (request->response_flags & FLAGS_THAT_KEEP) != 0 ? TRIGGER_BIT(RESPONSE_FLAGS) : 0;
    reasons |= (request->response_flags & RESPONSE_FLAG(URX)) != 0 ? TRIGGER_BIT(RETRIES_EXHAUSTED) : 0;
    reasons |= is_slow(settings, facts) ? TRIGGER_BIT(SLOW) : 0;
    reasons |= is_slow_for_series(settings, facts) ? TRIGGER_BIT(SLOW_FOR_SERIES) : 0;
    reasons |= facts->note.is_new ? TRIGGER_BIT(RARE) : 0;
    return reasons;
}

static bool is_marked(const struct trigger_facts *facts)
{
    struct slice value;

    return facts->is_marked || (facts->tracestate.length > 0 &&
                                   tracestate_member(facts->tracestate, SLICE_LITERAL("weft"), &value) &&
                                   slice_equal(value, SLICE_LITERAL("keep")));
}

static struct slice without_spaces(struct slice text)
{
    size_t from = 0;
    size_t to = text.length;

    while (from < to && (text.ptr[from] == ' ' || text.ptr[from] == '\t')) {
        from++;
    }
    while (to > from && (text.ptr[to - 1] == ' ' || text.ptr[to - 1] == '\t')) {
        to--;
    }
    return slice_sub(text, from, to);
}

static bool member_marks(struct slice member)
{
    size_t equals = slice_find(member, '=');
    struct slice key = without_spaces(slice_sub(member, 0, equals));
    struct slice value = slice_sub(member, equals + 1, member.length);

    value = without_spaces(slice_sub(value, 0, slice_find(value, ';')));
    if (slice_equal(key, SLICE_LITERAL("weft"))) {
        return slice_equal(value, SLICE_LITERAL("keep"));
    }
    return slice_equal(key, SLICE_LITERAL("weft.keep")) &&
           (slice_equal(value, SLICE_LITERAL("true")) || slice_equal(value, SLICE_LITERAL("1")));
}

bool trigger_baggage_marks(struct slice baggage)
{
    while (baggage.length > 0) {
        size_t comma = slice_find(baggage, ',');

        if (member_marks(slice_sub(baggage, 0, comma))) {
            return true;
        }
        baggage = slice_sub(baggage, comma + 1, baggage.length);
    }
    return false;
}

static bool is_zero(const uint8_t *trace_id)
{
    static const uint8_t none[TRACE_ID_BYTES_COUNT];

    return memcmp(trace_id, none, sizeof none) == 0;
}

uint32_t trigger_fired(const struct trigger_settings *settings, const struct trigger_facts *facts)
{
    uint32_t reasons = facts->request != NULL ? fired_of_request(settings, facts) : 0;

    reasons |= facts->is_error ? TRIGGER_BIT(ERROR) : 0;
    reasons |= is_marked(facts) ? TRIGGER_BIT(MARK) : 0;
    reasons |= baseline_keeps(settings->baseline_threshold, facts->trace_id, facts->tracestate)
                   ? TRIGGER_BIT(BASELINE)
                   : 0;
    return reasons != 0 && is_zero(facts->trace_id) ? 0 : reasons;
}

bool trigger_allow(struct triggers *triggers, uint32_t reasons, uint32_t service, uint64_t now_monotonic_ns,
    enum trace_trigger *ret_first)
{
    for (uint32_t left = reasons & TRIGGER_BITS_ALL; left != 0; left &= left - 1) {
        unsigned trigger = (unsigned)__builtin_ctz(left);

        if (rate_share_take(&triggers->shares[trigger], service, now_monotonic_ns)) {
            *ret_first = (enum trace_trigger)trigger;
            return true;
        }
        metric_add(triggers->cells, (enum metric_id)(METRIC_TRACES_LIMITED_ERROR + trigger), 1);
    }
    return false;
}

/* KeyValue { key = 1, value = 2 { string_value = 1 } } */
size_t trigger_attribute(uint32_t reasons, uint8_t out[TRIGGER_ATTRIBUTE_BYTES_MAX])
{
    const size_t value_at = KEY_VALUE_BYTES + sizeof(KEPT_KEY) - 1;
    const size_t text_at = value_at + KEY_VALUE_BYTES + KEY_VALUE_BYTES;
    size_t length = 0;

    for (uint32_t left = reasons & TRIGGER_BITS_ALL; left != 0; left &= left - 1) {
        const char *name = names[__builtin_ctz(left)];

        if (length > 0) {
            out[text_at + length++] = ',';
        }
        memcpy(out + text_at + length, name, strlen(name));
        length += strlen(name);
    }
    if (length == 0) {
        return 0;
    }
    out[0] = 0x0a;
    out[1] = sizeof(KEPT_KEY) - 1;
    memcpy(out + KEY_VALUE_BYTES, KEPT_KEY, sizeof(KEPT_KEY) - 1);
    out[value_at] = 0x12;
    out[value_at + 1] = (uint8_t)(length + KEY_VALUE_BYTES);
    out[value_at + 2] = 0x0a;
    out[value_at + 3] = (uint8_t)length;
    return text_at + length;
}
