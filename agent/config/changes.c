/* Comparing configurations and taking over live keys; see changes.h. Main thread. */
#include "config/changes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/loader.h"
#include "core/error.h"

/* Every list of a configuration struct looks like this; convert.c asserts it. */
struct any_list {
    const void *items;
    size_t count;
};

struct comparison {
    void (*differs)(void *user, const char *path, const struct config_field *field);
    void *user;
};

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Bytes of the field in its struct; 0 for groups. */
static size_t field_bytes(const struct config_field *field)
{
    switch (field->kind) {
    case CONFIG_KIND_STRING:
    case CONFIG_KIND_SECRET:
    case CONFIG_KIND_SECRET_FILE:
    case CONFIG_KIND_FILE:
        return sizeof(const char *);
    case CONFIG_KIND_BOOL:
        return sizeof(bool);
    case CONFIG_KIND_INTEGER:
    case CONFIG_KIND_SIGNED:
    case CONFIG_KIND_FRACTION:
        return sizeof(uint64_t);
    case CONFIG_KIND_MODE:
    case CONFIG_KIND_CHOICE:
    case CONFIG_KIND_CHOICES:
        return sizeof(uint32_t);
    case CONFIG_KIND_STRINGS:
    case CONFIG_KIND_MS_LIST:
        return sizeof(struct any_list);
    case CONFIG_KIND_GROUP:
    case CONFIG_KIND_GROUPS:
    default:
        return 0;
    }
}

static bool same_list(const struct config_field *field, const char *a, const char *b)
{
    const struct any_list *list_a = (const struct any_list *)a;
    const struct any_list *list_b = (const struct any_list *)b;

    if (list_a->count != list_b->count) {
        return false;
    }
    for (size_t i = 0; i < list_a->count; i++) {
        bool same =
            field->kind == CONFIG_KIND_STRINGS
                ? same_text(((const char *const *)list_a->items)[i], ((const char *const *)list_b->items)[i])
                : ((const uint64_t *)list_a->items)[i] == ((const uint64_t *)list_b->items)[i];
        if (!same) {
            return false;
        }
    }
    return true;
}

/* A secret's value belongs to the key that gave it: where one came from a file, to the file's. */
static bool same_secret(
    const struct config_group *group, const struct config_field *field, const char *a, const char *b)
{
    const char *file_a = config_secret_file(group, field, a);
    const char *file_b = config_secret_file(group, field, b);
    bool has_file = file_a != NULL || file_b != NULL;

    if (has_file != (field->kind == CONFIG_KIND_SECRET_FILE)) {
        return true; /* its sibling tells */
    }
    return same_text(file_a, file_b) &&
           same_text(*(const char *const *)(a + field->offset), *(const char *const *)(b + field->offset));
}

static bool same_value(
    const struct config_group *group, const struct config_field *field, const char *a, const char *b)
{
    switch (field->kind) {
    case CONFIG_KIND_SECRET:
    case CONFIG_KIND_SECRET_FILE:
        return same_secret(group, field, a, b);
    case CONFIG_KIND_STRING:
    case CONFIG_KIND_FILE:
        return same_text(
            *(const char *const *)(a + field->offset), *(const char *const *)(b + field->offset));
    case CONFIG_KIND_STRINGS:
    case CONFIG_KIND_MS_LIST:
        return same_list(field, a + field->offset, b + field->offset);
    default:
        return memcmp(a + field->offset, b + field->offset, field_bytes(field)) == 0;
    }
}

static void compare_group(const struct comparison *comparison, const struct config_group *group,
    const char *a, const char *b, const char *prefix);

static void compare_groups(const struct comparison *comparison, const struct config_field *field,
    const char *a, const char *b, const char *path)
{
    const struct any_list *list_a = (const struct any_list *)a;
    const struct any_list *list_b = (const struct any_list *)b;
    size_t bytes = field->group->size_bytes;

    if (list_a->count != list_b->count) {
        comparison->differs(comparison->user, path, field);
        return;
    }
    for (size_t i = 0; i < list_a->count; i++) {
        char item[CONFIG_PATH_BYTES_MAX];
        (void)snprintf(item, sizeof item, "%.200s[%zu]", path, i);
        compare_group(comparison, field->group, (const char *)list_a->items + i * bytes,
            (const char *)list_b->items + i * bytes, item);
    }
}

/* As deep as the tables nest. */
static void compare_group(const struct comparison *comparison, const struct config_group *group,
    const char *a, const char *b, const char *prefix)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        char path[CONFIG_PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%.120s%s%.80s", prefix, prefix[0] != '\0' ? "." : "", field->name);
        if (field->kind == CONFIG_KIND_GROUP) {
            compare_group(comparison, field->group, a + field->offset, b + field->offset, path);
        } else if (field->kind == CONFIG_KIND_GROUPS) {
            compare_groups(comparison, field, a + field->offset, b + field->offset, path);
        } else if (!same_value(group, field, a, b)) {
            comparison->differs(comparison->user, path, field);
        }
    }
}

void config_compare(const struct config *a, const struct config *b,
    void (*differs)(void *user, const char *path, const struct config_field *field), void *user)
{
    struct comparison comparison = {.differs = differs, .user = user};

    compare_group(&comparison, &config_schema, (const char *)a, (const char *)b, "");
}

static void note_change(void *user, const char *path, const struct config_field *field)
{
    struct config_changes *changes = user;
    size_t used = strlen(changes->pending);
    static const char more[] = ", ...";

    if (field->group == NULL && field->apply == CONFIG_APPLY_LIVE) {
        changes->live_count++;
        return;
    }
    changes->pending_count++;
    if (used + strlen(path) + 2 * sizeof more < sizeof changes->pending) {
        (void)snprintf(
            changes->pending + used, sizeof changes->pending - used, "%s%s", used > 0 ? ", " : "", path);
    } else if (used < strlen(more) || strcmp(changes->pending + used - strlen(more), more) != 0) {
        (void)snprintf(changes->pending + used, sizeof changes->pending - used, "%s", more);
    }
}

/* Live keys stand in no list of groups: an entry could not be told from its neighbour. A test looks. */
static void take_live(const struct config_group *group, const char *from, char *to)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        size_t bytes = field_bytes(field);
        if (field->kind == CONFIG_KIND_GROUP) {
            take_live(field->group, from + field->offset, to + field->offset);
        } else if (field->apply == CONFIG_APPLY_LIVE) {
            memcpy(to + field->offset, from + field->offset, bytes);
        }
        if (field->kind == CONFIG_KIND_SECRET_FILE && field->apply == CONFIG_APPLY_LIVE) {
            memcpy(to + field->file_offset, from + field->file_offset, bytes);
        }
    }
}

int config_mix(struct loader *loader, const struct config *running, struct config_changes *ret_changes)
{
    struct config *fresh = loader->config;
    struct config mixed = *running;
    struct config_changes changes = {.live_count = 0};

    config_compare(running, fresh, note_change, &changes);
    take_live(&config_schema, (const char *)fresh, (char *)&mixed);
    mixed.warnings = fresh->warnings;
    mixed.arena = fresh->arena;
    *fresh = mixed;
    int status = check_live(loader);
    if (status < 0) {
        size_t used = strlen(loader->error->text);
        (void)snprintf(loader->error->text + used, sizeof loader->error->text - used,
            " (with the keys that need a restart as they are now)");
        return status;
    }
    *ret_changes = changes;
    return 0;
}
