/*
 * What the path of a control group says of its process. Lines of /proc/PID/cgroup are
 * "HIERARCHY:CONTROLLERS:PATH"; v2 is the one with hierarchy 0 and no controllers. Forms (Kubernetes'
 * cgroupfs and systemd drivers, Docker, Podman, systemd):
 *
 *   /kubepods/burstable/podUID/CONTAINER
 *   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice/cri-containerd-CONTAINER.scope
 *   /docker/CONTAINER   /system.slice/docker-CONTAINER.scope   /machine.slice/libpod-CONTAINER.scope
 *   /system.slice/envoy.service
 *
 * Pure; any thread.
 */
#include <stdio.h>
#include <string.h>

#include "context/sender.h"

enum { POD_UID_LENGTH = 36, STATIC_POD_UID_LENGTH = 32, CONTAINER_LENGTH = 64, CONTAINER_LENGTH_SHOWN = 12 };

static bool is_hex(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return text.length > 0;
}

static struct slice without_suffix(struct slice text, struct slice suffix)
{
    return slice_has_suffix(text, suffix) ? slice_sub(text, 0, text.length - suffix.length) : text;
}

/* A pod's uid in "podUID" or "kubepods-burstable-podUID.slice" (dashes as underscores), in its usual form. */
static bool read_pod_uid(struct slice component, char *out)
{
    struct slice text = without_suffix(component, SLICE_LITERAL(".slice"));
    size_t length = text.length;
    struct slice uid;

    if (length >= POD_UID_LENGTH + 3 &&
        slice_has_suffix(slice_sub(text, 0, length - POD_UID_LENGTH), SLICE_LITERAL("pod"))) {
        uid = slice_sub(text, length - POD_UID_LENGTH, length);
    } else if (length >= STATIC_POD_UID_LENGTH + 3 &&
               slice_has_suffix(slice_sub(text, 0, length - STATIC_POD_UID_LENGTH), SLICE_LITERAL("pod"))) {
        uid = slice_sub(text, length - STATIC_POD_UID_LENGTH, length);
    } else {
        return false;
    }
    for (size_t i = 0; i < uid.length; i++) {
        bool dash = uid.length == POD_UID_LENGTH && (i == 8 || i == 13 || i == 18 || i == 23);

        if (dash ? (uid.ptr[i] != '-' && uid.ptr[i] != '_') : !is_hex(slice_sub(uid, i, i + 1))) {
            return false;
        }
        out[i] = dash ? '-' : (char)uid.ptr[i];
    }
    out[uid.length] = '\0';
    return true;
}

/* The 64 hex digits of "CONTAINER" or "RUNTIME-CONTAINER.scope". */
static bool read_container(struct slice component, char *out)
{
    struct slice text = without_suffix(component, SLICE_LITERAL(".scope"));
    struct slice digits;

    if (text.length < CONTAINER_LENGTH) {
        return false;
    }
    digits = slice_sub(text, text.length - CONTAINER_LENGTH, text.length);
    if (!is_hex(digits) ||
        (text.length > CONTAINER_LENGTH && text.ptr[text.length - CONTAINER_LENGTH - 1] != '-')) {
        return false;
    }
    memcpy(out, digits.ptr, CONTAINER_LENGTH);
    out[CONTAINER_LENGTH] = '\0';
    return true;
}

/* A service of the system's manager. What a user's manager runs has names that the user chose: not told. */
static bool read_unit(struct slice component, char *out)
{
    if (!slice_has_suffix(component, SLICE_LITERAL(".service")) ||
        slice_has_prefix(component, SLICE_LITERAL("user@")) || component.length >= SENDER_NAME_BYTES) {
        return false;
    }
    memcpy(out, component.ptr, component.length);
    out[component.length] = '\0';
    return true;
}

static bool read_path(struct slice path, struct sender *found)
{
    while (path.length > 0) {
        size_t slash = slice_find(path, '/');
        struct slice component = slice_sub(path, 0, slash);

        path = slice_sub(path, slash + 1, path.length);
        if (slice_has_prefix(component, SLICE_LITERAL("user.slice"))) {
            return false;
        }
        if (found->kind == SENDER_UNKNOWN && read_pod_uid(component, found->name)) {
            found->kind = SENDER_POD;
        } else if (read_container(component, found->container)) {
            if (found->kind == SENDER_UNKNOWN) {
                found->kind = SENDER_CONTAINER;
                snprintf(found->name, sizeof found->name, "%.*s", CONTAINER_LENGTH_SHOWN, found->container);
            }
            return true;
        } else if (found->kind == SENDER_UNKNOWN && read_unit(component, found->name)) {
            found->kind = SENDER_UNIT;
            return true;
        }
    }
    return found->kind != SENDER_UNKNOWN;
}

/* kubelet and container runtimes are units too: a pod or container in any hierarchy says more than a unit in
 * another. */
bool sender_read_cgroup(struct slice text, struct sender *sender)
{
    struct sender best = {.kind = SENDER_UNKNOWN};

    while (text.length > 0) {
        size_t end = slice_find(text, '\n');
        struct slice line = slice_sub(text, 0, end);
        struct sender found = {.kind = SENDER_UNKNOWN};

        text = slice_sub(text, end + 1, text.length);
        line = slice_sub(line, slice_find(line, ':') + 1, line.length);
        line = slice_sub(line, slice_find(line, ':') + 1, line.length);
        if (read_path(line, &found) && (best.kind == SENDER_UNKNOWN || found.kind < best.kind)) {
            best = found;
        }
    }
    if (best.kind == SENDER_UNKNOWN) {
        return false;
    }
    sender->kind = best.kind;
    memcpy(sender->name, best.name, sizeof sender->name);
    memcpy(sender->container, best.container, sizeof sender->container);
    return true;
}
