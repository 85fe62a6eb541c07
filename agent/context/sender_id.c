/* A sender's id as text, taken apart again, and compared with what its records claim. Pure; any thread. */
#include <stdio.h>
#include <string.h>

#include "context/sender.h"

void sender_id_format(struct sender *sender)
{
    const char *kind = sender_kind_name((enum sender_kind)sender->kind);

    if (sender->kind == SENDER_POD && sender->pod[0] != '\0') {
        snprintf(sender->id, sizeof sender->id, "%s/%.*s/%s/%s", kind, 63, sender->namespace,
            sender->workload, sender->pod);
        return;
    }
    switch ((enum sender_kind)sender->kind) {
    case SENDER_POD:
    case SENDER_TARGET:
    case SENDER_SAN:
        snprintf(sender->id, sizeof sender->id, "%s/%.*s%s%.*s", kind, 63, sender->namespace,
            sender->namespace[0] != '\0' ? "/" : "", SENDER_NAME_BYTES - 1, sender->name);
        break;
    case SENDER_CONTAINER:
    case SENDER_UNIT:
    case SENDER_ADDRESS:
        snprintf(sender->id, sizeof sender->id, "%s/%s", kind, sender->name);
        break;
    case SENDER_PROCESS:
        snprintf(sender->id, sizeof sender->id, "%s/%s:%lu", kind, sender->name, (unsigned long)sender->uid);
        break;
    case SENDER_USER:
        snprintf(sender->id, sizeof sender->id, "%s/%lu", kind, (unsigned long)sender->uid);
        break;
    case SENDER_UNKNOWN:
    case SENDER_KIND_COUNT:
        snprintf(sender->id, sizeof sender->id, "unknown");
        break;
    }
}

void sender_of_target(const char *name, const char *namespace, struct sender *ret_sender)
{
    struct sender sender = {.kind = SENDER_TARGET};

    snprintf(sender.name, sizeof sender.name, "%s", name);
    snprintf(sender.namespace, sizeof sender.namespace, "%s", namespace != NULL ? namespace : "");
    sender_id_format(&sender);
    *ret_sender = sender;
}

struct sender_labels sender_labels_of(struct slice id)
{
    size_t slash = slice_find(id, '/');
    struct slice rest = slice_sub(id, slash + 1, id.length);
    size_t second = slice_find(rest, '/');
    struct slice kind = slice_sub(id, 0, slash);

    if (slash < id.length) {
        for (unsigned i = SENDER_POD; i < SENDER_KIND_COUNT; i++) {
            if (!slice_equal(kind, slice_of_string(sender_kind_name((enum sender_kind)i)))) {
                continue;
            }
            if (second < rest.length) {
                struct slice workload = slice_sub(rest, second + 1, rest.length);
                size_t third = slice_find(workload, '/');

                return (struct sender_labels){.kind = kind,
                    .workload = slice_sub(workload, 0, third),
                    .workload_namespace = slice_sub(rest, 0, second),
                    .pod = slice_sub(workload, third + 1, workload.length)};
            }
            return (struct sender_labels){.kind = kind, .workload = rest};
        }
    }
    return (struct sender_labels){.kind = SLICE_LITERAL("unknown"), .workload = id};
}

bool sender_contradicts(const struct sender *sender, const struct sender_claim *claim)
{
    struct slice name = slice_of(sender->name, strnlen(sender->name, sizeof sender->name));
    struct slice space = slice_of(sender->namespace, strnlen(sender->namespace, sizeof sender->namespace));

    if (sender->kind == SENDER_POD && claim->pod_uid.length > 0 && !slice_equal(claim->pod_uid, name)) {
        return true;
    }
    struct slice pod = slice_of(sender->pod, strnlen(sender->pod, sizeof sender->pod));

    if (pod.length > 0 && claim->pod.length > 0 && !slice_equal(claim->pod, pod)) {
        return true;
    }
    return space.length > 0 && claim->service_namespace.length > 0 &&
           !slice_equal(claim->service_namespace, space);
}
