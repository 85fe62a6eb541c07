/* The conditions of receivers.scrape: names, URLs, labels, times. Main thread, at start. */
#include "config/loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

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

static int check_target(struct loader *loader, size_t index)
{
    const struct config_scrape *target = &loader->config->receivers.scrape.items[index];
    char key[CONFIG_PATH_BYTES_MAX];
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
    (void)snprintf(key, sizeof key, "receivers.scrape[%zu].labels", index);
    return check_labels(loader, key, &target->labels, target->mesh != NULL ? "mesh" : NULL);
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
