#!/usr/bin/env python3
"""Writes the seeds of pod_list: tests/fuzz/corpus/pod_list/seed-*. The first byte: 0 a list, 1 a file of labels."""
import json

from seed import write


def pod(uid, name, labels=None, owners=None, **more):
    meta = {"name": name, "namespace": "shop", "uid": uid, "creationTimestamp": None, "annotations": {"a": "b"}}
    if labels is not None:
        meta["labels"] = labels
    if owners is not None:
        meta["ownerReferences"] = owners
    return {"metadata": meta, "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}, **more}


REPLICAS = [
    {"kind": "Node", "name": "n", "controller": False},
    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5c9f7d8b4", "controller": True, "more": [1, {}]},
]
LABELS = {
    "app": "web", "version": "v1", "pod-template-hash": "5c9f7d8b4", "app.kubernetes.io/name": "w", "x": 'q"\\',
    "app.kubernetes.io/version": "2",
}
LISTS = {
    "full": {
        "kind": "PodList",
        "items": [
            pod("u1", "web-5c9f7d8b4-k7k2p", LABELS, REPLICAS, status={"phase": "Running"}),
            pod("u2", "db-0", {"app": "db"}, [{"kind": "StatefulSet", "name": "db", "controller": True}]),
            pod("u3", "alone"),
            pod("", "no uid"),
            7, None, [], {"metadata": 1}, {"metadata": {"labels": [], "ownerReferences": {}}},
            pod("u4", "x", {"n": 1, "l": [1], "o": {"a": {}}}, [1, {"kind": {}, "name": [], "controller": "yes"}]),
        ],
    },
    "empty": {"items": []}, "none": {}, "null": {"items": None}, "array": [], "twice": {"items": [pod("u", "n")], "b": {"items": []}},
}
TEXTS = {
    "refused": "Unauthorized", "cut": '{"items":[{"metadata":{"uid":"u"', "cut-owner": '{"items":[{"metadata":{"ownerReferences":[{"kind":',
    "cut-label": '{"items":[{"metadata":{"labels":{"a":[', "cut-item": '{"items":[[', "behind": '{"items":[]} x', "nothing": "",
    "deep": '{"items":[{"spec":' + "[" * 70, "escaped": '{"items":[{"metadata":{"uid":"\\u0041","name":"b"}}],"it\\u0065ms":1}',
    "bad-member": '{"items":[{"metadata":{"a" 1}}]}', "bad-labels": '{"items":[{"metadata":{"labels":{"a":{"b" 1}}}}]}',
    "bad-pod": '{"items":[{"spec":{"a" 1}}]}', "bad-owner": '{"items":[{"metadata":{"ownerReferences":[{"a":{"b" 1}}]}}]}',
}
FILES = {
    "labels": 'app="web"\nversion="v1"\npod-template-hash="5c9f7d8b4"\n', "odd": 'app="a\\"b"\nx\n="\n=""\napp=""\n"',
    "many": "".join(f'l{i}="v"\n' for i in range(300)),
}


def seeds():
    for name, value in LISTS.items():
        yield f"list-{name}", b"\0" + json.dumps(value).encode()
    for name, text in TEXTS.items():
        yield f"text-{name}", b"\0" + text.encode()
    for name, text in FILES.items():
        yield f"file-{name}", b"\1" + text.encode()


if __name__ == "__main__":
    write("pod_list", seeds())
