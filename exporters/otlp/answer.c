/* Reads answers; runs on the exporter's thread. All input is a stranger's. */
#include "exporters/otlp/answer.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <string.h>

#include "opentelemetry/collector.pb-c.h"
#include "opentelemetry/status.pb-c.h"

enum {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
    DATE_BYTES_MAX = 64,
    DETAILS_BYTES_MAX = 8192,
    RETRY_SECONDS_MAX = 1000000000, /* beyond it a wait is cut, so that milliseconds never overflow */
};

enum otlp_verdict answer_verdict_grpc(int grpc_status, bool has_retry_info)
{
    switch (grpc_status) {
    case GRPC_OK:
        return OTLP_VERDICT_SENT;
    case GRPC_CANCELLED:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_ABORTED:
    case GRPC_OUT_OF_RANGE:
    case GRPC_UNAVAILABLE:
    case GRPC_DATA_LOSS:
        return OTLP_VERDICT_RETRY;
    case GRPC_RESOURCE_EXHAUSTED:
        return has_retry_info ? OTLP_VERDICT_RETRY : OTLP_VERDICT_REJECTED;
    default:
        return OTLP_VERDICT_REJECTED;
    }
}

enum otlp_verdict answer_verdict_http(int http_status)
{
    if (http_status >= 200 && http_status < 300) {
        return OTLP_VERDICT_SENT;
    }
    return http_status == 429 || http_status == 502 || http_status == 503 || http_status == 504
               ? OTLP_VERDICT_RETRY
               : OTLP_VERDICT_REJECTED;
}

int answer_grpc_status_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

/* Decimal digits and nothing else; false otherwise. Larger values are cut. */
static bool parse_seconds(struct slice value, uint64_t *ret_seconds)
{
    uint64_t seconds = 0;

    for (size_t i = 0; i < value.length; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return false;
        }
        seconds = seconds * 10 + (uint64_t)(value.ptr[i] - '0');
        seconds = seconds < RETRY_SECONDS_MAX ? seconds : RETRY_SECONDS_MAX;
    }
    *ret_seconds = seconds;
    return value.length > 0;
}

bool answer_parse_retry_after(struct slice value, uint64_t now_unix_ns, uint64_t *ret_ms)
{
    uint64_t seconds;
    char date[DATE_BYTES_MAX];

    if (parse_seconds(value, &seconds)) {
        *ret_ms = seconds * 1000;
        return true;
    }
    if (value.length == 0 || value.length >= sizeof date) {
        return false;
    }
    memcpy(date, value.ptr, value.length);
    date[value.length] = '\0';
    time_t at = curl_getdate(date, NULL);
    if (at < 0) {
        return false;
    }
    uint64_t now_ms = now_unix_ns / 1000000;
    uint64_t at_ms = (uint64_t)at * 1000;
    *ret_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    return true;
}

static uint64_t delay_ms_of(const Otlp__RetryInfo *info)
{
    const Otlp__RetryDelay *delay = info->retry_delay;

    if (delay == NULL || delay->seconds < 0 || delay->nanos < 0) {
        return 0;
    }
    uint64_t seconds = delay->seconds < RETRY_SECONDS_MAX ? (uint64_t)delay->seconds : RETRY_SECONDS_MAX;
    return seconds * 1000 + ((uint64_t)delay->nanos + 999999) / 1000000;
}

static bool find_retry_info(const Otlp__RpcStatus *status, uint64_t *ret_ms)
{
    for (size_t i = 0; i < status->n_details; i++) {
        const Otlp__RpcDetail *detail = status->details[i];
        if (!slice_has_suffix(slice_of_string(detail->type_url), SLICE_LITERAL("/google.rpc.RetryInfo"))) {
            continue;
        }
        Otlp__RetryInfo *info = otlp__retry_info__unpack(NULL, detail->value.len, detail->value.data);
        if (info != NULL) {
            *ret_ms = delay_ms_of(info);
            otlp__retry_info__free_unpacked(info, NULL);
            return true;
        }
    }
    return false;
}

/* Base64 with or without padding, as gRPC's -bin fields come. Returns the bytes written, or -1. */
static long decode_base64(struct slice text, uint8_t *out, size_t capacity)
{
    uint8_t padded[DETAILS_BYTES_MAX + 4];
    size_t length = text.length;

    while (length > 0 && text.ptr[length - 1] == '=') {
        length--;
    }
    if (length == 0 || length > DETAILS_BYTES_MAX || length % 4 == 1) {
        return -1;
    }
    memcpy(padded, text.ptr, length);
    size_t padding = (4 - length % 4) % 4;
    memset(padded + length, '=', padding);
    if ((length + padding) / 4 * 3 > capacity) {
        return -1;
    }
    int decoded = EVP_DecodeBlock(out, padded, (int)(length + padding));
    return decoded < 0 ? -1 : decoded - (long)padding;
}

bool answer_parse_retry_info(struct slice value, uint64_t *ret_ms)
{
    uint8_t bytes[DETAILS_BYTES_MAX];
    long length = decode_base64(value, bytes, sizeof bytes);

    if (length < 0) {
        return false;
    }
    Otlp__RpcStatus *status = otlp__rpc_status__unpack(NULL, (size_t)length, bytes);
    if (status == NULL) {
        return false;
    }
    bool found = find_retry_info(status, ret_ms);
    otlp__rpc_status__free_unpacked(status, NULL);
    return found;
}

void answer_parse_status_text(struct slice body, char *ret_text)
{
    Otlp__RpcStatus *status = otlp__rpc_status__unpack(NULL, body.length, body.ptr);

    if (status != NULL) {
        answer_set_text(ret_text, slice_of_string(status->message));
        otlp__rpc_status__free_unpacked(status, NULL);
    }
}

void answer_parse_partial_success(struct slice body, struct otlp_answer *answer)
{
    Otlp__ExportServiceResponse *response =
        otlp__export_service_response__unpack(NULL, body.length, body.ptr);

    if (response == NULL) {
        return;
    }
    const Otlp__ExportPartialSuccess *partial = response->partial_success;
    if (partial != NULL) {
        answer->rejected_count = partial->rejected_count > 0 ? (uint64_t)partial->rejected_count : 0;
        answer_set_text(answer->text, slice_of_string(partial->error_message));
    }
    otlp__export_service_response__free_unpacked(response, NULL);
}

void answer_set_text(char *ret_text, struct slice text)
{
    size_t length = text.length < OTLP_TEXT_BYTES_MAX ? text.length : OTLP_TEXT_BYTES_MAX - 1;

    while (length < text.length && length > 0 && (text.ptr[length] & 0xc0) == 0x80) {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = text.ptr[i];
        ret_text[i] = byte < 0x20 || byte == 0x7f ? ' ' : (char)byte;
    }
    ret_text[length] = '\0';
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

void answer_set_text_percent(char *ret_text, struct slice text)
{
    uint8_t plain[OTLP_TEXT_BYTES_MAX + 4];
    size_t length = 0;

    for (size_t i = 0; i < text.length && length < sizeof plain; i++) {
        uint8_t byte = text.ptr[i];
        if (byte == '%' && i + 2 < text.length && hex_digit(text.ptr[i + 1]) >= 0 &&
            hex_digit(text.ptr[i + 2]) >= 0) {
            byte = (uint8_t)(hex_digit(text.ptr[i + 1]) * 16 + hex_digit(text.ptr[i + 2]));
            i += 2;
        }
        plain[length++] = byte;
    }
    answer_set_text(ret_text, slice_of(plain, length));
}
