/*
 * What Kubernetes says of pods: a kubelet's answer to GET /pods (a PodList, JSON), and the files of a mounted
 * downward-API volume. Read in place, nothing is copied. Any thread.
 */
#ifndef WEFT_DECODE_POD_LIST_H
#define WEFT_DECODE_POD_LIST_H

#include <stdint.h>

#include "core/slice.h"

/* Of one pod; an empty slice: not told. Texts borrow from the input. */
struct pod_facts {
    struct slice uid;
    struct slice name;
    struct slice pod_namespace;
    struct slice owner_kind; /* of the controller: ReplicaSet, StatefulSet, DaemonSet, Job … */
    struct slice owner_name;
    struct slice template_hash; /* label pod-template-hash */
    struct slice app;           /* label app.kubernetes.io/name, else app */
    struct slice version;       /* label app.kubernetes.io/version, else version */
};

enum { POD_LIST_DEPTH_MAX = 64, POD_LABELS_COUNT_MAX = 256 };

struct pod_sink {
    void (*on_pod)(void *user, const struct pod_facts *pod);
    void *user;
};

/* Tells of each pod that has a uid and a name; the others are left out. Negative where the text is no JSON or
 * no PodList; pods before the damage were told. */
int pod_list_read(struct slice json, const struct pod_sink *sink);

/*
 * The lines KEY="VALUE" of a downward-API file of labels, into template_hash, app and version. Values are
 * quoted as Go does; those with escapes and lines that are none are left out.
 */
void pod_labels_read(struct slice text, struct pod_facts *facts);

/*
 * What made the pod, in the word of its user: a ReplicaSet's Deployment (its name without the template's
 * hash), another owner's name, or the pod's own.
 */
struct slice pod_workload(const struct pod_facts *facts);

#endif
