/*
 * Who is at the other end of a connection, as far as the kernel tells: peer credentials, and what /proc says
 * of that process (cgroup: pod, container or systemd unit; executable). Read once, at accept, off the record
 * path. Linux only.
 *
 * A pid may be another process by the time it is looked up. With SO_PEERPIDFD the kernel holds the peer's
 * identity: it is asked, after everything was read, whether that process still lives. Without it, the
 * directory /proc/PID is opened first (a descriptor of it stays with its process), and its start time has to
 * be the same before and after, and older than the connection.
 */
#ifndef WEFT_CONTEXT_SENDER_H
#define WEFT_CONTEXT_SENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/slice.h"

/* From the strongest to the weakest statement of who it is. */
enum sender_kind {
    SENDER_UNKNOWN,   /* no credentials: not a Unix socket */
    SENDER_POD,       /* Kubernetes pod, by uid */
    SENDER_CONTAINER, /* container outside of Kubernetes */
    SENDER_UNIT,      /* systemd system service */
    SENDER_PROCESS,   /* executable and user */
    SENDER_USER,      /* a user only: the process is not to be seen (another pid namespace) or gone already */
    SENDER_TARGET,    /* what the agent scrapes, called as the configuration says */
    SENDER_SAN,       /* TCP with a verified client certificate: its name */
    SENDER_ADDRESS,   /* TCP without one: the source address */
    SENDER_KIND_COUNT
};

enum {
    SENDER_ID_BYTES = 288,
    SENDER_NAME_BYTES = 96,
    SENDER_CONTAINER_BYTES = 65,
    SENDER_CGROUP_BYTES_MAX = 16384, /* of /proc/PID/cgroup that are looked at */
    SENDER_UID_UNMAPPED = 65534,     /* what the kernel says for a user of another user namespace */
};

struct sender {
    uint8_t kind; /* enum sender_kind */
    uint8_t mesh; /* that it belongs to: core/mesh_names.h; set by context_sender_bind */
    pid_t pid;    /* 0: not visible from here */
    uid_t uid;
    gid_t gid;
    uint64_t start_ticks;              /* of the process, since boot, in clock ticks; 0: not known */
    char name[SENDER_NAME_BYTES];      /* pod uid, container id, unit, or executable */
    char namespace[SENDER_NAME_BYTES]; /* Kubernetes namespace, where something tells it; "" otherwise */
    char pod[SENDER_NAME_BYTES];       /* its name, workload and version, where pods.h knows them; else "" */
    char workload[SENDER_NAME_BYTES];
    char version[SENDER_NAME_BYTES];
    char container[SENDER_CONTAINER_BYTES]; /* container id, 64 hex digits, or "" */
    char id[SENDER_ID_BYTES];               /* stable text: see sender_id_format */
    uint32_t interned; /* id's id in the interner of the connection's shard, a reference held; 0: not yet */
};

/*
 * Of an accepted connection. proc_root: "/proc", or a fixture. Always fills *ret_sender: what cannot be found
 * out leaves a weaker kind. Negative only when the descriptor is no socket: WERR_IO.
 */
int sender_of_socket(int fd, const char *proc_root, struct sender *ret_sender);

/* What proc_root tells of `pid`. WERR_NOT_FOUND when there is no such process, WERR_AGAIN when it changed
 * meanwhile. */
int sender_read_process(const char *proc_root, pid_t pid, struct sender *sender);

/* Whether the process is still the one that was read: for whoever trusts its pid later. */
bool sender_is_alive(const struct sender *sender, const char *proc_root);

/*
 * Reads the text of /proc/PID/cgroup (v1, v2 or both; cgroupfs and systemd drivers) into kind, name and
 * container. The outermost match counts, as a process can make groups below its own. False, nothing changed,
 * when it tells nothing.
 */
bool sender_read_cgroup(struct slice text, struct sender *sender);

/*
 * Writes sender->id: "pod/UID", "pod/NAMESPACE/UID" where the namespace is known, "container/ID" (12 digits),
 * "unit/NAME", "process/NAME:UID", "user/UID", "target/NAME", "target/NAMESPACE/NAME", "san/NAME",
 * "san/NAMESPACE/NAME", "address/ADDRESS", "unknown". Slashes inside of names become underscores.
 */
void sender_id_format(struct sender *sender);

/* Who a configured target is; namespace: NULL or "" when none is told. */
void sender_of_target(const char *name, const char *namespace, struct sender *ret_sender);

/* Of a pod whose name is known the id is "pod/NAMESPACE/WORKLOAD/NAME". An id taken apart again, for the
 * sender_* labels; slices of `id`. Any text that is not such an id is kind "unknown". */
struct sender_labels {
    struct slice kind;
    struct slice workload;
    struct slice workload_namespace; /* empty when not known */
    struct slice pod;                /* likewise */
};
struct sender_labels sender_labels_of(struct slice id);

const char *sender_kind_name(enum sender_kind kind);

/* What a sender's records claim of where they come from; empty parts claim nothing. */
struct sender_claim {
    struct slice pod_uid;
    struct slice pod; /* its name */
    struct slice service_namespace;
};

/*
 * Whether the claim contradicts what the kernel said. Decidable only where both speak of the same thing: a
 * pod's uid against a pod's uid, a pod's name or a namespace against known ones. A unit or a process
 * contradicts nothing.
 */
bool sender_contradicts(const struct sender *sender, const struct sender_claim *claim);

#endif
