"""The corpus file format: a sequence of [u32 little-endian length][message], nothing else."""

import struct

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def write(path, messages):
    with open(path, "wb") as file:
        for message in messages:
            file.write(struct.pack("<I", len(message)))
            file.write(message)


def read(path):
    data = open(path, "rb").read()
    messages, at = [], 0
    while at < len(data):
        if at + 4 > len(data):
            raise ValueError(f"{path}: length cut at {at}")
        (length,) = struct.unpack_from("<I", data, at)
        if at + 4 + length > len(data):
            raise ValueError(f"{path}: message cut at {at}")
        messages.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return messages


def spans(messages):
    """(resource attributes, scope, span) of every span, decoded by the OpenTelemetry project's own
    classes."""
    for message in messages:
        for resource_spans in ExportTraceServiceRequest.FromString(message).resource_spans:
            resource = attributes(resource_spans.resource)
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    yield resource, scope_spans.scope, span


def attributes(holder):
    """{key: value} with values as Python has them."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in holder.attributes
    }
