/* The conditions of receivers.scrape: names, URLs, labels, times. Main thread, at start. */
#include "config/loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
static const char label_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

__attribute__((format(printf, 4, 5))) static int fail_target(
    struct loader *loader, size_t index, const char *key, const char *format, ...)
{
    char path[CONFIG_PATH_BYTES_MAX];
    char message[CONFIG_PATH_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)snprintf(path, sizeof path, "receivers.scrape[%zu].%s", index, key);
    return loader_fail(loader, WERR_CONFIG, path, "%s", message);
}

static int check_name(struct loader *loader, size_t index)
{
    const struct config_scrape *targets = loader->config->receivers.scrape.items;
    const char *name = targets[index].name;
    const char *namespace = targets[index].namespace;

    if (name == NULL || name[strspn(name, name_characters)] != '\0') {
        return fail_target(loader, index, "name", "expected a name of letters, digits and -_.");
    }
    if (namespace != NULL && namespace[strspn(namespace, name_characters)] != '\0') {
        return fail_target(loader, index, "namespace", "expected a name of letters, digits and -_.");
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(targets[i].name, name) == 0) {
            return fail_target(
                loader, index, "name", "expected a name that no other target has, got \"%s\"", name);
        }
    }
    return 0;
}

static bool is_label_name(const char *name)
{
    bool is_reserved = strncmp(name, "__", 2) == 0 || strncmp(name, "sender_", 7) == 0 ||
                       strcmp(name, "le") == 0 || strcmp(name, "quantile") == 0;

    return !is_reserved && (name[0] < '0' || name[0] > '9') && name[strspn(name, label_characters)] == '\0';
}

static int check_labels(struct loader *loader, size_t index)
{
    const struct config_scrape *target = &loader->config->receivers.scrape.items[index];
    char key[32];

    if (target->labels.count > CONFIG_LABEL_COUNT_MAX) {
        return fail_target(loader, index, "labels", "expected at most %d labels", CONFIG_LABEL_COUNT_MAX);
    }
    for (size_t i = 0; i < target->labels.count; i++) {
        const struct config_label *label = &target->labels.items[i];

        (void)snprintf(key, sizeof key, "labels[%zu]", i);
        if (label->name == NULL || label->value == NULL || !is_label_name(label->name)) {
            return fail_target(loader, index, key,
                "expected value, and name: letters, digits and _, none that begins with __ or sender_");
        }
        bool is_taken = target->mesh != NULL && strcmp(label->name, "mesh") == 0;
        for (size_t j = 0; j < i; j++) {
            is_taken = is_taken || strcmp(target->labels.items[j].name, label->name) == 0;
        }
        if (is_taken) {
            return fail_target(loader, index, key, "expected a label that is not there yet");
        }
    }
    return 0;
}

static int check_target(struct loader *loader, size_t index)
{
    const struct config_scrape *target = &loader->config->receivers.scrape.items[index];
    int status = check_name(loader, index);

    if (status < 0) {
        return status;
    }
    if (target->url == NULL || !check_is_url(target->url)) {
        return fail_target(loader, index, "url", "expected http://HOST... or https://HOST...");
    }
    if (target->socket != NULL && target->socket[0] != '/') {
        return fail_target(loader, index, "socket", "expected an absolute path");
    }
    if (target->timeout_ms > target->interval_s * 1000) {
        return fail_target(loader, index, "timeout_ms", "expected at most interval_s");
    }
    if ((target->tls.cert_file == NULL) != (target->tls.key_file == NULL)) {
        return fail_target(loader, index, "tls", "expected cert_file and key_file together, or neither");
    }
    return check_labels(loader, index);
}

int check_scrapes(struct loader *loader)
{
    const struct config_scrapes *targets = &loader->config->receivers.scrape;
    int status = 0;

    if (targets->count > CONFIG_SCRAPE_COUNT_MAX) {
        return loader_fail(
            loader, WERR_CONFIG, "receivers.scrape", "expected at most %d targets", CONFIG_SCRAPE_COUNT_MAX);
    }
    for (size_t i = 0; status == 0 && i < targets->count; i++) {
        status = check_target(loader, i);
    }
    return status;
}
