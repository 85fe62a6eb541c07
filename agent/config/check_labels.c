/* Labels that the configuration gives to series. Main thread, at start and at each reload. */
#include "config/loader.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"

static const char label_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

static bool is_label_name(const char *name)
{
    bool is_reserved = strncmp(name, "__", 2) == 0 || strncmp(name, "sender_", 7) == 0 ||
                       strcmp(name, "le") == 0 || strcmp(name, "quantile") == 0;

    return !is_reserved && (name[0] < '0' || name[0] > '9') && name[strspn(name, label_characters)] == '\0';
}

int check_labels(
    struct loader *loader, const char *path, const struct config_labels *labels, const char *taken)
{
    char key[CONFIG_PATH_BYTES_MAX];

    if (labels->count > CONFIG_LABEL_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, path, "expected at most %d labels", CONFIG_LABEL_COUNT_MAX);
    }
    for (size_t i = 0; i < labels->count; i++) {
        const struct config_label *label = &labels->items[i];

        (void)snprintf(key, sizeof key, "%s[%zu]", path, i);
        if (label->name == NULL || label->value == NULL || !is_label_name(label->name)) {
            return loader_fail(loader, WERR_CONFIG, key,
                "expected value, and name: letters, digits and _, none that begins with __ or sender_");
        }
        bool is_taken = taken != NULL && strcmp(label->name, taken) == 0;
        for (size_t j = 0; j < i; j++) {
            is_taken = is_taken || strcmp(labels->items[j].name, label->name) == 0;
        }
        if (is_taken) {
            return loader_fail(loader, WERR_CONFIG, key, "expected a label that is not there yet");
        }
    }
    return 0;
}
