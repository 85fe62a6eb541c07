/* Credentials files and answers of metadata services, read; see aws_credentials.h. Pure. All input is
 * checked. */
#include <jansson.h>
#include <openssl/crypto.h>
#include <time.h>

#include "core/error.h"
#include "exporters/otlp/aws_credentials.h"

#define NS_PER_S 1000000000u

static struct slice trim(struct slice text)
{
    while (text.length > 0 && text.ptr[0] <= ' ') {
        text = slice_sub(text, 1, text.length);
    }
    while (text.length > 0 && text.ptr[text.length - 1] <= ' ') {
        text.length--;
    }
    return text;
}

static int copy_value(struct slice value, char *to, size_t capacity)
{
    if (value.length >= capacity || slice_find(value, '\0') < value.length) {
        return WERR_OVERSIZED;
    }
    memcpy(to, value.ptr, value.length);
    to[value.length] = '\0';
    return 0;
}

static int take_key(struct aws_credentials *to, struct slice name, struct slice value)
{
    if (slice_equal(name, SLICE_LITERAL("aws_access_key_id"))) {
        return copy_value(value, to->access_key_id, sizeof to->access_key_id);
    }
    if (slice_equal(name, SLICE_LITERAL("aws_secret_access_key"))) {
        return copy_value(value, to->secret_access_key, sizeof to->secret_access_key);
    }
    if (slice_equal(name, SLICE_LITERAL("aws_session_token"))) {
        return copy_value(value, to->session_token, sizeof to->session_token);
    }
    return 0;
}

int aws_parse_file(struct slice text, const char *profile, struct aws_credentials *ret_credentials)
{
    struct aws_credentials found = {.expires_unix_ns = UINT64_MAX};
    bool inside = false;
    int error = 0;

    while (text.length > 0 && error == 0) {
        size_t end = slice_find(text, '\n');
        struct slice line = trim(slice_sub(text, 0, end));
        text = slice_sub(text, end + 1, text.length);
        if (line.length == 0 || line.ptr[0] == '#' || line.ptr[0] == ';') {
            continue;
        }
        if (line.ptr[0] == '[') {
            struct slice name = trim(slice_sub(line, 1, slice_find(line, ']')));
            inside = slice_equal(name, slice_of_string(profile));
            continue;
        }
        size_t equals = slice_find(line, '=');
        if (inside && equals < line.length) {
            error = take_key(
                &found, trim(slice_sub(line, 0, equals)), trim(slice_sub(line, equals + 1, line.length)));
        }
    }
    if (error == 0 && (found.access_key_id[0] == '\0' || found.secret_access_key[0] == '\0')) {
        error = WERR_NOT_FOUND;
    }
    if (error == 0) {
        *ret_credentials = found;
    }
    OPENSSL_cleanse(&found, sizeof found);
    return error;
}

bool aws_parse_time(const char *text, uint64_t *ret_unix_ns)
{
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);

    if (rest != NULL && *rest == '.') {
        rest += 1 + strspn(rest + 1, "0123456789");
    }
    if (rest == NULL || strcmp(rest, "Z") != 0) {
        return false;
    }
    time_t seconds = timegm(&parts);
    if (seconds < 0) {
        return false;
    }
    bool fits = (uint64_t)seconds <= UINT64_MAX / NS_PER_S; /* the year 9999 does not, and means never */
    *ret_unix_ns = fits ? (uint64_t)seconds * NS_PER_S : UINT64_MAX;
    return true;
}

static int take_string(const json_t *object, const char *name, char *to, size_t capacity)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value)) {
        return value == NULL || json_is_null(value) ? WERR_NOT_FOUND : WERR_INVALID;
    }
    return copy_value(slice_of(json_string_value(value), json_string_length(value)), to, capacity);
}

static int take_object(const json_t *object, struct aws_credentials *to)
{
    char expiration[64] = "";
    int error = take_string(object, "AccessKeyId", to->access_key_id, sizeof to->access_key_id);

    if (error == 0) {
        error = take_string(object, "SecretAccessKey", to->secret_access_key, sizeof to->secret_access_key);
    }
    if (error == 0 && (to->access_key_id[0] == '\0' || to->secret_access_key[0] == '\0')) {
        error = WERR_INVALID;
    }
    if (error < 0) {
        return error == WERR_OVERSIZED ? error : WERR_INVALID;
    }
    error = take_string(object, "Token", to->session_token, sizeof to->session_token);
    if (error == 0 || error == WERR_NOT_FOUND) {
        error = take_string(object, "Expiration", expiration, sizeof expiration);
        if (error == 0 && !aws_parse_time(expiration, &to->expires_unix_ns)) {
            error = WERR_INVALID;
        }
    }
    return error == WERR_NOT_FOUND ? 0 : error;
}

/* jansson's own copy of a value, which is this object's alone. */
static void overwrite(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_string(value)) {
        OPENSSL_cleanse((void *)(uintptr_t)json_string_value(value), json_string_length(value));
    }
}

int aws_parse_answer(struct slice json, struct aws_credentials *ret_credentials)
{
    struct aws_credentials found = {.expires_unix_ns = UINT64_MAX};
    json_t *object = json.length > 0
                         ? json_loadb((const char *)json.ptr, json.length, JSON_REJECT_DUPLICATES, NULL)
                         : NULL;
    int error = json_is_object(object) ? take_object(object, &found) : WERR_INVALID;

    overwrite(object, "SecretAccessKey");
    overwrite(object, "Token");
    json_decref(object);
    if (error == 0) {
        *ret_credentials = found;
    }
    OPENSSL_cleanse(&found, sizeof found);
    return error;
}
