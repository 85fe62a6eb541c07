/*
 * The conditions of `receivers.access_logs`: somewhere to listen that is nobody else's, and no two fields of
 * one key. Main thread, at start.
 */
#include "config/loader.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"

static const char *const field_names[ACCESS_FIELD_COUNT] = {
#define FIELD_NAME(name, nginx, haproxy) [ACCESS_FIELD_##name] = #name,
    WEFT_ACCESS_FIELDS(FIELD_NAME)
#undef FIELD_NAME
};

/* Whether a socket before the entry's own has that path: another receiver's, or one of an earlier entry. */
static bool is_taken(const struct config *config, const char *path, size_t index)
{
    const struct config_access_log *logs = config->receivers.access_logs.items;
    const char *const others[] = {config->socket.path, config->api_socket.path, config->receivers.statsd.path,
        config->receivers.statsd.stream_path};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (others[i] != NULL && strcmp(others[i], path) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < index; i++) {
        if ((logs[i].path != NULL && strcmp(logs[i].path, path) == 0) ||
            (logs[i].stream_path != NULL && strcmp(logs[i].stream_path, path) == 0)) {
            return true;
        }
    }
    return false;
}

static int check_paths(struct loader *loader, const struct config_access_log *log, size_t index)
{
    char key[64];
    const char *const paths[] = {log->path, log->stream_path};
    static const char *const names[] = {"path", "stream_path"};

    if (log->path == NULL && log->stream_path == NULL) {
        (void)snprintf(key, sizeof key, "receivers.access_logs[%zu]", index);
        return loader_fail(loader, WERR_CONFIG, key, "expected path, stream_path or both");
    }
    for (size_t i = 0; i < 2; i++) {
        bool is_second = i == 1 && log->path != NULL && paths[i] != NULL && strcmp(log->path, paths[i]) == 0;
        if (paths[i] != NULL && (is_second || is_taken(loader->config, paths[i], index))) {
            (void)snprintf(key, sizeof key, "receivers.access_logs[%zu].%s", index, names[i]);
            return loader_fail(loader, WERR_CONFIG, key, "expected a path that no other socket has");
        }
    }
    return 0;
}

/* "-" is no key: the field is not looked for. (An empty text in YAML is as good as none given.) */
static void take_dashes(struct config_access_log *log)
{
    for (size_t i = 0; i < ACCESS_FIELD_COUNT; i++) {
        if (log->keys[i] != NULL && strcmp(log->keys[i], "-") == 0) {
            log->keys[i] = "";
        }
    }
}

/* A key of the line that two fields are given would leave the second empty for ever. */
static int check_keys(struct loader *loader, const struct config_access_log *log, size_t index)
{
    for (size_t i = 0; i < ACCESS_FIELD_COUNT; i++) {
        for (size_t j = 0; j < i; j++) {
            if (log->keys[i] != NULL && log->keys[j] != NULL && log->keys[i][0] != '\0' &&
                strcmp(log->keys[i], log->keys[j]) == 0) {
                char key[96];
                (void)snprintf(
                    key, sizeof key, "receivers.access_logs[%zu].fields.%s", index, field_names[i]);
                return loader_fail(
                    loader, WERR_CONFIG, key, "expected another key than that of %s", field_names[j]);
            }
        }
    }
    return 0;
}

static int check_one(struct loader *loader, size_t index)
{
    struct config_access_log *log = &loader->config->receivers.access_logs.items[index];
    static const char *const services[ACCESS_PRESET_COUNT] = {
        [ACCESS_PRESET_NGINX] = "nginx", [ACCESS_PRESET_HAPROXY] = "haproxy"};
    char key[64];

    if (log->service == NULL) {
        log->service = services[log->preset];
    }
    take_dashes(log);
    (void)snprintf(key, sizeof key, "receivers.access_logs[%zu].group", index);
    int status = check_paths(loader, log, index);
    if (status == 0) {
        status = check_group(loader, key, log->group, &log->gid);
    }
    return status == 0 ? check_keys(loader, log, index) : status;
}

int check_access_logs(struct loader *loader)
{
    size_t count = loader->config->receivers.access_logs.count;
    int status = 0;

    if (count > CONFIG_ACCESS_LOG_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, "receivers.access_logs",
            "expected at most %d entries, got %zu", CONFIG_ACCESS_LOG_COUNT_MAX, count);
    }
    for (size_t i = 0; status == 0 && i < count; i++) {
        status = check_one(loader, i);
    }
    return status;
}
