/* Noting who stands behind a service; see context_note_workload. One shard's thread. */
#include "context/context.h"
#include "context/identity.h"

/* INTERNED_NONE for what is not told. */
static uint32_t intern(struct context *context, struct slice text)
{
    uint32_t id = context_intern(context, text);

    return id == INTERNED_UNKNOWN || id == INTERNED_OVERFLOW ? (uint32_t)INTERNED_NONE : id;
}

static bool same_note(const struct workload_note *a, const struct workload_note *b)
{
    return a->service == b->service && a->service_namespace == b->service_namespace &&
           a->workload == b->workload && a->version == b->version && a->mesh == b->mesh;
}

void context_note_workload(struct context *context, struct service_ids service, struct slice workload,
    struct slice version, const struct sender *sender)
{
    struct identity told = {.workload = workload, .version = version};

    if (sender != NULL && told.workload.length == 0 && sender->workload[0] != '\0') {
        told.workload = slice_of_string(sender->workload);
    }
    if (sender != NULL && told.version.length == 0) {
        told.version = slice_of_string(sender->version);
    }
    if (service.service < INTERNED_FIXED_COUNT || (told.workload.length == 0 && told.version.length == 0) ||
        context->workload_note_count == WORKLOAD_NOTES_COUNT_MAX) {
        return;
    }
    struct workload_note note = {.service = service.service,
        .service_namespace = service.service_namespace,
        .workload = intern(context, told.workload),
        .version = intern(context, told.version),
        .sender = sender != NULL ? sender->interned : (uint32_t)INTERNED_UNKNOWN,
        .mesh = sender != NULL ? sender->mesh : 0};

    for (uint32_t i = 0; i < context->workload_note_count; i++) {
        if (same_note(&context->workload_notes[i], &note)) {
            return;
        }
    }
    if (note.workload != INTERNED_NONE || note.version != INTERNED_NONE) {
        context->workload_notes[context->workload_note_count++] = note;
    }
}
