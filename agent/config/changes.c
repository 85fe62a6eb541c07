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

static void note_live(void *user, const char *path, const struct config_field *field)
{
    struct config_changes *changes = user;

    (void)path;
    (void)field;
    changes->live_count++;
}

static void note_pending(void *user, const char *path, const struct config_field *field)
{
    struct config_changes *changes = user;
    size_t used = strlen(changes->pending);
    size_t room = sizeof changes->pending - used;
    static const char more[] = ", ...";

    (void)field;
    changes->pending_count++;
    if (strlen(path) + 2 * sizeof more < room) {
        (void)snprintf(changes->pending + used, room, "%s%s", used > 0 ? ", " : "", path);
    } else if (used < strlen(more) || strcmp(changes->pending + used - strlen(more), more) != 0) {
        (void)snprintf(changes->pending + used, room, "%s", more);
    }
}

/* ---- lists of groups ---- */

static bool has_live(const struct config_group *group)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        if (field->group != NULL ? has_live(field->group) : field->apply == CONFIG_APPLY_LIVE) {
            return true;
        }
    }
    return false;
}

static bool copy_text(struct arena *arena, char *place)
{
    const char **text = (const char **)place;

    if (*text == NULL) {
        return true;
    }
    size_t bytes = strlen(*text) + 1;
    char *copy = arena_alloc(arena, bytes);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, *text, bytes);
    *text = copy;
    return true;
}

static bool copy_items(struct arena *arena, struct any_list *list, size_t item_bytes)
{
    void *copy = arena_alloc(arena, (list->count + 1) * item_bytes);

    if (copy == NULL) {
        return false;
    }
    if (list->count > 0) {
        memcpy(copy, list->items, list->count * item_bytes);
    }
    list->items = copy;
    return true;
}

static bool copy_list(struct arena *arena, const struct config_field *field, struct any_list *list);

/* What the group's fields point to becomes a copy in the arena. */
static bool copy_fields(struct arena *arena, const struct config_group *group, char *base)
{
    bool copied = true;

    for (size_t i = 0; copied && i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        char *place = base + field->offset;
        switch (field->kind) {
        case CONFIG_KIND_SECRET_FILE:
            copied = copy_text(arena, base + field->file_offset) && copy_text(arena, place);
            break;
        case CONFIG_KIND_STRING:
        case CONFIG_KIND_SECRET:
        case CONFIG_KIND_FILE:
            copied = copy_text(arena, place);
            break;
        case CONFIG_KIND_GROUP:
            copied = copy_fields(arena, field->group, place);
            break;
        case CONFIG_KIND_STRINGS:
        case CONFIG_KIND_MS_LIST:
        case CONFIG_KIND_GROUPS:
            copied = copy_list(arena, field, (struct any_list *)place);
            break;
        default:
            break;
        }
    }
    return copied;
}

static bool copy_list(struct arena *arena, const struct config_field *field, struct any_list *list)
{
    bool is_groups = field->kind == CONFIG_KIND_GROUPS;
    size_t item_bytes = is_groups ? field->group->size_bytes : sizeof(uint64_t);
    bool copied = copy_items(arena, list, item_bytes);

    for (size_t i = 0; copied && i < list->count; i++) {
        char *item = (char *)(uintptr_t)list->items + i * item_bytes;
        if (is_groups) {
            copied = copy_fields(arena, field->group, item);
        } else if (field->kind == CONFIG_KIND_STRINGS) {
            copied = copy_text(arena, item);
        }
    }
    return copied;
}

static void count_restart(void *user, const char *path, const struct config_field *field)
{
    (void)path;
    *(unsigned *)user += field->group != NULL || field->apply == CONFIG_APPLY_RESTART;
}

static void take_live(const struct config_group *group, const char *from, char *to);

/*
 * Live keys of entries that are the same in all else: a new destination's secret must not go where the old
 * one goes. Both lists are of one length.
 */
static void take_live_items(
    const struct config_group *group, const struct any_list *from, const struct any_list *to)
{
    for (size_t i = 0; i < to->count; i++) {
        const char *from_item = (const char *)from->items + i * group->size_bytes;
        char *to_item = (char *)(uintptr_t)to->items + i * group->size_bytes;
        unsigned other_count = 0;
        struct comparison comparison = {.differs = count_restart, .user = &other_count};

        compare_group(&comparison, group, from_item, to_item, "");
        if (other_count == 0) {
            take_live(group, from_item, to_item);
        }
    }
}

/* Of all groups; lists in `to` that have live keys are its own by now. */
static void take_live(const struct config_group *group, const char *from, char *to)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        const char *from_place = from + field->offset;
        char *to_place = to + field->offset;
        if (field->kind == CONFIG_KIND_GROUP) {
            take_live(field->group, from_place, to_place);
        } else if (field->kind == CONFIG_KIND_GROUPS) {
            const struct any_list *from_list = (const struct any_list *)from_place;
            const struct any_list *to_list = (const struct any_list *)to_place;
            if (has_live(field->group) && from_list->count == to_list->count) {
                take_live_items(field->group, from_list, to_list);
            }
        } else if (field->apply == CONFIG_APPLY_LIVE) {
            memcpy(to_place, from_place, field_bytes(field));
        }
        if (field->kind == CONFIG_KIND_SECRET_FILE && field->apply == CONFIG_APPLY_LIVE) {
            memcpy(to + field->file_offset, from + field->file_offset, field_bytes(field));
        }
    }
}

/* Lists with live keys become copies: what reloads before put into them goes with those. */
static bool own_lists(struct arena *arena, const struct config_group *group, char *base)
{
    for (size_t i = 0; i < group->field_count; i++) {
        const struct config_field *field = &group->fields[i];
        char *place = base + field->offset;
        bool owned = true;
        if (field->kind == CONFIG_KIND_GROUP) {
            owned = own_lists(arena, field->group, place);
        } else if (field->kind == CONFIG_KIND_GROUPS && has_live(field->group)) {
            owned = copy_list(arena, field, (struct any_list *)place);
        }
        if (!owned) {
            return false;
        }
    }
    return true;
}

int config_mix(struct loader *loader, const struct config *running, struct config_changes *ret_changes)
{
    struct config *fresh = loader->config;
    struct config mixed = *running;
    struct config_changes changes = {.live_count = 0};

    if (!own_lists(&fresh->arena, &config_schema, (char *)&mixed)) {
        return loader_fail_memory(loader);
    }
    take_live(&config_schema, (const char *)fresh, (char *)&mixed);
    config_compare(running, &mixed, note_live, &changes);
    config_compare(&mixed, fresh, note_pending, &changes);
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
