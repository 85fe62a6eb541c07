/* Content negotiation (RFC 9110, sections 12.4.2 and 12.5), as far as it matters here; see negotiate.h. */
#include "exporters/prometheus/negotiate.h"

#include <strings.h>

#include "core/slice.h"
#include "exporters/prometheus/prometheus_exporter.h"

enum { Q_ONE = 1000, RANGES_COUNT_MAX = 64 };

/* One element of a header: a media range or coding, and the parameters that decide. */
struct range {
    struct slice name;
    struct slice version;
    struct slice proto;
    struct slice encoding;
    int q; /* in thousandths */
};

static bool is_text(struct slice slice, const char *text)
{
    size_t length = strlen(text);

    return slice.length == length && strncasecmp((const char *)slice.ptr, text, length) == 0;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct slice trim(struct slice slice)
{
    while (slice.length > 0 && is_space(slice.ptr[0])) {
        slice = slice_sub(slice, 1, slice.length);
    }
    while (slice.length > 0 && is_space(slice.ptr[slice.length - 1])) {
        slice = slice_sub(slice, 0, slice.length - 1);
    }
    return slice;
}

/* Takes what stands before the first unquoted `separator` off the front of *rest, trimmed. */
static struct slice cut(struct slice *rest, uint8_t separator)
{
    bool quoted = false;
    size_t at = 0;

    for (; at < rest->length && (quoted || rest->ptr[at] != separator); at++) {
        quoted = quoted != (rest->ptr[at] == '"');
    }
    struct slice piece = slice_sub(*rest, 0, at);
    *rest = slice_sub(*rest, at + 1, rest->length);
    return trim(piece);
}

static struct slice unquote(struct slice value)
{
    if (value.length >= 2 && value.ptr[0] == '"' && value.ptr[value.length - 1] == '"') {
        return slice_sub(value, 1, value.length - 1);
    }
    return value;
}

/* "0.75" is 750. What is no number is 1, as if it were not there; digits past the third do not matter. */
static int parse_q(struct slice text)
{
    int scale = Q_ONE / 10;

    if (text.length == 0 || text.ptr[0] != '0') {
        return Q_ONE;
    }
    int q = 0;
    for (size_t i = 2; i < text.length && text.ptr[1] == '.' && scale > 0; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return Q_ONE;
        }
        q += (text.ptr[i] - '0') * scale;
        scale /= 10;
    }
    return q;
}

static struct range parse_range(struct slice element)
{
    struct range range = {.name = cut(&element, ';'), .q = Q_ONE};

    while (element.length > 0) {
        struct slice value = cut(&element, ';');
        struct slice key = cut(&value, '=');
        value = unquote(trim(value));
        if (is_text(key, "q")) {
            range.q = parse_q(value);
        } else if (is_text(key, "version")) {
            range.version = value;
        } else if (is_text(key, "proto")) {
            range.proto = value;
        } else if (is_text(key, "encoding")) {
            range.encoding = value;
        }
    }
    return range;
}

static const struct encoder_type *openmetrics_of(const struct range *range)
{
    if (range->version.length == 0 || is_text(range->version, "1.0.0")) {
        return &prometheus_openmetrics;
    }
    return is_text(range->version, "0.0.1") ? &prometheus_openmetrics_0_0_1 : NULL;
}

/* What serves a media range, or NULL. */
static const struct encoder_type *encoder_of(const struct range *range)
{
    if (is_text(range->name, "application/openmetrics-text")) {
        return openmetrics_of(range);
    }
    if (is_text(range->name, "application/vnd.google.protobuf")) {
        bool fits = is_text(range->proto, "io.prometheus.client.MetricFamily") &&
                    is_text(range->encoding, "delimited");
        return fits ? &prometheus_protobuf : NULL;
    }
    if (is_text(range->name, "text/plain")) {
        /* 1.0.0 is 0.0.4 with names in UTF-8, of which we have none */
        bool fits = range->version.length == 0 || is_text(range->version, "0.0.4") ||
                    is_text(range->version, "1.0.0");
        return fits ? &prometheus_text : NULL;
    }
    if (is_text(range->name, "*/*") || is_text(range->name, "text/*")) {
        return &prometheus_text;
    }
    return NULL;
}

const struct encoder_type *prometheus_negotiate(const char *accept)
{
    const struct encoder_type *best = &prometheus_text;
    struct slice rest = slice_of_string(accept != NULL ? accept : "");
    int best_q = 0;

    for (int i = 0; rest.length > 0 && i < RANGES_COUNT_MAX; i++) {
        struct range range = parse_range(cut(&rest, ','));
        const struct encoder_type *encoder = encoder_of(&range);
        if (encoder != NULL && range.q > best_q) {
            best = encoder;
            best_q = range.q;
        }
    }
    return best;
}

bool prometheus_accepts_gzip(const char *accept_encoding)
{
    struct slice rest = slice_of_string(accept_encoding != NULL ? accept_encoding : "");
    bool any = false;

    for (int i = 0; rest.length > 0 && i < RANGES_COUNT_MAX; i++) {
        struct range range = parse_range(cut(&rest, ','));
        if (is_text(range.name, "gzip") || is_text(range.name, "x-gzip")) {
            return range.q > 0;
        }
        any = any || (is_text(range.name, "*") && range.q > 0);
    }
    return any;
}
